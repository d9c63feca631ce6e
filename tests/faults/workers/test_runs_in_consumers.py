"""What a consumer can ask about its run, and what becomes of a run that somebody cancels."""

import json
from typing import Any

import pytest

from channelbeat.core.runs import Policy, State
from support.fleet import SHORT, Fleet
from support.leading import Leader
from support.waiting import eventually

BARE = {"a bare thread", "an executor"}
"""Python gives these no context."""


async def ended(leader: Leader, runs: set[str], state: State) -> dict[str, Any]:
    """Their records."""

    async def all_are() -> bool:
        return set((await leader.states(runs)).values()) == {state}

    await eventually(all_are, what=f"all runs to be {state}")
    return await leader.records(runs)


@pytest.mark.parametrize("channel", ["c", "a"], ids=["sync", "async"])
async def test_the_current_run_is_found_in_tasks_and_threads(fleet: Fleet, leader: Leader, channel: str) -> None:
    """By each of three slots its own, while all are at work."""
    runs = await leader.put(3, channel=channel, hold=True)
    fleet.worker(channel, application="knowing.application", concurrency=3, claim=SHORT)
    await fleet.diary.reaches(3, "begin")
    fleet.diary.open_gate()
    for run, record in (await ended(leader, runs, State.SUCCEEDED)).items():
        said = json.loads(record.result)
        assert said.pop("seen") == {place: None if place in BARE else run for place in said_places(record.result)}
        assert said == {"attempt": 1, "event": "default/t/e", "channel": channel}


def said_places(result: str) -> list[str]:
    places = list(json.loads(result)["seen"])
    assert len(places) >= 7
    return places


@pytest.mark.parametrize("channel", ["c", "a"], ids=["sync", "async"])
async def test_a_plain_message_has_none(fleet: Fleet, leader: Leader, channel: str) -> None:
    """Not even after a run, in the same consumer."""
    runs = await leader.put(1, channel=channel)
    fleet.worker(channel, application="knowing.application")
    await ended(leader, runs, State.SUCCEEDED)
    await leader.broker._layer.send(channel, {"type": "work", "name": "plain"})
    await eventually(lambda: fleet.diary.handled() == {"plain"})


@pytest.mark.parametrize("channel", ["c", "a"], ids=["sync", "async"])
async def test_one_that_is_queued_is_cancelled_at_once(fleet: Fleet, leader: Leader, channel: str) -> None:
    first, second = await leader.put(1, channel=channel), await leader.put(1, channel=channel)
    assert await leader.runs.cancel(*first) is State.QUEUED
    fleet.worker(channel, claim=SHORT)
    await ended(leader, second, State.SUCCEEDED)
    assert await leader.states(first) == dict.fromkeys(first, State.CANCELLED)
    assert fleet.diary.audit().begun == dict.fromkeys(second, 1)


async def test_an_async_one_that_runs_is_cancelled_and_not_tried_again(fleet: Fleet, leader: Leader) -> None:
    """The consumer can see it coming, and its slot goes on."""
    (run,) = await leader.put(1, channel="a", hold=True)
    worker = fleet.worker("a", claim=SHORT)
    await fleet.diary.reaches(1, "begin")
    assert await leader.runs.cancel(run) is State.RUNNING
    (record,) = (await ended(leader, {run}, State.CANCELLED)).values()
    assert [attempt.how for attempt in record.history] == ["cancelled"]
    assert fleet.diary.count("cancelled") == 1
    await ended(leader, await leader.put(3, channel="a"), State.SUCCEEDED)
    assert worker.status is None


async def told(leader: Leader) -> None:
    """The only worker has renewed its claims once more, and so knows who wants its run cancelled."""
    (before,) = await leader.broker.listeners()

    async def again() -> bool:
        (now,) = await leader.broker.listeners()
        return now.seen > before.seen

    await eventually(again, what="the worker to renew its claims")


@pytest.mark.parametrize(("fail", "state"), [(0, State.SUCCEEDED), (9, State.CANCELLED)], ids=["succeeds", "fails"])
async def test_a_sync_one_that_runs_ends_by_itself(fleet: Fleet, leader: Leader, fail: int, state: State) -> None:
    """And is not tried again, if it fails."""
    (run,) = await leader.put(1, hold=True, fail=fail)
    worker = fleet.worker("c", claim=SHORT)
    await fleet.diary.reaches(1, "begin")
    assert await leader.runs.cancel(run) is State.RUNNING
    await told(leader)
    (other,) = await leader.put(1, hold=True)
    fleet.worker("c", claim=SHORT)
    await fleet.diary.reaches(2, "begin")
    fleet.diary.open_gate()
    await ended(leader, {run}, state)
    await ended(leader, {other}, State.SUCCEEDED)
    assert fleet.diary.audit().begun == {run: 1, other: 1}
    assert worker.status is None


async def test_one_that_waits_for_its_next_attempt_is_cancelled_at_once(fleet: Fleet, leader: Leader) -> None:
    (run,) = await leader.put(1, policy=Policy(limit=1, backoff=60_000), fail=1)
    fleet.worker("c", claim=SHORT)
    await ended(leader, {run}, State.RETRYING)
    assert await leader.runs.cancel(run) is State.RETRYING
    assert await leader.states([run]) == {run: State.CANCELLED}
    assert (await leader.broker.stats(["default/t/e"]))["default/t/e"].retrying == 0
