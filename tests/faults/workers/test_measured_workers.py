"""What real workers let be known of themselves and of their work: as much as is needed to say how many of them there should be."""

import os
import socket
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from channelbeat.broker.sending import RedisBroker
from channelbeat.core.instants import SECOND
from channelbeat.core.measures import ChannelLoad, Listener
from support.fleet import Fleet
from support.leading import Leader
from support.waiting import eventually

LONG = 30 * SECOND
"""A claim whose renewals, ten seconds apart, come too late for these tests."""
SOON = 8.0
"""Seconds: before the second of them."""
MOST = 60 * SECOND
"""That a few attempts take, however busy the machine."""


def in_a_named_pod() -> None:
    """Called in the worker's process, as the next."""
    os.environ |= {"POD_NAME": "shop-worker-7c9f-x2", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def in_a_pod() -> None:
    in_no_pod()
    os.environ["KUBERNETES_SERVICE_HOST"] = "10.0.0.1"


def in_no_pod() -> None:
    for name in ("POD_NAME", "KUBERNETES_SERVICE_HOST"):
        os.environ.pop(name, None)


async def load(broker: RedisBroker, channel: str = "c") -> ChannelLoad:
    return (await broker.loads([channel]))[channel]


async def told(leader: Leader, condition: Callable[[Listener], bool], what: str) -> Listener:
    """What the only worker says of itself, once that is so."""
    found: list[Listener] = []

    async def said() -> bool:
        found[:] = await leader.broker.listeners()
        return len(found) == 1 and condition(found[0])

    await eventually(said, SOON, what=f"the worker to be {what}")
    return found[0]


@pytest.mark.parametrize(("where", "pod"), [("in_a_named_pod", "shop-worker-7c9f-x2"), ("in_a_pod", socket.gethostname()), ("in_no_pod", "")])
async def test_a_worker_says_what_it_is(fleet: Fleet, leader: Leader, where: str, pod: str) -> None:
    member = fleet.worker("c", "a", concurrency=3, before=[f"test_measured_workers.{where}"])
    one = await told(leader, lambda _: True, "there")
    assert f":{member.pid}:" in one.id
    assert one[1:5] == (pod, ("c", "a"), 3, 0)
    again = await told(leader, lambda found: found.seen > one.seen, "seen again")
    assert again.since == one.since


@pytest.mark.parametrize("tracked", [True, False], ids=["runs", "plain messages"])
async def test_it_says_soon_that_it_has_work_and_that_it_has_none(fleet: Fleet, leader: Leader, tracked: bool) -> None:
    fleet.worker("a", concurrency=2, claim=LONG)
    await told(leader, lambda one: one.busy == 0, "idle")
    if tracked:
        await leader.put(2, channel="a", hold=True)
    else:
        for number in range(2):
            await leader.broker._layer.send("a", {"type": "work", "hold": True, "beat": {"run": f"r{number}"}})
    await fleet.diary.reaches(2, "begin")
    await told(leader, lambda one: one.busy == 2, "busy")
    fleet.diary.open_gate()
    await told(leader, lambda one: one.busy == 0, "idle again")


async def handled(leader: Leader, number: int, channel: str = "c") -> ChannelLoad:
    async def enough() -> bool:
        return (await load(leader.broker, channel)).handled == number

    await eventually(enough, what=f"{number} to be counted")
    return await load(leader.broker, channel)


@pytest.mark.parametrize("channel", ["c", "a"], ids=["sync", "async"])
async def test_what_runs_took_is_counted_also_when_they_failed(fleet: Fleet, leader: Leader, channel: str) -> None:
    fleet.worker(channel, claim=LONG)
    await leader.put(2, channel=channel, seconds=0.2)
    await leader.put(1, channel=channel, seconds=0.2, fail=1)
    found = await handled(leader, 4, channel)
    assert (found.waiting, found.in_flight) == (0, 0)
    assert 600 <= found.busy < MOST


@pytest.mark.parametrize("channel", ["c", "a"], ids=["sync", "async"])
async def test_what_plain_messages_took_is_counted_also_when_they_failed(redis: Redis, fleet: Fleet, leader: Leader, channel: str) -> None:
    for number in range(2):
        await leader.broker._layer.send(channel, {"type": "work", "seconds": 0.2, "fail": number, "beat": {"run": f"r{number}", "attempt": 1}})
    await redis.zadd(f"asgi{channel}", {b"\xc1": 1})  # cannot be read: nothing handled it
    fleet.worker(channel)
    assert 400 <= (await handled(leader, 2, channel)).busy < MOST
    await leader.broker._layer.send(channel, {"type": "work", "seconds": 0.2, "beat": {"run": "one that an idle worker is woken by", "attempt": 1}})
    assert 600 <= (await handled(leader, 3, channel)).busy < MOST


async def test_what_ends_while_its_worker_stops_is_counted(fleet: Fleet, leader: Leader) -> None:
    worker = fleet.worker("a")
    await leader.broker._layer.send("a", {"type": "work", "hold": True, "beat": {"run": "r"}})
    await fleet.diary.reaches(1, "begin")
    worker.stop()
    await eventually(lambda: "stopping" in worker.log)
    fleet.diary.open_gate()
    assert await worker.ended() == 0
    assert (await load(leader.broker, "a")).handled == 1
