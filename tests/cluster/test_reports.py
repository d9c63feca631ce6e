"""Status, as a real API server gets it from a real engine: when it is written, how often, and what when the answer is no, or none."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.cluster import drafting
from channelbeat.core import instants, status
from channelbeat.core.finding import Finding
from channelbeat.core.instants import HOUR, MINUTE, SECOND
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Kind, Outcome
from channelbeat.core.parse import Fault
from channelbeat.core.runs import Finished, State
from channelbeat.core.scaling import Decision
from channelbeat.core.scaling import Reason as Why
from channelbeat.core.status import Coming, EventFacts, Facts
from channelbeat.core.tally import Tally
from channelbeat.core.verdicts import Case
from channelbeat.core.workers import Workers
from channelbeat.errors import ApiRefused
from support.beats import Beats
from support.clock import ManualClock
from support.cluster import CRDS, ControlPlane
from support.cluster_api import Refused
from support.redis import RedisServer
from support.reporting import Replica
from support.waiting import eventually, until

NIGHTLY = {"name": "nightly", "cron": "30 2 1 1 *"}
"""Of one night a year: what is due at some time of each day, or hour, is due in the middle of a test at that time."""
NEVER = "8760h"
READY = ("True", "Scheduled")


@pytest.fixture
def layers(redis: "Redis", redis_server: RedisServer, namespace: str) -> dict[str, LayerSettings]:
    return {"default": LayerSettings("default", redis_server.url, prefix=namespace, capacity=1_000_000)}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def replica(kube: ControlPlane, namespace: str, layers: dict[str, LayerSettings], clock: ManualClock) -> Replica:
    return Replica(kube, namespace, layers, clock=clock)


async def ready(replica: Replica, *names: str, says: tuple[str, str] = READY) -> None:
    """Wait until all are, and everything that follows from it has happened."""
    await replica.seen(*names)
    for name in names:
        await replica.pass_until(lambda name=name: replica.condition(name) == says)
    await replica.pass_time(5 * SECOND)
    await replica.seen(*names)


@asynccontextmanager
async def emptied(redis: "Redis", key: str) -> AsyncIterator[None]:
    """A consumer that takes all there is."""
    enough = asyncio.Event()

    async def consume() -> None:
        while not enough.is_set():
            await redis.delete(key)
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        group.create_task(consume())
        try:
            yield
        finally:
            enough.set()


def missed(replica: Replica, count: int, name: str = "t", event: str = "nightly") -> None:
    """So many occurrences were not sent."""
    now = replica.clock.now()
    replica.reporter.record([Outcome(f"{replica.namespace}/{name}", event, now, Kind.MISSED, now, count=count)])


async def test_all_conditions_are_there_on_first_sight(kube: ControlPlane, beats: Beats, namespace: str, clock: ManualClock) -> None:
    beats.put(NIGHTLY)
    async with Replica(kube, namespace, {"default": LayerSettings("default", "redis://127.0.0.1:1")}, clock=clock).running() as replica:
        await replica.seen("t")
        await replica.pass_time(2 * SECOND)
        found = {one["type"]: (one["status"], one["reason"], one["observedGeneration"]) for one in replica.status("t")["conditions"]}
        assert found == {
            "Ready": ("Unknown", "Settling", 1),
            "Accepted": ("True", "Accepted", 1),
            "WorkersReady": ("True", "NotManaged", 1),
            "Stalled": ("False", "NotStalled", 1),
        }


async def test_kubectl_waits_for_ready_of_an_edit(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY)
    async with replica.running():
        await ready(replica, "t")
        beats.patch(timeZone="Europe/Berlin")
        await replica.seen("t")
        await replica.pass_time(SECOND)
        waited = await asyncio.to_thread(replica.kube.kubectl, "wait", "-n", replica.namespace, "beat/t", "--for=condition=Ready", "--timeout=5s")
        assert "condition met" in waited
        assert (replica.status("t")["observedGeneration"], replica.status("t")["next"][-6:]) == (2, "+01:00")


async def test_nothing_is_written_while_nothing_happens(replica: Replica, beats: Beats, clock: ManualClock) -> None:
    beats.put({"name": "yearly", "cron": "0 0 1 1 *"})
    async with replica.running():
        await ready(replica, "t")
        before, version = +replica.writes, replica.get("t")["metadata"]["resourceVersion"]
        await replica.pass_time(HOUR, step=MINUTE)
        assert (replica.writes, replica.get("t")["metadata"]["resourceVersion"]) == (before, version)


async def test_what_fires_is_written_soon_and_then_every_five_minutes(replica: Replica, beats: Beats, clock: ManualClock) -> None:
    beats.put({"name": "often", "every": "1s"})
    async with replica.running():
        await ready(replica, "t")
        conditions = replica.writes["written"]
        await replica.pass_until(lambda: replica.writes["written"] > conditions)
        first, told = replica.writes["written"], replica.event("t", "often")["lastScheduleTime"]
        await replica.pass_time(4 * MINUTE + 50 * SECOND, step=SECOND)
        assert (replica.writes["written"], replica.event("t", "often")["lastScheduleTime"]) == (first, told)
        await replica.pass_time(11 * SECOND, step=SECOND)
        assert (replica.writes["written"], replica.event("t", "often")["lastScheduleTime"] > told) == (first + 1, True)
        await replica.pass_time(10 * MINUTE, step=SECOND)
        assert replica.writes["written"] == first + 3
        assert replica.status("t")["next"] == "every 1s"
        assert set(replica.events()) == {("Normal", "Scheduled")}


async def test_a_hurry_of_news_is_one_write(replica: Replica, beats: Beats, clock: ManualClock) -> None:
    beats.put(NIGHTLY, {"name": "b", "every": NEVER})
    async with replica.running():
        await ready(replica, "t")
        before = replica.writes["written"]
        for number in range(20):
            replica.reporter.answered(f"{replica.namespace}/t", "b" if number % 2 else "nightly", f"{number} enqueued")
            await replica.pass_time(20)
        missed(replica, 3)
        await replica.pass_time(SECOND)
        assert replica.writes["written"] == before + 1
        assert replica.event("t", "nightly")["notSent"] == 3
        assert [replica.event("t", name)["lastHandledTrigger"] for name in ("nightly", "b")] == ["18 enqueued", "19 enqueued"]
        await eventually(lambda: replica.events().count(("Normal", "Triggered")) == 2)


async def test_an_answer_is_there_within_a_second(replica: Replica, beats: Beats, clock: ManualClock) -> None:
    beats.put(NIGHTLY)
    async with replica.running():
        await ready(replica, "t")
        replica.reporter.answered(f"{replica.namespace}/t", "nightly", "2026 Expired: too old")
        await replica.pass_time(600, step=100)
        assert replica.event("t", "nightly")["lastHandledTrigger"] == "2026 Expired: too old"
        await eventually(lambda: ("Warning", "TriggerRefused") in replica.events())


async def test_an_answer_about_an_event_that_is_not_there_is_told(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY)
    async with replica.running():
        await ready(replica, "t")
        before = replica.writes["written"]
        replica.reporter.answered(f"{replica.namespace}/t", "nigthly", "2026 NoSuchEvent: did you mean nightly?")
        await replica.pass_until(lambda: ("Warning", "TriggerRefused") in replica.events())
        assert replica.writes["written"] == before


async def test_an_answer_that_was_not_written_before_the_lead_was_lost_is_not_written_later(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY)
    async with replica.running():
        await ready(replica, "t")
        replica.lease.held = False
        replica.reporter.answered(f"{replica.namespace}/t", "nightly", "2026 enqueued")
        await replica.pass_time(5 * SECOND)
        replica.lease.held = True
        await replica.pass_time(MINUTE)
        assert "lastHandledTrigger" not in replica.event("t", "nightly")


async def test_who_cannot_tell_now_and_then_whether_it_leads_writes_all_the_same(replica: Replica, beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    beats.put({"name": "often", "every": "10s"})
    async with replica.running():
        await ready(replica, "t")
        monkeypatch.setattr(replica.lease, "lost", lambda: False)
        await replica.pass_time(MINUTE)
        told = replica.event("t", "often")["lastScheduleTime"]
        for _ in range(3):
            await replica.pass_time(2 * MINUTE, step=SECOND)
            replica.lease.held = False
            await replica.pass_time(5 * SECOND)
            before = replica.writes["written"]
            await replica.pass_time(5 * SECOND)
            assert replica.writes["written"] == before
            replica.lease.held = True
        assert replica.event("t", "often")["lastScheduleTime"] > told


async def test_who_does_not_lead_writes_nothing(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY)
    async with replica.running(leads=False):
        await replica.seen("t")
        await replica.pass_time(MINUTE)
        assert (replica.writes, replica.get("t").get("status")) == ({}, None)
        replica.lease.held = True
        replica.engine.wake()
        await ready(replica, "t")


@pytest.mark.parametrize("leads", [False, True], ids=["having seen all", "before it has seen anything"])
async def test_a_second_leader_writes_nothing_that_is_there(
    kube: ControlPlane, beats: Beats, replica: Replica, layers: Any, clock: ManualClock, leads: bool
) -> None:
    beats.put(NIGHTLY, {"name": "often", "every": "5s"}, timeZone="Europe/Berlin")
    beats.put(NIGHTLY, name="idle", suspend=True)
    async with replica.running():
        await ready(replica, "t")
        missed(replica, 4)
        await replica.pass_time(10 * MINUTE, step=5 * SECOND)
        before = replica.status("t")
    assert before["eventStatuses"][0]["notSent"] == 4
    async with Replica(kube, replica.namespace, layers, clock=clock).running(leads=leads) as second:
        await second.seen("t", "idle")
        second.lease.held = True
        second.engine.wake()
        await second.pass_time(MINUTE)
        assert (second.status("t"), second.writes, second.condition("idle")) == (before, {}, ("True", "Suspended"))
        missed(second, 2)
        await second.pass_time(3 * MINUTE, step=SECOND)
        assert second.writes == {}  # the first may have written a moment before
        await second.pass_until(lambda: second.event("t", "nightly")["notSent"] == 6, step=5 * SECOND)
        assert second.writes["written"] == 1


async def test_a_redis_outage_is_written_after_a_minute_and_no_faster_than_allowed(
    kube: ControlPlane, namespace: str, beats: Beats, own_redis: RedisServer, clock: ManualClock
) -> None:
    names = [f"t{i}" for i in range(12)]
    for name in names:
        beats.put({"name": "e", "every": NEVER, "missed": {"policy": "Skip"}}, name=name)
    layers = {"default": LayerSettings("default", own_redis.url, prefix=namespace)}
    async with Replica(kube, namespace, layers, clock=clock, rate=2.0).running() as replica:
        for name in names:
            await replica.pass_until(lambda name=name: replica.condition(name) == READY)
        await replica.pass_until(lambda: replica.writes["event"] == len(names))
        before = +replica.writes
        own_redis.kill()
        await replica.pass_until(lambda: any(layer.ailment for layer in replica.engine.layers()))
        await replica.pass_time(59 * SECOND)
        assert replica.writes == before
        await replica.pass_time(3 * SECOND)
        assert 1 <= replica.writes["written"] - before["written"] <= 6
        away = ("False", "LayerAway")
        await replica.pass_until(lambda: all(replica.condition(name) == away for name in names))
        await replica.pass_time(MINUTE)
        message = replica.status("t0")["conditions"][0]["message"]
        assert "nothing is sent until it does" in message
        assert message.endswith("Of what falls due meanwhile, nothing is sent later")
        assert replica.writes["written"] == before["written"] + len(names)
        own_redis.start()
        own_redis.wait()
        await replica.pass_until(lambda: all(replica.condition(name) == READY for name in names), within=40)


async def test_a_full_channel_is_written_after_a_minute_and_its_end_at_once(
    kube: ControlPlane, replica: Replica, beats: Beats, redis: "Redis", layers: Any, clock: ManualClock
) -> None:
    narrow = {"default": replace(layers["default"], capacity=1)}
    names = [f"t{i}" for i in range(12)]
    full = ("False", "ChannelFull")
    for name in names:
        beats.put({"name": "e", "every": "30s"}, name=name, channel="ticks")
    beats.put({"name": "e", "every": NEVER}, name="other", channel="other")
    async with Replica(kube, replica.namespace, narrow, clock=clock, rate=2.0).running() as slow:
        await slow.pass_until(lambda: any(slow.engine.hindrances()))
        began = clock.now()
        await slow.pass_until(lambda: slow.condition("other") == READY)
        await slow.pass_time(began + 59 * SECOND - clock.now())
        assert full not in {slow.condition(name) for name in names}
        before = slow.writes["written"]
        await slow.pass_time(4 * SECOND)
        assert 1 <= slow.writes["written"] - before <= 10
        await slow.pass_until(lambda: {slow.condition(name) for name in names} == {full})
        await slow.pass_time(MINUTE)
        told = next(one for one in slow.status("t0")["conditions"] if one["type"] == "Ready")["message"]
        assert told.startswith("what is due waits (seen since 20")
        assert told.endswith("Z): channel ticks is full; start or add workers, or raise the layer's capacity")
        assert (slow.condition("t0", "Stalled"), slow.condition("other")) == (("False", "NotStalled"), READY)
        async with emptied(redis, f"{replica.namespace}ticks"):
            await slow.pass_until(lambda: {slow.condition(name) for name in names} == {READY})


async def test_a_channel_that_is_full_for_less_than_a_minute_writes_nothing(
    kube: ControlPlane, replica: Replica, beats: Beats, redis: "Redis", layers: Any, clock: ManualClock
) -> None:
    beats.put({"name": "e", "every": "10s"}, {"name": "nightly", "cron": "30 2 * * *"})
    async with Replica(kube, replica.namespace, {"default": replace(layers["default"], capacity=1)}, clock=clock).running() as narrow:
        await ready(narrow, "t")
        for _ in range(3):
            await narrow.pass_until(lambda: any(narrow.engine.hindrances()))
            await narrow.pass_time(50 * SECOND)
            async with emptied(redis, f"{replica.namespace}c"):
                await narrow.pass_until(lambda: not narrow.engine.hindrances(), step=SECOND // 20)  # however many it takes: a minute is not over
            assert narrow.condition("t") == READY
        assert ("Warning", "ChannelFull") not in narrow.events()


async def test_runs_that_nobody_takes_make_a_schedule_unready_whoever_leads(replica: Replica, beats: Beats, redis: "Redis", layers: Any) -> None:
    beats.put({"name": "e", "every": NEVER}, delivery="AtLeastOnce")
    root = f"channelbeat:{replica.namespace}:"
    async with replica.running():
        await ready(replica, "t")
        await redis.zadd(f"{root}queue:c", {f"{replica.namespace}/t/e/2025-06-02T12:00:01Z": 1})
        await redis.sadd(f"{root}channels", "c")
        await replica.pass_until(lambda: any(replica.engine.hindrances()), step=SECOND)
        await replica.pass_time(58 * SECOND)
        assert replica.condition("t") == READY
        await replica.pass_until(lambda: replica.condition("t") == ("False", "Unattended"))
        assert "no runworker of channelbeat listens on it" in replica.status("t")["conditions"][0]["message"]
    async with Replica(replica.kube, replica.namespace, layers, clock=replica.clock).running(leads=False) as second:
        await second.seen("t")
        second.lease.held = True
        second.engine.wake()
        await second.pass_until(lambda: any(second.engine.hindrances()))
        await second.pass_time(50 * SECOND)
        assert (second.condition("t"), second.writes) == (("False", "Unattended"), {})
        await redis.zrem(f"{root}queue:c", f"{replica.namespace}/t/e/2025-06-02T12:00:01Z")
        await second.pass_until(lambda: second.condition("t") == READY)


@pytest.mark.parametrize(("fault", "code"), [("loses", 0), ("swallows", 0), ("swallows", 409), ("swallows", 429), ("swallows", 403)])
async def test_a_write_that_is_not_answered_or_refused_counts_once(replica: Replica, beats: Beats, fault: str, code: int) -> None:
    beats.put(NIGHTLY)
    async with replica.running():
        await ready(replica, "t")
        setattr(replica.api, fault, 1)
        replica.api.status = code
        missed(replica, 3)
        replica.reporter.answered(f"{replica.namespace}/t", "nightly", "a enqueued")
        await replica.pass_until(lambda: replica.writes["refused" if code else "unanswered"] == 1)
        missed(replica, 4)
        replica.reporter.answered(f"{replica.namespace}/t", "nightly", "b enqueued")
        await replica.pass_until(lambda: replica.event("t", "nightly").get("lastHandledTrigger") == "b enqueued")
        assert replica.event("t", "nightly")["notSent"] == 7


async def test_a_watch_that_is_behind_costs_no_count(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY)
    async with replica.running():
        await ready(replica, "t")
        replica.following.cancel()
        await asyncio.wait([replica.following])
        for count, text in ((3, "a enqueued"), (4, "b enqueued")):
            missed(replica, count)
            replica.reporter.answered(f"{replica.namespace}/t", "nightly", text)
            await replica.pass_until(lambda text=text: replica.event("t", "nightly").get("lastHandledTrigger") == text)
        assert replica.event("t", "nightly")["notSent"] == 7


async def test_who_lost_the_lead_while_it_was_asking_writes_nothing(replica: Replica, beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    beats.put(NIGHTLY, delivery="AtLeastOnce")
    async with replica.running():
        await ready(replica, "t")
        before, asked = +replica.writes, replica.engine.stats

        async def lost_meanwhile(layer: str, events: Any) -> Any:
            replica.lease.held = False
            return await asked(layer, events)

        monkeypatch.setattr(replica.engine, "stats", lost_meanwhile)
        replica.reporter.answered(f"{replica.namespace}/t", "nightly", "a enqueued")
        await replica.pass_time(5 * SECOND)
        assert (replica.lease.held, replica.writes) == (False, before)


async def test_an_api_server_that_was_away_is_told_all(own_kube: ControlPlane, redis_server: RedisServer, redis: "Redis", clock: ManualClock) -> None:
    namespace = own_kube.new_namespace()
    Beats(own_kube, namespace).put(NIGHTLY)
    layers = {"default": LayerSettings("default", redis_server.url, prefix=namespace)}
    async with Replica(own_kube, namespace, layers, clock=clock).running() as replica:
        await ready(replica, "t")
        own_kube.server.kill()
        for _ in range(5):
            missed(replica, 2)
            replica.reporter.answered(f"{namespace}/t", "nightly", "x enqueued")
            await replica.pass_time(5 * SECOND)
        assert replica.writes["unanswered"] >= 3
        await asyncio.to_thread(own_kube.restart)
        await replica.pass_until(lambda: replica.event("t", "nightly").get("notSent") == 10, within=30)


async def test_an_object_that_was_made_anew_does_not_get_the_status_of_the_old_one(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY)
    async with replica.running():
        await ready(replica, "t")
        replica.following.cancel()  # the watch is behind
        await asyncio.wait([replica.following])
        beats.delete()
        beats.put(NIGHTLY)
        missed(replica, 3)
        await replica.pass_until(lambda: replica.writes["gone"] == 1, step=SECOND)
        await replica.pass_time(SECOND)
        assert not replica.get("t").get("status")


async def test_an_object_that_is_gone_is_forgotten_once_that_is_seen(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY)
    async with replica.running():
        await ready(replica, "t")
        replica.following.cancel()
        await asyncio.wait([replica.following])
        uid = replica.get("t")["metadata"]["uid"]
        beats.delete()
        missed(replica, 3)
        await replica.pass_until(lambda: replica.writes["gone"] == 2, step=SECOND)
        replica.register.forget(f"{replica.namespace}/t", uid)
        before = +replica.writes
        missed(replica, 3)
        await replica.pass_time(10 * MINUTE, step=10 * SECOND)
        assert replica.writes == before


async def test_one_answer_that_there_is_no_such_object_ends_no_status(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY)
    async with replica.running():
        await ready(replica, "t")
        replica.api.swallows, replica.api.status = 1, 404
        missed(replica, 3)
        await replica.pass_until(lambda: replica.writes["gone"] == 1, step=SECOND)
        missed(replica, 4)
        await replica.pass_until(lambda: replica.event("t", "nightly").get("notSent") == 7, step=SECOND)


async def test_a_late_write_of_an_object_that_was_made_anew_costs_the_new_one_nothing(replica: Replica, beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    held, go, merge = asyncio.Event(), asyncio.Event(), replica.api.merge

    async def slow(path: str, body: Any, **options: Any) -> Any:
        if not held.is_set():
            held.set()
            await go.wait()
        return await merge(path, body, **options)

    beats.put(NIGHTLY)
    async with replica.running():
        await ready(replica, "t")
        missed(replica, 3)
        await replica.pass_until(lambda: replica.event("t", "nightly").get("notSent") == 3, step=SECOND)
        monkeypatch.setattr(replica.api, "merge", slow)
        beats.patch(suspend=True)
        await replica.pass_until(held.is_set)
        beats.delete()
        beats.put(NIGHTLY)
        await ready(replica, "t")
        replica.reporter.answered(f"{replica.namespace}/t", "nightly", "a enqueued")
        await replica.pass_until(lambda: replica.event("t", "nightly").get("lastHandledTrigger") == "a enqueued")
        go.set()
        await eventually(lambda: replica.writes["gone"] == 1)
        await replica.pass_time(5 * SECOND)
        assert (replica.condition("t"), replica.event("t", "nightly")["lastHandledTrigger"]) == (READY, "a enqueued")
        assert "notSent" not in replica.event("t", "nightly")


async def test_a_refusal_that_lasts_for_one_object_is_told_once_however_well_others_are_written(
    replica: Replica, beats: Beats, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    merge, refused = replica.api.merge, {"shut"}

    async def merge_some(path: str, body: Any, **options: Any) -> Any:
        if path.split("/")[-2] in refused:
            raise ApiRefused("forbidden", 403, "Forbidden")
        return await merge(path, body, **options)

    monkeypatch.setattr(replica.api, "merge", merge_some)
    beats.put(NIGHTLY, name="shut")
    beats.put(NIGHTLY, name="open")
    async with replica.running():
        await ready(replica, "open")
        for number in range(5):
            replica.reporter.answered(f"{replica.namespace}/open", "nightly", f"{number} enqueued")
            before = replica.writes["refused"]
            await replica.pass_until(lambda before=before: replica.writes["refused"] > before, step=SECOND)
        assert caplog.text.count("cannot be written") == 1
        refused.clear()
        await replica.pass_until(lambda: replica.condition("shut") == READY, step=SECOND)
        refused.add("shut")
        beats.patch("shut", suspend=True)
        await replica.pass_until(lambda: caplog.text.count("cannot be written") == 2, step=SECOND)


async def test_a_fault_of_ours_about_one_object_is_told_once_costs_no_count_and_stops_no_other(
    replica: Replica, beats: Beats, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns, faulty = drafting.turns, True

    def fails(found: Any, *args: Any) -> Any:
        if faulty and found.key.endswith("/bad"):
            raise OverflowError("a fault of ours")
        return turns(found, *args)

    beats.put(NIGHTLY, name="bad")
    beats.put(NIGHTLY, name="good")
    async with replica.running():
        await ready(replica, "bad", "good")
        monkeypatch.setattr(drafting, "turns", fails)
        missed(replica, 3, name="bad")
        for number in range(2):
            for name in ("bad", "good"):
                replica.reporter.answered(f"{replica.namespace}/{name}", "nightly", f"{number} enqueued")
            await replica.pass_until(lambda number=number: replica.event("good", "nightly").get("lastHandledTrigger") == f"{number} enqueued")
        assert caplog.text.count("please report it") == 1
        faulty = False
        replica.reporter.answered(f"{replica.namespace}/bad", "nightly", "2 enqueued")
        await replica.pass_until(lambda: replica.event("bad", "nightly").get("lastHandledTrigger") == "2 enqueued")
        assert replica.event("bad", "nightly")["notSent"] == 3


async def test_a_status_that_is_refused_is_told_once_and_holds_up_no_other(
    own_kube: ControlPlane, redis_server: RedisServer, redis: "Redis", clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    crd = f"{CRDS}/beatschedules.channelbeat.dev"
    schema = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/next/maxLength"
    narrowed = json.dumps([{"op": "replace", "path": schema, "value": 10}])
    own_kube.api.patch(crd, json.loads(narrowed), content="application/json-patch+json")
    namespace = own_kube.new_namespace()
    beats = Beats(own_kube, namespace)
    beats.put(NIGHTLY, name="probe")

    def taken_up() -> bool:
        try:
            own_kube.api.patch(f"{beats.path}/probe/status", {"status": {"next": "x" * 11}})
        except Refused as refused:
            return refused.status == 422
        return False

    until(taken_up, 30, what="the narrowed schema at work")  # while it is taken up, no list is answered
    beats.delete("probe")
    beats.put(NIGHTLY, name="long")
    layers = {"default": LayerSettings("default", redis_server.url, prefix=namespace)}
    with caplog.at_level(logging.WARNING, "channelbeat.status"):
        async with Replica(own_kube, namespace, layers, clock=clock).running() as replica:
            await replica.pass_until(lambda: replica.writes["refused"] >= 1)
            beats.put({"name": "short", "every": "5s"}, name="short")
            await replica.seen("short")
            await replica.pass_until(lambda: replica.condition("short") == READY)
            await replica.pass_until(lambda: replica.writes["refused"] >= 3, step=SECOND)
            own_kube.api.patch(crd, json.loads(narrowed.replace("10}", "128}")), content="application/json-patch+json")
            await replica.pass_until(lambda: replica.condition("long") == READY, step=SECOND)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [f"the status of {namespace}/long cannot be written, and is tried again"]


async def test_who_may_not_use_a_layer_is_told_by_whom_to_ask(kube: ControlPlane, namespace: str, beats: Beats, layers: Any, clock: ManualClock) -> None:
    beats.put(NIGHTLY, name="lost", channelLayer={"name": "missing"})
    beats.put(NIGHTLY, name="stranger", channelLayer={"name": "theirs"})
    theirs = LayerSettings("theirs", layers["default"].url, prefix="theirs", allowed_namespaces=("shop",))
    async with Replica(kube, namespace, layers | {"theirs": theirs}, clock=clock).running() as replica:
        await ready(replica, "lost", says=("False", "NoSuchLayer"))
        await ready(replica, "stranger", says=("False", "NamespaceNotAllowed"))
        for name in ("lost", "stranger"):
            assert (replica.condition(name, "Stalled")[0], replica.condition(name, "Accepted")[0], replica.status(name)["eventCount"]) == (
                "True",
                "False",
                "0/1",
            )


async def test_a_pause_is_told_and_its_end_is_noticed(replica: Replica, beats: Beats, redis: "Redis") -> None:
    key = beats.put({"name": "e", "every": NEVER}, delivery="AtLeastOnce", pauseAfterFailures=2)
    async with replica.running():
        await ready(replica, "t")
        definition = replica.engine.book.definition(f"{replica.namespace}/t", "e")
        assert definition is not None
        assert definition.policy is not None
        stats, paused = f"channelbeat:{replica.namespace}:stats", f"{definition.policy.version} {replica.clock.now()}"
        await redis.hset(stats, f"{key} paused", paused)
        run = Finished(f"{key}/1", key, "c", State.DEAD, 1, replica.clock.now(), "ValueError: no", paused=True)
        replica.reporter.finished([run._replace(paused=False), run])
        await replica.pass_until(lambda: (replica.condition("t"), replica.condition("t", "Stalled")) == (("False", "EventPaused"), ("True", "EventPaused")))
        told = replica.event("t", "e")
        assert (told["failures"], told["lastFailure"]["message"], replica.status("t")["eventCount"]) == (2, "ValueError: no", "0/1")
        await replica.pass_time(MINUTE)
        await redis.hdel(stats, f"{key} paused")
        await replica.pass_until(lambda: (replica.condition("t"), "paused" in replica.event("t", "e")) == (READY, False))
        await eventually(lambda: {("Warning", "EventPaused"), ("Normal", "EventResumed")} <= set(replica.events()))


async def test_overwritten_statistics_cost_no_status(replica: Replica, beats: Beats, redis: "Redis", caplog: pytest.LogCaptureFixture) -> None:
    key = beats.put({"name": "e", "every": NEVER}, delivery="AtLeastOnce")
    async with replica.running():
        await ready(replica, "t")
        await redis.hset(f"channelbeat:{replica.namespace}:stats", f"{key} ok", "many")
        for text in ("a enqueued", "b enqueued"):
            replica.reporter.answered(f"{replica.namespace}/t", "e", text)
            await replica.pass_until(lambda text=text: replica.event("t", "e").get("lastHandledTrigger") == text)
    assert sum("cannot be read" in record.getMessage() for record in caplog.records) == 1


async def test_what_is_due_once_is_completed(replica: Replica, beats: Beats, clock: ManualClock) -> None:
    due = clock.now() + 30 * SECOND
    beats.put({"name": "once", "at": instants.text(due)})
    async with replica.running():
        await ready(replica, "t")
        await replica.pass_time(due - clock.now() + 4 * SECOND)  # before its routine write
        assert replica.condition("t") == ("True", "Completed")
        assert "next" not in replica.status("t")


async def test_a_status_that_somebody_else_changed_is_put_right_in_time(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY)
    async with replica.running():
        await ready(replica, "t")
        await replica.pass_time(2 * MINUTE)
        replica.kube.api.patch(f"{replica.path}/t/status", {"status": {"conditions": None, "next": "never"}})
        await replica.seen("t")
        before = replica.writes["written"]
        await replica.pass_time(5 * SECOND)
        assert replica.writes["written"] == before
        await replica.pass_until(lambda: replica.condition("t") == READY, step=SECOND)
        assert replica.status("t")["next"] != "never"


async def test_the_api_server_takes_the_largest_status(kube: ControlPlane, beats: Beats, namespace: str) -> None:
    beats.put(NIGHTLY)
    long = "x" * 40_000
    dead = Finished(long, "", "", State.DEAD, 1, 1, long, paused=True)
    events = [
        EventFacts(f"{'n' * 60}{i}", long, coming=Coming(1, 1, "c" * 100), tally=Tally(1, 2**53, 1, 9, dead, 1, long), version="v", pause_after=1_000)
        for i in range(100)
    ]
    most = Workers("t-worker", 9_999_999, 9_999_999, Decision(9_999_999, Why.SCALE_DOWN_DELAY, long), Finding("ExpiryShorterThanStartUp", long))
    has = status.make({}, Facts(f"{namespace}/t", Case(1, invalid=True, faults=[Fault("spec", long)], workers=most), events), 1)
    written = kube.api.patch(f"{beats.path}/t/status", {"status": has}, fieldValidation="Strict")
    assert written["status"] == has


async def test_what_people_wait_for_comes_before_the_rest(kube: ControlPlane, replica: Replica, beats: Beats, layers: Any, clock: ManualClock) -> None:
    names = [f"t{i}" for i in range(30)]
    for name in names:
        beats.put(NIGHTLY, name=name)
    async with Replica(kube, replica.namespace, layers, clock=clock, rate=1.0).running() as slow:
        for name in names:
            await slow.pass_until(lambda name=name: slow.condition(name) == READY)
        await slow.pass_time(3 * MINUTE)  # for the Kubernetes Events
        for name in names:
            missed(slow, 1, name)
        await slow.pass_time(12 * SECOND)
        slow.reporter.answered(f"{slow.namespace}/t7", "nightly", "a enqueued")
        await slow.pass_time(3 * SECOND)
        assert slow.event("t7", "nightly").get("lastHandledTrigger") == "a enqueued"
        assert sum("notSent" in slow.event(name, "nightly") for name in names) < 10


async def test_a_write_that_hangs_holds_up_no_other(replica: Replica, beats: Beats) -> None:
    beats.put(NIGHTLY)
    beats.put(NIGHTLY, name="other")
    async with replica.running():
        await ready(replica, "t", "other")
        replica.api.hangs = "t"
        replica.reporter.answered(f"{replica.namespace}/t", "nightly", "a enqueued")
        await replica.pass_time(SECOND)
        for number in range(20):
            replica.reporter.answered(f"{replica.namespace}/t", "nightly", f"{number} enqueued")
            replica.reporter.answered(f"{replica.namespace}/other", "nightly", f"{number} enqueued")
            await replica.pass_time(SECOND)
        assert replica.event("other", "nightly")["lastHandledTrigger"] == "19 enqueued"


async def test_a_layer_is_asked_once_for_many_schedules(kube: ControlPlane, replica: Replica, beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(150):
        beats.put(*({"name": f"e{j}", "every": f"{j + 1}h"} for j in range(3)), name=f"t{i}", delivery="AtLeastOnce")
    asked = list[int]()
    stats = replica.engine.stats

    async def counted(layer: str, events: Any) -> Any:
        asked.append(len(events))
        return await stats(layer, events)

    monkeypatch.setattr(replica.engine, "stats", counted)
    async with replica.running(leads=False):
        await replica.seen(*(f"t{i}" for i in range(150)))
        replica.lease.held = True
        replica.engine.wake()
        await replica.pass_time(20 * SECOND)
        items = kube.api.get(beats.path)["items"]
        assert {one["status"]["conditions"][0]["reason"] for one in items} == {"Scheduled"}
        assert replica.writes["written"] <= 2 * len(items)
        assert len(asked) < 50
