"""A scrape asks Redis what waits there, and holds up neither the loop nor itself."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from channelbeat.core.layer import LayerSettings
from channelbeat.core.measures import ChannelLoad
from channelbeat.errors import Unreachable
from channelbeat.observability import lag, loads
from channelbeat.observability.loads import FRESH, STALE
from channelbeat.observability.survey import AT_ONCE as EVENTS_AT_ONCE
from channelbeat.observability.survey import survey
from channelbeat.observability.tallies import Histogram
from channelbeat.runtime import Alone, Engine, SystemClock
from support import scrapes
from support.hand import Hand
from support.redis import RedisServer
from support.rig import Recorder, schedule
from support.scrapes import StillEngine, enqueued
from support.waiting import eventually


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is there is waited for, however busy the machine is."""
    monkeypatch.setattr(loads, "PATIENCE", 10.0)


@asynccontextmanager
async def running(url: str, *specs: dict[str, str], event: dict[str, str] | None = None) -> AsyncIterator[Engine]:
    """An engine with a schedule of each kind; unless an `event` is given, nothing is due soon."""
    engine = Engine({"default": LayerSettings("default", url)}, owner="us", journal=Recorder(), clock=SystemClock(), leadership=Alone())
    for number, spec in enumerate(specs):
        engine.book.put(schedule(event or {"cron": "0 0 1 1 *"}, name=f"t{number}", **spec))
    engine.book.complete()
    work = asyncio.create_task(engine.run())
    try:
        await engine.leading("default")
        yield engine
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_what_waits_in_redis_is_what_the_page_says(redis: "Redis", redis_server: RedisServer) -> None:
    specs = {"channel": "plain"}, {"channel": "tracked", "delivery": "AtLeastOnce"}, {"channel": "empty"}
    async with running(redis_server.url, *specs) as engine:
        token = SystemClock().now()
        for number in range(3):
            await engine.trigger("default/t0", "e", token + number)
        for number in range(2):
            await engine.trigger("default/t1", "e", token + number)
        found = await scrapes.scraped(scrapes.made(engine, leadership=Alone()))
        assert sorted((labels["channel"], value) for labels, value in found.of("backlog")) == [("empty", 0), ("plain", 3), ("tracked", 2)]
        assert sorted((labels["channel"], value) for labels, value in found.of("in_flight")) == [("empty", 0), ("plain", 0), ("tracked", 0)]
        assert {labels["schedule"] for labels, _ in found.of("next_due_timestamp_seconds")} == {"t0", "t1", "t2"}
        assert found("layer_up", layer="default") == 1


async def test_what_workers_hold_is_in_flight(redis: "Redis", redis_server: RedisServer) -> None:
    async with running(redis_server.url, {"channel": "c", "delivery": "AtLeastOnce"}) as engine:
        token = SystemClock().now()
        for number in range(3):
            await engine.trigger("default/t0", "e", token + number)
        assert await Hand(redis).take() is not None
        found = await scrapes.scraped(scrapes.made(engine, leadership=Alone()))
        assert (found("backlog", layer="default", channel="c"), found("in_flight", layer="default", channel="c")) == (2, 1)


@pytest.mark.chaos
async def test_a_redis_that_is_away_takes_only_its_own_numbers_with_it(own_redis: RedisServer) -> None:
    now = 0.0
    async with running(own_redis.url, {"channel": "c"}, event={"every": "100ms"}) as engine:
        metrics = scrapes.made(engine, leadership=Alone(), now=lambda: now)
        metrics.record([enqueued()])
        assert (await scrapes.scraped(metrics))("backlog", layer="default", channel="c") is not None
        own_redis.kill()
        await eventually(lambda: engine.layers()[0].ailment is not None)
        now += STALE
        found = await scrapes.scraped(metrics)
        assert (found.of("backlog"), found.of("in_flight")) == ([], [])
        assert found("layer_up", layer="default") == 0
        assert len(found.of("occurrences_total")) == 1


class Slow(StillEngine):
    """Its Redis answers when it is told to."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__(*(schedule({"every": "5s"}, name=f"t{number}", channel=f"c{number}") for number in range(channels)))
        self.answers = asyncio.Event()
        self.asked: list[Sequence[str]] = []
        self.fault: Exception | None = None

    async def loads(self, layer: str, channels: Sequence[str]) -> dict[str, ChannelLoad]:
        self.asked.append(channels)
        await self.answers.wait()
        if self.fault is not None:
            raise self.fault
        return await super().loads(layer, channels)


async def test_a_redis_that_hangs_holds_up_no_other_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "PATIENCE", 0.01)
    engine = Slow()
    metrics = scrapes.made(engine)
    async with asyncio.timeout(10):
        found = await scrapes.scraped(metrics)
        assert found.of("backlog") == []
        assert found("leader") == 1
        await scrapes.scraped(metrics)
        assert len(engine.asked) == 1, "it was asked again before it had answered"
        engine.answers.set()  # late, but it counts
        await eventually(lambda: metrics._loads._found)
        assert (await scrapes.scraped(metrics)).of("backlog") != []


@pytest.mark.parametrize("fault", [Unreachable("away"), KeyError("default"), ValueError("of ours")], ids=repr)
async def test_a_question_that_fails_takes_only_its_own_numbers_with_it(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    engine = Slow()
    engine.fault = fault
    engine.answers.set()
    found = await scrapes.scraped(scrapes.made(engine))
    assert (found.of("backlog"), found("leader")) == ([], 1)
    assert len(caplog.records) == isinstance(fault, ValueError)


async def test_redis_is_not_asked_more_often_than_every_two_seconds() -> None:
    now = 0.0
    engine = Slow()
    engine.answers.set()
    metrics = scrapes.made(engine, now=lambda: now)
    for _ in range(3):
        assert (await scrapes.scraped(metrics)).of("backlog") != []
    assert len(engine.asked) == 1
    now += FRESH
    await scrapes.scraped(metrics)
    assert len(engine.asked) == 2


@asynccontextmanager
async def others() -> AsyncIterator[list[int]]:
    """How many turns of the loop there have been."""
    turns = [0]

    async def turn() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    work = asyncio.create_task(turn())
    try:
        yield turns
    finally:
        work.cancel()


async def test_others_have_their_turn_while_a_page_is_made() -> None:
    engine = Slow(2_000)
    engine.answers.set()
    metrics = scrapes.made(engine)
    metrics.record([enqueued(f"default/t{number}") for number in range(2_000)])
    async with others() as turns:
        found = await scrapes.scraped(metrics)
        series = len(found.values)
        assert series > 8_000
        assert turns[0] > series / 200


async def test_others_have_their_turn_while_the_book_is_walked() -> None:
    async with others() as turns:
        await survey(Slow(10 * EVENTS_AT_ONCE))
        assert turns[0] >= 10


async def test_a_loop_that_is_held_up_is_seen() -> None:
    histogram = Histogram((0.01, 10.0))
    loop, held_up = asyncio.get_running_loop(), False
    measuring = asyncio.create_task(lag.measure(histogram))

    def hold_up() -> None:
        nonlocal held_up
        held_up = True
        until = loop.time() + 2 * lag.EVERY
        while loop.time() < until:
            pass

    await eventually(lambda: dict(histogram.buckets())["+Inf"] >= 1)
    loop.call_soon(hold_up)
    await eventually(lambda: held_up and histogram.sum >= lag.EVERY / 2)
    measuring.cancel()
