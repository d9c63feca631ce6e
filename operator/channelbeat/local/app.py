"""`channelbeat local`, put together. Started: Redis, workers, engine, files; stopped: the engine first, then the workers, then Redis.

Ctrl-C (or SIGTERM, or the end of the time given, or of whoever reads our output) stops it in that order; a second one hurries it. A part
that cannot go on ends all of it with its sentence.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from channelbeat import layers as layers_file
from channelbeat import manifests
from channelbeat.broker.layer import check
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.errors import ChannelbeatError, NoRedis, UsageError
from channelbeat.local import board, project
from channelbeat.local.console import Console, Style
from channelbeat.local.embedded_redis import Server
from channelbeat.local.files import Files
from channelbeat.local.intake import Intake
from channelbeat.local.output import Output, Plain
from channelbeat.local.processes import Workers
from channelbeat.local.screen import Screen, rows_that_fit
from channelbeat.local.staff import Staff
from channelbeat.local.workers import CLAIM, teams
from channelbeat.local.workloads import Crews
from channelbeat.running import control, instance
from channelbeat.running.answers import Answers
from channelbeat.running.autoscaler import Autoscaler
from channelbeat.running.instance import Instance
from channelbeat.runtime import Alone, Engine, SystemClock

WATCH: Final = 0.1  # seconds between two looks at the embedded Redis
LONGEST_PAUSE: Final = 10.0  # seconds before it is started again


@dataclass(frozen=True, slots=True)
class Config:
    """As on the command line. `app` None: look for it; `data` None: beside the first path; `lasts` None: until stopped."""

    paths: tuple[Path, ...]
    app: Path | None = None
    redis: str | None = field(default=None, repr=False)
    layers: Path | None = None
    data: Path | None = None
    workers: bool = True
    lasts: Ms | None = None
    output: Literal["text", "json"] = "text"


def run(config: Config) -> None:
    """Until stopped; ChannelbeatError when it cannot go on."""
    if manifests.STDIN in config.paths:
        raise UsageError("standard input cannot be followed: name a file or a folder")
    manifests.files(config.paths)
    data = config.data.resolve() if config.data else instance.beside(config.paths[0])
    with instance.taken(data) as ours, contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_Local(config, ours).run())


class _Local:
    def __init__(self, config: Config, ours: Instance) -> None:
        self._config = config
        self._ours = ours
        self._clock = SystemClock()
        self._server: Server | None = None
        self._layers = self._read_layers()
        self._hurries: list[Callable[[], object]] = []
        self._stopping = False

    def _read_layers(self) -> dict[str, LayerSettings]:
        """With the embedded Redis for those that name none."""
        config = self._config
        server = None if config.redis else Server(self._ours.directory)
        url = config.redis or (server.url if server else "")
        if config.layers:
            layers = layers_file.read(config.layers, refuse=check, url=url)
        elif fault := check(LayerSettings("default", url)):
            raise UsageError(f"--redis: {fault}")
        else:
            layers = {"default": LayerSettings("default", url)}
        if server and any(layer.url == url for layer in layers.values()):
            self._server = server
        return layers

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        work = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop, work)
        begun = self._clock.now()

        def gone() -> None:
            loop.call_soon_threadsafe(self._stop, work)

        with self._console(gone) as (console, screen):
            try:
                await self._work(console, screen)
            except* ChannelbeatError as errors:
                raise _first(errors) from None
            finally:
                console.summary(self._clock.now() - begun)

    def _stop(self, work: "asyncio.Task[None] | None") -> None:
        """The second time: at once."""
        if self._stopping:
            for hurry in self._hurries:
                hurry()
        elif work:
            self._stopping = True
            work.cancel()

    @contextmanager
    def _console(self, gone: Callable[[], None]) -> Iterator[tuple[Console, Screen | None]]:
        screen = Screen() if self._config.output == "text" and sys.stdout.isatty() else None
        style: Style = "json" if self._config.output == "json" else "table" if screen else "lines"
        output = Output(screen or Plain(), gone=gone, refresh=board.REST if screen else None)
        try:
            yield Console(output, style), screen
        finally:
            output.close()

    async def _work(self, console: Console, screen: Screen | None) -> None:
        app = self._app(console)
        workers = Workers(app or Path(), console)
        engine = Engine(self._layers, owner=self._ours.owner, journal=console, clock=self._clock, leadership=Alone(), claim=CLAIM)
        answers = Answers(engine, lambda: self._layers, self._clock.now)
        async with self._redis(console), _ended(workers), control.listening(self._ours.directory, answers.answer):
            self._hurries.append(workers.hurry)
            if self._config.lasts is not None:
                asyncio.get_running_loop().call_later(self._config.lasts / SECOND, self._stop, asyncio.current_task())
            async with asyncio.TaskGroup() as parts:
                self._hurries.append(parts.create_task(engine.run()).cancel)
                if self._server:
                    parts.create_task(_kept_running(self._server, console.say))
                crews = self._crews(app, workers, engine, console, parts) if app else None
                if screen:
                    parts.create_task(board.keep_up(engine, console, workers.crews, room=rows_that_fit, now=self._clock.now, show=screen.show))

                def changed() -> None:
                    if crews:
                        crews.use(teams(engine.book.schedules.values(), self._layers))

                await Files(self._config.paths, Intake(self._layers), engine.book, say=console.say, changed=changed).run()

    def _crews(self, app: Path, workers: Workers, engine: Engine, console: Console, parts: asyncio.TaskGroup) -> Crews:
        """Started, and scaled."""
        staff = Staff(app, self._layers, workers, engine.leading, console.say)
        crews = Crews(staff, workers, busy=lambda key: autoscaler.busy_pods(key), say=console.say)
        autoscaler = Autoscaler(engine, crews, layers=lambda: self._layers, leadership=Alone(), clock=self._clock)
        parts.create_task(staff.run())
        parts.create_task(autoscaler.run())
        return crews

    def _app(self, console: Console) -> Path | None:
        """The Django project; None for no workers."""
        if not self._config.workers:
            return None
        if self._config.app:
            return self._config.app.resolve()
        found = next((app for path in self._config.paths if (app := project.nearest(path))), None)
        if found is None:
            console.say(f"no Django project (manage.py) at or above {self._config.paths[0]}: no workers run here; name it with --app DIR")
        return found

    @asynccontextmanager
    async def _redis(self, console: Console) -> AsyncIterator[None]:
        if self._server is None:
            yield
            return
        self._server.start()
        self._hurries.append(self._server.kill)
        try:
            await self._server.answering(console.say)
            yield
        finally:
            await asyncio.to_thread(self._server.stop)


@asynccontextmanager
async def _ended(workers: Workers) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await workers.stop()


async def _kept_running(server: Server, say: Callable[[str], None]) -> None:
    """Starts it again when it dies."""
    pause = WATCH
    while True:
        while server.alive():  # noqa: ASYNC110 - there is no event for it on every platform
            await asyncio.sleep(WATCH)
        say(f"the embedded Redis ended ({server.last_words()}); it is started again")
        await asyncio.sleep(pause)
        try:
            server.start()
            await server.answering(say)
            say("the embedded Redis answers again")
            pause = WATCH
        except NoRedis:
            pause = min(2 * pause, LONGEST_PAUSE)


def _first(errors: "BaseExceptionGroup[ChannelbeatError]") -> BaseException:
    """One sentence is enough: what ended first is why all ended."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
