"""Consumers that do as their messages say, and write down what they do: channel `c` is handled by a sync one, `a` by an async one."""

import asyncio
import time
from typing import Any

from channels.consumer import AsyncConsumer, SyncConsumer
from channels.routing import ChannelNameRouter

from support import diary


class Sync(SyncConsumer):
    def work(self, message: dict[str, Any]) -> None:
        """`seconds`: how long it takes; `hold`: until the gate opens; `fail`: in the first so many attempts."""
        with diary.attempt(message):
            time.sleep(message.get("seconds", 0))  # noqa: TID251 - this is the work
            if message.get("hold"):
                diary.wait_for_gate(message)
            _fail(message)


class Async(AsyncConsumer):
    async def work(self, message: dict[str, Any]) -> None:
        """`block`: hold, and the event loop with it."""
        with diary.attempt(message):
            if message.get("block"):
                diary.wait_for_gate(message)
            await asyncio.sleep(message.get("seconds", 0))
            if message.get("hold"):
                await diary.gate_opens(message)
            _fail(message)


def _fail(message: dict[str, Any]) -> None:
    if message.get("beat", {}).get("attempt", 1) <= message.get("fail", 0):
        raise ValueError("as its message says")


application = ChannelNameRouter({"c": Sync.as_asgi(), "a": Async.as_asgi()})
