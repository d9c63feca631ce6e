"""Time that moves when told to."""

import asyncio
import time

from channelbeat.core.instants import HOUR, Ms


class ManualClock:
    """A `Clock` that stands still; it starts an hour behind the real time, and so behind Redis's.

    Sleeping takes time that passes, as it does on a machine: setting the clock neither wakes a sleeper nor makes it sleep longer.
    """

    def __init__(self, now: Ms | None = None) -> None:
        self._now = int(time.time() * 1000) - HOUR if now is None else now  # noqa: TID251 - where it starts
        self._passed: Ms = 0
        self._moved = asyncio.Event()
        self._sleeping: dict[object, tuple[Ms | None, asyncio.Event, bool]] = {}

    def now(self) -> Ms:
        return self._now

    @property
    def sleepers(self) -> int:
        """How many wait for a time that has not come; one that is only about to wake does not count, nor does a layer's upkeep."""
        return self._asleep(upkeep=False)

    @property
    def upkeep_sleepers(self) -> int:
        """The same for layers' upkeep, which goes on beside all else."""
        return self._asleep(upkeep=True)

    def _asleep(self, *, upkeep: bool) -> int:
        sleeping = (until is None or self._passed < until for until, wake, kind in self._sleeping.values() if kind is upkeep and not wake.is_set())
        return sum(sleeping)

    def advance(self, by: Ms) -> None:
        """Let time pass: those whose time has come wake at their next turn."""
        self._now += by
        self._passed += by
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def step(self, by: Ms) -> None:
        """Somebody sets the machine's clock, forward or back; no time passes."""
        self._now += by

    async def sleep_until(self, due: Ms | None, wake: asyncio.Event) -> None:
        sleeper, until = object(), None if due is None else self._passed + due - self._now
        task = asyncio.current_task()
        self._sleeping[sleeper] = (until, wake, task is not None and task.get_name().startswith("upkeep"))
        try:
            while not wake.is_set() and (until is None or self._passed < until):
                waits = [asyncio.ensure_future(event.wait()) for event in (wake, self._moved)]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
        finally:
            del self._sleeping[sleeper]
