"""Events that pause after so many dead runs in a row: what is told, what outlives a leader, and what ends it."""

from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.core.batch import Send
from channelbeat.core.instants import SECOND
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.core.runs import State
from channelbeat.core.schedule import BeatSchedule
from support.hand import Hand
from support.losses import Losses
from support.rig import Rig, schedule
from support.triggers import ask

Rigs = Callable[..., Rig]


@pytest.fixture
def hand(redis: Redis) -> Hand:
    return Hand(redis)


def nightly(pause: int = 2, **event: Any) -> BeatSchedule:
    return schedule({"every": "1s", "retry": {"limit": 0}, **event}, delivery="AtLeastOnce", pauseAfterFailures=pause)


async def fail(rig: Rig, hand: Hand, *ends: str) -> None:
    """A run a second, which ends like this."""
    for end in ends:
        await rig.pass_time(SECOND)
        assert len(await hand.work("ok" if end == "ok" else "failed", "" if end == "ok" else f"Error: {end}")) == 1


def pauses(rig: Rig) -> list[Notice]:
    return [notice for notice in rig.journal.notices if notice.sign is Sign.PAUSED]


async def test_after_so_many_dead_runs_in_a_row_nothing_is_sent_and_it_is_told_once(rig: Rig, hand: Hand) -> None:
    await rig.start(nightly(pause=3))
    await fail(rig, hand, "one", "two", "three")
    await rig.pass_time(4 * SECOND)
    assert rig.journal.counts() == {"enqueued": 3, "suspended/Paused": 4}
    await rig.advance_until(lambda: len(pauses(rig)) > 0)
    assert [notice.text for notice in pauses(rig)] == [
        "event default/t/e is paused after 3 dead runs in a row (last: Error: three): "
        "mend it, then edit the event or resume it (channelbeat resume default/t e)"
    ]
    assert {notice.event for notice in pauses(rig)} == {"default/t/e"}
    assert [(run.state, run.error, run.paused) for run in rig.journal.runs] == [
        (State.DEAD, "Error: one", False),
        (State.DEAD, "Error: two", False),
        (State.DEAD, "Error: three", True),
    ]
    stats = (await rig.lane.broker.stats(["default/t/e"]))["default/t/e"]
    assert (stats.dead, stats.paused is not None) == (3, True)


async def test_one_that_succeeds_begins_the_count_anew(rig: Rig, hand: Hand) -> None:
    await rig.start(nightly())
    await fail(rig, hand, "one", "ok", "two", "ok", "three")
    assert rig.journal.counts() == {"enqueued": 5}
    await fail(rig, hand, "four")
    await rig.pass_time(SECOND)
    assert rig.journal.counts() == {"enqueued": 6, "suspended/Paused": 1}


async def test_runs_that_were_queued_before_are_handled_and_tell_it_no_more(rig: Rig, hand: Hand) -> None:
    await rig.start(nightly())
    await rig.pass_time(5 * SECOND)
    assert len(await hand.work("failed", "Error: no")) == 5
    await rig.pass_time(SECOND)
    assert rig.journal.counts() == {"enqueued": 5, "suspended/Paused": 1}
    await rig.advance_until(lambda: len(rig.journal.runs) == 5)
    assert len(pauses(rig)) == 1


async def test_without_the_rule_dead_runs_pause_nothing(rig: Rig, hand: Hand) -> None:
    await rig.start(schedule({"every": "1s", "retry": {"limit": 0}}, delivery="AtLeastOnce"))
    await fail(rig, hand, *"abcdef")
    assert rig.journal.counts() == {"enqueued": 6}
    await rig.advance_until(lambda: len(rig.journal.runs) == 6)
    assert pauses(rig) == []


async def test_another_leader_keeps_to_it(rigs: Rigs, rig: Rig, hand: Hand) -> None:
    await rig.start(nightly())
    await fail(rig, hand, "one")
    await rig.kill()
    other = rigs(clock=rig.clock)
    await other.start(nightly())
    await fail(other, hand, "two")
    await other.kill()
    await rig.start(nightly())
    await rig.pass_time(2 * SECOND)
    assert rig.journal.counts() == {"enqueued": 1, "suspended/Paused": 2}


@pytest.mark.parametrize("edit", [{"fields": {"n": 1}}, {"retry": {"limit": 1}}, {"every": "2s"}], ids=["what is sent", "how it is handled", "when"])
async def test_an_edit_ends_it(rig: Rig, hand: Hand, edit: dict[str, Any]) -> None:
    await rig.start(nightly())
    await fail(rig, hand, "one", "two")
    await rig.pass_time(SECOND)
    rig.book.put(nightly(**edit))
    await rig.pass_time(2 * SECOND)
    assert rig.journal.counts() == {"enqueued": 3 if "every" in edit else 4, "suspended/Paused": 1}


async def test_the_same_again_is_no_edit(rig: Rig, hand: Hand) -> None:
    await rig.start(nightly())
    await fail(rig, hand, "one", "two")
    rig.book.put(nightly())
    await rig.pass_time(2 * SECOND)
    assert rig.journal.counts() == {"enqueued": 2, "suspended/Paused": 2}


async def test_a_resume_ends_it_and_the_count_begins_anew(rig: Rig, hand: Hand) -> None:
    await rig.start(nightly())
    await fail(rig, hand, "one", "two")
    await rig.pass_time(SECOND)
    assert [await rig.lane.broker.resume("default/t/e"), await rig.lane.broker.resume("default/t/e")] == [True, False]
    await fail(rig, hand, "three")
    await fail(rig, hand, "four")
    await rig.pass_time(SECOND)
    assert rig.journal.counts() == {"enqueued": 4, "suspended/Paused": 2}
    await rig.advance_until(lambda: len(pauses(rig)) == 2)


async def test_a_paused_event_can_be_triggered_and_stays_paused(rig: Rig, hand: Hand) -> None:
    await rig.start(nightly())
    await fail(rig, hand, "one", "two")
    assert await ask(rig, rig.clock.now()) == "enqueued/Triggered"
    assert len(await hand.work()) == 1
    await rig.pass_time(SECOND)
    assert rig.journal.counts()["suspended/Paused"] >= 1
    assert await hand.work() == []


@pytest.mark.parametrize("carried_out", [True, False], ids=["carried out", "never arrived"])
async def test_a_lost_reply_while_paused_is_told_as_paused(rigs: Rigs, hand: Hand, carried_out: bool) -> None:
    losses = Losses()
    rig = rigs(wrap=losses.between)
    await rig.start(nightly())
    await fail(rig, hand, "one", "two")
    losses.lose(Send, carried_out=carried_out)
    await rig.advance_until(lambda: losses.all_happened)
    await rig.advance_until(rig.is_idle)
    counts = rig.journal.counts()
    assert counts["enqueued"] == 2
    assert counts["suspended/Paused"] == rig.journal.decided() - 2 > 0
