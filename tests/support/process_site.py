"""Workloads that are processes, shell scripts instead of a Django project's workers; also a Site for the suite of the port."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from channelbeat.core.crews import Crew
from channelbeat.core.layer import LayerSettings
from channelbeat.core.scaling import Decision, Reason
from channelbeat.core.schedule import BeatSchedule
from channelbeat.engine.ports import Observed
from channelbeat.local.processes import Workers
from channelbeat.local.staff import Staff
from channelbeat.local.workers import Job, Place, teams
from channelbeat.local.workloads import Crews

LAYERS: Final = {"default": LayerSettings("default", "redis://nowhere")}
SLEEPS: Final = ("sh", "-c", "echo $POD_NAME; exec sleep 600")
"""It names no manage.py, so that there is no project to look at."""


class Counted(Workers):
    started = 0

    async def _once(self, job: Job) -> str:
        self.started += 1
        return await super()._once(job)


class ProcessSite:
    """`heard` of its processes are `lines`, `said` is what people are told of crews. Layers are led once `led` is set."""

    becomes_ready = True

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.said: list[str] = []
        self.led = asyncio.Event()
        self.busy: set[str] = set()
        self.workers = Counted(folder, self, first_pause=0.05, grace=5)
        staff = Staff(folder, LAYERS, self.workers, self._leading, lambda text: None)
        self.workloads = Crews(staff, self.workers, busy=lambda key: self.busy, say=self.said.append)
        self._schedules: dict[str, BeatSchedule] = {}

    async def _leading(self, layer: str) -> str:
        await self.led.wait()
        return "generation"

    def heard(self, place: Place, line: str) -> None:
        self.lines.append(f"[{place}] {line}")

    def say(self, text: str) -> None:
        """How they end is told elsewhere."""

    def use(self, *schedules: BeatSchedule) -> None:
        self.workloads.use(teams(schedules, LAYERS))

    async def put(self, schedule: BeatSchedule) -> None:
        """Whatever its command is."""
        worker = schedule.spec.worker
        assert worker is not None
        self._schedules[schedule.key] = replace(schedule, spec=replace(schedule.spec, worker=replace(worker, command=SLEEPS)))
        self.use(*self._schedules.values())

    async def remove(self, key: str) -> None:
        self._schedules.pop(key, None)
        self.use(*self._schedules.values())

    def started(self) -> int:
        return self.workers.started

    def want(self, replicas: int, why: str = "because", key: str = "default/prints") -> None:
        self.workloads.want(self.crew(key), Decision(replicas, Reason.LOAD, why), ())

    def crew(self, key: str = "default/prints") -> Crew:
        return next(crew for crew in self.workloads.crews() if crew.key == key)

    def observed(self, key: str = "default/prints") -> Observed | None:
        return self.workloads.observe(self.crew(key))

    def states(self, channel: str = "prints") -> Sequence[str]:
        return [*map(str, self.workers.crews().get(Place("default", channel), []))]

    def places(self) -> list[str]:
        """Where there is a process that nobody has asked to end."""
        return sorted(str(place) for place, (_, keeper) in self.workers._keepers.items() if not keeper.cancelling())


@asynccontextmanager
async def process_site(folder: Path) -> AsyncIterator[ProcessSite]:
    site = ProcessSite(folder)
    site.led.set()
    yield site
    for place in map(str, site.workers.states):
        (folder / f"drained {place}").touch()
    await site.workers.stop()
