"""No worker, or no leader, for a while: runs wait for them, and it is said who is missing."""

import time
from typing import Any

import pytest
from channels_redis.core import RedisChannelLayer
from redis.asyncio import Redis

from channelbeat.broker.keys import Keys
from channelbeat.core.instants import MINUTE, SECOND
from channelbeat.core.runs import Policy, State
from support.fleet import Fleet
from support.leading import Leader
from support.redis import RedisServer
from support.waiting import eventually

pytestmark = pytest.mark.chaos

KEYS = Keys("asgi")
EXPIRY = 1
"""Seconds: the least that a layer can have."""


async def test_runs_outlast_the_layers_expiry_and_its_messages_do_not(redis_server: RedisServer, redis: Redis, fleet: Fleet, leader: Leader) -> None:
    layer = RedisChannelLayer(hosts=[redis_server.url], expiry=EXPIRY)
    runs = await leader.put(50)
    for number in range(10):
        await layer.send("c", {"type": "work", "name": f"early-{number}"})
    begun = time.monotonic()
    await eventually(lambda: time.monotonic() > begun + 3 * EXPIRY, what="nobody to work for three expiries")
    assert not await redis.exists(KEYS.channel("c"))
    fleet.worker(expiry=EXPIRY)
    await fleet.diary.reaches(len(runs), "ok")
    await layer.send("c", {"type": "work", "name": "late"})  # now that somebody waits for it: it would not outlast a slow start
    await fleet.diary.reaches(len(runs) + 1, "ok")
    await layer.close_pools()
    assert fleet.diary.handled() == runs | {"late"}


async def test_another_leader_goes_on_where_one_was_killed_between_retries(redis: Redis, fleet: Fleet, leader: Leader) -> None:
    leader.gone = True
    fleet.worker(concurrency=4, claim=10 * SECOND)
    runs = await leader.put(20, policy=Policy(limit=3, backoff=200, max_backoff=400), fail=3)
    for attempt in (1, 2, 3):
        await eventually(lambda: _failed(leader, 20 * attempt), 20, what="all to wait")  # noqa: B023 - called within the turn
        for member in fleet.members[1:]:
            member.kill()
        fleet.leader()
    await leader.all_succeed(20)
    assert {(run.state, run.attempts) for run in (await leader.records(runs)).values()} == {(State.SUCCEEDED, 4)}
    assert not fleet.diary.audit().overlaps


async def _failed(leader: Leader, attempts: int) -> bool:
    """So many, and they are settled. Some may be queued again by now: for how long all wait, nobody can rely on."""
    return (await leader.stats()).failed >= attempts


async def test_channels_that_nobody_listens_on_are_known(redis: Redis, fleet: Fleet, leader: Leader) -> None:
    first, second = fleet.worker("c"), fleet.worker("a", "c")
    await eventually(lambda: _listeners(redis, 2), what="both to be registered")
    for channel in ("c", "a", "x"):
        await leader.put(3, channel=channel, hold=True)
    await fleet.diary.reaches(2, "begin")
    assert await leader.broker.unattended() == {}, "nothing has waited for long"
    for channel in ("c", "a", "x"):
        queued: Any = await redis.zrange(KEYS.queue(channel), 0, -1)
        for run in queued:
            await redis.zincrby(KEYS.queue(channel), -MINUTE, run)
    assert await leader.broker.unattended() == {"x": 3}
    second.freeze()
    (silent,) = [worker for worker in await _workers(redis) if f":{second.pid}:" in worker]
    await redis.zincrby(f"{KEYS.root}workers", -MINUTE, silent)
    assert set(await leader.broker.unattended()) == {"a", "x"}, "one that was not seen for a minute does not count"
    second.thaw()
    await eventually(lambda: _unattended(leader, {"x"}), what="it to be seen again")
    fleet.diary.open_gate()
    for member in (first, second):
        member.stop()
    assert [await member.ended() for member in (first, second)] == [0, 0]
    assert await _workers(redis) == []


async def _workers(redis: Redis) -> list[str]:
    found: Any = await redis.zrange(f"{KEYS.root}workers", 0, -1)
    return [worker.decode() for worker in found]


async def _listeners(redis: Redis, number: int) -> bool:
    return len(await _workers(redis)) == number


async def _unattended(leader: Leader, channels: set[str]) -> bool:
    return set(await leader.broker.unattended()) == channels
