"""What runs side by side until all of it ends: none is meant to end by itself, and the first that does is why all end."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from channelbeat.errors import ChannelbeatError

log: Final = logging.getLogger("channelbeat")


class Parts:
    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, name: str, part: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = asyncio.create_task(part, name=name)

    async def until(self, stop: asyncio.Event) -> None:
        """ChannelbeatError when a part ends before that."""
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([stopped, *self._tasks.values()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        for name, task in self._tasks.items():
            if task in done:
                _fail(name, task)

    async def end(self, *names: str, within: float) -> None:
        """Those of these names, or all, but they are not waited for longer than that."""
        tasks = [task for name, task in self._tasks.items() if not names or name in names]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=within)


def _fail(name: str, task: "asyncio.Task[None]") -> None:
    fault = None if task.cancelled() else task.exception()
    if isinstance(fault, ChannelbeatError):
        raise fault
    log.critical("the part %r ended", name, exc_info=fault)
    raise ChannelbeatError(
        f"the operator ends, because its part {name!r} did ({type(fault).__name__}: {fault}): a fault of channelbeat's own, please report it; "
        "another replica leads on"
    )
