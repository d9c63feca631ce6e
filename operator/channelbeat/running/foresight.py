"""What is due of one schedule before a worker could be there, kept for as long as neither time nor anything else changes it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from channelbeat.core.definition import Definition
from channelbeat.core.instants import Ms
from channelbeat.core.runs import Policy, Stats
from channelbeat.core.schedule import Scaling
from channelbeat.core.warming import NOTHING, Forecast, Starts, forecast

ROUGHLY: Final = 1.25
"""A measure that differs by less is the same."""


class _Asked(NamedTuple):
    """What a forecast was made of, but for the events and the handling time."""

    paused: frozenset[str]
    scaling: Scaling
    starts: Starts
    concurrency: int


class Foresight:
    """`pausing`: keys of events that failures may pause."""

    def __init__(self) -> None:
        self._definitions: tuple[Definition, ...] | None = None
        self.pausing: Sequence[str] = ()
        self._policies: Sequence[tuple[str, Policy]] = ()
        self._stats: Mapping[str, Stats] | None = None
        self._paused: frozenset[str] = frozenset()
        self._asked: _Asked | None = None
        self._handling: float | None = None
        self._at: Ms = 0
        self._found = NOTHING

    def turn_to(self, definitions: tuple[Definition, ...]) -> None:
        """These are its events. They may be many, and are the same object while nothing changed."""
        if definitions is not self._definitions:
            self._definitions, self._stats, self._asked = definitions, None, None
            self._policies = [(one.key, one.policy) for one in definitions if one.policy is not None and one.policy.pause_after]
            self.pausing = [key for key, _ in self._policies]

    def look(self, stats: Mapping[str, Stats], scaling: Scaling, starts: Starts, *, handling: float | None, concurrency: int, now: Ms) -> Forecast:
        """`now` by the clock that events are due by. `stats`: of those that may be paused; the same object until they were asked again."""
        if stats is not self._stats:
            self._stats, self._paused = stats, frozenset(_paused(self._policies, stats))
        asked = _Asked(self._paused, scaling, starts, concurrency)
        if asked != self._asked or not _alike(self._handling, handling) or not self._lasts(now):
            times = [one.timetable for one in self._definitions or () if not one.suspended and one.key not in self._paused]
            self._found = forecast(times, scaling, starts, handling=handling, concurrency=concurrency, now=now)
            self._asked, self._handling, self._at = asked, handling, now
        return self._found

    def _lasts(self, now: Ms) -> bool:
        return self._at <= now and (self._found.until is None or now < self._found.until)


def _paused(policies: Iterable[tuple[str, Policy]], stats: Mapping[str, Stats]) -> Iterable[str]:
    """An edit of the event ends a pause."""
    for key, policy in policies:
        known = stats.get(key)
        if known is not None and known.paused is not None and known.version == policy.version:
            yield key


def _alike(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one <= other * ROUGHLY and other <= one * ROUGHLY
