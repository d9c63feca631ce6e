"""What becomes of each item of a batch, and in which order: the answers, the fence afterwards, the messages."""

from collections.abc import Sequence
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis

from channelbeat.broker.sending import RedisBroker
from channelbeat.core.batch import TOMBSTONE, Answer, Bury, Fence, Item, Look
from support.brokers import Opened, adopt, send, skip, trigger
from support.redis import RedisServer

DONE, DUPLICATE, UNFENCED, HELD, FULL = Answer.DONE, Answer.DUPLICATE, Answer.UNFENCED, Answer.HELD, Answer.FULL
WRONG_TYPE, EARLY, UNSERIALIZABLE = Answer.WRONG_TYPE, Answer.EARLY, Answer.UNSERIALIZABLE

FAR = 4_000_000_000_000
"""A due time that Redis's clock has not reached."""
FENCE = Fence(10, "h", "new")
ODD = {"type": "x", "what": object()}


async def waiting(redis: "Redis", channel: str = "c") -> list[int]:
    """The due times or tokens that wait in the channel, in order."""
    messages = [msgpack.unpackb(member[12:]) for member in await redis.zrange(f"asgi{channel}", 0, -1)]
    return [message.get("due", message.get("token")) for message in messages]


BATCHES: dict[str, tuple[Fence | None, Sequence[Item], Sequence[Answer], Fence | None, Sequence[int]]] = {
    # what is asked: the fence before, the items, the answers, the fence after, what is in the channel
    "a send moves the fence and puts a message": (FENCE, [send(20)], [DONE], Fence(20, "h", "enqueued"), [20]),
    "a skip moves the fence and puts none": (FENCE, [skip(20)], [DONE], Fence(20, "h", "missed/PolicySkip"), []),
    "what was decided is a duplicate": (FENCE, [send(10), skip(10), send(9)], [DUPLICATE] * 3, FENCE, []),
    "after a duplicate the next is done": (FENCE, [send(10), send(20)], [DUPLICATE, DONE], Fence(20, "h", "enqueued"), [20]),
    "the same twice in a batch is once": (FENCE, [send(20), send(20)], [DONE, DUPLICATE], Fence(20, "h", "enqueued"), [20]),
    "without a fence nothing is sent": (None, [send(20), skip(30)], [UNFENCED, HELD], None, []),
    "without a fence nothing is skipped": (None, [skip(20), send(30)], [UNFENCED, HELD], None, []),
    "under another timing nothing is sent": (FENCE, [send(20, timing="i"), send(30)], [UNFENCED, HELD], FENCE, []),
    "under another timing nothing is skipped": (FENCE, [skip(20, timing="i"), skip(30)], [UNFENCED, HELD], FENCE, []),
    "adopting makes a fence": (None, [adopt(20), send(30)], [DONE, DONE], Fence(30, "h", "enqueued"), [30]),
    "adopting changes the timing": (FENCE, [adopt(20, timing="i"), send(30, timing="i")], [DONE, DONE], Fence(30, "i", "enqueued"), [30]),
    "adopting never goes back": (FENCE, [adopt(5, timing="i")], [DONE], Fence(10, "i", "new"), []),
    "a future send is early, and holds what follows": (FENCE, [send(20), send(FAR), skip(30)], [DONE, EARLY, HELD], Fence(20, "h", "enqueued"), [20]),
    "a future skip is early": (FENCE, [skip(FAR), send(20)], [EARLY, HELD], FENCE, []),
    "a future adopt is early": (FENCE, [adopt(FAR, timing="i"), adopt(20, timing="i")], [EARLY, HELD], FENCE, []),
    "the third finds the channel full, and holds what follows": (
        FENCE,
        [send(20), send(30), send(40), send(50), skip(60), adopt(70)],
        [DONE, DONE, FULL, HELD, HELD, HELD],
        Fence(30, "h", "enqueued"),
        [20, 30],
    ),
    "a key of the wrong type holds what follows": (FENCE, [send(20, channel="wrong"), send(30)], [WRONG_TYPE, HELD], FENCE, []),
    "a message that cannot be serialized holds what follows": (
        FENCE,
        [send(20), send(30, message=ODD), send(40)],
        [DONE, UNSERIALIZABLE, HELD],
        Fence(20, "h", "enqueued"),
        [20],
    ),
    "one event's trouble is not another's": (
        FENCE,
        [send(20, "o"), send(20, message=ODD), send(30, channel="wrong"), adopt(1, "o"), send(20, "o")],
        [UNFENCED, UNSERIALIZABLE, HELD, HELD, HELD],
        FENCE,
        [],
    ),
    "a full channel does not keep another's message": (
        FENCE,
        [adopt(1, "o"), send(2, "o", channel="d"), send(3, "o", channel="d"), send(4, "o", channel="d"), send(20)],
        [DONE, DONE, DONE, FULL, DONE],
        Fence(20, "h", "enqueued"),
        [20],
    ),
    "a trigger sends beside the fence": (FENCE, [trigger(5)], [DONE], FENCE, [5]),
    "a trigger needs no fence": (None, [trigger(5)], [DONE], None, [5]),
    "a token counts once": (FENCE, [trigger(5), trigger(6), trigger(5)], [DONE, DONE, DUPLICATE], FENCE, [5, 6]),
    "a full channel takes no trigger": (FENCE, [trigger(5), trigger(6), trigger(7)], [DONE, DONE, FULL], FENCE, [5, 6]),
    "a wrong key takes no trigger": (FENCE, [trigger(5, channel="wrong")], [WRONG_TYPE], FENCE, []),
    "a group's trigger is only remembered": (FENCE, [trigger(5, channel=None), trigger(5, channel=None)], [DONE, DUPLICATE], FENCE, []),
    "a trigger that cannot be serialized": (FENCE, [trigger(5, message=ODD)], [UNSERIALIZABLE], FENCE, []),
    "a fence is no tombstone": (FENCE, [Bury("e", 99)], [DUPLICATE], FENCE, []),
    "a young tombstone stays": (FENCE, [adopt(20, timing=TOMBSTONE), Bury("e", 19)], [DONE, DUPLICATE], Fence(20, TOMBSTONE, "new"), []),
    "a tombstone sends nothing": (FENCE, [adopt(20, timing=TOMBSTONE), send(30)], [DONE, UNFENCED], Fence(20, TOMBSTONE, "new"), []),
    "what is not there cannot be buried": (None, [Bury("e", 99)], [DUPLICATE], None, []),
}


