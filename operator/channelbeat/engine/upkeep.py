"""Looks after the runs in one layer's own queue while its lane leads: brings forward those whose time has come or whose
worker has vanished, tells what became of those that ended, and notices when nobody takes any.

A loop beside the lane's, so that neither holds up the other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.core.runs import Finished
from channelbeat.engine.lane import Lane
from channelbeat.engine.ports import Clock, Journal
from channelbeat.errors import LayerError, LayerRefused

EVERY: Final[Ms] = SECOND // 2
SHORTEST: Final[Ms] = 20
"""Between two sweeps when there is little to do, as Redis's time is known to a few milliseconds only."""
LOOK: Final[Ms] = 10 * SECOND
"""Between two looks for channels that nobody listens on."""
SHORT: Final[Ms] = MINUTE
"""Led again within it, what ended meanwhile is told; after longer, another leader has told it."""
READ_AT_ONCE: Final = 1_000


class Upkeep:
    def __init__(self, lane: Lane, *, journal: Journal, clock: Clock) -> None:
        self._lane, self._broker, self._journal, self._clock = lane, lane.broker, journal, clock
        self._position = ""  # in the results; empty before the first
        self._led: Ms = 0
        self._next: Ms = 0
        self._look: Ms = 0
        self.unattended: dict[str, str] = {}
        """Channels that nobody listens on, with what was told of each then."""
        self._faults = set[str]()
        self._stopping = False
        self._wake = asyncio.Event()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Until `stop`; who cannot wait for an answer of Redis cancels it then. Cancelling alone will not do: Python 3.11's
        wait_for, which redis-py sends with, may swallow it."""
        await self._lane.led.wait()
        while not self._stopping:
            now = self._clock.now()
            self._next = now + EVERY
            if self._lane.leading:
                self._led = now
                await self._round()
            elif now - self._led >= SHORT:
                self._position = ""
            await self._clock.sleep_until(self._next, self._wake)

    async def _round(self) -> None:
        try:
            for part in (self._begin, self._sweep, self._read, self._look_around):
                await self._attempt(part)
        except LayerError:
            return  # the lane meets the same, and tells it

    async def _attempt(self, part: Callable[[], Awaitable[None]]) -> None:
        """What only this part stumbles over, such as a key that somebody overwrote, is told once and stops no other part."""
        try:
            await part()
        except Exception as fault:
            if isinstance(fault, LayerError) and not isinstance(fault, LayerRefused):
                raise
            brief = f"{type(fault).__name__}: {fault}"
            if brief not in self._faults:
                self._faults.add(brief)
                self._tell(Sign.FAULT, f"layer {self._broker.name!r}: its runs are not looked after as they should be ({brief}); it is tried again")

    async def _begin(self) -> None:
        """What ends from now on is told, by this very sweep too."""
        if not self._position:
            await self._read()

    async def _sweep(self) -> None:
        sweep = await self._broker.sweep()
        ours, redis = self._clock.now(), self._broker.now()
        if sweep.more:
            self._next = ours
        elif sweep.next is not None and redis is not None:
            self._next = min(self._next, ours + max(sweep.next - redis, SHORTEST))

    async def _read(self) -> None:
        self._position, runs = await self._broker.results(self._position)
        if not runs:
            return
        self._journal.finished(runs)
        for run in runs:
            if run.paused:
                self._tell(Sign.PAUSED, self._paused(run), run.event)
        if len(runs) >= READ_AT_ONCE:
            self._next = self._clock.now()

    def _paused(self, run: Finished) -> str:
        definition = self._lane.definition(run.event)
        policy = definition.policy if definition is not None else None
        number = policy.pause_after if policy is not None and policy.pause_after else "too many"
        schedule, _, name = run.event.rpartition("/")
        last = f" (last: {run.error})" if run.error else ""
        return (
            f"event {run.event} is paused after {number} dead runs in a row{last}: "
            f"mend it, then edit the event or resume it (channelbeat resume {schedule} {name})"
        )

    async def _look_around(self) -> None:
        now = self._clock.now()
        if self._look - LOOK <= now < self._look:
            return
        found = await self._broker.unattended()
        self._look = now + LOOK
        before, self.unattended = self.unattended, {}
        for channel in sorted(found):
            if channel in before:
                self.unattended[channel] = before[channel]
                continue
            runs = "1 run waits" if found[channel] == 1 else f"{found[channel]:,} runs wait"
            text = (
                f"layer {self._broker.name!r}: {runs} in channel {channel} and no runworker of channelbeat listens on it: "
                'put "channelbeat.worker" before "channels" in INSTALLED_APPS, and see that its workers run and use this Redis and prefix'
            )
            self.unattended[channel] = text
            self._tell(Sign.UNATTENDED, text)

    def _tell(self, sign: Sign, text: str, event: str = "") -> None:
        self._journal.tell(Notice(self._broker.name, sign, text, self._clock.now(), event))
