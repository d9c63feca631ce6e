"""Consumers as people write them. What they do is told on stdout, a line each."""

import asyncio
import sys
import threading
import time

from channels.consumer import AsyncConsumer, SyncConsumer
from channels.exceptions import StopConsumer

from channelbeat.worker import current_run


def tell(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Async(AsyncConsumer):
    async def say(self, message):
        run = current_run()
        tell("said", message["text"], run and run.attempt)

    async def fail(self, message):
        tell("failing", current_run() and current_run().attempt)
        raise ValueError(message.get("text", "boom"))

    async def stop(self, message):
        tell("stopping")
        raise StopConsumer

    async def leave(self, message):
        sys.exit(3)

    async def nap(self, message):
        tell("napping", message["seconds"])
        try:
            await asyncio.sleep(message["seconds"])
        except asyncio.CancelledError:
            tell("woken")
            raise
        tell("slept")

    async def stubborn(self, message):
        tell("stubborn")
        end = time.monotonic() + message["seconds"]
        while time.monotonic() < end:
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                tell("not now")

    async def block(self, message):
        tell("blocking", message["seconds"])
        time.sleep(message["seconds"])  # noqa: TID251, ASYNC251 - the mistake that this is about
        tell("blocked")

    async def result(self, message):
        current_run().set_result(message["value"])


class Sync(SyncConsumer):
    def say(self, message):
        run = current_run()
        tell("said", message["text"], run and run.attempt)

    def fail(self, message):
        tell("failing", current_run() and current_run().attempt)
        raise ValueError(message.get("text", "boom"))

    def stop(self, message):
        tell("stopping")
        raise StopConsumer

    def leave(self, message):
        sys.exit(3)

    def nap(self, message):
        tell("napping", message["seconds"], threading.current_thread().name)
        time.sleep(message["seconds"])  # noqa: TID251 - it is at work
        tell("slept")
