"""A schedule's engine and a worker together, from the event to its end: pauses, deletions, and what a new leader knows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.core.batch import queue_of
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Kind, Reason, Sign
from channelbeat.core.runs import State, Stats
from channelbeat.runtime import Alone, Engine, SystemClock
from support.fleet import AMPLE, Fleet
from support.redis import RedisServer
from support.rig import Recorder, schedule
from support.waiting import eventually

EVENT = "default/t/e"
ONCE = {"limit": 0}
BEAT = {"type": "work", "every": "100ms"}


class Led:
    """An engine that leads, and what it told."""

    def __init__(self, engine: Engine, journal: Recorder) -> None:
        self.engine, self.journal = engine, journal

    async def stats(self) -> Stats:
        return (await self.engine.stats("default", [EVENT]))[EVENT]

    async def at_rest(self) -> bool:
        """No run is under way."""
        queue, stats = queue_of("c"), await self.stats()
        return (stats.running, stats.retrying, (await self.engine.backlog("default", [queue]))[queue]) == (0, 0, 0)

    def ended(self) -> list[State]:
        """Runs, as far as it told."""
        return [run.state for run in self.journal.runs]

    def paused(self) -> int:
        """Occurrences that rested."""
        return sum(outcome.count for outcome in self.journal.outcomes if (outcome.kind, outcome.reason) == (Kind.SUSPENDED, Reason.PAUSED))


@pytest.fixture
def led(redis_server: RedisServer, redis: Redis) -> Callable[..., Any]:
    @asynccontextmanager
    async def led(**spec: Any) -> AsyncIterator[Led]:
        """`spec`: of schedule default/t, with one `event`."""
        journal = Recorder()
        layers = {"default": LayerSettings("default", redis_server.url)}
        engine = Engine(layers, owner="us", journal=journal, clock=SystemClock(), leadership=Alone(), claim=1_000)
        engine.book.put(schedule(spec.pop("event"), delivery="AtLeastOnce", **spec))
        engine.book.complete()
        running = asyncio.create_task(engine.run())
        try:
            await engine.leading("default")
            yield Led(engine, journal)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return led


async def test_an_event_is_paused_after_so_many_dead_runs_and_resumed(fleet: Fleet, led: Callable[..., Any]) -> None:
    fleet.worker("c", application="failing.application", claim=AMPLE)
    async with led(event={**BEAT, "retry": ONCE}, pauseAfterFailures=3) as leader:
        await eventually(lambda: leader.paused() >= 3 and Sign.PAUSED in leader.journal.signs())
        stats = await leader.stats()
        assert (stats.dead >= 3, stats.ok, stats.paused is not None) == (True, 0, True)
        await eventually(lambda: leader.at_rest())
        began = fleet.diary.count("begin")
        resting = leader.paused()
        await eventually(lambda: leader.paused() > resting + 2)
        assert fleet.diary.count("begin") == began
        assert leader.journal.signs().count(Sign.PAUSED) == 1
        (fleet.diary.path.parent / "mended").touch()
        assert await leader.engine.resume("default/t", "e")
        await eventually(lambda: leader.ended().count(State.SUCCEEDED) >= 3)
        assert (await leader.stats()).paused is None
        assert not await leader.engine.resume("default/t", "e")


async def test_a_success_between_them_ends_the_row(fleet: Fleet, led: Callable[..., Any]) -> None:
    fleet.worker("c", application="failing.every_third", claim=AMPLE)
    async with led(event={**BEAT, "retry": ONCE}, pauseAfterFailures=3) as leader:
        await eventually(lambda: leader.ended().count(State.SUCCEEDED) >= 3)
        assert leader.ended().count(State.DEAD) >= 4
        assert (await leader.stats()).paused is None


async def test_runs_of_a_deleted_schedule_end_as_they_were_promised(fleet: Fleet, led: Callable[..., Any]) -> None:
    fleet.worker("c", application="failing.application", claim=AMPLE)
    async with led(event={**BEAT, "retry": {"limit": 2, "backoff": "500ms"}}) as leader:

        async def retrying() -> bool:
            return bool((await leader.stats()).retrying >= 2)

        await eventually(retrying)
        leader.engine.book.remove("default/t")

        await eventually(lambda: leader.at_rest(), 20)
        await eventually(lambda: len(leader.journal.runs) == len(set(fleet.diary.audit().begun)))
        assert {(run.state, run.attempts) for run in leader.journal.runs} == {(State.DEAD, 3)}
        assert set(fleet.diary.audit().begun.values()) == {3}


async def test_what_a_new_leader_knows_when_the_history_is_gone(redis: Redis, fleet: Fleet, led: Callable[..., Any]) -> None:
    """Counts and pauses are not made from the history."""
    fleet.worker("c", application="failing.application", claim=AMPLE)
    event = {**BEAT, "retry": ONCE}
    async with led(event=event, pauseAfterFailures=4) as leader:
        await eventually(lambda: leader.paused() >= 1)
        await eventually(lambda: leader.at_rest())
    for _ in range(2):
        await redis.delete("channelbeat:asgi:results")
        async with led(event=event, pauseAfterFailures=4) as leader:
            await eventually(lambda: leader.paused() >= 3)
            stats = await leader.stats()
            begun = fleet.diary.count("begin")
            assert (stats.failed, stats.dead, stats.ok, stats.paused is not None) == (begun, begun, 0, True)
            assert (leader.journal.runs, leader.journal.signs().count(Sign.PAUSED)) == ([], 0)
