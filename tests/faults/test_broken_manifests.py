"""One manifest that cannot be read, among many: its events stand still and keep their place, the others go on."""

import pytest

from channelbeat.core.outcomes import Kind
from support.rig import Rig, schedule
from support.times import at, short

LATE = {"every": "20s"}


def enqueued(rig: Rig, schedule: str = "default/t", event: str = "e") -> list[str]:
    return [short(o.due) for o in rig.journal.outcomes if o.kind is Kind.ENQUEUED and (o.schedule, o.event) == (schedule, event)]


def break_all(rig: Rig) -> None:
    rig.book.park("default/t")


def break_one(rig: Rig) -> None:
    rig.book.put(schedule({"every": "20s", "name": "e1"}), parked=("e",))


BREAKS = pytest.mark.parametrize("breaks", [break_all, break_one], ids=["the whole of it", "one event of it"])


@BREAKS
@pytest.mark.parametrize(
    ("policy", "sent", "counts"),
    [
        ("Skip", ["12:01:20"], {"missed/PolicySkip": 3}),
        ("Latest", ["12:01:00", "12:01:20"], {"missed/Superseded": 2}),
        ("All", ["12:00:20", "12:00:40", "12:01:00", "12:01:20"], {}),
    ],
)
async def test_valid_again_the_missed_policy_says_what_is_made_up_for(rig: Rig, breaks: object, policy: str, sent: list[str], counts: dict[str, int]) -> None:
    assert callable(breaks)
    good = schedule({"every": "20s", "missed": {"policy": policy}}, {"every": "20s"})
    await rig.start(good, schedule(LATE, name="other", channel="other"))
    breaks(rig)
    await rig.pass_time(80_000)
    assert enqueued(rig) == []
    assert len(rig.sent("other")) == 4
    rig.book.put(good)
    await rig.pass_time(1000)
    assert enqueued(rig) == sent
    passed = {f"{o.kind}/{o.reason}": o.count for o in rig.journal.outcomes if o.event == "e" and o.kind is Kind.MISSED}
    assert passed == counts
    assert rig.journal.decided("e1") == 4


@BREAKS
async def test_its_neighbours_in_the_same_manifest_go_on_if_they_can(rig: Rig, breaks: object) -> None:
    assert callable(breaks)
    await rig.start(schedule(LATE, LATE))
    breaks(rig)
    await rig.pass_time(60_000)
    assert len(enqueued(rig, event="e1")) == (3 if breaks is break_one else 0)


@BREAKS
async def test_a_restart_meanwhile_keeps_its_place(rig: Rig, breaks: object) -> None:
    assert callable(breaks)
    good = schedule({"every": "20s", "missed": {"policy": "All"}}, LATE)
    await rig.start(good)
    breaks(rig)
    await rig.pass_time(20_000)
    await rig.kill()
    rig.assemble()
    breaks(rig)
    rig.book.complete()
    await rig.run()
    await rig.pass_time(20_000)
    rig.book.put(good)
    await rig.pass_time(1000)
    assert enqueued(rig) == ["12:00:20", "12:00:40"]


@BREAKS
async def test_valid_again_with_another_timing_is_an_edit(rig: Rig, breaks: object) -> None:
    assert callable(breaks)
    await rig.start(schedule(LATE, LATE))
    breaks(rig)
    await rig.pass_time(50_000)
    rig.book.put(schedule({"every": "30s"}, LATE))
    await rig.pass_time(20_000)
    assert enqueued(rig) == ["12:01:00"]
    assert [(o.count, str(o.reason)) for o in rig.journal.outcomes if o.event == "e" and o.kind is Kind.MISSED] == [(2, "Edited")]


@BREAKS
async def test_deleted_while_broken_and_made_again_makes_up_for_nothing(rig: Rig, breaks: object) -> None:
    assert callable(breaks)
    good = schedule({"every": "20s", "missed": {"policy": "All"}}, LATE)
    await rig.start(good)
    breaks(rig)
    await rig.pass_time(30_000)
    rig.book.remove("default/t")
    await rig.pass_time(20_000)
    rig.book.put(good)
    await rig.pass_time(30_000)
    assert enqueued(rig) == ["12:01:00", "12:01:20"]


async def test_deleted_while_broken_since_the_start_and_made_again_makes_up_for_nothing(rig: Rig) -> None:
    good = schedule({"every": "20s", "missed": {"policy": "All"}})
    await rig.start(good)
    await rig.kill()
    rig.assemble()
    rig.book.park("default/t")
    rig.book.complete()
    await rig.run()
    await rig.pass_time(30_000)
    rig.book.remove("default/t")
    await rig.pass_time(20_000)
    rig.book.put(good)
    await rig.pass_time(30_000)
    assert enqueued(rig) == ["12:01:00", "12:01:20"]


async def test_an_event_taken_out_while_it_was_broken_makes_up_for_nothing_when_it_comes_back(rig: Rig) -> None:
    good = schedule({"every": "20s", "missed": {"policy": "All"}}, {"every": "20s", "name": "e1"})
    await rig.start(good)
    break_one(rig)
    await rig.pass_time(10_000)
    rig.book.put(schedule({"every": "20s", "name": "e1"}))
    await rig.pass_time(40_000)
    rig.book.put(good)
    await rig.pass_time(30_000)
    assert enqueued(rig) == ["12:01:00", "12:01:20"]


async def test_a_new_event_that_was_never_valid_has_nothing_to_make_up_for(rig: Rig) -> None:
    await rig.start(schedule(LATE, name="other"))
    rig.book.park("default/t")
    await rig.pass_time(50_000)
    rig.book.put(schedule({"every": "20s", "missed": {"policy": "All"}}))
    await rig.pass_time(20_000)
    assert enqueued(rig) == ["12:01:00"]
    assert rig.clock.now() == at("12:01:10")
