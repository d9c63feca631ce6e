"""What a schedule's status, Events and log say of its workers, as a real API server gets it: soon what people wait for, and the rest in passing."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.core.finding import Finding
from channelbeat.core.instants import MINUTE, SECOND
from channelbeat.core.layer import LayerSettings
from channelbeat.core.scaling import Decision, Reason
from channelbeat.core.workers import Workers
from support.beats import Beats
from support.clock import ManualClock
from support.cluster import ControlPlane
from support.redis import RedisServer
from support.reporting import Replica

NIGHTLY = {"name": "nightly", "cron": "30 2 1 1 *"}
"""Of one night a year: so it is due in no test."""
WORKER = {"templateFrom": {"name": "web"}}
IDLE = Workers("t-worker", 0, 0, Decision(0, Reason.ZERO, "nothing waits, is in flight or is due soon"))
STARTS = Workers("t-worker", 2, 0, Decision(2, Reason.LOAD, "150 waiting and 0 in flight call for 2"))
READY = Workers("t-worker", 2, 2, STARTS.decision)
NO_IMAGE = Workers("t-worker", 2, 0, STARTS.decision, Finding("ImageCannotBePulled", "image 'shop:1.5' cannot be pulled: correct it"))
CRASHES = Workers("t-worker", 2, 0, STARTS.decision, Finding("CrashLoop", "they crash again and again: see their log"))


@pytest.fixture
def layers(redis: "Redis", redis_server: RedisServer, namespace: str) -> dict[str, LayerSettings]:
    return {"default": LayerSettings("default", redis_server.url, prefix=namespace)}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def replica(kube: ControlPlane, namespace: str, layers: dict[str, LayerSettings], clock: ManualClock) -> Replica:
    return Replica(kube, namespace, layers, clock=clock)


def workers_ready(replica: Replica, name: str = "t") -> tuple[str, str]:
    return replica.condition(name, "WorkersReady")


def message(replica: Replica, type_: str = "WorkersReady") -> Any:
    return next(one["message"] for one in replica.status("t")["conditions"] if one["type"] == type_)


async def becomes(replica: Replica, workers: Workers, says: tuple[str, str]) -> None:
    """Within a second and a half, and everything that follows from it has happened."""
    replica.staff("t", workers)
    await replica.pass_time(3 * SECOND // 2)
    assert workers_ready(replica) == says
    await replica.pass_time(3 * SECOND)
    await replica.seen("t")


async def settled(replica: Replica, workers: Workers = IDLE) -> None:
    """With these workers from the beginning, as far as the test goes."""
    replica.staff("t", workers)
    await replica.seen("t")
    await replica.pass_until(lambda: replica.condition("t") == ("True", "Scheduled") and "workers" in replica.status("t"))
    await replica.pass_time(5 * SECOND)
    await replica.seen("t")


async def test_from_none_to_ready_each_step_is_written_within_a_second(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY, worker=WORKER)
    async with replica.running():
        await replica.seen("t")
        await replica.pass_time(2 * SECOND)
        assert (workers_ready(replica), "workers" in replica.status("t")) == (("Unknown", "Settling"), False)
        await becomes(replica, IDLE, ("True", "ScaledToZero"))
        assert replica.status("t")["workers"] == {"summary": "0/0", "reason": "Zero", "ready": 0, "desired": 0}
        await becomes(replica, STARTS, ("False", "Starting"))
        assert message(replica) == "0 of 2 ready, they are being started: 150 waiting and 0 in flight call for 2"
        await becomes(replica, READY, ("True", "AllReady"))
        assert replica.status("t")["workers"] == {"summary": "2/2", "reason": "Load", "ready": 2, "desired": 2}
        assert replica.condition("t") == ("True", "Scheduled")
        before = replica.writes["written"]
        await becomes(replica, replace(IDLE, ready=2), ("True", "ScaledToZero"))
        await becomes(replica, replace(IDLE, ready=1), ("True", "ScaledToZero"))
        await becomes(replica, IDLE, ("True", "ScaledToZero"))
        assert (replica.writes["written"], replica.status("t")["workers"]["summary"]) == (before + 1, "0/0")
        told = [one for one in replica.kube.api.get(f"/api/v1/namespaces/{replica.namespace}/events")["items"] if one["reason"] == "Scaled"]
        assert sorted((one["type"], one["message"]) for one in told) == [
            ("Normal", "from 0 to 2 workers: 150 waiting and 0 in flight call for 2"),
            ("Normal", "from 2 to 0 workers: nothing waits, is in flight or is due soon"),
        ]


async def test_the_columns_have_ready_and_wanted_workers(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY, worker=WORKER)
    async with replica.running():
        await settled(replica, NO_IMAGE)
        shown = await asyncio.to_thread(replica.kube.kubectl, "get", "-n", replica.namespace, "beat", "t", "-o", "wide")
        columns, row = shown.splitlines()
        assert row[columns.index("WORKERS") :].split()[0] == "0/2"
        assert row[columns.index("READY") :].split()[0] == "True"
        assert row.endswith("what is due is sent; for its workers see the condition WorkersReady (ImageCannotBePulled)")


async def test_a_load_that_changes_is_written_every_five_minutes_and_not_at_all_while_it_does_not(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY, worker=WORKER)

    def waits(number: int) -> Workers:
        return Workers("t-worker", 2, 2, Decision(2, Reason.LOAD, f"{number} waiting and 0 in flight call for 2"))

    async with replica.running():
        await settled(replica, waits(150))
        await replica.pass_time(5 * MINUTE, step=10 * SECOND)
        before = replica.writes["written"]
        for number in range(151, 151 + 12 * 60, 5):
            replica.staff("t", waits(number))
            await replica.pass_time(5 * SECOND, step=5 * SECOND)
        assert 2 <= replica.writes["written"] - before <= 3
        await replica.pass_time(10 * MINUTE, step=10 * SECOND)
        assert message(replica).startswith("2 of 2 ready: 866 waiting")
        before = replica.writes["written"]
        for _ in range(60):
            replica.staff("t", waits(866))
            await replica.pass_time(10 * SECOND, step=5 * SECOND)
        assert replica.writes["written"] == before
        assert ("Normal", "Scaled") not in replica.events()


async def test_trouble_and_its_end_are_told_by_events_and_in_the_log(replica: Replica, beats: Beats, caplog: pytest.LogCaptureFixture) -> None:
    beats.put(NIGHTLY, worker=WORKER)
    with caplog.at_level(logging.INFO, "channelbeat.workers"):
        async with replica.running():
            await settled(replica, STARTS)
            await becomes(replica, NO_IMAGE, ("False", "ImageCannotBePulled"))
            assert message(replica) == "image 'shop:1.5' cannot be pulled: correct it"
            assert (replica.condition("t"), replica.condition("t", "Stalled")) == (("True", "Scheduled"), ("False", "NotStalled"))
            await becomes(replica, READY, ("True", "AllReady"))
            assert replica.condition("t") == ("True", "Scheduled")
            assert message(replica, "Ready") == "what is due is sent"
            assert {("Warning", "ImageCannotBePulled"), ("Normal", "AllReady")} <= {*replica.events()}
    lines = [(one.levelname, one.getMessage().removeprefix(f"workers of {replica.namespace}/")) for one in caplog.records]
    assert lines == [
        ("WARNING", "t: ImageCannotBePulled: image 'shop:1.5' cannot be pulled: correct it"),
        ("INFO", "t: AllReady: 2 of 2 ready: 150 waiting and 0 in flight call for 2"),
    ]


async def test_workers_that_crash_again_and_again_are_told_once(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY, worker=WORKER)
    async with replica.running():
        await settled(replica, STARTS)
        await becomes(replica, CRASHES, ("False", "CrashLoop"))
        replica.staff("t", replace(CRASHES, decision=IDLE.decision))
        await replica.pass_until(lambda: replica.status("t")["workers"]["reason"] == "Zero")  # the routine write of the next five minutes
        await replica.seen("t")
        before = replica.writes["written"]
        for _ in range(10):
            await becomes(replica, STARTS, ("False", "CrashLoop"))
            await becomes(replica, CRASHES, ("False", "CrashLoop"))
        assert replica.writes["written"] == before
        assert replica.events().count(("Warning", "CrashLoop")) == 1


async def test_who_leads_next_says_of_workers_what_was_said_until_it_knows(
    kube: ControlPlane, replica: Replica, beats: Beats, layers: Any, clock: ManualClock
) -> None:
    beats.put(NIGHTLY, worker=WORKER)
    async with replica.running():
        await settled(replica, NO_IMAGE)
        before = replica.status("t")
    async with Replica(kube, replica.namespace, layers, clock=clock).running() as second:
        await second.seen("t")
        await second.pass_time(MINUTE)
        assert (second.status("t"), second.writes) == (before, {})
        second.staff("t", NO_IMAGE)
        await second.pass_time(5 * SECOND)
        assert second.writes == {}
        await becomes(second, READY, ("True", "AllReady"))


async def test_workers_that_are_taken_out_of_the_spec_are_somebody_elses(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY, worker=WORKER)
    async with replica.running():
        await settled(replica, READY)
        del replica.workers[f"{replica.namespace}/t"]
        beats.put(NIGHTLY)
        await replica.pass_until(lambda: workers_ready(replica) == ("True", "NotManaged"))
        assert "workers" not in replica.status("t")


@pytest.fixture
def waits(redis: "Redis", namespace: str) -> Callable[[], Any]:
    """A run that nobody takes."""

    async def put() -> None:
        root = f"channelbeat:{namespace}:"
        await redis.zadd(f"{root}queue:c", {f"{namespace}/t/e/2025-06-02T12:00:01Z": 1})
        await redis.sadd(f"{root}channels", "c")

    return put


async def test_a_channel_whose_workers_are_being_started_is_not_unattended_and_one_whose_workers_cannot_start_is(
    replica: Replica, beats: Beats, waits: Callable[[], Any]
) -> None:
    beats.put({"name": "e", "every": "8760h"}, delivery="AtLeastOnce", worker=WORKER)
    async with replica.running():
        await settled(replica, STARTS)
        await waits()
        await replica.pass_until(lambda: any(replica.engine.hindrances()), step=SECOND)
        await replica.pass_time(3 * MINUTE)
        assert (replica.condition("t"), workers_ready(replica)) == (("True", "Scheduled"), ("False", "Starting"))
        await becomes(replica, NO_IMAGE, ("False", "ImageCannotBePulled"))
        assert replica.condition("t") == ("False", "Unattended")
        assert message(replica, "Ready") == "its runs wait, and no worker takes them (ImageCannotBePulled): image 'shop:1.5' cannot be pulled: correct it"
        await becomes(replica, STARTS, ("False", "Starting"))
        assert replica.condition("t") == ("False", "Unattended")
        await becomes(replica, READY, ("True", "AllReady"))
        assert replica.condition("t") == ("False", "Unattended")
        assert "no runworker of channelbeat listens on it" in message(replica, "Ready")
