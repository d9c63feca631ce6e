"""Celery's app with one task that does nothing, acknowledged late, one prefetched; `celery_worker.py N` publishes N of them."""

import os
import sys
import time

from benchmarks.project.record import handled
from celery import Celery

WORK = float(os.environ.get("WORK", "0"))

app = Celery("benchmark", broker=f"redis+socket://{os.environ['REDIS'].removeprefix('unix://')}")
app.conf.task_ignore_result = True
app.conf.task_acks_late = True
app.conf.worker_prefetch_multiplier = 1
app.conf.broker_transport_options = {"visibility_timeout": int(os.environ.get("VISIBILITY", "3600"))}


@app.task(name="bench.handle")
def handle(i: int, **fields: object) -> None:
    if WORK:
        time.sleep(WORK)
    handled(i)


if __name__ == "__main__":
    with app.producer_or_acquire() as producer:
        for number in range(int(sys.argv[1])):
            handle.apply_async(kwargs={"i": number, "image": f"originals/2026/11/{number}.jpeg", "width": 640, "height": 480}, producer=producer)
