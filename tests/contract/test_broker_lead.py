"""Who may lead a layer, and what its store is to them: verdicts, epochs, owners."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.broker.sending import RedisBroker
from channelbeat.core.batch import Bury, Item, Look, Verdict
from channelbeat.core.instants import MINUTE
from channelbeat.errors import LayerTaken, Stale, StoreChanged
from support.brokers import Opened, adopt, send, skip, trigger
from support.redis import RedisServer
from support.waiting import eventually

STATE = "channelbeat:asgi:state"

ANY_ITEM: dict[str, list[Item]] = {
    "nothing": [],
    "look": [Look("e")],
    "adopt": [adopt(5)],
    "skip": [skip(5)],
    "send": [send(5)],
    "trigger": [trigger(5)],
    "bury": [Bury("e", 5)],
}
any_item = pytest.mark.parametrize("items", ANY_ITEM.values(), ids=ANY_ITEM.keys())


async def everything(redis: "Redis") -> dict[Any, object]:
    """All keys with their values, but the leader's last sign of life."""
    found: dict[Any, object] = {}
    for key in await redis.keys():
        kind = await redis.type(key)
        found[key] = await (
            redis.hgetall(key) if kind == b"hash" else redis.zrange(key, 0, -1, withscores=True) if kind == b"zset" else redis.lrange(key, 0, -1)
        )
    return {key: {f: v for f, v in value.items() if f != b":leaderSeen"} if isinstance(value, dict) else value for key, value in found.items()}


async def number(redis: "Redis", field: str) -> int:
    return int(await redis.hget(STATE, field) or 0)


async def test_an_empty_store_is_new_and_gets_a_generation(opened: Opened, redis_server: RedisServer, redis: "Redis") -> None:
    broker = opened(redis_server.url)
    assert (broker.generation, broker.founded, broker.now(), await broker.peek()) == ("", 0, None, "")
    assert await broker.lead() is Verdict.NEW
    assert broker.generation == await broker.peek() != ""
    assert broker.founded == int(broker.generation.partition("-")[0]) <= (broker.now() or 0) < broker.founded + 60_000


async def test_a_fresh_process_finds_the_same_store(broker: RedisBroker, opened: Opened, redis_server: RedisServer) -> None:
    heir = opened(redis_server.url)
    assert await heir.lead() is Verdict.SAME
    assert heir.generation == broker.generation


async def test_who_leads_again_finds_the_same_store(broker: RedisBroker) -> None:
    await broker.enqueue([adopt(1)])
    assert await broker.lead() is Verdict.SAME
    assert (await broker.enqueue([Look("e")])).extra[0] == (1, "h", "new")


async def test_a_store_that_lost_acknowledged_batches_is_rolled_back(broker: RedisBroker, redis: "Redis") -> None:
    before: Any = await redis.hgetall(STATE)
    await broker.enqueue([adopt(1)])
    await redis.delete(STATE)
    await redis.hset(STATE, mapping=before)
    with pytest.raises(StoreChanged):
        await broker.enqueue([adopt(2)])
    assert await redis.hget(STATE, "e") is None
    assert await broker.lead() is Verdict.ROLLED_BACK
    await broker.enqueue([adopt(2)])


async def test_a_store_from_before_our_lead_is_rolled_back_even_if_nothing_was_enqueued_since(broker: RedisBroker, redis: "Redis") -> None:
    before: Any = await redis.hgetall(STATE)
    await broker.lead()
    await redis.hset(STATE, mapping=before)
    with pytest.raises(StoreChanged):
        await broker.enqueue([adopt(1)])


async def test_a_wiped_store_has_no_generation_until_it_is_founded(broker: RedisBroker, redis: "Redis") -> None:
    first = broker.generation
    await redis.flushall()
    with pytest.raises(StoreChanged):
        await broker.enqueue([adopt(1)])
    assert not await redis.exists(STATE)
    assert await broker.lead() is Verdict.WIPED
    assert (broker.generation, await broker.peek()) == ("", "")
    await broker.enqueue([adopt(1)])
    await broker.found()
    assert broker.generation == await broker.peek() not in ("", first)
    assert (await broker.enqueue([Look("e")])).extra[0] == (1, "h", "new")


