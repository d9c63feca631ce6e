"""How fast may we write? Time that only goes forward, whatever is done to the machine's clock, and a bucket of tokens."""

import asyncio

from channelbeat.core.instants import SECOND, Ms
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


class Bucket:
    """`rate` tokens a second; it holds those of a second, and at least one."""

    def __init__(self, rate: float, now: Ms) -> None:
        self._rate, self._size = rate, max(rate, 1.0)
        self._tokens, self._at = self._size, now

    def full(self, now: Ms) -> int:
        """How many may be taken."""
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._rate / SECOND)
        self._at = now
        return int(self._tokens)

    def take(self) -> None:
        """One; it may be one too many, which is made up for."""
        self._tokens -= 1

    def next(self, now: Ms) -> Ms:
        """When there is one."""
        self.full(now)
        return now if self._tokens >= 1 else now + int((1 - self._tokens) * SECOND / self._rate) + 1
