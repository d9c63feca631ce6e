"""What has been counted so far, in plain dicts: tens of thousands of schedules are kept."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Final, TypeVar

from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.outcomes import Kind, Outcome, Reason
from channelbeat.core.runs import Finished
from channelbeat.observability import catalogue

T = TypeVar("T", bound=Hashable)

GRACE: Final = 300.0
"""Seconds that a deleted schedule's numbers are still shown, so that the last of them are scraped."""
NOT_LATE: Final = frozenset({Reason.TRIGGERED, Reason.REPLAYED})
"""What was enqueued for another reason than its due time has no lateness to speak of."""


class Histogram:
    """Of seconds. `bounds` are the buckets' upper ends, included."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds, self._counts = bounds, [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Each upper end as it is written, and how many were up to it; the last one has them all."""
        below = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            below += count
            yield bound, below


class Tallies:
    """By schedule (`namespace/name`) first, so that one that is gone goes at once. `now` is in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._known = set[str]()
        self._faulty = set[str]()
        self._leaving: dict[str, float] = {}
        self.occurrences: dict[str, dict[tuple[str, Kind, Reason], int]] = {}
        self.runs: dict[str, dict[tuple[str, str], int]] = {}
        """By `namespace/name/event`'s schedule, empty for one-off runs; then by event and state."""
        self.enqueued: dict[str, Ms] = {}
        self.lateness: dict[str, Histogram] = {}
        """By namespace."""
        self.notices = Counter[tuple[str, str]]()

    @property
    def known(self) -> int:
        return len(self._known)

    @property
    def faulty(self) -> int:
        return len(self._faulty)

    def seen(self, key: str, *, faulty: bool) -> None:
        self._known.add(key)
        (self._faulty.add if faulty else self._faulty.discard)(key)
        self._leaving.pop(key, None)

    def gone(self, key: str) -> None:
        self._known.discard(key)
        self._faulty.discard(key)
        self._leaving[key] = self._now()

    def occurred(self, outcome: Outcome) -> None:
        tally = self._of(self.occurrences, outcome.schedule)
        what = (outcome.event, outcome.kind, outcome.reason)
        tally[what] = tally.get(what, 0) + outcome.count
        if outcome.kind is not Kind.ENQUEUED:
            return
        self.enqueued[outcome.schedule] = max(outcome.at, self.enqueued.get(outcome.schedule, 0))
        if outcome.lateness is not None and outcome.reason not in NOT_LATE:
            namespace = outcome.schedule.partition("/")[0]
            histogram = self.lateness.get(namespace)
            if histogram is None:
                histogram = self.lateness[namespace] = Histogram(catalogue.LATENESS)
            histogram.observe(max(outcome.lateness, 0) / SECOND)

    def ended(self, run: Finished) -> None:
        schedule, _, event = run.event.rpartition("/")
        tally = self._of(self.runs, schedule)
        tally[event, run.state] = tally.get((event, run.state), 0) + 1

    def _of(self, tallies: dict[str, dict[T, int]], schedule: str) -> dict[T, int]:
        tally = tallies.get(schedule)
        if tally is None:
            tally = tallies[schedule] = {}
        if schedule not in self._known and schedule:  # its last words, after it was deleted, or somebody else's runs
            self._leaving.setdefault(schedule, self._now())
        return tally

    def forget(self) -> None:
        """What has been deleted for long enough."""
        now = self._now()
        leaving = [key for key, since in self._leaving.items() if now - since >= GRACE]
        for key in leaving:
            del self._leaving[key]
            self.occurrences.pop(key, None)
            self.runs.pop(key, None)
            self.enqueued.pop(key, None)
        if leaving:
            alive = {key.partition("/")[0] for keys in (self._known, self._leaving) for key in keys}
            for namespace in self.lateness.keys() - alive:
                del self.lateness[namespace]
