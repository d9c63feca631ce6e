"""Calls to the API server that are under way: so many at once, so many a second, and one that hangs holds up no other."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from channelbeat.cluster.pace import Bucket
from channelbeat.core.instants import SECOND, Ms
from channelbeat.engine.stopwatch import Stopwatch

log: Final = logging.getLogger("channelbeat.status")

MOST: Final = 16


class Calls:
    """`ended` is called whenever one has."""

    def __init__(self, per_second: float, watch: Stopwatch, *, ended: Callable[[], object]) -> None:
        self._watch, self._ended = watch, ended
        self._bucket = Bucket(per_second, watch.now())
        self._tasks = set[asyncio.Task[None]]()

    def room(self) -> int:
        """How many may begin now."""
        return min(MOST - len(self._tasks), self._bucket.full(self._watch.now()))

    def next(self) -> Ms:
        """When to look for room again, by the stopwatch."""
        now = self._watch.now()
        return now + SECOND if len(self._tasks) >= MOST else self._bucket.next(now)

    def begin(self, call: Coroutine[Any, Any, None], *, then: Callable[[], object] = lambda: None) -> None:
        """`then` is called at its end, however it ends."""
        self._bucket.take()
        task = asyncio.create_task(call)
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, then))

    async def end(self) -> None:
        """What is under way is given up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, then: Callable[[], object], task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        then()
        self._ended()
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("a call to the API server ended with a fault of channelbeat's own: please report it", exc_info=fault)
