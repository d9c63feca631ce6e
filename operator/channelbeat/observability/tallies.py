"""What has been counted so far, in plain dicts: tens of thousands of schedules are kept."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.outcomes import Kind, Outcome, Reason
from channelbeat.core.runs import Finished
from channelbeat.observability import catalogue

T = TypeVar("T", bound=tuple[str, ...])
"""What is counted: the name of an event, and more."""

GRACE: Final = 300.0
"""Seconds that the numbers of a deleted schedule, or event, are still shown, so that the last of them are scraped."""
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
        self._known: dict[str, tuple[str, ...]] = {}
        """The names of each schedule's events."""
        self._faulty = set[str]()
        self._leaving: dict[str, float] = {}
        self._former: dict[str, dict[str, float]] = {}
        """By schedule that is known: its events that are gone, and since when."""
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

    def keys(self) -> Iterable[str]:
        """Of the schedules that are known."""
        return self._known.keys()

    @property
    def faulty(self) -> int:
        return len(self._faulty)

    def seen(self, key: str, events: tuple[str, ...], *, faulty: bool) -> None:
        """`events`: the names of all of its."""
        if self._known.get(key) != events:
            self._known[key] = events
            self._part_with_former(key, events)
        (self._faulty.add if faulty else self._faulty.discard)(key)
        self._leaving.pop(key, None)

    def gone(self, key: str) -> None:
        self._known.pop(key, None)
        self._former.pop(key, None)
        self._faulty.discard(key)
        self._leaving[key] = self._now()

    def occurred(self, outcome: Outcome) -> None:
        self._count(self.occurrences, outcome.schedule, (outcome.event, outcome.kind, outcome.reason), outcome.count)
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
        self._count(self.runs, schedule, (event, run.state), 1)

    def _count(self, tallies: dict[str, dict[T, int]], schedule: str, what: T, more: int) -> None:
        tally = tallies.get(schedule)
        if tally is None:
            tally = tallies[schedule] = {}
        events = self._known.get(schedule)
        if events is None and schedule:  # its last words, after it was deleted, or somebody else's runs
            self._leaving.setdefault(schedule, self._now())
        elif events is not None and what not in tally and what[0] not in events:  # the same of an event
            self._former.setdefault(schedule, {}).setdefault(what[0], self._now())
        tally[what] = tally.get(what, 0) + more

    def _part_with_former(self, key: str, events: tuple[str, ...]) -> None:
        counted = {what[0] for tallies in (self.occurrences, self.runs) for what in tallies.get(key, ())}
        before, now = self._former.pop(key, {}), self._now()
        if gone := counted.difference(events):
            self._former[key] = {event: before.get(event, now) for event in gone}

    def _forget_former(self, now: float) -> None:
        for key, former in [*self._former.items()]:
            gone = {event for event, since in former.items() if now - since >= GRACE}
            if gone:
                _drop(self.occurrences.get(key, {}), gone)
                _drop(self.runs.get(key, {}), gone)
                self._former[key] = {event: since for event, since in former.items() if event not in gone}
            if not self._former[key]:
                del self._former[key]

    def forget(self) -> None:
        """What has been deleted for long enough."""
        now = self._now()
        self._forget_former(now)
        leaving = [key for key, since in self._leaving.items() if now - since >= GRACE]
        for key in leaving:
            del self._leaving[key]
            self.occurrences.pop(key, None)
            self.runs.pop(key, None)
            self.enqueued.pop(key, None)
        if leaving:
            alive = {key.partition("/")[0] for key in (*self._known, *self._leaving)}
            for namespace in self.lateness.keys() - alive:
                del self.lateness[namespace]


def _drop(tally: dict[T, int], events: set[str]) -> None:
    for what in [what for what in tally if what[0] in events]:
        del tally[what]
