"""A consumer of each kind, which notes what it was given; with $WORK it first takes that many seconds."""

import asyncio
import os
import time
from typing import Any

from channels.consumer import AsyncConsumer, SyncConsumer
from channels.routing import ChannelNameRouter, ProtocolTypeRouter

from benchmarks.project.record import handled

WORK = float(os.environ.get("WORK", "0"))


class Async(AsyncConsumer):
    async def bench_handle(self, event: dict[str, Any]) -> None:
        if WORK:
            await asyncio.sleep(WORK)
        handled(event["i"])


class Sync(SyncConsumer):
    def bench_handle(self, event: dict[str, Any]) -> None:
        if WORK:
            time.sleep(WORK)
        handled(event["i"])


application = ProtocolTypeRouter({"channel": ChannelNameRouter({"async": Async.as_asgi(), "sync": Sync.as_asgi()})})
