"""Consumers that look for their run wherever their code may be, and say as its result what they found."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from channels.consumer import AsyncConsumer, SyncConsumer
from channels.db import database_sync_to_async
from channels.routing import ChannelNameRouter

from channelbeat.worker import current_run
from support import diary


def found() -> str | None:
    run = current_run()
    return run.id if run is not None else None


async def found_there() -> str | None:
    await asyncio.sleep(0)
    return found()


async def deeper() -> str | None:
    return await sync_to_async(found)()


async def in_a_task() -> str | None:
    return await asyncio.create_task(found_there())


def in_a_bare_thread() -> str | None:
    seen: list[str | None] = []
    thread = threading.Thread(target=lambda: seen.append(found()))
    thread.start()
    thread.join()
    return seen[0]


def say(seen: dict[str, Any], message: dict[str, Any]) -> None:
    run = current_run()
    if run is not None:
        run.set_result({"seen": seen, "attempt": run.attempt, "event": run.event, "channel": run.channel})
    elif set(seen.values()) == {None}:
        diary.write("ok", message)


class Sync(SyncConsumer):
    def work(self, message: dict[str, Any]) -> None:
        with ThreadPoolExecutor() as pool:
            seen = {
                "the handler": found(),
                "async code": async_to_sync(found_there)(),
                "a task": async_to_sync(in_a_task)(),
                "sync code of async code": async_to_sync(deeper)(),
                "a bare thread": in_a_bare_thread(),
                "an executor": pool.submit(found).result(),
            }
        if message.get("hold"):
            diary.begin(message)
            diary.wait_for_gate(message)
            seen["after the others"] = found()
        say(seen, message)


class Async(AsyncConsumer):
    async def work(self, message: dict[str, Any]) -> None:
        seen = {
            "the handler": found(),
            "a task": await in_a_task(),
            "gathered": (await asyncio.gather(found_there(), found_there()))[1],
            "sync code": await sync_to_async(found)(),
            "sync code in any thread": await sync_to_async(found, thread_sensitive=False)(),
            "database code": await database_sync_to_async(found)(),
            "async code of sync code": await sync_to_async(async_to_sync(found_there))(),
            "a thread of asyncio's": await asyncio.to_thread(found),
            "an executor": await asyncio.get_running_loop().run_in_executor(None, found),
        }
        if message.get("hold"):
            diary.begin(message)
            await diary.gate_opens(message)
            seen["after the others"] = found()
        say(seen, message)


application = ChannelNameRouter({"c": Sync.as_asgi(), "a": Async.as_asgi()})
