"""Cron in a zone: the due times of an expression, with our own rules for where the clock is changed.

A job whose minute and hour are both fixed (neither starts with `*`) runs once in a repeated hour, in the first pass,
and right after a gap that swallowed it (a gap under 3 h). Any other follows the wall clock: nothing in a gap, both
passes of a repeat.
"""

from typing import Final
from weakref import WeakValueDictionary

from channelbeat.core.instants import DAY, HOUR, MINUTE, Ms
from channelbeat.core.timing import expression, zones

COUNTED_AT_MOST: Final = 1_000
_LONGEST_CARRIED_GAP: Final = 3 * HOUR
_EARLIEST, _LATEST = 0, 253_370_764_800_000  # 1970 to the end of 9998: what the calendar can hold in every zone


class Cron:
    """Shared by all events of one expression and zone; it remembers its last two intervals, which are asked for again.

    Not for several threads.
    """

    __slots__ = ("__weakref__", "_expression", "_known", "_zone", "text")

    def __init__(self, text: str, zone: str) -> None:
        self._expression = expression.parse(text)
        self._zone = zones.zone(zone)
        self._known: tuple[tuple[Ms, Ms | None], ...] = ()
        self.text = f"cron {text} {zone}"

    def next(self, after: Ms) -> Ms | None:
        """The first due time later than `after`; None at the end of the calendar."""
        for start, due in self._known:
            if start <= after and (due is None or after < due):
                return due
        due = self._compute(max(after, _EARLIEST)) if after < _LATEST else None
        self._known = ((after, due), *self._known[:1])
        return due

    def last(self, after: Ms, until: Ms) -> Ms | None:
        """The youngest due time in (after, until]: by ever wider steps back from `until`, then by halving."""
        found, step = None, MINUTE
        while found is None:
            if until <= after:
                return None
            start = max(after, until - step)
            found = self._within(start, until)
            if found is None:
                until, step = start, step * 2
        while (following := self._within(found, until)) is not None:
            middle = (following + until) // 2
            later = self._within(middle, until)
            found, until = (later, until) if later is not None else (following, middle)
        return found

    def count(self, after: Ms, until: Ms) -> tuple[int, bool]:
        """How many are due in (after, until], and whether counting stopped early."""
        number, due = 0, self._within(after, until)
        while due is not None:
            if number == COUNTED_AT_MOST:
                return number, True
            number, due = number + 1, self._within(due, until)
        return number, False

    def _within(self, after: Ms, until: Ms) -> Ms | None:
        due = self.next(after)
        return None if due is None or due > until else due

    def _compute(self, after: Ms) -> Ms | None:
        here = zones.steady(self._zone, after // DAY)
        if here is None:
            return self._near_a_change(after)
        wall = self._expression.next(after + here)
        if wall is None:
            return None
        there = zones.steady(self._zone, wall // DAY)
        return self._near_a_change(after) if there is None else wall - there

    def _near_a_change(self, after: Ms) -> Ms | None:
        wall = after + zones.offset(self._zone, after)
        due = self._on_the_wall(after, wall)
        again = None if self._expression.fixed else self._in_second_pass(after, wall)
        return again if due is None or (again is not None and again < due) else due

    def _on_the_wall(self, after: Ms, wall: Ms) -> Ms | None:
        """The first due time among the wall times later than `wall`."""
        candidate = self._expression.next(wall)
        while candidate is not None:
            first, second = zones.readings(self._zone, candidate)
            if first + zones.offset(self._zone, first) == candidate:
                if first > after:
                    return first
                if second > after and not self._expression.fixed:
                    return second
            else:
                end = zones.gap_end(self._zone, second, first)
                if self._expression.fixed and first - second < _LONGEST_CARRIED_GAP and end > after:
                    return end
                candidate = max(candidate, end + zones.offset(self._zone, end) - MINUTE)  # nothing else in the gap
            candidate = self._expression.next(candidate)
        return None

    def _in_second_pass(self, after: Ms, wall: Ms) -> Ms | None:
        """When `after` is in the first pass of a repeated hour: the first due time that the second pass has up to `wall`."""
        repeated = zones.readings(self._zone, wall)[1] - after
        candidate = self._expression.next(wall - repeated) if repeated > 0 else None
        while candidate is not None and candidate <= wall:
            second = zones.readings(self._zone, candidate)[1]
            if second > after and second + zones.offset(self._zone, second) == candidate:
                return second
            candidate = self._expression.next(candidate)
        return None


_SHARED: Final[WeakValueDictionary[tuple[str, str], Cron]] = WeakValueDictionary()


def cron(text: str, zone: str) -> Cron:
    """The one Cron of this expression and zone; ValueError for a fault in either."""
    found = _SHARED.get((text, zone))
    if found is None:
        found = _SHARED[text, zone] = Cron(text, zone)
    return found
