"""`channelbeat operator`, put together.

Every replica watches and keeps its book warm; the one that leads sends. Started: the watch, and once everything has been seen the
election. Stopped by SIGTERM: first the lead is handed over (batches in flight end, the layers are given up, then the Lease), then all
else; a second SIGTERM hurries it. A part that cannot go on ends the process in the same way, with its sentence.
"""

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from channelbeat import __version__
from channelbeat.cluster import access as reaching
from channelbeat.cluster.api import Api
from channelbeat.cluster.census import Census
from channelbeat.cluster.elector import Elector
from channelbeat.cluster.fault_log import FaultLog
from channelbeat.cluster.journals import Journals
from channelbeat.cluster.layer_files import LayerFiles
from channelbeat.cluster.parts import Parts
from channelbeat.cluster.register import Register
from channelbeat.cluster.reports import Reporter
from channelbeat.cluster.requests import Requests
from channelbeat.cluster.scale_targets import ScaleTargets
from channelbeat.cluster.staffing import Staffing
from channelbeat.cluster.stuck import stuck
from channelbeat.cluster.watch import Scope, watch
from channelbeat.cluster.workloads import Workloads
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.observability import pages
from channelbeat.observability.address import Address
from channelbeat.observability.health import Health
from channelbeat.observability.log_journal import LogJournal
from channelbeat.observability.metrics import Metrics
from channelbeat.observability.page import Handler
from channelbeat.running import control, instance
from channelbeat.running.answers import Answers
from channelbeat.running.autoscaler import Autoscaler
from channelbeat.runtime import Engine, SystemClock

log: Final = logging.getLogger("channelbeat")

HANDS_OVER_WITHIN: Final = 1.5  # seconds; a layer whose Redis hangs must not keep the Lease, and all other layers, from the next leader
ENDS_WITHIN: Final = 10.0
DISPATCHER: Final = "dispatcher"
ASIDE: Final[Ms] = 2 * SECOND  # others take it within milliseconds; should none be there, it is taken back
TRIGGERS: Final = "the operator is asked by annotation: kubectl annotate beat NAME -n NAMESPACE --overwrite trigger.channelbeat.dev/EVENT=$(date -u +%FT%TZ)"


@dataclass(frozen=True, slots=True)
class Config:
    """As on the command line. `namespaces` empty: the one we are in; None: all. `lease_namespace` None: the one we are in. `workers`: may
    Deployments be made?"""

    layers: Path
    listen: Address
    namespaces: tuple[str, ...] | None = ()
    selector: str = ""
    lease: str = "channelbeat"
    lease_namespace: str | None = None
    lease_duration: Ms = 3 * SECOND
    lease_renewal: Ms = SECOND
    status_writes: float = 20.0
    kubeconfig: Path | None = None
    context: str | None = None
    workers: bool = True


def run(config: Config) -> None:
    """Until SIGTERM; ChannelbeatError when it cannot go on."""
    asyncio.run(_Operator(config).run())


