"""Consumers that fail until they are mended, or now and then."""

import os
from itertools import count
from pathlib import Path
from typing import Any

from channels.consumer import SyncConsumer
from channels.routing import ChannelNameRouter

from support import diary


class Failing(SyncConsumer):
    """Until there is a file `mended` beside the diary."""

    def work(self, message: dict[str, Any]) -> None:
        with diary.attempt(message):
            if not Path(os.environ["DIARY"]).with_name("mended").exists():
                raise ValueError("not mended")


class EveryThird(SyncConsumer):
    """Succeeds."""

    turns = count(1)

    def work(self, message: dict[str, Any]) -> None:
        with diary.attempt(message):
            if next(self.turns) % 3:
                raise ValueError("not this time")


application = ChannelNameRouter({"c": Failing.as_asgi()})
every_third = ChannelNameRouter({"c": EveryThird.as_asgi()})
