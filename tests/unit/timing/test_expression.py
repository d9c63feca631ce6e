"""What an expression names, and what is said of one that names nothing."""

import pytest

from channelbeat.core.timing import expression

FIVE = "must be five fields (minute hour day month weekday) or one of @hourly, @daily, @weekly, @monthly, @yearly; for a period use every"
STEPS = "'*', ranges, lists, and steps after '*' or a range"
MINUTE = f"the first field (minute) must be 0-59, {STEPS}, such as */5 or 0,30"
HOUR = f"the second field (hour) must be 0-23, {STEPS}, such as 9-17"
DAY = f"the third field (day of the month) must be 1-31, {STEPS}"
MONTH = f"the fourth field (month) must be 1-12 or jan-dec, {STEPS}"
WEEKDAY = f"the fifth field (weekday) must be 0-7 or sun-sat, {STEPS}"
RISE = "a range must rise, such as 1-5; split one that wraps, such as 22-23,0-5"


def bits(numbers: int) -> list[int]:
    return [number for number in range(32) if numbers >> number & 1]


@pytest.mark.parametrize(
    ("text", "minutes", "hours"),
    [
        ("30 2 * * *", [30], [2]),
        ("*/20 0-6/3 * * *", [0, 20, 40], [0, 3, 6]),
        ("5,1,3-4 9-11,22 * * *", [1, 3, 4, 5], [9, 10, 11, 22]),
        ("00 05 * * *", [0], [5]),
        ("0  3   *  *  1", [0], [3]),
        ("*/90 */1 * * *", [0], list(range(24))),
        ("@daily", [0], [0]),
        ("@hourly", [0], list(range(24))),
    ],
)
def test_minutes_and_hours(text: str, minutes: list[int], hours: list[int]) -> None:
    read = expression.parse(text)
    assert (list(read.minutes), list(read.hours)) == (minutes, hours)


@pytest.mark.parametrize(
    ("text", "days", "months", "weekdays", "either"),
    [
        ("0 0 1,15 * *", [1, 15], None, None, False),
        ("0 0 ? jan-mar,DEC ?", None, [1, 2, 3, 12], None, False),
        ("0 0 * * MON-FRI,sun", None, None, [0, 1, 2, 3, 4, 5], False),
        ("0 0 * * 5-7", None, None, [0, 5, 6], False),
        ("0 0 13 * 5", [13], None, [5], True),
        ("0 0 */2 * 1", list(range(1, 32, 2)), None, [1], True),
        ("0 0 */1 * 1", None, None, [1], False),
        ("0 0 30 2 1", [30], [2], [1], True),
    ],
)
def test_days(text: str, days: list[int] | None, months: list[int] | None, weekdays: list[int] | None, either: bool) -> None:
    read = expression.parse(text)
    assert bits(read.days) == (days or list(range(1, 32)))
    assert bits(read.months) == (months or list(range(1, 13)))
    assert bits(read.weekdays) == (weekdays or list(range(7)))
    assert read.either_day is either


@pytest.mark.parametrize(
    ("text", "fixed"),
    [("30 2 * * *", True), ("0-30 2,3 * * *", True), ("* 2 * * *", False), ("*/5 2 * * *", False), ("30 */2 * * *", False), ("@hourly", False)],
)
def test_a_job_is_fixed_when_neither_minute_nor_hour_starts_with_a_star(text: str, fixed: bool) -> None:
    assert expression.parse(text).fixed is fixed


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", [FIVE]),
        ("0 3 * *", [FIVE]),
        ("0 0 3 * * 1", [FIVE]),
        ("@reboot", [FIVE]),
        ("@every 5m", [FIVE]),
        ("@DAILY", [FIVE]),
        ("TZ=UTC 0 3 * * *", ["must be five fields without a time zone; name the zone in timeZone"]),
        ("CRON_TZ=UTC 0 3 * * *", ["must be five fields without a time zone; name the zone in timeZone"]),
        (" 0 3 * * *", ["must not begin or end with white space"]),
        ("0 3 * * *\n", ["must not begin or end with white space"]),
        ("0\t3 * * *", [FIVE]),
        ("60 3 * * *", [f"{MINUTE}, not '60'"]),
        ("R H * * *", [f"{MINUTE}, not 'r'", f"{HOUR}, not 'h'"]),
        ("0 24 0 13 8", [f"{HOUR}, not '24'", f"{DAY}, not '0'", f"{MONTH}, not '13'", f"{WEEKDAY}, not '8'"]),
        ("59/15 * * * *", [f"{MINUTE}, not '59/15'"]),
        ("0 3 L * *", [f"{DAY}, not 'l'"]),
        ("0 3 15W * *", [f"{DAY}, not '15w'"]),
        ("0 3 * * 1#2", [f"{WEEKDAY}, not '1#2'"]),
        ("0 3 * mon *", [f"{MONTH}, not 'mon'"]),
        ("0 3 * * \uff11", [f"{WEEKDAY}, not '\uff11'"]),
        ("0 ? * * *", [f"{HOUR}, not '?'"]),
        ("0, 3 * * *", [f"{MINUTE}, not ''"]),
        ("10-5 * * * *", [f"{RISE} (the first field (minute) has 10-5)"]),
        ("0 3-3 * * *", [f"{RISE} (the second field (hour) has 3-3)"]),
        ("0 0 * * fri-mon", [f"{RISE} (the fifth field (weekday) has fri-mon)"]),
        ("*/0 * * * *", ["would never fire, because the step is 0 (the first field (minute) has */0)"]),
        ("0 0 30 2 *", ["would never fire, because no month it names has a day 30"]),
        ("0 0 31 4,6,feb ?", ["would never fire, because no month it names has a day 31"]),
        ("0 " + ",".join(["1"] * 60) + " * * *", ["must be at most 100 characters, not 127; an event of its own can take the rest"]),
    ],
)
def test_every_fault_is_a_sentence_with_its_field_and_cure(text: str, faults: list[str]) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the sentences are compared whole
        expression.parse(text)
    assert list(raised.value.args) == faults
