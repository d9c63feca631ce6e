"""What is decided about an event at a moment: tables of an event, where its fence stands, the time, and what follows."""

from typing import Any

import pytest

from channelbeat.core.batch import TOMBSTONE, Fence
from channelbeat.core.definition import Definition, compile_schedule
from channelbeat.core.planning import ALL_AT_MOST, Enqueue, Plan, Start, plan, start
from support.rig import schedule
from support.times import at, short


def definition(event: dict[str, Any], **spec: Any) -> Definition:
    return compile_schedule(schedule(event, **spec))[0]


def told(planned: Plan) -> list[str]:
    """`send 12:00:05`, `missed/Superseded 8 to 12:00:40`, and what comes next."""
    found = []
    for d in planned.decisions:
        if isinstance(d, Enqueue):
            found.append(f"send {short(d.occurrence.due)}")
        else:
            count = f"{d.count}{'+' if d.at_least else ''}"
            found.append(f"{d.kind}{'/' + d.reason if d.reason else ''} {count} to {short(d.until)}")
    return [*found, f"then {short(planned.upcoming.due) if planned.upcoming else 'nothing'}"]


def missed(policy: str, window: str = "1h") -> dict[str, Any]:
    return {"missed": {"policy": policy, "window": window}}


@pytest.mark.parametrize(
    ("event", "cursor", "now", "expected"),
    [
        pytest.param({"every": "5s"}, "12:00:00", "12:00:04.999", ["then 12:00:05"], id="nothing before it is due"),
        pytest.param({"every": "5s"}, "12:00:00", "12:00:05", ["send 12:00:05", "then 12:00:10"], id="what is due is sent at once"),
        pytest.param(
            {"every": "5s"},
            "12:00:00",
            "12:00:15",
            ["send 12:00:05", "send 12:00:10", "send 12:00:15", "then 12:00:20"],
            id="up to ten seconds late is late, and sent",
        ),
        pytest.param(
            {"every": "5s"},
            "12:00:00",
            "12:01:00.001",
            ["missed/Superseded 9 to 12:00:45", "send 12:00:50", "send 12:00:55", "send 12:01:00", "then 12:01:05"],
            id="Latest is the default: of those over ten seconds late the youngest is sent",
        ),
        pytest.param(
            {"every": "5s", **missed("Skip")},
            "12:00:00",
            "12:00:30",
            ["missed/PolicySkip 3 to 12:00:15", "send 12:00:20", "send 12:00:25", "send 12:00:30", "then 12:00:35"],
            id="Skip sends none that is over ten seconds late",
        ),
        pytest.param(
            {"every": "20s", **missed("All")},
            "12:00:00",
            "12:01:05",
            ["send 12:00:20", "send 12:00:40", "send 12:01:00", "then 12:01:20"],
            id="All sends each, oldest first",
        ),
        pytest.param(
            {"every": "20s", **missed("All", "50s")},
            "12:00:00",
            "12:02:00",
            ["missed/OutsideWindow 3 to 12:01:00", "send 12:01:20", "send 12:01:40", "send 12:02:00", "then 12:02:20"],
            id="All goes back as far as the window",
        ),
        pytest.param(
            {"cron": "0 12 * * *", **missed("Latest", "30m")},
            "11:00:00",
            "12:30:00.001",
            ["missed/OutsideWindow 1 to 12:00:00", "then 2025-06-03T12:00:00"],
            id="Latest sends nothing older than the window",
        ),
        pytest.param(
            {"cron": "0 12 * * *", **missed("Latest", "30m")},
            "11:00:00",
            "12:30:00",
            ["send 12:00:00", "then 2025-06-03T12:00:00"],
            id="the window's edge is inside",
        ),
        pytest.param(
            {"cron": "0 12 * * *", **missed("Skip", "30m")},
            "11:00:00",
            "13:00:00",
            ["missed/PolicySkip 1 to 12:00:00", "then 2025-06-03T12:00:00"],
            id="Skip has no use for a window",
        ),
        pytest.param({"at": "2025-06-02T12:00:00Z"}, "11:00:00", "12:00:00", ["send 12:00:00", "then nothing"], id="at is sent once"),
        pytest.param({"at": "2025-06-02T12:00:00Z"}, "12:00:00", "12:00:00", ["then nothing"], id="and not again"),
        pytest.param(
            {"at": "2025-06-02T12:00:00Z"}, "11:00:00", "12:59:00", ["send 12:00:00", "then nothing"], id="at is missed like any other: Latest sends it"
        ),
        pytest.param({"at": "2025-06-02T12:00:00Z"}, "11:00:00", "13:00:01", ["missed/OutsideWindow 1 to 12:00:00", "then nothing"], id="within its window"),
        pytest.param({"every": "5s", "suspend": True}, "12:00:00", "12:00:04", ["then 12:00:05"], id="a suspended event too waits for its due time"),
        pytest.param(
            {"every": "5s", "suspend": True},
            "12:00:00",
            "12:00:16",
            ["suspended 3 to 12:00:15", "then 12:00:20"],
            id="what a suspended event passes over is counted",
        ),
        pytest.param(
            {"every": "5s", "suspend": True, **missed("All")},
            "12:00:00",
            "13:00:00",
            ["suspended 720 to 13:00:00", "then 13:00:05"],
            id="and was suspended, not missed, however long ago",
        ),
        pytest.param(
            {"every": "5s", "notAfter": "2025-06-02T12:00:10Z"},
            "12:00:00",
            "12:00:15",
            ["send 12:00:05", "send 12:00:10", "then nothing"],
            id="notAfter is the last",
        ),
        pytest.param(
            {"every": "5s", "notBefore": "2025-06-02T12:00:10Z"},
            "12:00:00",
            "12:00:15",
            ["send 12:00:10", "send 12:00:15", "then 12:00:20"],
            id="notBefore is the first",
        ),
        pytest.param(
            {"every": "5s", "notBefore": "2025-06-02T12:00:10Z", **missed("Skip")},
            "12:00:00",
            "12:01:00",
            ["missed/PolicySkip 8 to 12:00:45", "send 12:00:50", "send 12:00:55", "send 12:01:00", "then 12:01:05"],
            id="what lies before notBefore was not missed",
        ),
        pytest.param(
            {"cron": "* * * * *", **missed("Skip")},
            "2025-06-01T00:00:00",
            "2025-06-02T00:00:30",
            ["missed/PolicySkip 1000+ to 00:00:00", "then 00:01:00"],
            id="of cron at most a thousand are counted, then it says at least",
        ),
        pytest.param(
            {"every": "1m", **missed("Skip")},
            "2025-06-01T00:00:00",
            "2025-06-02T00:00:30",
            ["missed/PolicySkip 1440 to 00:00:00", "then 00:01:00"],
            id="every is counted by arithmetic",
        ),
    ],
)
def test_what_is_decided(event: dict[str, Any], cursor: str, now: str, expected: list[str]) -> None:
    assert told(plan(definition(event), at(cursor), at(now))) == expected


