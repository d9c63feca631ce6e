"""The text of a cron expression -> the minutes, hours and days it names, or every fault of it in a sentence.

Stricter than most crons where they accept what nobody means: ranges rise, a step follows `*` or a range, and the
expression must be able to fire.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Final

from channelbeat.core.instants import DAY, HOUR, MINUTE, Ms

LONGEST: Final = 100
MACROS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS: Final = {name: number for number, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)}
_WEEKDAYS: Final = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_LENGTHS: Final = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_LAST_DAY: Final = date(9999, 12, 30).toordinal()
_ITEM: Final = re.compile(r"(?:(\*)|([0-9]{1,2})-([0-9]{1,2}))(?:/([0-9]{1,2}))?|([0-9]{1,2})|([a-z]{3})(?:-([a-z]{3}))?")


@dataclass(frozen=True, slots=True)
class Expression:
    """What matches. Days, months and weekdays are sets of bits; a wall time is milliseconds as though it were UTC.

    `fixed`: neither minute nor hour starts with `*`. `either_day`: day of the month and weekday are both restricted,
    so that one of them is enough.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: int
    months: int
    weekdays: int
    fixed: bool
    either_day: bool

    def next(self, wall: Ms) -> Ms | None:
        """The first matching minute later than `wall`; None at the end of the calendar."""
        number, rest = divmod(wall, DAY)
        day = date.fromordinal(_EPOCH_DAY + number)
        if self._on(day):
            hour, minute = divmod(rest // MINUTE, 60)
            if hour in self.hours and minute < self.minutes[-1]:
                return number * DAY + hour * HOUR + next(m for m in self.minutes if m > minute) * MINUTE
            if hour < self.hours[-1]:
                return number * DAY + next(h for h in self.hours if h > hour) * HOUR + self.minutes[0] * MINUTE
        ordinal = self._next_day(day)
        return None if ordinal is None else (ordinal - _EPOCH_DAY) * DAY + self.hours[0] * HOUR + self.minutes[0] * MINUTE

    def _on(self, day: date) -> bool:
        if not self.months >> day.month & 1:
            return False
        of_month, of_week = self.days >> day.day & 1, self.weekdays >> day.isoweekday() % 7 & 1
        return bool(of_month | of_week if self.either_day else of_month & of_week)

    def _next_day(self, day: date) -> int | None:
        ordinal = day.toordinal() + 1
        while ordinal <= _LAST_DAY:
            day = date.fromordinal(ordinal)
            if self._on(day):
                return ordinal
            ordinal += 1 if self.months >> day.month & 1 else max(1, 29 - day.day)  # a month that is out is passed in a few steps
        return None


@lru_cache(8192)
def parse(text: str) -> Expression:
    """`text` as an Expression; ValueError has one argument a fault, each a sentence about the expression."""
    parts = MACROS.get(text, text).split(" ")
    parts = [part for part in parts if part]
    if fault := _shape(text, parts):
        raise ValueError(fault)
    read = [_KINDS[i].read(part) for i, part in enumerate(parts)]
    if faults := [fault for values in read if (fault := values.fault)]:
        raise ValueError(*faults)
    minutes, hours, days, months, weekdays = read
    either_day = not (days.everything or weekdays.everything)
    if weekdays.everything and days.numbers[0] > max(_LENGTHS[month] for month in months.numbers):
        raise ValueError(f"would never fire, because no month it names has a day {days.numbers[0]}")
    return Expression(
        text=text,
        minutes=minutes.numbers,
        hours=hours.numbers,
        days=_bits(days),
        months=_bits(months),
        weekdays=_bits(weekdays),
        fixed=not (minutes.starred or hours.starred),
        either_day=either_day,
    )


def _shape(text: str, parts: list[str]) -> str:
    """What is wrong with the expression as a whole."""
    if len(text) > LONGEST:
        return f"must be at most {LONGEST} characters, not {len(text)}; an event of its own can take the rest"
    if text != text.strip():
        return "must not begin or end with white space"
    if text.startswith(("TZ=", "CRON_TZ=")):
        return "must be five fields without a time zone; name the zone in timeZone"
    if len(parts) != 5:
        return "must be five fields (minute hour day month weekday) or one of @hourly, @daily, @weekly, @monthly, @yearly; for a period use every"
    return ""


@dataclass(frozen=True, slots=True)
class _Values:
    """What one field names; `everything`: it restricts nothing (`*`, `?`, `*/1`)."""

    numbers: tuple[int, ...] = ()
    starred: bool = False
    everything: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One of the five fields."""

    label: str
    low: int
    high: int
    must: str
    names: Mapping[str, int] = field(default_factory=dict)
    question: bool = False

    def read(self, text: str) -> _Values:
        if self.question and text == "?":
            text = "*"
        numbers: set[int] = set()
        everything = False
        for item in text.lower().split(","):
            try:
                values = self._item(item)
            except ValueError as fault:
                return _Values(fault=str(fault))
            numbers.update(values)
            everything |= item in ("*", "*/1")
        if self.high == 7:
            numbers = {number % 7 for number in numbers}
        return _Values(tuple(sorted(numbers)), text.startswith("*"), everything)

    def _item(self, item: str) -> range:
        match = _ITEM.fullmatch(item)
        if not match:
            raise ValueError(f"the {self.label} must be {self.must}, not {item[:20]!r}")
        star, low, high, step, number, first, last = match.groups()
        if number or first:
            start, end = self._number(number or first), self._number(number or last or first)
        else:
            start, end = (self.low, self.high) if star else (self._number(low), self._number(high))
        if (low or last) and start >= end:
            raise ValueError(f"a range must rise, such as 1-5; split one that wraps, such as 22-23,0-5 (the {self.label} has {item})")
        if step and int(step) == 0:
            raise ValueError(f"would never fire, because the step is 0 (the {self.label} has {item})")
        return range(start, end + 1, int(step or 1))

    def _number(self, text: str) -> int:
        number = self.names.get(text, -1) if text.isalpha() else int(text)
        if not self.low <= number <= self.high:
            raise ValueError(f"the {self.label} must be {self.must}, not {text!r}")
        return number


def _bits(values: _Values) -> int:
    return sum(1 << number for number in values.numbers)


_STEPS: Final = "'*', ranges, lists, and steps after '*' or a range"
_KINDS: Final = (
    _Kind("first field (minute)", 0, 59, f"0-59, {_STEPS}, such as */5 or 0,30"),
    _Kind("second field (hour)", 0, 23, f"0-23, {_STEPS}, such as 9-17"),
    _Kind("third field (day of the month)", 1, 31, f"1-31, {_STEPS}", question=True),
    _Kind("fourth field (month)", 1, 12, f"1-12 or jan-dec, {_STEPS}", _MONTHS),
    _Kind("fifth field (weekday)", 0, 7, f"0-7 or sun-sat, {_STEPS}", _WEEKDAYS, question=True),
)
