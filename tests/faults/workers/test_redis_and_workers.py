"""Redis restarts, is away for longer than claims last, loses replies, or is full, while workers are at work."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from channelbeat.core.instants import SECOND
from channelbeat.core.runs import State
from support.fleet import Fleet
from support.guards import without
from support.leading import Leader, leading
from support.proxy import between
from support.redis import RedisServer
from support.waiting import eventually

pytestmark = pytest.mark.chaos

IN_FLIGHT = 1_000
CLAIM = 10 * SECOND


async def handled_once(fleet: Fleet, leader: Leader, runs: set[str]) -> None:
    """All of them, in their first attempt, and settled."""
    await leader.all_succeed(len(runs))
    seen, records = fleet.diary.audit(), await leader.records(runs)
    assert set(seen.handled) == runs
    assert not seen.repeats
    assert {(run.state, run.attempts) for run in records.values()} == {(State.SUCCEEDED, 1)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "ends_meanwhile"), [(RedisServer.stop, False), (RedisServer.kill, True)], ids=["stopped, and runs go on", "killed, and runs end meanwhile"]
)
async def test_redis_restarts_with_a_thousand_runs_in_flight(
    own_redis: RedisServer, fleets: Callable[[str], Fleet], way: Callable[[RedisServer], None], ends_meanwhile: bool
) -> None:
    fleet = fleets(own_redis.url)
    async with leading(own_redis.url, CLAIM) as leader:
        for _ in range(4):
            fleet.worker("a", concurrency=IN_FLIGHT // 4, claim=CLAIM)
        runs = await leader.put(IN_FLIGHT + 50, channel="a", hold=True)
        await fleet.diary.reaches(IN_FLIGHT, "begin")
        assert (await leader.broker.loads(["a"]))["a"].in_flight == IN_FLIGHT
        way(own_redis)
        if ends_meanwhile:
            fleet.diary.open_gate()
            await fleet.diary.reaches(IN_FLIGHT, "ok")
        own_redis.start()
        own_redis.wait()
        fleet.diary.open_gate()
        await handled_once(fleet, leader, runs)


async def away(own_redis: RedisServer, fleet: Fleet) -> None:
    """For two claim lengths, with runs in flight; others wait."""
    claim = 2 * SECOND
    async with leading(own_redis.url, claim) as leader:
        fleet.worker("c", concurrency=4, claim=claim)
        fleet.worker("a", concurrency=4, claim=claim)
        runs = await leader.put(6, hold=True) | await leader.put(6, channel="a", hold=True)
        await fleet.diary.reaches(8, "begin")
        own_redis.kill()
        gone = time.monotonic()
        await eventually(lambda: time.monotonic() > gone + 2 * claim / SECOND)
        own_redis.start()
        own_redis.wait()
        sweeps = len(leader.swept)
        await eventually(lambda: len(leader.swept) > sweeps + 2, what="some sweeps")
        fleet.diary.open_gate()
        await handled_once(fleet, leader, runs)
    await eventually(lambda: all("Redis answers again" in member.log for member in fleet.members), what="the last to find it there")
    for member in fleet.members:
        assert member.log.count("waiting") == member.log.count("Redis answers again") == 1


async def test_redis_is_away_for_two_claims(own_redis: RedisServer, fleets: Callable[[str], Fleet]) -> None:
    await away(own_redis, fleets(own_redis.url))


async def replies_lost(redis_server: RedisServer, fleet: Fleet, leader: Leader, folder: Path, *guards: str) -> None:
    """Every seventh reply to `take`."""

    async def arrives(call: int) -> bool:
        return call % 7 != 0

    socket = folder / "proxy"
    async with between(redis_server.socket, socket, without(*guards)("take"), arrives) as proxy:
        for _ in range(2):
            fleet.worker("a", "c", url=f"unix://{socket}", concurrency=2, claim=4 * SECOND, without=guards)
        runs = await leader.put(30, channel="a", seconds=0.01) | await leader.put(30, seconds=0.01)
        await handled_once(fleet, leader, runs)
        assert proxy.calls > len(runs)


async def test_replies_to_take_are_lost(redis_server: RedisServer, fleet: Fleet, leader: Leader, tmp_path: Path) -> None:
    await replies_lost(redis_server, fleet, leader, tmp_path)


async def test_runs_would_be_tried_twice_if_take_did_not_remember(redis_server: RedisServer, fleet: Fleet, leader: Leader, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        await replies_lost(redis_server, fleet, leader, tmp_path, "repeat")


async def test_workers_drain_a_redis_that_is_full(redis: Redis, fleet: Fleet, leader: Leader) -> None:
    fleet.worker("a", "c", concurrency=2)
    runs = await leader.put(50, channel="a", seconds=0.06) | await leader.put(50, seconds=0.06) | await leader.put(50, fail=1)  # some are left for a slow start
    await fleet.diary.reaches(5, "begin")
    await redis.config_set("maxmemory", 1)
    killed = fleet.worker("a", "c", concurrency=2)
    await eventually(lambda: any(entry.pid == killed.pid for entry in fleet.diary.entries()), what="a worker that starts now to work")
    killed.kill()
    await leader.all_succeed(len(runs))
    assert fleet.diary.handled() == runs
