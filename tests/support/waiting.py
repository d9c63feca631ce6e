"""Waiting for a condition, not for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")
POLL = 0.001


def until(condition: Callable[[], T], within: float = 10, *, what: str = "", every: float = POLL) -> T:
    """Calls `condition` until it is true, and answers what it said; AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what or condition}")
        time.sleep(every)  # noqa: TID251 - between two looks
    return value


async def eventually(condition: Callable[[], Any], within: float = 10, *, what: str = "") -> Any:
    """The same for a loop that must go on meanwhile; `condition` may be a coroutine function."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        value = await answer if isinstance(answer, Awaitable) else answer
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what or condition}")
        await asyncio.sleep(POLL)
