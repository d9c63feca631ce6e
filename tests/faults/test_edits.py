"""Every kind of edit, with the dispatcher up and down: an edit makes up for nothing before it, and nothing is lost or counted twice.

The story: from noon on as before; edited at 12:01:05, either while running or while nobody leads until 12:01:25; looked at at 12:02:30.
Every event has the missed policy All, so that whatever is wrongly made up for would be sent.
"""

from typing import Any, NamedTuple

import pytest

from channelbeat.core.instants import Ms
from channelbeat.core.outcomes import Kind
from channelbeat.core.schedule import BeatSchedule
from support.rig import Rig, schedule
from support.times import at, short


def one(event: dict[str, Any], **spec: Any) -> BeatSchedule:
    return schedule({**event, "missed": {"policy": "All"}}, **spec)


EVERY = one({"every": "20s"})
CRON = one({"cron": "* * * * *"})
BEFORE = ["12:00:20", "12:00:40", "12:01:00"]


class Case(NamedTuple):
    """What was sent before the edit, and after it with the dispatcher up, and down; what else was counted."""

    before: BeatSchedule
    after: BeatSchedule
    sent: list[str]
    up: list[str]
    down: list[str]
    counted: tuple[dict[str, int], dict[str, int]] = ({}, {})


def timed(every: str = "20s", **changes: Any) -> BeatSchedule:
    return one({"every": every, **changes})


ON = ["12:01:20", "12:01:40", "12:02:00", "12:02:20"]
CASES = {
    "every: 30s": Case(EVERY, timed("30s"), BEFORE, ["12:01:30", "12:02:00", "12:02:30"], ["12:01:30", "12:02:00", "12:02:30"]),
    "every: 15s": Case(
        EVERY,
        timed("15s"),
        BEFORE,
        ["12:01:15", "12:01:30", "12:01:45", "12:02:00", "12:02:15", "12:02:30"],
        ["12:01:30", "12:01:45", "12:02:00", "12:02:15", "12:02:30"],
    ),
    "cron: every other minute": Case(CRON, one({"cron": "*/2 * * * *"}), ["12:01:00"], ["12:02:00"], ["12:02:00"]),
    "every to cron": Case(EVERY, CRON, BEFORE, ["12:02:00"], ["12:02:00"]),
    "zone: its hour has passed there": Case(one({"cron": "* 12 * * *"}), one({"cron": "* 12 * * *"}, timeZone="Europe/Berlin"), ["12:01:00"], [], []),
    "zone: its hour is now there": Case(one({"cron": "* 14 * * *"}), one({"cron": "* 14 * * *"}, timeZone="Europe/Berlin"), [], ["12:02:00"], ["12:02:00"]),
    "zone of the event": Case(one({"cron": "* 14 * * *"}), one({"cron": "* 14 * * *", "timeZone": "Europe/Berlin"}), [], ["12:02:00"], ["12:02:00"]),
    "at: later": Case(one({"at": "2025-06-02T12:01:00Z"}), one({"at": "2025-06-02T12:02:00Z"}), ["12:01:00"], ["12:02:00"], ["12:02:00"]),
    "at: into the past": Case(one({"at": "2025-06-02T12:02:00Z"}), one({"at": "2025-06-02T12:01:00Z"}), [], [], []),
    "at: into the time it was down": Case(one({"at": "2025-06-02T12:02:00Z"}), one({"at": "2025-06-02T12:01:10Z"}), [], ["12:01:10"], []),
    "suspend the event": Case(EVERY, timed(suspend=True), BEFORE, [], [], ({"suspended": 4}, {"suspended": 3})),
    "suspend the schedule": Case(EVERY, one({"every": "20s"}, suspend=True), BEFORE, [], [], ({"suspended": 4}, {"suspended": 3})),
    "resume the event": Case(timed(suspend=True), EVERY, [], ON, ON[1:], ({"suspended": 3}, {"suspended": 3})),
    "resume the schedule": Case(one({"every": "20s"}, suspend=True), EVERY, [], ON, ON[1:], ({"suspended": 3}, {"suspended": 3})),
    "notBefore is added": Case(EVERY, timed(notBefore="2025-06-02T12:02:00Z"), BEFORE, ON[2:], ON[2:]),
    "notBefore is taken away": Case(timed(notBefore="2025-06-02T12:02:00Z"), EVERY, [], ON, ON[1:]),
    "notBefore goes back before the edit": Case(timed(notBefore="2025-06-02T12:02:00Z"), timed(notBefore="2025-06-02T12:00:00Z"), [], ON, ON[1:]),
    "notAfter is added": Case(EVERY, timed(notAfter="2025-06-02T12:01:50Z"), BEFORE, ON[:2], ON[1:2]),
    "notAfter is taken away": Case(timed(notAfter="2025-06-02T12:00:50Z"), EVERY, BEFORE[:2], ON, ON[1:]),
    # these do not change what is due: where it stood it goes on, and the missed policy applies
    "fields": Case(EVERY, timed(fields={"n": 1}), BEFORE, ON, ON),
    "message": Case(EVERY, timed(message={"n": 1}), BEFORE, ON, ON),
    "type": Case(EVERY, timed(type="y"), BEFORE, ON, ON),
    "jitter": Case(EVERY, timed(jitter="5s"), BEFORE, ON, ON),
    "the missed policy": Case(EVERY, schedule({"every": "20s", "missed": {"policy": "Skip"}}), BEFORE, ON, ON),
    "nothing": Case(EVERY, EVERY, BEFORE, ON, ON),
}


