"""What arrived in a channel, and whether each due time is among it exactly once: read from Redis, where nobody takes it away."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgpack
from redis import Redis

from channelbeat.core import instants
from channelbeat.core.instants import SECOND, Ms
from channelbeat.runtime import SystemClock
from support.waiting import until

RANDOM: Final = 12
"""Bytes before each message, which RedisChannelLayer puts there."""
LOOK: Final = 0.02


class Arrival(NamedTuple):
    """`event`: NAMESPACE/NAME/EVENT; `run`: the rest of its run id, a due time or trigger-TOKEN; `at`: when, by Redis's clock."""

    event: str
    run: str
    at: Ms
    message: dict[str, Any]

    @property
    def due(self) -> Ms | None:
        """None for a trigger."""
        return None if self.run.startswith("trigger-") else instants.parse(self.run)


class Audit(NamedTuple):
    lost: list[str]
    doubled: list[str]


CLEAN: Final = Audit([], [])


def audit(arrivals: Iterable[Arrival], events: Collection[str], *, every: Ms, since: Ms, through: Ms) -> Audit:
    """Of each of the `events` all due times after `since` up to `through`; doubles, also of any others."""
    counts = Counter((arrival.event, arrival.run) for arrival in arrivals)
    dues = [instants.text(due) for due in range(since - since % every + every, through + 1, every)]
    assert dues, "no due time is asked for"
    lost = [f"{event}/{due}" for event in sorted(events) for due in dues if (event, due) not in counts]
    return Audit(lost, [f"{event}/{run}" for (event, run), count in counts.items() if count > 1])


def gap(arrivals: Iterable[Arrival]) -> Ms:
    """The longest time in which nothing arrived."""
    times = sorted(arrival.at for arrival in arrivals)
    return max((after - before for before, after in pairwise(times)), default=0)


class Channel:
    """One channel of a layer, in which messages stay: nobody listens there."""

    def __init__(self, redis: "Redis", name: str, prefix: str) -> None:
        self._redis, self._key = redis, f"{prefix}{name}"
        self._arrivals: list[Arrival] = []
        self._latest = defaultdict[str, Ms](int)

    def arrivals(self) -> list[Arrival]:
        """All so far, in order."""
        found: Any = self._redis.zrange(self._key, len(self._arrivals), -1, withscores=True)
        for member, score in found:
            message = msgpack.unpackb(member[RANDOM:])
            event, _, run = message["beat"]["run"].rpartition("/")
            arrival = Arrival(event, run, int(score * SECOND), message)
            self._arrivals.append(arrival)
            self._latest[event] = max(self._latest[event], arrival.due or 0)
        return self._arrivals

    def of(self, event: str) -> list[Arrival]:
        """Of events whose keys end so."""
        return [arrival for arrival in self.arrivals() if arrival.event.endswith(event)]

    def runs(self, event: str = "") -> list[str]:
        return [arrival.run for arrival in self.of(event)]

    def reaches(self, through: Ms, events: Collection[str], within: float = 30) -> Ms:
        """Wait until a due time as late as that, or later, has arrived of each event; the moment."""

        def behind() -> list[str]:
            self.arrivals()
            return [event for event in sorted(events) if self._latest[event] < through]

        until(lambda: not behind(), within, what=f"due times up to {instants.text(through)}: {len(behind())} are behind, like {behind()[:3]}", every=LOOK)
        return through

    def flows(self, events: Collection[str], within: float = 30) -> Ms:
        """Wait until each event has become due, and arrived, again; the moment after which none may be missing."""
        self.reaches(now(), events, within)
        return now()

    def get(self, number: int, event: str = "", within: float = 30) -> list[Arrival]:
        """The first `number` of the event, once they are there."""
        return until(lambda: len(found := self.of(event)) >= number and found[:number], within, what=f"{number} of {event!r}", every=LOOK) or []


def now() -> Ms:
    return SystemClock().now()


@contextmanager
def channel(url: str, name: str = "c", prefix: str = "asgi") -> Iterator[Channel]:
    with Redis.from_url(url) as redis:
        yield Channel(redis, name, prefix)
