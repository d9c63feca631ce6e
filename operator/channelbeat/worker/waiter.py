"""Slots that have nothing to do are woken here. One blocking pop at a time stands for all of them, and there is none while no slot is idle,
so that no more is popped than can be handled. It is never cancelled: a reply that nobody awaits is a message lost."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from channelbeat.broker.claims import Claims, Plain
from channelbeat.errors import LayerRefused
from channelbeat.worker.desk import Desk, now
from channelbeat.worker.outage import FIRST_PAUSE, Outage

BLOCKS: Final = 1.0
"""Seconds: the longest that a lost bell goes unheard, and that a stop waits."""

logger: Final = logging.getLogger("channelbeat.worker")


class Waiter:
    """`expiry` is the layer's, in seconds."""

    def __init__(self, claims: Claims, channels: Sequence[str], expiry: int, desk: Desk, outage: Outage) -> None:
        self._claims, self._channels, self._expiry, self._desk, self._outage = claims, channels, expiry, desk, outage
        self._idle: list[asyncio.Future[Plain | None]] = []
        self._changed = asyncio.Event()
        self._refused = False

    async def idle(self) -> Plain | None:
        """For a slot with nothing to do: a plain message to handle, or None to look for itself what there is."""
        woken: asyncio.Future[Plain | None] = asyncio.get_running_loop().create_future()
        self._idle.append(woken)
        self._changed.set()
        return await woken

    def changed(self) -> None:
        """The desk was opened or closed; for good: slots are to see it."""
        self._changed.set()
        while self._idle and self._desk.stopping:
            self._idle.pop().set_result(None)

    async def run(self) -> None:
        while not self._desk.stopping:
            if self._idle and self._desk.open:
                await self._wake(await self._pop())
            else:
                self._changed.clear()
                await self._changed.wait()
        self.changed()

    async def _pop(self) -> Plain | str | None:
        return await self._outage.through(self._wait, lambda: not self._desk.open)

    async def _wait(self) -> Plain | str | None:
        """A key that somebody overwrote fails the pop from all channels; slots that look for themselves are stopped by none."""
        try:
            found = await self._claims.wait(self._channels, BLOCKS)
        except LayerRefused as error:
            if not self._refused:
                logger.error("%s: look at the keys of %s; what can be had is taken meanwhile", error, ", ".join(self._channels))
            self._refused = True
            await asyncio.sleep(FIRST_PAUSE)
            return None
        self._refused = False
        return found

    async def _wake(self, found: Plain | str | None) -> None:
        if self._desk.open:
            self._idle.pop().set_result(found if isinstance(found, Plain) else None)
        elif isinstance(found, Plain):
            await self.give_back(found)
        elif found is not None:
            await self._outage.through(lambda: self._claims.ring(found), self._too_late)

    async def give_back(self, plain: Plain) -> None:
        await self._outage.through(lambda: self._claims.give_back(plain, self._expiry), self._too_late)

    def _too_late(self) -> bool:
        return self._desk.deadline is not None and now() >= self._desk.deadline
