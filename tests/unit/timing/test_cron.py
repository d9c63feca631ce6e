"""Due times where clocks are changed, and against an oracle that knows nothing of how they are found."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from channelbeat.core import instants
from channelbeat.core.instants import DAY, HOUR, MINUTE
from channelbeat.core.timing.cron import Cron, cron

ZONES = [
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Kathmandu"),
    *("Pacific/Apia", "America/St_Johns", "Africa/Cairo", "Asia/Beirut", "America/Santiago", "Antarctica/Troll"),
]


def due_times(expression: str, zone: str, after: str, count: int) -> list[str]:
    times, moment = [], instants.parse(after)
    for _ in range(count):
        due = cron(expression, zone).next(moment)
        assert due is not None
        times.append(instants.text(due))
        moment = due
    return times


@pytest.mark.parametrize(
    ("what", "expression", "zone", "after", "due"),
    [
        (
            "a fixed time in the gap is due right after it",
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-29T00:00:00Z",
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        ("several of them in the gap are due once", "10,40 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:10:00Z"]),
        ("and once with one at its end", "0 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]),
        ("every minute of an hour in the gap is not due", "* 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", ["2026-03-30T00:00:00Z"]),
        ("every second hour leaves the gap out", "30 */2 * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", ["2026-03-28T23:30:00Z", "2026-03-29T02:30:00Z"]),
        ("a fixed time in the repeat is due once", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
        (
            "a starred minute is due in both passes",
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:00:00Z"],
        ),
        (
            "from within the first pass, the second is seen",
            "30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:30:00Z",
            ["2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"],
        ),
        ("from within the second pass, a fixed time is over", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", ["2026-10-26T01:30:00Z"]),
        ("on the other side of a change, long before it", "0 12 1 7 *", "Europe/Berlin", "2026-01-15T00:00:00Z", ["2026-07-01T10:00:00Z"]),
        ("in a gap, long before it", "30 2 29 3 *", "Europe/Berlin", "2026-01-15T00:00:00Z", ["2026-03-29T01:00:00Z"]),
        ("a gap of half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]),
        ("a repeat of half an hour", "45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:30:00Z", ["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"]),
        ("midnight in the gap", "0 0 * * *", "Asia/Beirut", "2026-03-28T12:00:00Z", ["2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"]),
        ("half past midnight in the gap", "30 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", ["2026-09-06T04:00:00Z", "2026-09-07T03:30:00Z"]),
        ("a day that was left out is not carried over", "0 9 * * *", "Pacific/Apia", "2011-12-29T18:00:00Z", ["2011-12-29T19:00:00Z", "2011-12-30T19:00:00Z"]),
        ("a gap of two hours", "30 1,2 * * *", "Antarctica/Troll", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-29T23:30:00Z"]),
        ("a repeat of two hours", "30 1 * * *", "Antarctica/Troll", "2026-10-24T12:00:00Z", ["2026-10-24T23:30:00Z", "2026-10-26T01:30:00Z"]),
        ("a repeat across midnight", "0 0 * * *", "America/St_Johns", "2011-11-05T12:00:00Z", ["2011-11-06T02:30:00Z", "2011-11-07T03:30:00Z"]),
        (
            "the same, both passes",
            "0 */1 * * *",
            "America/St_Johns",
            "2011-11-06T02:00:00Z",
            ["2011-11-06T02:30:00Z", "2011-11-06T03:30:00Z", "2011-11-06T04:30:00Z"],
        ),
        ("a leap day", "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", ["2104-02-29T00:00:00Z"]),
        ("the 31st, where there is one", "0 0 31 * *", "UTC", "2026-01-31T00:00:00Z", ["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]),
        ("Friday or the 13th", "0 0 13 * 5", "UTC", "2026-11-06T00:00:00Z", ["2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"]),
    ],
)
def test_where_the_clock_is_changed(what: str, expression: str, zone: str, after: str, due: list[str]) -> None:
    assert due_times(expression, zone, after, len(due)) == due, what


@pytest.mark.parametrize("moment", [-62_135_596_800_000, 253_402_300_799_999])
def test_the_calendar_has_two_ends_and_neither_is_an_error(moment: int) -> None:
    for zone in ("Pacific/Apia", "America/New_York"):
        assert cron("0 0 * * *", zone).next(moment) == (None if moment > 0 else cron("0 0 * * *", zone).next(0))


def test_one_object_serves_all_events_of_an_expression_and_zone() -> None:
    assert cron("1 2 3 4 5", "UTC") is cron("1 2 3 4 5", "UTC")
    assert cron("1 2 3 4 5", "UTC") is not cron("1 2 3 4 5", "Europe/Berlin")


def test_what_it_remembers_does_not_change_what_it_answers() -> None:
    """Asked in any order: earlier, later, within and beyond what it has answered."""
    asked = [0, 5 * MINUTE, 4 * MINUTE, 10 * MINUTE, 6 * MINUTE, 5 * MINUTE - 1, DAY, 0, DAY - 1]
    one = Cron("*/5 * * * *", "UTC")
    assert [one.next(at) for at in asked] == [Cron("*/5 * * * *", "UTC").next(at) for at in asked]


@pytest.mark.parametrize(
    ("expression", "count"),
    [("* * * * *", (1_000, True)), ("*/5 * * * *", (864, False)), ("0 3 * * *", (3, False)), ("0 0 1 1 *", (0, False))],
)
def test_counting_stops_at_a_thousand(expression: str, count: tuple[int, bool]) -> None:
    until = instants.parse("2026-11-21T12:00:00Z")
    assert cron(expression, "UTC").count(until - 3 * DAY, until) == count


# --- the oracle: every wall time of each day is tried; a field is (text, the values it names, starred, names everything)
Field = tuple[str, frozenset[int], bool, bool]


def field(low: int, high: int) -> st.SearchStrategy[Field]:
    full = frozenset(range(low, high + 1))
    number = st.integers(low, high)

    def spread(bounds: tuple[int, int], step: int) -> tuple[str, frozenset[int]]:
        start, end = bounds
        return f"{start}-{end}/{step}", frozenset(n for n in full if start <= n <= end and (n - start) % step == 0)

    rising = st.tuples(number, number).filter(lambda pair: pair[0] < pair[1])
    item = st.one_of(
        number.map(lambda n: (str(n), frozenset({n}))),
        st.builds(spread, rising, st.integers(1, 30)),
    )
    listed = st.lists(item, min_size=1, max_size=3).map(
        lambda items: (",".join(text for text, _ in items), frozenset[int]().union(*(values for _, values in items)), False, False)
    )
    stepped = st.integers(2, 30).map(lambda step: (f"*/{step}", frozenset(n for n in full if (n - low) % step == 0), True, False))
    return st.one_of(st.just(("*", full, True, True)), listed, stepped)


REACHES = [7_200, 90_000, 14 * 86_400]
FIELDS = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6))


@cache
def changes(zone: str) -> list[int]:
    """The seconds at which the clock was changed, 1995 to 2035."""
    clock = ZoneInfo(zone)

    def offset(at: int) -> timedelta | None:
        return datetime.fromtimestamp(at, clock).utcoffset()

    found = []
    for week in range(788_918_400, 2_051_222_400, 7 * 86_400):
        before, after = week, week + 7 * 86_400
        if offset(before) != offset(after):
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (before, middle) if offset(middle) == offset(after) else (middle, after)
            found.append(after)
    return found


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, int]:
    """A zone and a second, mostly within hours, a day or a fortnight of a change of its clock."""
    zone = draw(st.sampled_from(ZONES))
    if draw(st.integers(0, 9)) and changes(zone):
        return zone, changes(zone)[draw(st.integers(0, len(changes(zone)) - 1))] + draw(
            st.sampled_from(REACHES).flatmap(lambda reach: st.integers(-reach, reach))
        )
    return zone, draw(st.integers(788_918_400, 2_051_222_400))


@lru_cache(200_000)
def readings(wall: datetime, zone: ZoneInfo) -> tuple[list[datetime], list[datetime]]:
    """The two moments of a wall time, and those of them whose clock shows it."""
    passes = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return passes, [moment for moment in passes if moment.astimezone(zone).replace(tzinfo=None) == wall]


def due_on(day: date, fields: tuple[Field, ...], zone: ZoneInfo) -> Iterator[datetime]:
    (_, minutes, star_m, _), (_, hours, star_h, _), (_, days, _, any_day), (_, months, _, _), (_, weekdays, _, any_weekday) = fields
    of_month, of_week = day.day in days, day.isoweekday() % 7 in weekdays
    if day.month not in months or not (of_month and of_week if any_day or any_weekday else of_month or of_week):
        return
    for hour in hours:
        for minute in minutes:
            wall = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001 - a wall time
            passes, real = readings(wall, zone)
            if star_m or star_h:
                yield from real
            elif real:
                yield real[0]
            elif passes[0] - passes[1] < timedelta(hours=3):
                moment = passes[1]
                while moment.astimezone(zone).replace(tzinfo=None) < wall:
                    moment += timedelta(minutes=1)
                yield moment


@settings(max_examples=1_200, derandomize=True, deadline=None)
@given(fields=FIELDS, when=moments())
def test_it_agrees_with_trying_every_wall_time(fields: tuple[Field, ...], when: tuple[str, int]) -> None:
    expression, (name, second) = " ".join(text for text, *_ in fields), when
    assume(len(expression) <= 100)
    after, zone = datetime.fromtimestamp(second, UTC), ZoneInfo(name)
    today = after.astimezone(zone).date()
    expected = None
    for i in range(-1, 40):
        later = [moment for moment in due_on(today + timedelta(days=i), fields, zone) if moment > after]
        if later and (expected is None or min(later) < expected):
            expected = min(later)
        if expected and expected.astimezone(zone).date() + timedelta(days=1) < today + timedelta(days=i):
            break
    try:
        due = Cron(expression, name).next(second * 1_000)
    except ValueError:
        assert expected is None  # it can never fire
        return
    horizon = after + timedelta(days=38)
    assert due is not None
    assert instants.to_datetime(due) == expected if expected else instants.to_datetime(due) > horizon


@settings(max_examples=300, derandomize=True, deadline=None)
@given(fields=FIELDS, when=moments(), window=st.integers(1, 40 * 24))
def test_the_last_one_and_the_count_are_those_of_a_walk(fields: tuple[Field, ...], when: tuple[str, int], window: int) -> None:
    expression, (name, second) = " ".join(text for text, *_ in fields), when
    try:
        rule = Cron(expression, name)
    except ValueError:
        return
    until = second * 1_000
    after = until - window * HOUR
    walked = list[int]()
    due = rule.next(after)
    while due is not None and due <= until and len(walked) <= 1_000:
        walked.append(due)
        due = rule.next(due)
    assume(len(walked) <= 1_000)
    assert rule.last(after, until) == (walked[-1] if walked else None)
    assert rule.count(after, until) == (len(walked), False)
