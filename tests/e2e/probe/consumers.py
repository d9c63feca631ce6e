"""`work` takes the message's `takes` milliseconds, then adds to Redis: which run, attempt, channel and event, in which pod, from when to when.

An execution has a key of its own, so that it is recorded once, however often the writing is repeated while Redis is away.
"""

import asyncio
import json
import os
import time
import uuid
from typing import Any

from channels.consumer import AsyncConsumer
from django.conf import settings
from redis.asyncio import Redis
from redis.exceptions import RedisError

from channelbeat.worker import current_run

KEY = "probe:executions"
POD = os.environ["POD_NAME"]
redis = Redis.from_url(settings.REDIS, socket_timeout=5)


def now() -> int:
    return time.time_ns() // 1_000_000


class Work(AsyncConsumer):
    async def work(self, message: dict[str, Any]) -> None:
        begun, run = now(), current_run()
        await asyncio.sleep(message.get("takes", 0) / 1000)
        which = {"run": message["beat"]["run"], "attempt": run.attempt if run else 0, "channel": run.channel if run else ""}
        told = json.dumps({**which, "event": message["beat"]["event"], "pod": POD, "begun": begun, "ended": now()})
        await recorded(uuid.uuid4().hex, told)


async def recorded(execution: str, told: str) -> None:
    while True:
        try:
            await redis.hset(KEY, execution, told)
        except RedisError:
            await asyncio.sleep(0.2)
        else:
            return
