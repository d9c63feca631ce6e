"""Pauses ended by annotation, with a real engine and Redis: those that began before its time, however late that can be done, and no later ones."""

import logging
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.core import instants
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Sign
from channelbeat.errors import LayerError
from channelbeat.runtime import SystemClock
from support.asking import Cluster, Replica
from support.clock import ManualClock
from support.hand import Hand
from support.redis import RedisServer
from support.waiting import eventually

SPEC: dict[str, Any] = {"delivery": "AtLeastOnce", "pauseAfterFailures": 1, "event": {"retry": {"limit": 0}}}


class World:
    """One schedule whose events a dead run pauses, on a Redis of its own, whose time is the real one, as is the clock's at first."""

    def __init__(self, server: RedisServer) -> None:
        self.server, self.clock, self.cluster = server, ManualClock(SystemClock().now()), Cluster()
        self.cluster.apply(**SPEC)
        self.replicas: list[Replica] = []
        self._hands = count()

    def replica(self) -> Replica:
        self.replicas.append(Replica(self.cluster, self.clock, LayerSettings("default", self.server.url)))
        self.replicas[-1].begin()
        return self.replicas[-1]

    async def until(self, condition: Callable[[], Any], step: Ms = SECOND // 10) -> None:
        """Time passes meanwhile."""

        async def stepped() -> bool:
            answer = condition()
            if answer if isinstance(answer, bool | int | list) else await answer:
                return True
            self.clock.advance(step)
            return False

        await eventually(stepped, 20, what="the condition")

    async def pass_time(self, length: Ms) -> None:
        end = self.clock.now() + length
        await self.until(lambda: self.clock.now() >= end, step=max(SECOND // 10, length // 100))

    async def pause(self, replica: Replica) -> Ms:
        """Since when it is, by Redis's clock."""
        await self.until(lambda: replica.engine.layers()[0].leading, step=SECOND // 100)  # our clock is not to run far ahead
        await replica.engine.trigger("default/t", "e", SystemClock().now())
        async with Redis.from_url(self.server.url) as redis:
            assert await Hand(redis, name=f"hand{next(self._hands)}").work("failed", "Error: no")
        paused = await self.paused(replica)
        assert paused is not None
        return paused

    async def paused(self, replica: Replica) -> Ms | None:
        return (await replica.engine.stats("default", ["default/t/e"]))["default/t/e"].paused

    async def ended(self, replica: Replica) -> None:
        """Wait until it is."""

        async def is_over() -> bool:
            try:
                return await self.paused(replica) is None
            except LayerError:
                return False

        await self.until(is_over)

    async def end(self) -> None:
        for replica in self.replicas:
            await replica.end()


@pytest.fixture
async def world(own_redis: RedisServer) -> AsyncIterator[World]:
    world = World(own_redis)
    yield world
    await world.end()


@pytest.fixture
async def one(world: World) -> Replica:
    """It leads."""
    replica = world.replica()
    replica.win()
    return replica


async def test_it_ends_a_pause_that_began_before_it(world: World, one: Replica) -> None:
    paused = await world.pause(one)
    world.cluster.resume(instants.text(paused - paused % SECOND))  # as `date` writes that very second
    await world.ended(one)
    assert one.resumed == ["default/t"]


async def test_a_pause_that_begins_later_is_not_ended_by_it(world: World, one: Replica) -> None:
    paused = await world.pause(one)
    world.cluster.resume(instants.text(paused + 1))
    await world.ended(one)
    again = await world.pause(one)
    for number in range(3):
        world.cluster.touch()
        world.cluster.apply(**SPEC, worker={"scaleTargetRef": {"name": f"w{number}"}})
        await world.pass_time(MINUTE)
    one.lose()
    await world.pass_time(2 * SECOND)
    one.win()
    await world.pass_time(10 * SECOND)
    assert await world.paused(one) == again
    assert one.resumed == ["default/t"]
    world.cluster.resume(instants.text(again + 1))
    await world.ended(one)


async def test_one_that_is_older_than_the_pause_is_told_of(world: World, one: Replica, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "channelbeat.requests")
    paused = await world.pause(one)
    world.cluster.resume(instants.text(paused - MINUTE))
    await world.until(lambda: len(caplog.messages))
    assert caplog.messages == [
        f"event default/t/e stays paused: that began at {instants.text(paused)}, after its resume annotation's {instants.text(paused - MINUTE)}"
    ]
    assert await world.paused(one) == paused


async def test_a_pause_that_an_edit_ended_is_nobody_s_to_end(world: World, one: Replica, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "channelbeat.requests")
    paused = await world.pause(one)
    world.cluster.apply(**SPEC | {"event": {"retry": {"limit": 1}}})
    world.cluster.resume(instants.text(paused - MINUTE))
    await world.pass_time(5 * SECOND)
    assert (caplog.messages, one.resumed) == ([], [])


async def test_one_whose_clock_is_ahead_ends_what_begins_before_its_time(world: World, one: Replica) -> None:
    first = await world.pause(one)
    world.cluster.resume(instants.text(first + 3 * MINUTE))
    await world.ended(one)
    second = await world.pause(one)
    await world.pass_time(2 * MINUTE)
    assert await world.paused(one) == second
    await world.pass_time(MINUTE)
    await world.ended(one)
    assert one.resumed == ["default/t"] * 2
    third = await world.pause(one)
    await world.pass_time(30 * MINUTE)  # by our clock its time has come
    assert await world.paused(one) == third


async def test_one_that_is_far_ahead_waits_for_its_time(world: World, one: Replica) -> None:
    paused = await world.pause(one)
    world.cluster.resume(instants.text(paused + 60 * MINUTE))
    await world.pass_time(50 * MINUTE)
    assert await world.paused(one) == paused
    await world.pass_time(10 * MINUTE)
    await world.ended(one)


async def test_who_takes_the_lead_ends_what_nobody_did(world: World, one: Replica) -> None:
    paused = await world.pause(one)
    two = world.replica()
    one.lose()
    world.cluster.resume(instants.text(paused + 1))
    await world.pass_time(10 * SECOND)
    assert await world.paused(one) == paused
    two.doubt()
    await world.pass_time(10 * SECOND)
    assert await world.paused(one) == paused
    two.win()
    await world.ended(two)
    assert (one.resumed, two.resumed) == ([], ["default/t"])


async def test_while_nobody_can_tell_who_leads_it_waits(world: World, one: Replica) -> None:
    paused = await world.pause(one)
    one.doubt()
    world.cluster.resume(instants.text(paused + 1))
    await world.pass_time(10 * SECOND)
    assert await world.paused(one) == paused
    one.win()
    await world.ended(one)


@pytest.mark.chaos
async def test_while_redis_is_away_it_waits(world: World, one: Replica) -> None:
    paused = await world.pause(one)
    world.server.kill()
    world.cluster.resume(instants.text(paused + 1))
    await world.until(lambda: Sign.AWAY in one.journal.signs())
    await world.pass_time(MINUTE)
    assert one.resumed == []
    world.server.start()
    world.server.wait()
    await world.ended(one)
    assert one.resumed == ["default/t"]


@pytest.mark.chaos
async def test_a_store_that_goes_back_in_time_brings_no_pause_back(world: World, one: Replica) -> None:
    paused = await world.pause(one)
    snapshot = world.server.snapshot()
    world.cluster.resume(instants.text(paused + 1))
    await world.ended(one)
    await world.pass_time(MINUTE)
    await one.engine.trigger("default/t", "e", SystemClock().now())  # so that the store is seen to have lost something
    world.server.restore(snapshot)
    await world.until(lambda: Sign.ROLLED_BACK in one.journal.signs())
    await world.ended(one)
    assert one.resumed == ["default/t"] * 2


@pytest.mark.parametrize(
    ("event", "value", "word"), [("e", "now", "NotATime"), ("E", "2025-06-02T12:00:00Z", "NoSuchEvent"), ("broken", "2025-06-02T12:00:00Z", "NotSent")]
)
async def test_what_cannot_be_is_told_once(world: World, one: Replica, caplog: pytest.LogCaptureFixture, event: str, value: str, word: str) -> None:
    paused = await world.pause(one)
    world.cluster.resume(value, event)
    await world.pass_time(5 * SECOND)
    world.cluster.touch()
    await world.pass_time(5 * SECOND)
    (told,) = [record for record in caplog.records if record.name == "channelbeat.requests" and record.levelno == logging.WARNING]
    assert told.getMessage().startswith(f"resume annotation of event default/t/{event}: {value} {word}")
    assert [told.__dict__[name] for name in ("namespace", "schedule", "event")] == ["default", "t", event]
    assert await world.paused(one) == paused


async def test_removed_before_its_time_it_ends_nothing(world: World, one: Replica) -> None:
    paused = await world.pause(one)
    world.cluster.resume(instants.text(paused + 60 * MINUTE))
    await world.pass_time(MINUTE)
    world.cluster.resume(None)
    await world.pass_time(70 * MINUTE)
    assert await world.paused(one) == paused
    assert one.resumed == []
