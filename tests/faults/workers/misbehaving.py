"""Consumers that do, as their messages say, what no consumer should: channel `c` is handled by a sync one, `a` by an async one."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from channels.consumer import AsyncConsumer, SyncConsumer
from channels.exceptions import StopConsumer
from channels.routing import ChannelNameRouter

from support import diary
from support.diary import Diary

EVER = 600.0


class Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")

    __repr__ = __str__


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit(4)

    __repr__ = __str__


class Odd(BaseException):
    pass


def unformattable() -> Exception:
    """Python's own traceback module stumbles over it."""
    error = SyntaxError("odd")
    error.text = 5  # type: ignore[assignment]
    return error


def chained(length: int) -> Exception:
    error = ValueError("the first")
    for number in range(length):
        outer = ValueError(f"number {number}")
        outer.__cause__, error = error, outer
    return error


def circular() -> Exception:
    error, other = ValueError("round"), ValueError("and round")
    error.__cause__, other.__cause__ = other, error
    return error


def deep() -> int:
    return deep() + 1


ERRORS: dict[str, Callable[[], BaseException]] = {
    "plain": lambda: ValueError("boom"),
    "silent": ValueError,
    "lines": lambda: ValueError("one\n two\r\n\tthree \0"),
    "unsayable": Unsayable,
    "unspeakable": Unspeakable,
    "unformattable": unformattable,
    "huge": lambda: ValueError("x" * 1_000_000),
    "surrogates": lambda: ValueError("half of \ud83d"),
    "group": lambda: ExceptionGroup("several", [ValueError("one"), TypeError("two")]),
    "base group": lambda: BaseExceptionGroup("several", [ValueError("one"), KeyboardInterrupt()]),
    "chained": lambda: chained(300),
    "circular": circular,
    "cancelled": asyncio.CancelledError,
    "timeout": TimeoutError,
    "interrupt": KeyboardInterrupt,
    "exit": lambda: SystemExit(3),
    "generator exit": GeneratorExit,
    "memory": MemoryError,
    "odd": lambda: Odd("no Exception"),
    "lost": lambda: ConnectionResetError("its own Redis"),
    "async iteration": StopAsyncIteration,
    "iteration": StopIteration,
}


def watched(message: dict[str, Any]) -> None:
    """Write `overlap` if the run's attempt before is still under way; only the kernel knows whether its process is gone."""
    run = message["beat"]["run"]
    before = [entry for entry in Diary(Path(os.environ["DIARY"])).entries() if entry.run == run]
    if before and before[-1].word == "begin" and _lives(before[-1].pid):
        diary.write("overlap", message)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def fill_stdout() -> None:
    """Print into a pipe that nobody reads."""
    read, write = os.pipe()
    os.dup2(write, 1)
    print("x" * 10_000_000, flush=True)
    os.close(read)


class Sync(SyncConsumer):
    def work(self, message: dict[str, Any]) -> Any:
        watched(message)
        with diary.attempt(message):
            return self.do(message, message["how"])

    def do(self, message: dict[str, Any], how: str) -> Any:
        match how:
            case "raise":
                raise ERRORS[message["error"]]()
            case "recurse":
                return deep()
            case "stop":
                raise StopConsumer
            case "return":
                return {"garbage": object()}
            case "hold":
                diary.wait_for_gate(message)
            case "hang":
                time.sleep(EVER)  # noqa: TID251 - this is the fault
            case "brief":
                time.sleep(message["seconds"])  # noqa: TID251
            case "stdout":
                fill_stdout()
            case "vanish":
                os._exit(5)
            case "exit":
                sys.exit(3)
        return None


class Async(AsyncConsumer):
    async def work(self, message: dict[str, Any]) -> Any:
        watched(message)
        with diary.attempt(message):
            return await self.do(message, message["how"])

    async def do(self, message: dict[str, Any], how: str) -> Any:
        match how:
            case "raise":
                raise ERRORS[message["error"]]()
            case "recurse":
                return deep()
            case "stop":
                raise StopConsumer
            case "return":
                return [self, how]
            case "hold":
                await diary.gate_opens(message)
            case "hang":
                await asyncio.sleep(EVER)
            case "block":
                time.sleep(EVER)  # noqa: ASYNC251, TID251 - this is the fault
            case "swallow":
                while True:
                    try:
                        await asyncio.sleep(EVER)
                    except asyncio.CancelledError:
                        continue
            case "thread":
                await sync_to_async(time.sleep)(EVER)  # noqa: TID251
            case "slow end":
                try:
                    await asyncio.sleep(EVER)
                finally:
                    await asyncio.sleep(0.1)
            case "vanish":
                os._exit(5)
            case "exit":
                sys.exit(3)
            case "exit in a task":
                await asyncio.gather(self.do(message, "exit"), asyncio.sleep(0))
            case "interrupt in a task":
                await asyncio.gather(self.do({**message, "error": "interrupt"}, "raise"), asyncio.sleep(0))
        return None


application = ChannelNameRouter({"c": Sync.as_asgi(), "a": Async.as_asgi()})


def careless() -> None:
    """A worker that does not mind what a thread of its slots is at work on."""
    from channelbeat.worker import slots  # noqa: PLC0415 - once there are settings

    async def free() -> None:
        return None

    slots._thread_is_free = free


def hasty() -> None:
    """A worker that says what became of an attempt, and goes on with it."""
    from channelbeat.worker import keeper  # noqa: PLC0415

    def end(self: Any, verdict: Any) -> None:
        self._settle(list(self._desk.attempts.values()), verdict.stuck)
        threading.Event().wait()

    keeper.Keeper._end_process = end  # type: ignore[method-assign]
