"""runworker with half a second of grace for what takes too long."""

from functools import partial

from channelbeat.worker.management.commands import runworker
from channelbeat.worker.worker import Worker


class Command(runworker.Command):
    worker_class = partial(Worker, grace=500)
