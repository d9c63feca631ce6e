"""`why` against a running engine: each way an occurrence can go, brought about, and asked for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.core.batch import queue_of
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Sign
from channelbeat.core.schedule import BeatSchedule
from channelbeat.errors import UsageError
from channelbeat.runtime import Alone, Engine
from support.clock import ManualClock
from support.hand import Hand
from support.redis import RedisServer
from support.rig import Recorder, schedule
from support.times import NOON, at
from support.waiting import eventually


class Running:
    """An Engine, as local mode and a cluster have it."""

    def __init__(self, url: str) -> None:
        self.clock = ManualClock(NOON)
        self.layers = {"default": LayerSettings("default", url, capacity=5)}
        self._task: asyncio.Task[None] | None = None

    async def start(self, *schedules: BeatSchedule) -> None:
        self.journal = Recorder()
        self.engine = Engine(self.layers, owner="us", journal=self.journal, clock=self.clock, leadership=Alone())
        for one in schedules:
            self.engine.book.put(one)
        self.engine.book.complete()
        self._task = asyncio.create_task(self.engine.run())
        await self.engine.leading("default")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def until(self, moment: str) -> None:
        """Everything that is due by then has been decided, or is held back."""
        while self.clock.now() < at(moment):
            await eventually(lambda: self.clock.sleepers)
            self.clock.advance(min(1000, at(moment) - self.clock.now()))
        await eventually(lambda: self.clock.sleepers)

    async def why(self, moment: str | None, event: str = "e") -> str:
        explained = await self.engine.why("default/t", event, at(moment) if moment else None)
        return " ".join(explained.sentences)


@pytest.fixture
async def running(redis_server: RedisServer, redis: Redis) -> AsyncIterator[Running]:
    made = Running(redis_server.url)
    yield made
    await made.stop()


def daily(**event: Any) -> BeatSchedule:
    """Every 20 s, which is rare enough for a log."""
    return schedule({"every": "20s", **event})


async def sent(running: Running, redis: Redis) -> None:
    await running.start(daily())
    await running.until("12:00:20")


async def missed(running: Running, event: Mapping[str, Any]) -> None:
    await running.start(daily(**event))
    await running.stop()
    running.clock.advance(120_000)
    await running.start(daily(**event))
    await running.until("12:02:01")


async def skipped(running: Running, redis: Redis) -> None:
    await missed(running, {"missed": {"policy": "Skip"}})


async def superseded(running: Running, redis: Redis) -> None:
    await missed(running, {})


async def outside(running: Running, redis: Redis) -> None:
    await missed(running, {"missed": {"policy": "All", "window": "1m"}})


async def suspended(running: Running, redis: Redis) -> None:
    await running.start(daily(suspend=True))
    await running.until("12:00:20")


async def held(running: Running, redis: Redis) -> None:
    await redis.set("asgic", "no channel")
    await running.start(daily())
    await running.until("12:00:20")


async def edited(running: Running, redis: Redis) -> None:
    await held(running, redis)
    running.engine.book.put(daily(notAfter="2025-06-03T00:00:00Z"))
    await running.until("12:00:22")


async def removed(running: Running, redis: Redis) -> None:
    await held(running, redis)
    running.engine.book.remove("default/t")
    await running.until("12:00:22")
    running.engine.book.put(daily())
    await running.until("12:00:23")


async def full(running: Running, redis: Redis) -> None:
    running.layers["default"] = LayerSettings("default", running.layers["default"].url, capacity=0)
    await running.start(daily())
    await running.until("12:00:20")


def tracked(**event: Any) -> BeatSchedule:
    return schedule({"every": "20s", "retry": {"limit": 0}, **event}, delivery="AtLeastOnce", pauseAfterFailures=1)


async def queued(running: Running, redis: Redis) -> None:
    await running.start(tracked())
    await running.until("12:00:20")


async def not_finished(running: Running, redis: Redis) -> None:
    await running.start(tracked(every="10s", overlap="Skip"))
    await running.until("12:00:20")


async def paused(running: Running, redis: Redis) -> None:
    await running.start(tracked(every="10s"))
    await running.until("12:00:10")
    await Hand(redis).work("failed", "Error: no")
    await running.until("12:00:20")


async def queue_overwritten(running: Running, redis: Redis) -> None:
    await redis.set("channelbeat:asgi:queue:c", "no queue")
    await running.start(tracked())
    await running.until("12:00:20")


async def unsendable(running: Running, redis: Redis) -> None:
    plain = daily()
    events = tuple(replace(event, fields={"n": 2**70}) for event in plain.spec.events)
    await running.start(replace(plain, spec=replace(plain.spec, events=events)))
    await running.until("12:00:22")


async def rolled_back(running: Running, redis: Redis, when: str) -> None:
    """Redis forgets at `when` what was decided since noon."""
    await running.start(daily())
    before = await redis.dump("channelbeat:asgi:state") or b""
    await running.until(when)
    await redis.restore("channelbeat:asgi:state", 0, before, replace=True)
    await running.until("12:02:30")
    assert Sign.ROLLED_BACK in running.journal.signs()
    await running.until("12:03:00")


async def replayed(running: Running, redis: Redis) -> None:
    await rolled_back(running, redis, "12:00:30")


async def lost(running: Running, redis: Redis) -> None:
    await rolled_back(running, redis, "12:02:10")


async def coming(running: Running, redis: Redis) -> None:
    await running.start(daily())


@pytest.mark.parametrize(
    ("story", "says"),
    [
        (sent, "it was enqueued (decided at"),
        (skipped, "missed.policy is Skip"),
        (superseded, "a younger one was sent instead"),
        (outside, "older than missed.window"),
        (suspended, "the event was suspended then"),
        (unsendable, "the layer's serializer refuses its message"),
        (replayed, "once more after Redis had lost its newest writes"),
        (lost, "it had been enqueued when Redis lost its newest writes, longer ago than a minute"),
        (held, "has not been decided yet"),
        (held, "holds something that is no channel"),
        (full, "channel c is full"),
        (
            queued,
            "What a worker made of it is told by `channelbeat run show default/t/e/2025-06-02T12:00:20Z`. Runs that wait",
        ),
        (not_finished, "an earlier run was not finished, and overlap is Skip"),
        (paused, "the event was paused then, after too many dead runs in a row"),
        (queue_overwritten, "the key of the queue of channel c holds something that is no queue"),
        (edited, "it had not been sent when the event was edited"),
        (removed, "it had not been sent when the event was removed"),
        (coming, "has not come yet"),
    ],
)
async def test_why(running: Running, redis: Redis, story: Callable[[Running, Redis], Awaitable[None]], says: str) -> None:
    await story(running, redis)
    assert says in await running.why("12:00:20")


async def test_why_of_the_latest_and_of_a_trigger(running: Running) -> None:
    await running.start(daily())
    await running.until("12:00:20")
    outcome = asyncio.create_task(running.engine.trigger("default/t", "e", at("12:00:15")))
    await running.until("12:00:21")
    assert (await outcome).kind == "enqueued"
    said = await running.why(None)
    assert "2025-06-02T12:00:20Z: it was enqueued (at" in said
    assert "2025-06-02T12:00:15Z: it was triggered, and enqueued (at" in said
    assert "2 messages wait in channel c now" in await running.why("12:00:20")


async def test_a_program_reads_facts(running: Running) -> None:
    await running.start(daily())
    await running.until("12:00:20")
    facts = (await running.engine.why("default/t", "e", at("12:00:20"))).facts
    assert facts.pop("at").startswith("20")
    assert facts == {
        "schedule": "default/t",
        "event": "e",
        "due": "2025-06-02T12:00:20Z",
        "outcome": "enqueued",
        "reason": "",
        "run": "default/t/e/2025-06-02T12:00:20Z",
        "decidedUntil": "2025-06-02T12:00:20Z",
        "backlog": 1,
    }


@pytest.mark.parametrize(
    ("name", "event", "says"),
    [
        ("default/tt", "e", "no schedule default/tt runs here: did you mean default/t?"),
        ("shop/x", "e", "no schedule shop/x runs here: there are default/lost, default/t"),
        ("default/t", "nigthly", "schedule default/t has no event 'nigthly' that runs: did you mean nightly?"),
        ("default/t", "x", "schedule default/t has no event 'x' that runs: there are nightly"),
        ("default/lost", "e", "schedule default/lost is for layer 'elsewhere', and there is none of that name here"),
    ],
)
async def test_what_does_not_run_here_is_said_with_what_does(running: Running, name: str, event: str, says: str) -> None:
    lost = schedule({"every": "1m"}, name="lost", channelLayer={"name": "elsewhere"})
    await running.start(schedule({"name": "nightly", "cron": "0 2 * * *"}), lost)
    with pytest.raises(UsageError) as refused:
        await running.engine.why(name, event, None)
    assert str(refused.value) == says
    with pytest.raises(UsageError):
        await running.engine.trigger(name, event, NOON)
    with pytest.raises(UsageError):
        await running.engine.resume(name, event)


async def test_next_fire_and_backlog(running: Running) -> None:
    await running.start(daily())
    await running.until("12:00:20")
    upcoming = running.engine.next_fire("default/t", "e")
    assert upcoming is not None
    assert upcoming.due == at("12:00:40")
    assert running.engine.next_fire("default/t", "unknown") is None
    assert await running.engine.backlog("default", ["c", "none"]) == {"c": 1, "none": 0}


async def test_what_is_known_of_an_event_s_runs(running: Running, redis: Redis) -> None:
    await running.start(tracked(), schedule({"every": "20s"}, name="plain", channel="p"))
    await running.until("12:00:40")
    engine, hand = running.engine, Hand(redis)
    assert await engine.backlog("default", ["c", queue_of("c"), "p"]) == {"c": 0, "queue:c": 2, "p": 2}
    assert await hand.take() is not None
    second = await hand.take()
    assert second is not None
    assert {name: load.in_flight for name, load in (await engine.loads("default", ["c", "none"])).items()} == {"c": 2, "none": 0}
    await hand.settle(second, "failed", "Error: no")
    stats = (await engine.stats("default", ["default/t/e", "default/plain/e"])).values()
    assert [(s.ok, s.failed, s.dead, s.running, s.paused is not None) for s in stats] == [(0, 1, 1, 1, True), (0, 0, 0, 0, False)]
    assert [await engine.resume("default/t", "e"), await engine.resume("default/t", "e")] == [True, False]
    assert (await engine.stats("default", ["default/t/e"]))["default/t/e"].paused is None
