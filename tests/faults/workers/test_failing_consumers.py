"""A consumer raises whatever there is, or returns it: the attempt ends, the error is kept, and neither its worker nor its channel suffers."""

import pytest
from redis.asyncio import Redis

from channelbeat.core.runs import FINAL, Policy, State
from support.fleet import AMPLE, Fleet
from support.leading import Leader
from support.waiting import eventually

TWICE = Policy(limit=1, backoff=1, timeout=20_000)
SAYS = {
    "plain": "ValueError: boom",
    "silent": "ValueError",
    "lines": "ValueError: one two three \0",
    "unsayable": "Unsayable",
    "unspeakable": "Unspeakable",
    "unformattable": "SyntaxError: odd",
    "huge": "ValueError: " + "x" * 488,
    "surrogates": "ValueError: half of \\ud83d",
    "group": "ExceptionGroup: several (2 sub-exceptions)",
    "base group": "BaseExceptionGroup: several (2 sub-exceptions)",
    "chained": "ValueError: number 299",
    "circular": "ValueError: round",
    "cancelled": "CancelledError",
    "timeout": "TimeoutError",
    "interrupt": "KeyboardInterrupt",
    "exit": "SystemExit: 3",
    "generator exit": "GeneratorExit",
    "memory": "MemoryError",
    "odd": "Odd: no Exception",
    "lost": "ConnectionResetError: its own Redis",
    "async iteration": "StopAsyncIteration",
}
IN_A_THREAD = {"generator exit": "RuntimeError: coroutine ignored GeneratorExit"}  # those are Python's words
ENDS = {"exit": "SystemExit: 3", "exit in a task": "SystemExit: 3", "interrupt in a task": "KeyboardInterrupt"}


async def ended(leader: Leader, runs: dict[str, str]) -> dict[str, tuple[State, int, str | None]]:
    """What each name's run came to: state, attempts and error."""

    async def final() -> bool:
        return all(state in FINAL for state in (await leader.states(runs.values())).values())

    await eventually(final, 40, what="the end of every run")
    records = await leader.records(runs.values())
    return {name: (records[run].state, records[run].attempts, records[run].error) for name, run in runs.items()}


@pytest.mark.parametrize("channel", ["c", "a"], ids=["sync", "async"])
async def test_it_raises(fleet: Fleet, leader: Leader, channel: str) -> None:
    runs = {name: (await leader.put(1, channel=channel, policy=TWICE, how="raise", error=name)).pop() for name in SAYS}
    runs["recurse"] = (await leader.put(1, channel=channel, policy=TWICE, how="recurse")).pop()
    worker = fleet.worker(channel, application="misbehaving.application", claim=AMPLE, concurrency=2)
    found = await ended(leader, runs)
    says = {**SAYS, **(IN_A_THREAD if channel == "c" else {})}
    recursion = found.pop("recurse")
    assert found == {name: (State.DEAD, 2, said) for name, said in says.items()}
    assert recursion[:2] == (State.DEAD, 2)
    assert str(recursion[2]).startswith("RecursionError: maximum recursion depth exceeded")
    records = await leader.records(runs.values())
    assert all(record.trace is not None and len(record.trace) <= 4_000 for record in records.values())
    assert [attempt.how for record in records.values() for attempt in record.history] == ["failed"] * 2 * len(runs)
    assert worker.status is None
    assert fleet.diary.audit().handled == {}


@pytest.mark.parametrize("channel", ["c", "a"], ids=["sync", "async"])
async def test_it_raises_over_a_message_that_nobody_remembers(redis: Redis, fleet: Fleet, leader: Leader, channel: str) -> None:
    """It is logged, and that is all. (Python's logging has words of its own for one whose traceback cannot be formatted.)"""
    layer = leader.broker._layer
    for name in SAYS:
        await layer.send(channel, {"type": "work", "how": "raise", "error": name, "beat": {"run": name}})
    await layer.send(channel, {"type": "work", "how": "return", "beat": {"run": "the last"}})
    worker = fleet.worker(channel, application="misbehaving.application", claim=AMPLE)
    await eventually(lambda: fleet.diary.audit().handled == {"the last": 1})
    assert worker.log.count("ERROR channelbeat.worker: Exception inside application: ") == len(SAYS) - 1
    assert worker.status is None


@pytest.mark.parametrize("channel", ["c", "a"], ids=["sync", "async"])
async def test_it_leaves_in_good_order(fleet: Fleet, leader: Leader, channel: str) -> None:
    runs = {how: (await leader.put(1, channel=channel, policy=TWICE, how=how)).pop() for how in ("stop", "return")}
    fleet.worker(channel, application="misbehaving.application", claim=AMPLE)
    assert await ended(leader, runs) == dict.fromkeys(runs, (State.SUCCEEDED, 1, None))


@pytest.mark.parametrize(("channel", "how"), [("c", "exit"), ("a", "exit"), ("a", "exit in a task"), ("a", "interrupt in a task")])
async def test_it_wants_to_end_the_process(fleet: Fleet, leader: Leader, channel: str, how: str) -> None:
    """Beside another slot's attempt, which goes on."""
    (beside,) = await leader.put(1, channel=channel, policy=TWICE, how="hold")
    worker = fleet.worker(channel, application="misbehaving.application", claim=AMPLE, concurrency=2)
    await eventually(lambda: fleet.diary.count("begin") == 1)
    runs = {how: (await leader.put(1, channel=channel, policy=TWICE, how=how)).pop()}
    assert await ended(leader, runs) == {how: (State.DEAD, 2, ENDS[how])}
    fleet.diary.open_gate()
    assert await ended(leader, {"beside": beside}) == {"beside": (State.SUCCEEDED, 1, None)}
    assert worker.status is None
