"""Lets workers start once their project was found able to hear us: as soon as their layer is led, each layer for itself."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from channelbeat.core.layer import LayerSettings
from channelbeat.errors import ProjectError
from channelbeat.local import project
from channelbeat.local.processes import Workers
from channelbeat.local.workers import Job, Place

Group: TypeAlias = tuple[str, tuple[str, ...], tuple[tuple[str, str], ...], bool]
Leading: TypeAlias = Callable[[str], Awaitable[str]]

SLOW: Final = 5.0  # seconds that a project may take to load before people wonder what is going on


class Staff:
    """`leading` waits for a layer and answers its store's generation."""

    def __init__(self, app: Path, layers: Mapping[str, LayerSettings], workers: Workers, leading: Leading, say: Callable[[str], None]) -> None:
        self._app, self._layers, self._workers, self._leading, self._say = app, layers, workers, leading, say
        self._jobs: Mapping[Place, Job] = {}
        self._known: dict[Job, bool] = {}  # may it start?
        self._checks: dict[Job, asyncio.Task[None]] = {}
        self._served = False  # has any worker ever been let start?
        self._hopeless: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def check(self, jobs: Collection[Job]) -> None:
        """These may have to be started: each the first of those that are like it. Returns at once. What failed its check is checked again: the
        project may have been mended."""
        self._known = {job: good for job, good in self._known.items() if good and job in jobs}
        groups: dict[Group, list[Job]] = {}
        for job in jobs:
            if job not in self._known and job not in self._checks:
                groups.setdefault((job.place.layer, job.command, job.env, job.tracked), []).append(job)
        for group in groups.values():
            task = asyncio.create_task(self._look(group))
            task.add_done_callback(self._checked)
            self._checks |= dict.fromkeys(group, task)

    def may_start(self, job: Job) -> bool:
        return self._known.get(job.numbered(1), False)

    def start(self, jobs: Mapping[Place, Job]) -> None:
        """These and no others, each as soon as it may."""
        self._jobs = jobs
        self._start()

    async def run(self) -> None:
        """Never returns; ProjectError when not one worker can be started, at the start: later on what runs goes on, and is told."""
        try:
            await self._hopeless
        finally:
            for check in self._checks.values():
                check.cancel()
            await asyncio.gather(*self._checks.values(), return_exceptions=True)

    async def _look(self, jobs: Sequence[Job]) -> None:
        layer = self._layers[jobs[0].place.layer]
        try:
            generation = await self._leading(layer.name)
            with self._telling_if_slow(jobs):
                verdict = await project.check(self._app, jobs, layer, generation=generation)
            faults: tuple[str, ...] = verdict.faults
            for warning in verdict.warnings:
                self._say(warning)
        except ProjectError as error:
            faults = (str(error),)
        finally:
            for job in jobs:
                self._checks.pop(job, None)
        self._known |= dict.fromkeys(jobs, not faults)
        self._served |= not faults
        if faults and not self._checks and not self._served:
            raise ProjectError("\n".join((*faults, "Mend it and start again, or run without workers: --no-workers")))
        for fault in faults:
            self._say(f"no workers for {_channels(jobs)}: {fault}")
        self._start()

    @contextmanager
    def _telling_if_slow(self, jobs: Sequence[Job]) -> Iterator[None]:
        told = asyncio.get_running_loop().call_later(SLOW, self._say, f"no workers for {_channels(jobs)} yet: the project in {self._app} is being loaded")
        try:
            yield
        finally:
            told.cancel()

    def _checked(self, check: "asyncio.Task[None]") -> None:
        if not check.cancelled() and (error := check.exception()) and not self._hopeless.done():
            self._hopeless.set_exception(error)

    def _start(self) -> None:
        self._workers.run({place: job for place, job in self._jobs.items() if self.may_start(job)})


def _channels(jobs: Sequence[Job]) -> str:
    return ", ".join(dict.fromkeys(str(Place(job.place.layer, channel)) for job in jobs for channel in job.channels))
