"""Workers that are killed (-9) again and again under load: each run is handled, and again only if its worker was killed."""

import pytest

from channelbeat.core.runs import State
from support.fleet import SHORT, Fleet
from support.leading import Leader, leading
from support.waiting import eventually

pytestmark = pytest.mark.chaos

KILLS = 100
WORKERS = 4
SLOTS = 3
PROGRESS = 7
"""Runs begun from one kill to the next: no multiple of the slots."""


@pytest.mark.slow
async def test_a_hundred_kills(fleet: Fleet, leader: Leader) -> None:
    members = [fleet.worker("a", "c", concurrency=SLOTS, claim=SHORT) for _ in range(WORKERS)]
    half = KILLS * PROGRESS // 2 + WORKERS * SLOTS
    runs = await leader.put(half, channel="a", seconds=0.02) | await leader.put(half, seconds=0.02)
    for kill in range(KILLS):
        await fleet.diary.reaches((kill + 1) * PROGRESS, "begin")
        members[kill % WORKERS].kill()
        members[kill % WORKERS] = fleet.worker("a", "c", concurrency=SLOTS, claim=SHORT)
    await leader.all_succeed(len(runs))
    seen = fleet.diary.audit()
    assert set(seen.handled) == runs
    assert {run.state for run in (await leader.records(runs)).values()} == {State.SUCCEEDED}
    assert len(seen.repeats) > KILLS, "each kill met about as many as there are slots"
    assert all(repeat.died for repeat in seen.repeats)
    assert not seen.overlaps


async def test_without_a_sweep_what_a_killed_worker_held_is_not_tried_again(fleet: Fleet, leader: Leader) -> None:
    leader.gone = True
    runs = await leader.put(10, hold=True)
    killed = fleet.worker(concurrency=SLOTS)
    await fleet.diary.reaches(SLOTS, "begin")
    killed.kill()
    fleet.diary.open_gate()
    fleet.worker(concurrency=SLOTS)
    await leader.all_succeed(len(runs) - SLOTS)
    await eventually(lambda: leader.claims_are_over("c"), what="the claims to have ended")
    assert len(fleet.diary.handled()) == len(runs) - SLOTS
    async with leading(fleet.url) as another:
        await another.all_succeed(len(runs))