def test_all_sends_at_most_a_thousand_the_youngest() -> None:
    planned = plan(definition({"every": "1s", **missed("All")}), at("12:00:00"), at("12:30:00"))
    sent = [d.occurrence.due for d in planned.decisions if isinstance(d, Enqueue)]
    late = [due for due in sent if due < at("12:29:50")]
    assert told(planned)[0] == "missed/TooMany 789 to 12:13:09"
    assert (len(late), late[0], late[-1]) == (ALL_AT_MOST, at("12:13:10"), at("12:29:49"))
    assert sent == list(range(late[0], at("12:30:00") + 1, 1000))


def test_a_year_of_every_100ms_is_counted_and_its_youngest_found() -> None:
    year = 365 * 24 * 3600 * 1000
    now = at("12:00:00")
    for policy, first in (("Skip", now - 10_000), ("Latest", now - 10_100), ("All", now - 10_000 - ALL_AT_MOST * 100)):
        decisions = plan(definition({"every": "100ms", **missed(policy, "8760h")}), now - year, now).decisions
        sent = [d.occurrence.due for d in decisions if isinstance(d, Enqueue)]
        passed = [d.count for d in decisions if not isinstance(d, Enqueue)]
        assert sent == list(range(first, now + 1, 100)), policy
        assert sum(passed) + len(sent) == year // 100, policy


