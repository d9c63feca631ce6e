"""How fast may we write, and when again what failed? A bucket of tokens; waiting that doubles."""

from channelbeat.core.instants import SECOND, Ms


def backoff(failures: int, first: Ms, longest: Ms) -> Ms:
    """How long to wait after so many others: twice as long each time."""
    return min(first << min(failures, 10), longest)


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
