"""How much time has passed? Time that only goes forward, whatever is done to the machine's clock."""

import asyncio

from channelbeat.core.instants import Ms
from channelbeat.engine.ports import Clock


class Stopwatch:
    """Milliseconds since it was made. A clock that is set back stops it for a moment, one that is set forward makes it jump."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last, self._passed = clock.now(), 0

    def now(self) -> Ms:
        now = self._clock.now()
        self._passed += max(now - self._last, 0)
        self._last = now
        return self._passed

    async def sleep_until(self, due: Ms, wake: asyncio.Event) -> None:
        """By its own time; or until `wake` is set."""
        await self._clock.sleep_until(self._clock.now() + due - self.now(), wake)