async def test_a_recovery_that_was_cut_short_is_still_of_a_wiped_store(broker: RedisBroker, redis: "Redis") -> None:
    await redis.flushall()
    assert await broker.lead() is Verdict.WIPED
    await broker.found()
    await redis.flushall()
    assert await broker.lead() is Verdict.WIPED


async def test_another_store_than_ours_is_as_good_as_wiped(broker: RedisBroker, redis: "Redis") -> None:
    await redis.hset(STATE, ":gen", "1-another")
    assert await broker.lead() is Verdict.WIPED


@any_item
async def test_a_leader_that_was_followed_by_another_writes_nothing(
    broker: RedisBroker, opened: Opened, redis_server: RedisServer, redis: "Redis", items: list[Item]
) -> None:
    await opened(redis_server.url).lead()
    before = await everything(redis)
    with pytest.raises(Stale, match="layer 'default': a newer leader"):
        await broker.enqueue(items)
    assert await everything(redis) == before


@any_item
async def test_nothing_is_written_to_a_store_that_is_not_ours(broker: RedisBroker, redis: "Redis", items: list[Item]) -> None:
    await redis.hset(STATE, ":gen", "1-another")
    before = await everything(redis)
    with pytest.raises(StoreChanged):
        await broker.enqueue(items)
    assert await everything(redis) == before


async def test_epochs_only_grow_even_if_the_store_forgets_them(broker: RedisBroker, opened: Opened, redis_server: RedisServer, redis: "Redis") -> None:
    epochs = [await number(redis, ":epoch")]
    for _ in range(3):
        await broker.lead()
        epochs.append(await number(redis, ":epoch"))
    founded = broker.founded
    await eventually(lambda: (broker.now() or 0) > epochs[-1])
    await redis.flushall()
    await opened(redis_server.url).lead()
    epochs.append(await number(redis, ":epoch"))
    assert epochs == sorted(set(epochs))
    assert epochs[0] >= founded


async def test_another_owner_is_refused_while_the_leader_lives(broker: RedisBroker, opened: Opened, redis_server: RedisServer) -> None:
    with pytest.raises(LayerTaken, match=r"layer 'default': another installation \(us\) drives it, seen \d s ago: stop that one, or give this one a prefix"):
        await opened(redis_server.url, owner="them").lead()
    await broker.enqueue([adopt(1)])


async def test_another_owner_may_lead_once_the_leader_has_been_silent(broker: RedisBroker, opened: Opened, redis_server: RedisServer, redis: "Redis") -> None:
    them = opened(redis_server.url, owner="them", silence=MINUTE)

    async def taken() -> bool:
        try:
            return await them.lead() is Verdict.SAME
        except LayerTaken:
            return False

    assert not await taken()
    await redis.hincrby(STATE, ":leaderSeen", -MINUTE)
    await eventually(taken)
    with pytest.raises(Stale):
        await broker.enqueue([])


async def test_every_batch_is_a_sign_of_life(broker: RedisBroker, redis: "Redis") -> None:
    await redis.hset(STATE, ":leaderSeen", 1)
    await broker.enqueue([])
    assert await number(redis, ":leaderSeen") > 1


async def test_who_resigns_is_followed_at_once(broker: RedisBroker, opened: Opened, redis_server: RedisServer) -> None:
    await broker.resign()
    assert await opened(redis_server.url, owner="them").lead() is Verdict.SAME


async def test_resigning_late_takes_nothing_from_the_next_leader(broker: RedisBroker, opened: Opened, redis_server: RedisServer) -> None:
    await opened(redis_server.url).lead()
    await broker.resign()
    with pytest.raises(LayerTaken):
        await opened(redis_server.url, owner="them").lead()


async def test_of_two_that_found_an_empty_store_together_one_generation_stays(opened: Opened, redis_server: RedisServer, redis: "Redis") -> None:
    one, two = opened(redis_server.url), opened(redis_server.url)
    verdicts = await asyncio.gather(one.lead(), two.lead())
    assert sorted(verdicts) == [Verdict.NEW, Verdict.SAME]
    assert one.generation == two.generation