@pytest.mark.parametrize(("before", "items", "answers", "after", "messages"), BATCHES.values(), ids=BATCHES.keys())
async def test_a_batch(
    opened: Opened,
    redis_server: RedisServer,
    redis: "Redis",
    before: Fence | None,
    items: Sequence[Item],
    answers: Sequence[Answer],
    after: Fence | None,
    messages: Sequence[int],
) -> None:
    broker = opened(redis_server.url, capacity=2)
    await broker.lead()
    await redis.set("asgiwrong", "no channel")
    if before is not None:
        await broker.enqueue([adopt(before.due, timing=before.hash)])
    assert list((await broker.enqueue(items)).answers) == list(answers)
    assert await broker.fence("e") == after
    assert await waiting(redis) == list(messages)


async def test_every_answer_there_is_stands_in_the_table() -> None:
    """Those for runs stand in test_queue_enqueue.py."""
    assert {answer for _, _, answers, _, _ in BATCHES.values() for answer in answers} == set(Answer) - {Answer.OVERLAP, Answer.PAUSED}


async def test_a_look_answers_the_fence_and_writes_nothing(broker: RedisBroker) -> None:
    answers = await broker.enqueue([Look("none"), adopt(10), Look("e"), adopt(5, timing="i"), Look("e")])
    assert answers.extra == {0: None, 1: 10, 2: Fence(10, "h", "new"), 3: 10, 4: Fence(10, "i", "new")}
    assert await broker.fence("none") is None


