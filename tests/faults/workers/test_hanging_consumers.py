"""A consumer takes too long, cannot be interrupted, or takes its process with it: the attempt fails, and no attempt of a run ever overlaps another."""

import pytest

from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.runs import FINAL, Policy, State
from support.fleet import SHORT, Fleet, Member
from support.leading import Leader
from support.waiting import eventually

TIMEOUT = 300
TWICE = Policy(limit=1, backoff=1, timeout=TIMEOUT)
TIMED_OUT = f"TimeoutError: attempt took longer than {TIMEOUT / 1000:g} s"
HOW = {
    ("a", "hang"): "timeout",
    ("c", "hang"): "timeout",
    ("a", "block"): "timeout",
    ("a", "swallow"): "timeout",
    ("a", "thread"): "timeout",
    ("a", "slow end"): "timeout",
    ("c", "stdout"): "timeout",
    ("a", "vanish"): "lost",
    ("c", "vanish"): "lost",
    ("a", "exit"): "failed",
    ("c", "exit"): "failed",
}
"""How each attempt of those ends by itself, by channel and `how`."""
BY_A_NEIGHBOUR = {"lost", "timeout"}
"""`vanish` takes the process of both, `block` the event loop until it is too late for both."""


PATIENT = 20 * SECOND
"""The grace of a worker that is to live on."""


def worker(fleet: Fleet, concurrency: int, *before: str, grace: Ms = 200) -> Member:
    return fleet.worker("c", "a", application="misbehaving.application", concurrency=concurrency, claim=SHORT, grace=grace, before=before)


async def worked_off(fleet: Fleet, leader: Leader, runs: set[str], workers: int, concurrency: int, *before: str) -> None:
    """Until all runs have ended, by so many workers; for one that ends another begins."""
    alive = [worker(fleet, concurrency, *before) for _ in range(workers)]

    async def ended() -> bool:
        for place, one in enumerate(alive):
            if one.status is not None:
                alive[place] = worker(fleet, concurrency, *before)
        return all(state in FINAL for state in (await leader.states(runs)).values())

    await eventually(ended, 45, what="the end of every run")


async def test_no_attempt_overlaps_another_of_its_run(fleet: Fleet, leader: Leader) -> None:
    runs = {case: (await leader.put(1, channel=case[0], policy=TWICE, how=case[1])).pop() for case in HOW}
    good = set[str]()
    for channel in ("c", "a"):
        good |= await leader.put(20, channel=channel, how="return")
    await worked_off(fleet, leader, {*runs.values(), *good}, workers=3, concurrency=2)
    assert fleet.diary.count("overlap") == 0
    torn = {member.pid for member in fleet.members if member.status}  # such a process may end when a handler has returned and nobody could be told
    assert {again.run for again in fleet.diary.audit().repeats if again.end == "ok" and again.pid not in torn} == set()
    assert set((await leader.states(good)).values()) == {State.SUCCEEDED}
    records = await leader.records(runs.values())
    assert {case: (records[run].state, records[run].attempts) for case, run in runs.items()} == dict.fromkeys(HOW, (State.DEAD, 2))
    last = {case: records[run].history[-1].how for case, run in runs.items()}
    assert {case: how for case, how in last.items() if how not in {HOW[case], *BY_A_NEIGHBOUR}} == {}


@pytest.mark.parametrize(("before", "channel", "how", "seconds"), [("careless", "c", "brief", 5), ("hasty", "c", "hang", 0)])
async def test_they_would_overlap(fleet: Fleet, leader: Leader, before: str, channel: str, how: str, seconds: float) -> None:
    """If a worker took no notice of its threads, or lived on after it gave up an attempt."""
    await leader.put(1, channel=channel, policy=TWICE, how=how, seconds=seconds)
    for _ in range(2):
        worker(fleet, 1, f"misbehaving.{before}")
    await eventually(lambda: fleet.diary.count("overlap") == 1)


@pytest.mark.parametrize(
    ("channel", "how", "ends"),
    [("a", "hang", False), ("a", "slow end", False), ("c", "hang", True), ("a", "block", True), ("a", "swallow", True), ("c", "stdout", True)],
)
async def test_whether_its_worker_ends(fleet: Fleet, leader: Leader, channel: str, how: str, ends: bool) -> None:
    (run,) = await leader.put(1, channel=channel, policy=TWICE._replace(limit=0), how=how)
    first = worker(fleet, 1, grace=200 if ends else PATIENT)
    await eventually(lambda: _is(leader, run, State.DEAD))
    record = (await leader.records([run]))[run]
    assert (record.error, [attempt.how for attempt in record.history]) == (TIMED_OUT, ["timeout"])
    if ends:
        await eventually(lambda: first.status == 1)
    else:
        (good,) = await leader.put(1, channel=channel, how="return")
        await eventually(lambda: _is(leader, good, State.SUCCEEDED))
        assert first.status is None


async def test_a_thread_that_ends_soon_after_its_time_counts_as_it_ended(fleet: Fleet, leader: Leader) -> None:
    (run,) = await leader.put(1, policy=TWICE, how="brief", seconds=TIMEOUT / 1000 + 0.1)
    fleet.worker("c", application="misbehaving.application", grace=PATIENT)
    await eventually(lambda: _is(leader, run, State.SUCCEEDED))


async def test_an_iteration_that_ends_in_a_thread_is_never_heard_of_and_times_out(fleet: Fleet, leader: Leader) -> None:
    """asyncio in Python 3.11 cannot pass on StopIteration."""
    (run,) = await leader.put(1, policy=TWICE, how="raise", error="iteration")
    first = worker(fleet, 1, grace=PATIENT)
    await eventually(lambda: _is(leader, run, State.DEAD))
    assert first.status is None


async def test_one_bad_slot_does_not_stop_the_others_before_it_must(fleet: Fleet, leader: Leader) -> None:
    (bad,) = await leader.put(1, policy=TWICE._replace(timeout=6_000), how="hang")  # long enough for all that comes before its end
    first = worker(fleet, 3)
    await eventually(lambda: fleet.diary.count("begin") == 1)
    early = await leader.put(40, how="return")
    await eventually(lambda: _all(leader, early))
    assert (await leader.states([bad])) == {bad: State.RUNNING}
    held = await leader.put(2, policy=TWICE._replace(timeout=60_000), how="hold")
    await eventually(lambda: "this worker takes nothing more" in first.log, 20)
    late = await leader.put(3, how="return")
    assert first.status is None
    assert set((await leader.states(held)).values()) == {State.RUNNING}
    fleet.diary.open_gate()
    await eventually(lambda: first.status == 1)
    assert (await leader.states({*held, *late, bad})).pop(bad) in (State.RETRYING, State.QUEUED)
    assert set((await leader.states(held)).values()) == {State.SUCCEEDED}
    assert set((await leader.states(late)).values()) == {State.QUEUED}
    assert fleet.diary.audit().repeats == []


async def _is(leader: Leader, run: str, state: State) -> bool:
    return (await leader.states([run])) == {run: state}


async def _all(leader: Leader, runs: set[str]) -> bool:
    return set((await leader.states(runs)).values()) == {State.SUCCEEDED}
