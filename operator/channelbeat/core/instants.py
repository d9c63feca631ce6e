"""Moments as whole milliseconds since the Unix epoch (UTC), and their RFC 3339 text.

A leaf: the broker and the worker's image know it. Integers because due times are compared, hashed, put
on a heap and sent to Redis scripts by the ten thousand, and because the run id is made of them.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeAlias

Ms: TypeAlias = int
"""Milliseconds: since the Unix epoch where it names a moment, else a length of time."""

SECOND: Final[Ms] = 1_000
MINUTE: Final[Ms] = 60 * SECOND
HOUR: Final[Ms] = 60 * MINUTE
DAY: Final[Ms] = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_RFC3339: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")


def parse(text: str) -> Ms:
    """An RFC 3339 moment, which has an offset; ValueError shows one. Below a millisecond is cut off. In UTC, too, its year is one of
    0001 to 9999: others cannot be written."""
    if _RFC3339.fullmatch(text):
        try:
            return from_datetime(datetime.fromisoformat(text.upper()).astimezone(UTC))
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"{text!r} is no moment: write it with its offset, like 2026-11-21T02:30:00Z or 2026-11-21T03:30:00+01:00")


@lru_cache(maxsize=1_024)  # thousands of events share a due time, and each run says it several times
def text(at: Ms) -> str:
    """`2026-11-21T01:30:00Z`; with three digits of a second where there are any."""
    digits = "milliseconds" if at % SECOND else "seconds"
    return to_datetime(at).replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def to_datetime(at: Ms) -> datetime:
    """Aware, in UTC."""
    return _EPOCH + timedelta(milliseconds=at)


def from_datetime(moment: datetime) -> Ms:
    """`moment` is aware."""
    return (moment - _EPOCH) // _MILLISECOND