def enqueued(rig: Rig, event: str = "e") -> list[str]:
    return [short(o.due) for o in rig.journal.outcomes if o.kind is Kind.ENQUEUED and o.event == event]


def others(rig: Rig) -> dict[str, int]:
    return {kind: count for kind, count in rig.journal.counts().items() if kind != "enqueued"}


async def to(rig: Rig, moment: str) -> None:
    await rig.pass_time(at(moment) - rig.clock.now(), step=5_000)


async def restart(rig: Rig, moment: str, *schedules: BeatSchedule, created: Ms | None = None) -> None:
    """Nobody led until then."""
    await rig.kill()
    rig.clock.advance(at(moment) - rig.clock.now())
    await rig.start(*schedules, created=created)


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_an_edit_makes_up_for_nothing_before_it(rig: Rig, case: Case, down: bool) -> None:
    await rig.start(case.before)
    await to(rig, "12:01:05")
    assert enqueued(rig) == case.sent
    if down:
        await restart(rig, "12:01:25", case.after)
    else:
        rig.book.put(case.after)
    await to(rig, "12:02:30")
    assert enqueued(rig) == case.sent + (case.down if down else case.up)
    assert [short(due) for due in rig.sent()] == enqueued(rig)
    assert others(rig) == case.counted[down]


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
async def test_what_is_sent_after_an_edit_is_what_the_edit_says(rig: Rig, down: bool) -> None:
    await rig.start(timed(fields={"n": 1}))
    await to(rig, "12:01:05")
    after = timed(fields={"n": 2}, type="y")
    if down:
        await restart(rig, "12:01:25", after)
    else:
        rig.book.put(after)
    await to(rig, "12:01:30")
    assert [(m["type"], m["n"]) for m in rig.messages()] == [("x", 1), ("x", 1), ("x", 1), ("y", 2)]


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
async def test_edited_and_edited_back_within_a_moment_is_no_edit(rig: Rig, down: bool) -> None:
    await rig.start(EVERY)
    await to(rig, "12:01:05")
    if down:
        await rig.kill()
        rig.clock.advance(20_000)
        rig.assemble()
        rig.book.put(timed("30s"))
        rig.book.put(EVERY)
        await rig.run()
    else:
        rig.book.put(timed("30s"))
        rig.book.put(EVERY)
    await to(rig, "12:02:30")
    assert enqueued(rig) == BEFORE + ON
    assert others(rig) == {}


async def test_edits_one_after_another_each_start_where_they_are_made(rig: Rig) -> None:
    await rig.start(EVERY)
    for second, every in ((5, "7s"), (10, "11s"), (15, "13s"), (25, "20s")):
        await to(rig, f"12:01:{second:02}")
        rig.book.put(timed(every))
    await to(rig, "12:02:05")
    due = [moment for every, start, end in ((7, 5, 10), (11, 10, 15), (13, 15, 25), (20, 25, 65)) for moment in moments(every, start, end)]
    assert enqueued(rig) == BEFORE + due
    assert others(rig) == {}


def moments(every: int, start: int, end: int) -> list[str]:
    """Seconds after 12:01:00."""
    first = at("12:01:00") // 1000
    return [short(second * 1000) for second in range(first + start + 1, first + end + 1) if second % every == 0]


async def test_only_the_edited_event_of_a_schedule_is_edited(rig: Rig) -> None:
    await rig.start(schedule({"every": "20s"}, {"every": "20s"}))
    await to(rig, "12:01:05")
    await restart(rig, "12:01:25", schedule({"every": "30s"}, {"every": "20s"}))
    await to(rig, "12:02:30")
    assert enqueued(rig) == [*BEFORE, "12:01:30", "12:02:00", "12:02:30"]
    assert enqueued(rig, "e1") == BEFORE + ON
