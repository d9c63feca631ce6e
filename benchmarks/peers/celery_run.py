"""Celery's app with N beat entries of `* * * * *`; RedBeat, when that is the scheduler, keeps them in database 1 of the same Redis."""

import os

from celery import Celery
from celery.schedules import crontab

path = os.environ["REDIS"].removeprefix("unix://")
app = Celery("benchmark", broker=f"redis+socket://{path}")
app.conf.task_ignore_result = True
app.conf.beat_max_loop_interval = 5
app.conf.redbeat_redis_url = f"unix://{path}?db=1"
app.conf.beat_schedule = {f"event-{number}": {"task": "print", "schedule": crontab(), "args": (number,)} for number in range(int(os.environ["N"]))}


@app.task(name="print")
def print_(number: int) -> None:
    """Nobody runs it: messages are counted in the queue."""
