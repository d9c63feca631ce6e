"""Each layer is on its own: a Redis that is dead stops only its own schedules, and no two layers share a store."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import pytest
from redis.asyncio import Redis

from channelbeat.core.instants import SECOND
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Sign
from channelbeat.runtime import Alone, Engine
from support.clock import ManualClock
from support.redis import RedisServer
from support.rig import Recorder, Rig, schedule
from support.times import NOON, short
from support.waiting import eventually

LENGTH = 10
Started: TypeAlias = Callable[..., "Running"]


class Running:
    """An engine with a schedule of `every: 1s` on each of its layers."""

    def __init__(self, layers: dict[str, LayerSettings]) -> None:
        self.clock, self.journal = ManualClock(NOON), Recorder()
        engine = Engine(layers, owner="us", journal=self.journal, clock=self.clock, leadership=Alone())
        for name in layers:
            engine.book.put(schedule({"every": "1s", "missed": {"policy": "All"}}, name=name, channelLayer={"name": name}))
        self._task = asyncio.create_task(engine.run())
        self.leading = engine.leading

    def enqueued(self, layer: str) -> int:
        return self.journal.counts(f"default/{layer}")["enqueued"]

    async def pass_seconds(self, seconds: int, *layers: str) -> None:
        """Time passes, as fast as these layers send."""
        for _ in range(seconds):
            self.clock.advance(SECOND)
            wanted = (self.clock.now() - NOON) // SECOND
            await eventually(lambda wanted=wanted: all(self.enqueued(layer) >= wanted for layer in layers), what=f"{layers} to send {wanted}")  # type: ignore[misc]

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def started() -> AsyncIterator[Started]:
    """`started(one=URL, ...)`: an engine with these layers; a pair is a URL and a prefix."""
    running: list[Running] = []

    def start(**layers: str | tuple[str, str]) -> Running:
        pairs = {name: at if isinstance(at, tuple) else (at, "asgi") for name, at in layers.items()}
        running.append(Running({name: LayerSettings(name, url, prefix=prefix, capacity=1_000) for name, (url, prefix) in pairs.items()}))
        return running[-1]

    yield start
    for one in running:
        await one.end()


@pytest.mark.chaos
@pytest.mark.parametrize("how", ["killed", "hanging"])
async def test_a_dead_redis_stops_only_its_own_schedules(started: Started, redis_server: RedisServer, own_redis: RedisServer, redis: "Redis", how: str) -> None:
    running = started(dead=own_redis.url, living=redis_server.url)
    await running.pass_seconds(2, "dead", "living")
    (own_redis.kill if how == "killed" else own_redis.freeze)()
    await running.pass_seconds(LENGTH, "living")
    assert running.enqueued("dead") == 2
    assert {o.lateness for o in running.journal.outcomes if o.schedule == "default/living"} == {0}
    if how == "killed":
        assert [n.layer for n in running.journal.notices if n.sign is Sign.AWAY] == ["dead"]
        own_redis.start()
        own_redis.wait()
    else:
        own_redis.thaw()
    await running.pass_seconds(2, "dead", "living")
    assert [short(due) for due in Rig(own_redis.url).sent()] == [f"12:00:{second:02}" for second in range(1, LENGTH + 5)]


async def test_a_redis_that_was_never_there_stops_only_its_own_schedules(started: Started, redis_server: RedisServer, redis: "Redis") -> None:
    running = started(dead="unix:///no/such.sock", living=redis_server.url)
    await running.pass_seconds(LENGTH, "living")


@pytest.mark.parametrize("form", ["{0}", "{0}?db=0", "{0}?socket_timeout=4"])
async def test_two_layers_that_lead_to_one_store_are_refused(started: Started, redis_server: RedisServer, redis: "Redis", form: str) -> None:
    running = started(one=redis_server.url, two=form.format(redis_server.url))
    await eventually(lambda: Sign.REFUSED in running.journal.signs())
    (refused,) = [notice for notice in running.journal.notices if notice.sign is Sign.REFUSED]
    other = "two" if refused.layer == "one" else "one"
    sentence = f"layer '{refused.layer}': it is the same Redis and prefix as layer '{other}': give it a prefix of its own, or its schedules the other's name"
    assert re.fullmatch(re.escape(sentence), refused.text)
    await running.pass_seconds(LENGTH, other)
    assert running.enqueued(refused.layer) == 0


@pytest.mark.parametrize(("form", "prefix"), [("{0}", "other"), ("{0}?db=1", "asgi")])
async def test_two_layers_may_share_a_redis(started: Started, redis_server: RedisServer, redis: "Redis", form: str, prefix: str) -> None:
    running = started(one=redis_server.url, two=(form.format(redis_server.url), prefix))
    await running.pass_seconds(LENGTH, "one", "two")
    assert await running.leading("one") != await running.leading("two")
    assert Sign.REFUSED not in running.journal.signs()
