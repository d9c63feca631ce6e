"""A reply that is lost leaves open whether the batch was carried out; reading the fence says so, and nothing is sent twice."""

from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.core.batch import Adopt, Look, Send, Skip
from channelbeat.core.instants import MINUTE, SECOND
from channelbeat.core.outcomes import Sign
from support.losses import Losses
from support.rig import Rig, schedule
from support.times import NOON, short

either_way = pytest.mark.parametrize("carried_out", [True, False], ids=["carried out", "never arrived"])


@pytest.fixture
def losses() -> Losses:
    return Losses()


@pytest.fixture
def rig(rigs: Callable[..., Rig], losses: Losses) -> Rig:
    return rigs(wrap=losses.between)


async def pass_through(rig: Rig, losses: Losses, length: int = 3 * SECOND) -> None:
    """The loss happens, is got over, and time passes: `length` in all."""
    end = rig.clock.now() + length
    await rig.advance_until(lambda: losses.all_happened)
    await rig.advance_until(rig.is_idle)
    await rig.pass_time(end - rig.clock.now())


@either_way
async def test_of_a_send(rig: Rig, losses: Losses, carried_out: bool) -> None:
    await rig.start(schedule({"every": "1s"}))
    losses.lose(Send, carried_out=carried_out)
    await pass_through(rig, losses)
    assert [short(due) for due in rig.sent()] == ["12:00:01", "12:00:02", "12:00:03"]
    assert rig.journal.counts() == {"enqueued": 3}
    assert Sign.AWAY in rig.journal.signs()


@either_way
async def test_of_one_send_after_the_other(rig: Rig, losses: Losses, carried_out: bool) -> None:
    await rig.start(schedule(*[{"every": "1s"}] * 20))
    for _ in range(5):
        losses.lose(Send, carried_out=carried_out)
        losses.lose(Send, carried_out=not carried_out)
        losses.lose(Look, carried_out=carried_out)
        await rig.advance_until(lambda: losses.all_happened)
    await rig.advance_until(rig.is_idle)
    seconds = (rig.clock.now() - NOON) // SECOND
    runs = [message["beat"]["run"] for message in rig.messages()]
    assert len(runs) == len(set(runs)) == 20 * seconds
    assert rig.journal.counts() == {"enqueued": 20 * seconds}


@either_way
async def test_of_a_skip(rig: Rig, losses: Losses, carried_out: bool) -> None:
    await rig.start(schedule({"every": "1s"}, suspend=True))
    losses.lose(Skip, carried_out=carried_out)
    await pass_through(rig, losses)
    assert rig.sent() == []
    assert rig.journal.counts() == {"suspended": 3}


@either_way
async def test_of_a_skip_and_the_send_after_it(rig: Rig, losses: Losses, carried_out: bool) -> None:
    every = schedule({"every": "1s"})
    await rig.start(every)
    await rig.kill()
    rig.clock.advance(MINUTE)
    losses.lose(Skip, carried_out=carried_out)
    await rig.start(every)
    await rig.advance_until(rig.is_idle, step=1)
    # of 60, eleven are not more than 10 s late; of the 49 before them the latest is sent
    assert [short(due) for due in rig.sent()] == [f"12:00:{second}" for second in range(49, 60)] + ["12:01:00"]
    assert rig.journal.counts() == {"enqueued": 12, "missed/Superseded": 48}


async def test_of_a_groups_fence_that_was_set_leaves_its_message_open(rig: Rig, losses: Losses, redis: "Redis") -> None:
    await group_of_c(redis)
    await rig.start(schedule({"every": "1s"}, group="g"))
    losses.lose(Skip, carried_out=True)
    await pass_through(rig, losses)
    assert [short(due) for due in rig.sent()] == ["12:00:02", "12:00:03"]
    assert rig.journal.counts() == {"unknown/ReplyLost": 1, "enqueued": 2}


async def test_of_a_groups_fence_that_was_not_set_costs_nothing(rig: Rig, losses: Losses, redis: "Redis") -> None:
    await group_of_c(redis)
    await rig.start(schedule({"every": "1s"}, group="g"))
    losses.lose(Skip, carried_out=False)
    await pass_through(rig, losses)
    assert [short(due) for due in rig.sent()] == ["12:00:01", "12:00:02", "12:00:03"]
    assert rig.journal.counts() == {"enqueued": 3}


async def group_of_c(redis: "Redis") -> None:
    """Channel c is in group g, as RedisChannelLayer.group_add leaves it."""
    await redis.zadd("asgi:group:g", {"c": 4_000_000_000})


EDITS: dict[str, tuple[dict[str, Any], list[str], dict[str, int]]] = {
    # the edit of `every: 1s` at 12:00:05, what of it is sent by 12:00:08, what is told of all
    "to another period": ({"every": "2s"}, ["12:00:06", "12:00:08"], {"enqueued": 7}),
    "to suspended": ({"every": "1s", "suspend": True}, [], {"enqueued": 5, "suspended": 3}),
}


@either_way
@pytest.mark.parametrize(("edit", "sent", "told"), EDITS.values(), ids=EDITS.keys())
async def test_of_an_edit(rig: Rig, losses: Losses, carried_out: bool, edit: dict[str, Any], sent: list[str], told: dict[str, int]) -> None:
    await rig.start(schedule({"every": "1s"}))
    await rig.pass_time(5 * SECOND)
    losses.lose(Adopt, carried_out=carried_out)
    rig.book.put(schedule(edit))
    await pass_through(rig, losses)
    assert [short(due) for due in rig.sent()][5:] == sent
    assert rig.journal.counts() == told


@either_way
async def test_of_an_edit_that_leaves_something_undone(rig: Rig, losses: Losses, carried_out: bool) -> None:
    await rig.start(schedule({"every": "1s"}))
    losses.lose(Adopt, carried_out=carried_out)
    rig.clock.advance(5 * SECOND)
    rig.book.put(schedule({"every": "2s"}))  # before the first of the five could be sent
    await pass_through(rig, losses)
    assert [short(due) for due in rig.sent()] == ["12:00:06", "12:00:08"]
    assert rig.journal.counts() == {"missed/Edited": 5, "enqueued": 2}


@either_way
async def test_of_taking_the_lead(rig: Rig, losses: Losses, carried_out: bool) -> None:
    losses.lose("lead", carried_out=carried_out)
    rig.assemble()
    rig.book.put(schedule({"every": "1s"}))
    await rig.run()
    await pass_through(rig, losses)
    assert [short(due) for due in rig.sent()] == ["12:00:01", "12:00:02", "12:00:03"]
    assert rig.journal.counts() == {"enqueued": 3}


@either_way
async def test_of_founding_a_wiped_store(rig: Rig, losses: Losses, redis: "Redis", carried_out: bool) -> None:
    await rig.start(schedule({"every": "1s"}))
    await rig.pass_time(5 * SECOND)
    await redis.flushall()
    losses.lose("found", carried_out=carried_out)
    await pass_through(rig, losses)
    assert [short(due) for due in rig.sent()] == ["12:00:06", "12:00:07", "12:00:08"]
    assert rig.journal.counts() == {"enqueued": 8}
