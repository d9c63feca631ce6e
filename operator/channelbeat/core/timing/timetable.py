"""When one event is due and when it is to be sent: its rule within notBefore and notAfter, plus jitter."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Protocol

from channelbeat.core.instants import Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.schedule import Event
from channelbeat.core.timing.cron import cron
from channelbeat.core.timing.every import Every
from channelbeat.core.timing.jitter import jitter
from channelbeat.core.timing.once import Once

_NEVER_BEFORE: Final[Ms] = -62_135_596_800_000  # year 1
_NEVER_AFTER: Final[Ms] = 253_402_300_799_999  # the end of 9999: what RFC 3339 can write


class Rule(Protocol):
    """Due times without end: of one kind of event."""

    @property
    def text(self) -> str: ...
    def next(self, after: Ms) -> Ms | None:
        """The first later than `after`."""

    def last(self, after: Ms, until: Ms) -> Ms | None:
        """The youngest in (after, until]."""

    def count(self, after: Ms, until: Ms) -> tuple[int, bool]:
        """How many in (after, until], and whether counting stopped early."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """`first` and `last` bound the due times, both included. Rules are shared between events."""

    rule: Rule
    key: str
    first: Ms
    last: Ms
    jitter: Ms

    @property
    def period(self) -> Ms | None:
        """The interval of `every`; None for cron and at."""
        return self.rule.interval if isinstance(self.rule, Every) else None

    @property
    def hash(self) -> str:
        """12 hex digits over when, zone, notBefore and notAfter: what decides which due times there are."""
        return blake2b(f"{self.rule.text} {self.first} {self.last}".encode(), digest_size=6).hexdigest()

    def next(self, after: Ms) -> Occurrence | None:
        """The first occurrence due later than `after`."""
        due = self.rule.next(max(after, self.first - 1))
        return None if due is None or due > self.last else self._occurrence(due)

    def latest(self, after: Ms, until: Ms) -> Occurrence | None:
        """The youngest occurrence due later than `after` that is to be sent by `until`."""
        found = self.youngest(after, until, 1)
        return found[0] if found else None

    def last_due(self, after: Ms, until: Ms) -> Ms | None:
        """The youngest due time in (after, until], to be sent by then or not."""
        return self.rule.last(max(after, self.first - 1), min(until, self.last))

    def count(self, after: Ms, until: Ms) -> tuple[int, bool]:
        """How many are due in (after, until]; True when that is only the least (cron: at most 1,000 are counted)."""
        return self.rule.count(max(after, self.first - 1), min(until, self.last))

    def youngest(self, after: Ms, until: Ms, limit: int) -> list[Occurrence]:
        """The youngest `limit` occurrences due later than `after` and to be sent by `until`, oldest first."""
        after, edge = max(after, self.first - 1), min(until, self.last)
        found: list[Occurrence] = []
        while len(found) < limit and (due := self.rule.last(after, edge)) is not None:
            occurrence = self._occurrence(due)
            if occurrence.fires <= until:
                found.append(occurrence)
            edge = due - 1
        return found[::-1]

    def _occurrence(self, due: Ms) -> Occurrence:
        if not self.jitter:
            return Occurrence(due, due)
        following = self.rule.next(due)
        return Occurrence(due, due + jitter(self.key, due, self.jitter, None if following is None else following - due))


def of(event: Event, *, zone: str, key: str) -> Timetable:
    """The timetable of `event`, whose key is `key`, in a schedule whose zone is `zone`."""
    return Timetable(
        rule=_rule(event, event.time_zone or zone),
        key=key,
        first=_NEVER_BEFORE if event.not_before is None else event.not_before,
        last=_NEVER_AFTER if event.not_after is None else event.not_after,
        jitter=event.jitter or 0,
    )


def _rule(event: Event, zone: str) -> Rule:
    if event.cron is not None:
        return cron(event.cron, zone)
    return Every(event.every) if event.every is not None else Once(event.at or 0)
