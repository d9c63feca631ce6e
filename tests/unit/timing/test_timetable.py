"""What an event's timetable answers, for each kind of event."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelbeat.core import instants
from channelbeat.core.instants import DAY, HOUR, MINUTE, SECOND, Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.schedule import Event
from channelbeat.core.timing import timetable
from channelbeat.core.timing.jitter import jitter
from channelbeat.core.timing.timetable import Timetable

NOON = instants.parse("2026-11-21T12:00:00Z")


def of(zone: str = "UTC", key: str = "shop/t/e", **when: object) -> Timetable:
    return timetable.of(Event(name="e", type="t", **when), zone=zone, key=key)  # type: ignore[arg-type]


def times(occurrences: list[Occurrence]) -> list[Ms]:
    return [due - NOON for due, _ in occurrences]


@pytest.mark.parametrize(
    ("what", "table", "after", "due"),
    [
        ("every is counted from the epoch", of(every=7 * MINUTE), NOON, (NOON // (7 * MINUTE) + 1) * 7 * MINUTE),
        ("a due time is later than what was asked for", of(every=MINUTE), NOON, NOON + MINUTE),
        ("and may be a millisecond later", of(every=MINUTE), NOON - 1, NOON),
        ("every, before the epoch", of(every=MINUTE), -1, 0),
        ("cron in the schedule's zone", of("Asia/Kolkata", cron="0 18 * * *"), NOON, NOON + 30 * MINUTE),
        ("cron in a zone of its own", of("Asia/Kolkata", cron="0 13 * * *", time_zone="UTC"), NOON, NOON + HOUR),
        ("at, still to come", of(at=NOON + 5), NOON, NOON + 5),
        ("at, gone", of(at=NOON), NOON, None),
        ("notBefore is a due time itself", of(every=MINUTE, not_before=NOON + HOUR), NOON, NOON + HOUR),
        ("or the first one after it", of(every=MINUTE, not_before=NOON + HOUR + 1), NOON, NOON + HOUR + MINUTE),
        ("notAfter is a due time itself", of(every=MINUTE, not_after=NOON + MINUTE), NOON, NOON + MINUTE),
        ("and nothing after it", of(every=MINUTE, not_after=NOON + MINUTE - 1), NOON, None),
        ("nothing beyond what can be written", of(every=HOUR), 253_402_300_799_999, None),
    ],
)
def test_next(what: str, table: Timetable, after: Ms, due: Ms | None) -> None:
    found = table.next(after)
    assert (found.due if found else None) == due, what


@pytest.mark.parametrize(
    ("what", "table", "after", "until", "limit", "found"),
    [
        ("every", of(every=HOUR), NOON - 10 * HOUR, NOON, 3, [-2 * HOUR, -HOUR, 0]),
        ("cron", of(cron="0 * * * *"), NOON - 10 * HOUR, NOON, 3, [-2 * HOUR, -HOUR, 0]),
        ("until is included", of(cron="0 * * * *"), NOON - 10 * HOUR, NOON - 1, 1, [-HOUR]),
        ("after is not", of(every=HOUR), NOON - HOUR, NOON, 5, [0]),
        ("at", of(at=NOON), NOON - DAY, NOON, 5, [0]),
        ("at, later", of(at=NOON + 1), NOON - DAY, NOON, 5, []),
        (
            "within notBefore and notAfter",
            of(every=HOUR, not_before=NOON - 3 * HOUR, not_after=NOON - HOUR),
            NOON - DAY,
            NOON,
            9,
            [-3 * HOUR, -2 * HOUR, -HOUR],
        ),
        ("an empty window", of(cron="* * * * *"), NOON, NOON, 5, []),
        ("a window that ends before it begins", of(every=MINUTE), NOON, NOON - DAY, 5, []),
        ("far apart", of(cron="0 12 21 11 *"), NOON - 800 * DAY, NOON, 5, [-730 * DAY, -365 * DAY, 0]),
        (
            "a burst long ago",
            of(cron="58,59 23 1 1 *"),
            NOON - 400 * DAY,
            NOON,
            5,
            [-324 * DAY + 12 * HOUR - 2 * MINUTE + DAY - DAY, -324 * DAY + 12 * HOUR - MINUTE],
        ),
    ],
)
def test_youngest_and_latest(what: str, table: Timetable, after: Ms, until: Ms, limit: int, found: list[Ms]) -> None:
    assert times(table.youngest(after, until, limit)) == found, what
    latest = table.latest(after, until)
    assert ([latest.due - NOON] if latest else []) == found[-1:], what


@pytest.mark.parametrize(
    ("what", "table", "after", "until", "count"),
    [
        ("every, by arithmetic", of(every=100), NOON - 365 * DAY, NOON, (315_360_000, False)),
        ("every, half open", of(every=MINUTE), NOON - MINUTE, NOON, (1, False)),
        ("cron, each", of(cron="*/5 * * * *"), NOON - HOUR, NOON, (12, False)),
        ("cron, a thousand and no more", of(cron="* * * * *"), NOON - 1_000 * MINUTE, NOON, (1_000, False)),
        ("cron, at least a thousand", of(cron="* * * * *"), NOON - 1_001 * MINUTE, NOON, (1_000, True)),
        ("at", of(at=NOON), NOON - 1, NOON, (1, False)),
        ("within notBefore and notAfter", of(every=MINUTE, not_before=NOON - 3 * MINUTE, not_after=NOON - MINUTE), NOON - DAY, NOON, (3, False)),
        ("nothing in a window that ends before it begins", of(every=MINUTE), NOON, NOON - DAY, (0, False)),
    ],
)
def test_count(what: str, table: Timetable, after: Ms, until: Ms, count: tuple[int, bool]) -> None:
    assert table.count(after, until) == count, what


def test_the_period_is_that_of_every() -> None:
    assert [of(every=5 * SECOND).period, of(cron="* * * * *").period, of(at=NOON).period] == [5 * SECOND, None, None]


@pytest.mark.parametrize(
    ("what", "table", "same"),
    [
        ("jitter does not count", of(cron="0 3 * * *", jitter=SECOND), True),
        ("nor does whose event it is", of(cron="0 3 * * *", key="shop/u/f"), True),
        ("a zone of its own that is the schedule's", of(cron="0 3 * * *", time_zone="UTC"), True),
        ("another zone", of("Europe/Berlin", cron="0 3 * * *"), False),
        ("another expression", of(cron="0 4 * * *"), False),
        ("another kind", of(every=DAY), False),
        ("notBefore", of(cron="0 3 * * *", not_before=0), False),
        ("notAfter", of(cron="0 3 * * *", not_after=NOON), False),
    ],
)
def test_the_hash_is_of_what_decides_the_due_times(what: str, table: Timetable, same: bool) -> None:
    assert (table.hash == of(cron="0 3 * * *").hash) is same, what
    assert len(table.hash) == 12


def test_the_hash_is_kept_in_redis_and_must_not_change_with_a_release() -> None:
    assert [of(cron="0 3 * * *").hash, of(every=MINUTE).hash, of(at=NOON).hash] == ["178dde2abf5f", "104b0f9ca285", "4549770b616b"]


KINDS = [
    of(every=10 * SECOND, jitter=9 * SECOND),
    of(cron="* * * * *", jitter=24 * HOUR),
    of(cron="*/7 2,3 * * *", zone="Europe/Berlin", jitter=24 * HOUR),
    of(at=NOON, jitter=HOUR),
]


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.sampled_from(KINDS), st.integers(NOON - 40 * DAY, NOON))
def test_jitter_keeps_the_order_of_occurrences(table: Timetable, after: Ms) -> None:
    first = table.next(after)
    if first is None:
        return
    assert table.next(after) == first
    assert first.due <= first.fires < first.due + table.jitter
    following = table.next(first.due)
    assert following is None or first.fires < following.due


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 5_000), st.integers(1, 20))
def test_what_is_found_is_to_be_sent_by_then_and_is_the_youngest(table: Timetable, seconds: int, limit: int) -> None:
    until = NOON - DAY + HOUR + seconds * SECOND
    found = table.youngest(NOON - 2 * DAY, until, limit)
    assert all(one.fires <= until for one in found)
    assert found == [one for one in found if table.next(one.due - 1) == one]
    following = table.next(found[-1].due if found else NOON - 2 * DAY)
    assert following is None or following.fires > until


def test_jitter_is_spread_over_its_whole_length_and_differs_between_events() -> None:
    delays = [jitter("shop/t/e", k * MINUTE, 10 * SECOND, MINUTE) for k in range(1_000)]
    assert min(delays) < SECOND
    assert 9 * SECOND <= max(delays) < 10 * SECOND
    assert delays != [jitter("shop/t/f", k * MINUTE, 10 * SECOND, MINUTE) for k in range(1_000)]


@pytest.mark.parametrize(("longest", "gap", "below"), [(10, None, 10), (10, 3, 3), (1, None, 1), (10, 1, 1), (0, None, 1)])
def test_jitter_stays_below_its_length_and_the_gap(longest: Ms, gap: Ms | None, below: Ms) -> None:
    assert all(0 <= jitter("k", due, longest, gap) < below for due in range(200))