class _Operator:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._access = reaching.find(config.kubeconfig, config.context)
        named = config.namespaces or (self._access.namespace,)
        self._namespaces = None if config.namespaces is None else tuple(dict.fromkeys(named))
        self._stop = asyncio.Event()
        self._parts = Parts()

    async def run(self) -> None:
        self._take_signals()
        async with AsyncExitStack() as stack:
            self._api = Api(self._access)
            stack.push_async_callback(self._api.close)
            self._assemble()
            await stack.enter_async_context(pages.serving(*self._config.listen, self._pages()))
            await stack.enter_async_context(self._asked())
            self._begin_parts()
            try:
                await self._parts.until(self._stop)
            finally:
                await self._end()

    def _assemble(self) -> None:
        config, clock = self._config, SystemClock()
        self._files = LayerFiles(config.layers, changed=self._use_layers)
        self._layers: Mapping[str, LayerSettings] = self._files.read()
        lease_namespace = config.lease_namespace or self._access.namespace
        self._elector = Elector(
            self._api,
            namespace=lease_namespace,
            name=config.lease,
            identity=_identity(),
            duration=config.lease_duration,
            renewal=config.lease_renewal,
            changed=self._wake,
        )
        owner = reaching.owner(self._access, f"{lease_namespace}/{config.lease}")
        journals = Journals()
        self._engine = Engine(self._layers, owner=owner, journal=journals, clock=clock, leadership=self._elector)
        staffing = Staffing()
        self._workloads = Workloads(
            self._api,
            staffing,
            namespaces=self._namespaces,
            targets=ScaleTargets(self._api, namespace=lease_namespace, name=config.lease),
            leadership=self._elector,
            clock=clock,
            changed=self._staffed,
            create=config.workers,
        )
        self._autoscaler = Autoscaler(self._engine, self._workloads, layers=lambda: self._layers, leadership=self._elector, clock=clock)
        self._workloads.heed(self._autoscaler)
        workers = self._workloads.workers
        self._reporter = Reporter(self._api, self._engine, leadership=self._elector, clock=clock, workers=workers, writes_per_second=config.status_writes)
        self._requests = Requests(self._engine, leadership=self._elector, clock=clock, answered=self._reporter.answered, resumed=self._reporter.look)
        self._metrics = Metrics(self._engine, leadership=self._elector, writes=self._reporter.writes, workers=workers, version=__version__)
        self._faults = FaultLog()
        self._register = Register(self._engine.book, self._layers, [staffing, self._reporter, self._requests, self._metrics, self._faults])
        self._census = Census(self._api, self._register, namespaces=self._namespaces, selector=config.selector)
        self._health = Health(self._engine.layers, lambda: self._register.complete)
        journals.to += [LogJournal(), self._metrics, self._reporter]

    def _pages(self) -> Mapping[str, Handler]:
        return {"/healthz": self._health.healthz, "/readyz": self._health.readyz, "/metrics": self._metrics.page}

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[None]:
        """`channelbeat why`, `runs` and others find us, from within the pod."""
        answers = Answers(self._engine, lambda: self._layers, SystemClock().now, triggers=lambda: TRIGGERS)
        with TemporaryDirectory(prefix="channelbeat-") as folder, instance.taken(Path(folder)) as ours:
            async with control.listening(ours.directory, answers.answer):
                yield

    def _begin_parts(self) -> None:
        log.info(
            "channelbeat %s: schedules of %s, layers %s",
            __version__,
            "all namespaces" if self._namespaces is None else ", ".join(self._namespaces),
            ", ".join(self._layers),
        )
        self._parts.begin(DISPATCHER, self._engine.run())
        self._parts.begin("schedules", self._follow())
        self._parts.begin("election", self._elect())
        self._parts.begin("status", self._reporter.run())
        self._parts.begin("requests", self._requests.run())
        self._parts.begin("workers", self._once_seen(self._workloads.run))
        self._parts.begin("scaling", self._once_seen(self._autoscaler.run))
        self._parts.begin("layer files", self._files.run())
        self._parts.begin("metrics", self._metrics.run())
        self._parts.begin("lead", self._step_aside_when_stuck())

    async def _follow(self) -> None:
        await self._census.begin()
        self._parts.begin("census", self._census.run())
        scope = Scope(self._namespaces, self._config.selector)
        await watch(self._access, self._register, scope, listed=self._census.want, signals=self._take_signals)

    async def _elect(self) -> None:
        """Once all has been seen: who leads knows what there is to send."""
        await self._register.completed.wait()
        self._faults.begin()
        gc.collect()
        gc.freeze()  # what has been read stays: no collection need look at it again
        await self._elector.run()

    async def _once_seen(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """All schedules: one of them may name the workers of another."""
        await self._register.completed.wait()
        await run()

    def _staffed(self, schedule: str) -> None:
        """Something else is to be said of its workers."""
        self._reporter.staffed(schedule)
        self._metrics.staffed(schedule)

    def _wake(self) -> None:
        """The leadership may have changed."""
        self._engine.wake()
        self._requests.wake()
        self._reporter.wake()
        self._workloads.wake()

    def _use_layers(self, layers: Mapping[str, LayerSettings]) -> None:
        names = self._layers.keys() | layers.keys()
        changed = [name for name in names if self._layers.get(name) != layers.get(name)]
        self._engine.use_layers(layers)
        self._layers = layers
        self._register.use_layers(layers, changed)

    async def _end(self) -> None:
        log.info("stopping: handing over")
        await self._hand_over()
        await self._parts.end(within=ENDS_WITHIN)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # requests that kopf left behind end with their connection
        log.info("stopped")

    async def _step_aside_when_stuck(self) -> None:
        while True:
            await asyncio.sleep(1)
            if self._elector.valid() and stuck(self._engine.layers(), SystemClock().now()):
                log.warning("no layer can be reached from here: the lead is offered to another replica")
                await self._elector.step_aside(ASIDE)

    async def _hand_over(self) -> None:
        await self._parts.end(DISPATCHER, within=HANDS_OVER_WITHIN)
        await self._elector.release()

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._signalled)

    def _signalled(self) -> None:
        """The second time: at once."""
        if self._stop.is_set():
            os._exit(1)
        self._stop.set()


def _identity() -> str:
    """Of this process, in the Lease."""
    return f"{os.environ.get('POD_NAME') or socket.gethostname()}_{secrets.token_hex(4)}"
