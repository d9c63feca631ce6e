"""IANA time zones: their names, and what their clocks show. A wall time is milliseconds as though it were UTC."""

from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from channelbeat.core.instants import DAY, SECOND, Ms

_NOT_ZONES: Final = frozenset({"Factory", "localtime"})  # in the database, but they mean "not set" and "this machine's"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@lru_cache(1024)
def zone(name: str) -> ZoneInfo:
    """The zone of exactly this name; ValueError says what a name looks like."""
    if name not in _names():  # ZoneInfo itself would find europe/berlin where the file system ignores case
        raise ValueError(f"{name!r} is no IANA time zone name: write one such as Europe/Berlin or UTC")
    return ZoneInfo(name)


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones()) - _NOT_ZONES


def offset(zone: ZoneInfo, moment: Ms) -> Ms:
    """How far its clocks are ahead of UTC."""
    return _whole((_EPOCH + timedelta(milliseconds=moment)).astimezone(zone).utcoffset())


def readings(zone: ZoneInfo, wall: Ms) -> tuple[Ms, Ms]:
    """The moments of a wall time: twice the same; the first and second pass of a repeat; or after and before a gap that has no such time."""
    shown = (_EPOCH + timedelta(milliseconds=wall)).replace(tzinfo=zone)
    return wall - _whole(shown.utcoffset()), wall - _whole(shown.replace(fold=1).utcoffset())


@lru_cache(16_384)
def steady(zone: ZoneInfo, day: int) -> Ms | None:
    """The offset, when it stays the same from a day before to a day after this `day` (counted from the epoch); else None.

    No zone has changed its clock twice within a day since 1970.
    """
    offsets = {offset(zone, (day + i) * DAY) for i in (-1, 0, 1, 2)}
    return offsets.pop() if len(offsets) == 1 else None


def gap_end(zone: ZoneInfo, before: Ms, after: Ms) -> Ms:
    """The moment at which the clock jumps, between one before and one after it."""
    target = offset(zone, after)
    before -= before % SECOND
    while after - before > SECOND:
        middle = before + (after - before) // (2 * SECOND) * SECOND
        before, after = (before, middle) if offset(zone, middle) == target else (middle, after)
    return after


def _whole(length: timedelta | None) -> Ms:
    return (length or timedelta()) // _MILLISECOND