async def test_the_same_batch_sent_twice_is_carried_out_once(broker: RedisBroker, redis: "Redis") -> None:
    await broker.enqueue([adopt(1), adopt(1, "o")])
    batch: list[Item] = [send(2), skip(3), send(4), send(2, "o"), trigger(5)]
    assert set((await broker.enqueue(batch)).answers) == {DONE}
    assert set((await broker.enqueue(batch)).answers) == {DUPLICATE}
    assert sorted(await waiting(redis)) == [2, 2, 4, 5]


async def test_tokens_are_forgotten_only_when_told_to(broker: RedisBroker) -> None:
    assert [(await broker.enqueue([trigger(token)])).answers[0] for token in (1, 2, 1)] == [DONE, DONE, DUPLICATE]
    assert (await broker.enqueue([trigger(3, forget=2)])).answers == (DONE,)
    assert [(await broker.enqueue([trigger(token)])).answers[0] for token in (2, 3, 1)] == [DUPLICATE, DUPLICATE, DONE]


async def test_a_token_that_found_the_channel_full_may_come_again(broker: RedisBroker, redis: "Redis") -> None:
    await redis.zadd("asgic", {str(number): 4_000_000_000 for number in range(100)})
    assert (await broker.enqueue([trigger(1)])).answers == (FULL,)
    await redis.zpopmin("asgic", 100)
    assert (await broker.enqueue([trigger(1)])).answers == (DONE,)
    assert await waiting(redis) == [1]


async def test_a_tombstone_is_buried_with_all_that_was_kept(broker: RedisBroker, redis: "Redis") -> None:
    await broker.enqueue([adopt(1), send(2, logged=True), trigger(3), adopt(4, timing=TOMBSTONE)])
    assert (await broker.enqueue([Bury("e", 4)])).answers == (DONE,)
    assert await broker.fence("e") is None
    assert await broker.decisions("e") == []
    assert not await redis.hexists("channelbeat:asgi:state", "e!")


async def test_a_batch_may_be_longer_than_redis_takes_arguments_at_once(opened: Opened, redis_server: RedisServer, redis: "Redis") -> None:
    broker = opened(redis_server.url, capacity=10_000)
    await broker.lead()
    names = [f"e{number}" for number in range(2_500)]
    answers = await broker.enqueue([item for name in names for item in (adopt(1, name), send(2, name), Look(name))])
    assert set(answers.answers) == {DONE}
    assert [answers.extra[place] for place in range(2, 7_500, 3)] == [Fence(2, "h", "enqueued")] * 2_500
    assert await redis.zcard("asgic") == 2_500


async def test_a_batch_is_taken_out_in_the_order_it_was_put_in(opened: Opened, redis_server: RedisServer, redis: "Redis") -> None:
    broker = opened(redis_server.url, capacity=10_000)
    await broker.lead()
    for start in (0, 1_000, 2_000):  # one after the other, as fast as can be
        await broker.enqueue([item for due in range(start + 1, start + 1_001) for item in (adopt(0, f"e{due}"), send(due, f"e{due}"))])
    popped: Any = await redis.zpopmin("asgic", 3_000)
    assert [msgpack.unpackb(member[12:])["due"] for member, _ in popped] == list(range(1, 3_001))


async def test_all_that_the_store_remembers_can_be_listed(broker: RedisBroker) -> None:
    await broker.enqueue([adopt(1, "a"), adopt(2, "b", timing=TOMBSTONE), trigger(3, "a"), trigger(3, "c")])
    assert {key: found async for key, found in broker.remembered()} == {"a": Fence(1, "h", "new"), "b": Fence(2, TOMBSTONE, "new")}
