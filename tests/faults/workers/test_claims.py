"""Claims: what a living worker holds stays its own, whatever its clock says and however long it takes."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from channelbeat.broker import scripts
from channelbeat.core.instants import MINUTE
from channelbeat.core.runs import Policy
from support.fleet import Fleet
from support.leading import Leader
from support.proxy import between
from support.redis import RedisServer
from support.waiting import eventually

pytestmark = pytest.mark.chaos

CLAIM = 2_000
"""A shorter one lapses where a busy machine lets a worker stand still for a moment."""
TAKES = 5.0
"""Seconds: more than two claims."""


async def took_long(fleet: Fleet, leader: Leader, *before: str) -> None:
    """Attempts of more than two claims' length, beside another worker that has nothing to do."""
    for _ in range(2):
        fleet.worker("a", "c", concurrency=4, claim=CLAIM, before=before)
    runs = await leader.put(2, channel="a", seconds=TAKES) | await leader.put(2, seconds=TAKES)
    await eventually(lambda: fleet.diary.handled() == runs, 20)
    assert not fleet.diary.audit().repeats


async def test_a_run_that_takes_long_stays_with_its_worker(fleet: Fleet, leader: Leader) -> None:
    await took_long(fleet, leader)


async def test_it_would_not_if_the_worker_did_not_renew_its_claim(fleet: Fleet, leader: Leader) -> None:
    with pytest.raises(AssertionError):
        await took_long(fleet, leader, "support.handicaps.renews_nothing")


CLOCKS = ("clock_an_hour_ahead", "clock_an_hour_behind", "clock_that_jumps")


LONG = Policy(timeout=MINUTE, start_deadline=10**12)


async def test_workers_need_not_know_what_time_it_is(fleet: Fleet, leader: Leader) -> None:
    """Each worker's clock says something else; runs are long, have time-outs and deadlines, or fail at first."""
    workers = [fleet.worker("a", "c", concurrency=2, claim=CLAIM, before=[f"support.handicaps.{clock}"]) for clock in CLOCKS]
    policy = Policy(limit=1, backoff=300, timeout=MINUTE)
    runs = await leader.put(3, channel="a", policy=LONG, seconds=TAKES) | await leader.put(3, policy=LONG, seconds=TAKES)
    retried = await leader.put(20, policy=policy, fail=1)
    await leader.all_succeed(26)
    for worker in workers:
        worker.stop()
    assert [await worker.ended() for worker in workers] == [0, 0, 0]
    seen, records = fleet.diary.audit(), await leader.records(retried)
    assert seen.handled.keys() == runs | retried
    assert Counter(repeat.run for repeat in seen.repeats) == Counter(retried)
    assert {repeat.end for repeat in seen.repeats} == {"raised"}
    for run in records.values():
        failed, succeeded = run.history
        assert failed.ended is not None
        assert policy.backoff <= succeeded.started - failed.ended < MINUTE
    assert {entry.pid for entry in fleet.diary.entries()} == {worker.pid for worker in workers}


async def test_they_would_have_to_if_they_used_their_clocks(fleet: Fleet, leader: Leader) -> None:
    await leader.put(1, channel="a", policy=LONG, seconds=1.2)
    worker = fleet.worker("a", claim=600, before=["support.handicaps.clock_that_jumps", "support.handicaps.trusts_its_clock"])
    await eventually(lambda: "attempt took longer than 60 s" in worker.log)


async def test_a_run_that_was_taken_but_not_begun_in_time_is_left_to_others(redis_server: RedisServer, fleet: Fleet, leader: Leader, tmp_path: Path) -> None:
    """The event loop is blocked when the reply to `take` comes, and nobody renews a claim that nobody knows of."""
    both_taken, is_blocked = asyncio.Event(), asyncio.Event()

    async def arrives(call: int) -> bool:
        if call == 1:
            await both_taken.wait()
        elif call == 2:
            both_taken.set()
            await is_blocked.wait()
        return True

    runs = await leader.put(2, channel="a", block=True)
    async with between(redis_server.socket, tmp_path / "proxy", scripts.source("take"), arrives):
        blocked = fleet.worker("a", concurrency=2, claim=CLAIM, url=f"unix://{tmp_path}/proxy")
        await fleet.diary.reaches(1, "begin")
        is_blocked.set()
        other = fleet.worker("a", claim=CLAIM)
        await fleet.diary.reaches(2, "begin")
        assert {entry.pid: entry.attempt for entry in fleet.diary.entries()} == {blocked.pid: 1, other.pid: 2}
        await leader.put(1, channel="a")
        fleet.diary.open_gate(attempt=1)
        await fleet.diary.reaches(2, "ok")
        fleet.diary.open_gate()
        await leader.all_succeed(3)
        assert not fleet.diary.audit().repeats
        assert fleet.diary.handled() > runs
