"""An event whose earlier run is not done: what its overlap policy makes of the next, which is told once, also when a reply is lost."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from redis.asyncio import Redis

from channelbeat.core.batch import Look, Send, Trigger
from channelbeat.core.instants import MINUTE, SECOND
from channelbeat.core.outcomes import Kind
from channelbeat.core.runs import State
from channelbeat.core.schedule import BeatSchedule
from support.hand import Hand, due_of
from support.losses import Losses
from support.rig import Rig, schedule
from support.times import NOON, short
from support.triggers import SENT1, T1, T2, ask

Rigs = Callable[..., Rig]
SKIPPED = "skipped/PreviousRunActive"


@pytest.fixture
def hand(redis: Redis) -> Hand:
    return Hand(redis)


def tracked(overlap: str, *more: dict[str, Any], **event: Any) -> BeatSchedule:
    return schedule({"every": "1s", "overlap": overlap, **event}, *more, delivery="AtLeastOnce")


def told_of(rig: Rig, kind: Kind) -> list[str]:
    return [short(due) for due in rig.journal.dues(kind)]


@pytest.mark.parametrize(
    ("overlap", "counts"),
    [
        ("Allow", {"enqueued": 4}),
        ("Skip", {"enqueued": 1, SKIPPED: 3}),
        ("BufferOne", {"enqueued": 2, SKIPPED: 2}),
    ],
)
async def test_while_nobody_works(rig: Rig, hand: Hand, overlap: str, counts: dict[str, int]) -> None:
    await rig.start(tracked(overlap))
    await rig.pass_time(4 * SECOND)
    assert rig.journal.counts() == counts


@pytest.mark.parametrize(
    ("overlap", "handled"),
    [
        ("Allow", ["12:00:01", "12:00:02", "12:00:03", "12:00:04"]),
        ("Skip", ["12:00:01", "12:00:04"]),
        ("BufferOne", ["12:00:01", "12:00:02", "12:00:04"]),
    ],
)
async def test_which_runs_there_are_when_one_takes_until_the_fourth_is_due(rig: Rig, hand: Hand, overlap: str, handled: list[str]) -> None:
    await rig.start(tracked(overlap))
    await rig.pass_time(SECOND)
    first = await hand.take()
    assert first is not None
    await rig.pass_time(2 * SECOND)
    assert overlap == "Allow" or await hand.take() is None  # one of them at a time, buffered or not
    await hand.settle(first)
    before = [due_of(first), *await hand.work()]
    await rig.pass_time(SECOND)
    assert before + await hand.work() == handled


@pytest.mark.parametrize("how", ["ok", "dead", "cancelled"])
async def test_however_a_run_ends_the_next_has_its_turn(rig: Rig, hand: Hand, how: Any) -> None:
    await rig.start(tracked("Skip"))
    for second in range(1, 4):
        await rig.pass_time(SECOND)
        assert await hand.work(how) == [f"12:00:0{second}"]


async def test_one_that_waits_for_its_next_attempt_is_not_done(rig: Rig, hand: Hand) -> None:
    await rig.start(tracked("Skip", retry={"backoff": "1h", "maxBackoff": "1h"}))
    await rig.pass_time(SECOND)
    run = await hand.take()
    assert run is not None
    assert await hand.settle(run, "failed", "Error: no") is State.RETRYING
    await rig.pass_time(2 * SECOND)
    assert rig.journal.counts() == {"enqueued": 1, SKIPPED: 2}


async def test_other_events_of_the_channel_do_not_matter(rig: Rig) -> None:
    await rig.start(tracked("Skip", {"every": "1s", "overlap": "Skip"}))
    await rig.pass_time(2 * SECOND)
    assert rig.journal.counts() == {"enqueued": 2, SKIPPED: 2}


async def test_of_what_was_missed_each_is_decided_for_itself(rig: Rig, hand: Hand) -> None:
    every = tracked("BufferOne", every="20s", missed={"policy": "All"})
    await rig.start(every)
    await rig.kill()
    rig.clock.advance(2 * MINUTE)
    await rig.start(every)
    assert await hand.work() == ["12:00:20", "12:00:40"]
    assert told_of(rig, Kind.SKIPPED) == ["12:01:00", "12:01:20", "12:01:40", "12:02:00"]


async def test_a_trigger_is_refused_and_may_be_asked_for_again(rig: Rig, hand: Hand) -> None:
    await rig.start(schedule({"at": "2029-01-01T00:00:00Z", "overlap": "Skip"}, delivery="AtLeastOnce"))
    assert [await ask(rig, T1), await ask(rig, T2)] == ["enqueued/Triggered", "refused/PreviousRunActive"]
    assert await hand.work() == [short(SENT1)]
    assert [await ask(rig, T2), await ask(rig, T1)] == ["enqueued/Triggered", "refused/Duplicate"]


async def test_a_trigger_whose_reply_is_lost_does_not_stand_in_its_own_way(rigs: Rigs, hand: Hand) -> None:
    losses = Losses()
    rig = rigs(wrap=losses.between)
    await rig.start(schedule({"at": "2029-01-01T00:00:00Z", "overlap": "Skip"}, delivery="AtLeastOnce"))
    losses.lose(Trigger, carried_out=True)
    assert await ask(rig, T1) == "enqueued/Triggered"
    assert losses.all_happened
    assert await hand.work() == [short(SENT1)]


class Story:
    """Events whose replies get lost: each due time is told once, and as what Redis made of it."""

    def __init__(self, rig: Rig, losses: Losses, hand: Hand) -> None:
        self.rig, self.losses, self.hand = rig, losses, hand
        self.handled: list[str] = []

    async def lose(self, *, carried_out: bool, look: bool = False) -> None:
        self.losses.lose(Send, carried_out=carried_out)
        if look:
            self.losses.lose(Look, carried_out=carried_out)
        await self.rig.advance_until(lambda: self.losses.all_happened)
        await self.rig.advance_until(self.rig.is_idle)

    async def work(self) -> None:
        self.handled += await self.hand.work()


@pytest.mark.parametrize("carried_out", [True, False], ids=["carried out", "never arrived"])
@pytest.mark.parametrize("overlap", ["Allow", "Skip", "BufferOne"])
async def test_a_lost_reply_leaves_nothing_to_guess(rigs: Rigs, hand: Hand, overlap: str, carried_out: bool) -> None:
    losses = Losses()
    rig = rigs(wrap=losses.between)
    await rig.start(tracked(overlap, missed={"policy": "All"}))
    story = Story(rig, losses, hand)
    for turn in range(12):
        await story.lose(carried_out=carried_out, look=turn % 3 == 0)
        if turn % 4 == 3:
            await story.work()
    for _ in range(3):
        await rig.pass_time(SECOND)
        await story.work()
    await story.work()
    enqueued = told_of(rig, Kind.ENQUEUED)
    assert sorted(enqueued) == sorted(story.handled) == sorted(set(enqueued))
    assert rig.journal.decided() == (rig.clock.now() - NOON) // SECOND
    assert (rig.journal.counts().keys() == {"enqueued"}) == (overlap == "Allow")


async def test_of_a_backlog_whose_reply_is_lost_each_due_time_is_told_as_what_it_became(rigs: Rigs, hand: Hand) -> None:
    losses = Losses()
    rig = rigs(wrap=losses.between)
    every = tracked("Skip", every="20s", missed={"policy": "All"})
    await rig.start(every)
    await rig.kill()
    rig.clock.advance(2 * MINUTE)
    for _ in range(4):
        losses.lose(Send, carried_out=True)
    rig.assemble()
    rig.book.put(every)
    await rig.run()
    await rig.advance_until(lambda: losses.all_happened and rig.is_idle(), step=1)
    assert (told_of(rig, Kind.ENQUEUED), len(told_of(rig, Kind.SKIPPED))) == (["12:00:20"], 5)
    assert await hand.work() == ["12:00:20"]


Stored: TypeAlias = dict[bytes | str, bytes]


async def stored(redis: Redis) -> Stored:
    return {key: await redis.dump(key) or b"" for key in await redis.keys()}


async def restore(redis: Redis, before: Stored) -> None:
    """The store loses what came after."""
    await redis.flushall()
    for key, value in before.items():
        await redis.restore(key, 0, value)


async def test_what_was_skipped_is_not_given_again_to_a_store_that_lost_it(rig: Rig, redis: Redis, hand: Hand) -> None:
    await rig.start(tracked("Skip"))
    before = await stored(redis)
    await rig.pass_time(3 * SECOND)
    await restore(redis, before)
    await rig.pass_time(12 * SECOND)
    assert rig.journal.counts() == {"enqueued": 1, SKIPPED: 14, "enqueued/Replayed": 1}
    assert await hand.work() == ["12:00:01"]


async def test_of_what_is_given_again_each_may_stand_in_the_next_one_s_way(rig: Rig, redis: Redis, hand: Hand) -> None:
    await rig.start(tracked("Skip", every="20s"))
    before = await stored(redis)
    for _ in range(2):
        await rig.pass_time(20 * SECOND)
        await hand.work()
    await restore(redis, before)
    await rig.pass_time(12 * SECOND)
    assert rig.journal.counts() == {"enqueued": 2, "enqueued/Replayed": 1, SKIPPED: 1}
    assert await hand.work() == ["12:00:20"]
