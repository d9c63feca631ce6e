"""An Autoscaler on a real Redis, workers that are numbers, and a clock the test holds: a turn whenever a second passes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias

from channelbeat.broker.claims import Handled
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.schedule import BeatSchedule
from channelbeat.engine.ports import Clock
from channelbeat.running.autoscaler import Autoscaler
from channelbeat.runtime import Engine
from support.bench import Bench
from support.clock import ManualClock
from support.rig import Lease, Recorder, schedule
from support.sites import Memory
from support.times import NOON
from support.waiting import eventually

CREW: Final = "default/t-worker"
TEMPLATE: Final = {"template": {"spec": {"containers": [{"name": "worker", "image": "shop:1"}]}}}


def manned(*events: dict[str, Any], scaling: Mapping[str, Any] | None = None, worker: Mapping[str, Any] = TEMPLATE, **spec: Any) -> BeatSchedule:
    """A schedule with a worker block, AtLeastOnce unless `spec` says otherwise; its one event is due in years, unless there are others."""
    block = {**worker, "scaling": {"scaleDownAfter": "10s", **(scaling or {})}}
    return schedule(*(events or ({"at": "2099-01-01T00:00:00Z"},)), **{"delivery": "AtLeastOnce", "worker": block, **spec})


class Scaler:
    def __init__(self, url: str, *schedules: BeatSchedule, ready: bool = True, layers: Mapping[str, str] | None = None) -> None:
        self.clock, self.lease = ManualClock(NOON), Lease()
        self.layers = {name: LayerSettings(name, at) for name, at in (layers or {"default": url}).items()}
        self.engine = Engine(self.layers, owner="us", journal=Recorder(), clock=self.clock, leadership=self.lease)
        self.site = Memory(*schedules, ready=ready)
        for one in schedules:
            self.engine.book.put(one)
        self.autoscaler = self.another(self.clock)

    def another(self, clock: Clock) -> Autoscaler:
        return Autoscaler(self.engine, self.site, layers=lambda: self.layers, leadership=self.lease, clock=clock)

    async def put(self, schedule: BeatSchedule) -> None:
        self.engine.book.put(schedule)
        await self.site.put(schedule)

    async def pass_time(self, length: Ms = SECOND) -> None:
        """With a turn for each second."""
        for _ in range(length // SECOND):
            self.clock.advance(SECOND)
            await self.rested()

    async def until(self, condition: Callable[[], object], most: Ms) -> Ms:
        """After how long, of the time that the test holds, it is true."""
        for passed in range(0, most, SECOND):
            if condition():
                return passed
            await self.pass_time()
        assert condition(), f"not within {most} ms: {self.said()}"
        return most

    async def rested(self) -> None:
        await eventually(lambda: self.clock.sleepers, what="a turn to end")

    def said(self, key: str = CREW) -> tuple[int, str] | None:
        decision = self.autoscaler.decision(key)
        return None if decision is None else (decision.desired, str(decision.reason))

    def sentence(self, key: str = CREW) -> str:
        decision = self.autoscaler.decision(key)
        return "" if decision is None else decision.sentence

    def cure(self, key: str = CREW) -> str:
        finding = self.autoscaler.finding(key)
        return "" if finding is None else finding.text

    def found(self, key: str = CREW) -> str:
        finding = self.autoscaler.finding(key)
        return "" if finding is None else finding.reason


@asynccontextmanager
async def scaling(url: str, *schedules: BeatSchedule, **options: Any) -> AsyncIterator[Scaler]:
    """After its first turn."""
    scaler = Scaler(url, *schedules, **options)
    task = asyncio.create_task(scaler.autoscaler.run())
    try:
        await scaler.rested()
        yield scaler
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for name in scaler.layers:
            await scaler.engine._lane(name).broker.close()


Scaled: TypeAlias = Callable[..., AbstractAsyncContextManager[Scaler]]


async def put(bench: Bench, number: int, channel: str = "c", start: int = 0) -> None:
    """Runs, into our queue."""
    for one in range(start, start + number):
        await bench.one_offs.put(f"r{one}", channel, b"")


async def plain(bench: Bench, *messages: str, channel: str = "c") -> None:
    """Messages of the layer's own."""
    await bench.redis.zadd(f"asgi{channel}", {message: await bench.now() / 1000 for message in messages})


async def handled(bench: Bench, busy: Ms, channel: str = "c") -> None:
    """A worker was at one for so long."""
    await bench.worker().take(done=Handled(channel, busy))
