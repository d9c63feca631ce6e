"""Workers that are told to stop, or stand still for a while, under load."""

import pytest
from channels_redis.core import RedisChannelLayer

from channelbeat.core.instants import MINUTE, SECOND
from channelbeat.core.runs import State
from support.fleet import Fleet
from support.leading import Leader

pytestmark = pytest.mark.chaos

CLAIM = 4 * SECOND
"""Of workers that live: a busy machine may let them stand still for a moment, too."""


async def sent(url: str, channel: str, number: int) -> set[str]:
    """Plain messages, as anybody sends them."""
    layer = RedisChannelLayer(hosts=[url], capacity=number)
    names = {f"plain-{channel}-{n}" for n in range(number)}
    for name in names:
        await layer.send(channel, {"type": "work", "name": name, "seconds": 0.05})
    await layer.close_pools()
    return names


async def rolled_out(fleet: Fleet, leader: Leader, *before: str) -> None:
    """Four workers are stopped under load, each when the one before it has ended, and others take their places."""
    members = [fleet.worker("a", "c", concurrency=3, claim=CLAIM, before=before) for _ in range(4)]
    plain = await sent(fleet.url, "a", 75) | await sent(fleet.url, "c", 75)
    runs = await leader.put(75, channel="a", seconds=0.05) | await leader.put(75, seconds=0.05)
    for number, member in enumerate(members):
        await fleet.diary.reaches(40 * (number + 1), "begin")
        member.stop()
        await member.ended()
        fleet.worker("a", "c", concurrency=3, claim=CLAIM)
    await leader.all_succeed(len(runs))
    assert not fleet.diary.audit().repeats
    await fleet.diary.reaches(len(runs | plain), "ok", within=10)
    seen, records = fleet.diary.audit(), await leader.records(runs)
    assert set(seen.handled) == runs | plain
    assert {(run.state, run.attempts) for run in records.values()} == {(State.SUCCEEDED, 1)}
    assert [member.status for member in members] == [0, 0, 0, 0]


async def test_a_worker_that_is_told_to_stop_finishes_what_it_has_begun(fleet: Fleet, leader: Leader) -> None:
    await rolled_out(fleet, leader)


async def test_one_that_does_not_listen_leaves_it_to_be_done_again(fleet: Fleet, leader: Leader) -> None:
    with pytest.raises(AssertionError):
        await rolled_out(fleet, leader, "support.handicaps.deaf_to_sigterm")


@pytest.mark.parametrize(("channel", "ends", "status"), [("a", ["cancelled"], 0), ("c", [], 1)], ids=["async", "sync"])
async def test_what_does_not_end_in_time_is_given_back_and_does_not_count(fleet: Fleet, leader: Leader, channel: str, ends: list[str], status: int) -> None:
    runs = await leader.put(3, channel=channel, hold=True)
    first = fleet.worker(channel, concurrency=3, drain=100, claim=MINUTE)
    await fleet.diary.reaches(3, "begin")
    first.stop()
    assert await first.ended() == status
    assert {entry.word for entry in fleet.diary.entries()} == {"begin", "died", *ends}
    fleet.diary.open_gate()
    fleet.worker(channel, concurrency=3, claim=MINUTE)
    await leader.all_succeed(3)
    seen, records = fleet.diary.audit(), await leader.records(runs)
    assert not seen.overlaps
    assert set(seen.handled) == runs
    assert not seen.doubled
    for run in records.values():
        assert run.attempts == 1
        assert [attempt.how for attempt in run.history] == ["given back", "succeeded"]


async def stood_still(fleet: Fleet, leader: Leader, *, fail: int, without: list[str]) -> None:
    """A worker stands still past its claim, and comes back while another is at work on its run."""
    (run,) = await leader.put(1, hold=True, fail=fail)
    sleeper = fleet.worker(without=without)
    await fleet.diary.reaches(1, "begin")
    sleeper.freeze()
    other = fleet.worker(claim=CLAIM)
    await fleet.diary.reaches(2, "begin")
    await leader.put(1)
    sleeper.thaw()
    fleet.diary.open_gate(attempt=1)
    await fleet.diary.reaches(3, "begin")  # it settles with the very call that takes the next
    found = (await leader.records([run]))[run]
    assert (found.state, found.attempts, found.error) == (State.RUNNING, 2, f"Lost: its worker {found.history[0].worker} gave no sign of life")
    fleet.diary.open_gate()
    await leader.all_succeed(2)
    found = (await leader.records([run]))[run]
    assert [attempt.how for attempt in found.history] == ["lost", "succeeded"]
    assert [int(attempt.worker.rpartition(":")[2]) for attempt in found.history] == [sleeper.pid, other.pid]
    stats = await leader.stats()
    assert (stats.failed, stats.retrying, stats.running) == (1, 0, 0)


@pytest.mark.parametrize("fail", [0, 1], ids=["ok", "failed"])
async def test_the_late_word_of_a_worker_that_stood_still_changes_nothing(fleet: Fleet, leader: Leader, fail: int) -> None:
    await stood_still(fleet, leader, fail=fail, without=[])


@pytest.mark.parametrize("fail", [0, 1], ids=["ok", "failed"])
async def test_without_its_token_it_would(fleet: Fleet, leader: Leader, fail: int) -> None:
    with pytest.raises(AssertionError):
        await stood_still(fleet, leader, fail=fail, without=["settle-token"])