@pytest.mark.parametrize("policy", ["Skip", "Latest", "All"])
@pytest.mark.parametrize("when", [{"cron": "* * * * *"}, {"cron": "0,1,2,30 * * * *"}, {"every": "7s"}, {"cron": "*/5 * * * *", "suspend": True}])
@pytest.mark.parametrize("jitter", [None, "6s", "90s"])
def test_however_time_is_cut_each_due_time_is_decided_once(policy: str, when: dict[str, Any], jitter: str | None) -> None:
    """One plan after another, each from where the last ended, at moments minutes or milliseconds apart."""
    if jitter == "90s" and "every" in when:
        jitter = "6999ms"
    event = definition({**when, **missed(policy, "5m"), **({"jitter": jitter} if jitter else {})})
    cursor, upcoming, decided = at("12:00:00"), None, 0
    for now in (at("12:00:07"), at("12:00:07.001"), at("12:01:01"), at("12:01:02"), at("12:20:00"), at("12:20:05"), at("12:40:00")):
        decisions, upcoming = plan(event, cursor, now, upcoming)
        for d in decisions:
            due = d.occurrence.due if isinstance(d, Enqueue) else d.until
            assert cursor < due <= now
            decided += event.timetable.count(cursor, due)[0]
            assert event.timetable.count(cursor, due)[0] == (1 if isinstance(d, Enqueue) else d.count)
            cursor = due
    last = event.timetable.latest(at("12:00:00"), at("12:40:00"))
    assert last is not None
    assert decided == event.timetable.count(at("12:00:00"), last.due)[0]


def test_nothing_is_sent_before_its_jitter_has_passed() -> None:
    event = definition({"cron": "* * * * *", "jitter": "10m"})
    occurrence = event.timetable.next(at("12:00:00"))
    assert occurrence is not None
    assert at("12:01:00") < occurrence.fires < at("12:02:00")
    assert told(plan(event, at("12:00:00"), occurrence.fires - 1)) == ["then 12:01:00"]
    assert told(plan(event, at("12:00:00"), occurrence.fires)) == ["send 12:01:00", "then 12:02:00"]


HASH = definition({"every": "5s"}).hash
NONE = None
CREATED = "12:00:00"


def fence(due: str, hash_: str = HASH) -> Fence:
    return Fence(at(due), hash_, "enqueued")


@pytest.mark.parametrize(
    ("created", "stored", "since", "founded", "expected"),
    [
        pytest.param(NONE, fence("11:00:00"), "12:00:00", "10:00:00", ("11:00:00", False), id="a fence of the same timing goes on where it stands"),
        pytest.param(NONE, fence("13:00:00"), "12:00:00", "10:00:00", ("13:00:00", False), id="also when that is ahead of the clock"),
        pytest.param("11:30:00", fence("11:00:00"), "12:00:00", "10:00:00", ("11:30:00", False), id="but nothing before the creation is missed"),
        pytest.param("10:30:00", fence("11:00:00"), "12:00:00", "10:00:00", ("11:00:00", False), id="nothing twice either"),
        pytest.param(NONE, None, "12:00:00", "10:00:00", ("12:00:00", True), id="a new event starts when it came to be known"),
        pytest.param("11:30:00", None, "12:00:00", "10:00:00", ("11:30:00", True), id="or at its creation, when nobody led then"),
        pytest.param("09:30:00", None, "12:00:00", "10:00:00", ("12:00:00", True), id="not before the store began, which may have been wiped"),
        pytest.param("12:30:00", None, "12:00:00", "10:00:00", ("12:00:00", True), id="and not in the future"),
        pytest.param(NONE, fence("11:00:00", "other"), "12:00:00", "10:00:00", ("12:00:00", True), id="an edit makes up for nothing before it"),
        pytest.param("11:30:00", fence("11:00:00", "other"), "12:00:00", "10:00:00", ("12:00:00", True), id="whenever the event was made"),
        pytest.param(NONE, fence("13:00:00", "other"), "12:00:00", "10:00:00", ("13:00:00", True), id="and never takes a fence back"),
        pytest.param(NONE, fence("11:00:00", TOMBSTONE), "12:00:00", "10:00:00", ("12:00:00", True), id="coming back makes up for nothing"),
        pytest.param("11:30:00", fence("11:00:00", TOMBSTONE), "12:00:00", "10:00:00", ("11:30:00", True), id="made again counts from its creation"),
        pytest.param("10:30:00", fence("11:00:00", TOMBSTONE), "12:00:00", "10:00:00", ("12:00:00", True), id="the same object, seen again, does not"),
    ],
)
def test_where_an_event_goes_on(created: str | None, stored: Fence | None, since: str, founded: str, expected: tuple[str, bool]) -> None:
    made = compile_schedule(schedule({"every": "5s"}), created=at(created) if created else None)[0]
    assert start(made, stored, since=at(since), founded=at(founded)) == Start(at(expected[0]), adopt=expected[1])
