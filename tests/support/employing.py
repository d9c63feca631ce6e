"""Workloads at work: a real API server, a real watch of its schedules, and a test that decides how many workers each is to have."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from channelbeat.cluster import access
from channelbeat.cluster.api import Api
from channelbeat.cluster.deployment import PATH
from channelbeat.cluster.register import Register
from channelbeat.cluster.scale_targets import ScaleTargets
from channelbeat.cluster.staffing import Staffing
from channelbeat.cluster.workloads import Workloads
from channelbeat.core.layer import LayerSettings
from channelbeat.core.scaling import Decision, Reason
from channelbeat.core.warming import Starts
from channelbeat.core.workers import Workers
from channelbeat.engine.book import Book
from channelbeat.runtime import SystemClock
from support.cluster import ControlPlane
from support.cluster_api import BEATS, Refused
from support.following import follow
from support.rig import Lease
from support.waiting import eventually

LAYERS = {"default": LayerSettings("default", "redis://127.0.0.1:1")}
TICK = 0.05


class Told(Api):
    """Keeps what is asked, as `VERB name`; `fails` may raise what the API server is to answer."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.asked: list[str] = []
        self.fails: Callable[[str], None] = lambda _: None

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        name = path.partition("/deployments")[2].strip("/") or path.rpartition("/")[2]
        if method == "POST" and body:
            name = body["metadata"]["name"]
        if not path.endswith("/pods"):  # those of workers that do not get ready are looked at, again and again
            self.asked.append(f"{method} {name}")
            self.fails(self.asked[-1])
        return await super()._call(method, path, body, **options)

    @property
    def writes(self) -> list[str]:
        return [one for one in self.asked if not one.startswith("GET")]


class Nobody:
    """Where the book's definitions go: nowhere."""

    def put(self, definition: object) -> None: ...
    def remove(self, layer: str, key: str) -> None: ...
    def park(self, layer: str, key: str) -> None: ...
    def complete(self) -> None: ...


class Employer:
    """What one process of the operator is, as far as workers go. `wanted`: how many workers each Deployment is to have, by its name."""

    def __init__(
        self, kube: ControlPlane, namespace: str, *, create: bool = True, everywhere: bool = False, layers: Mapping[str, LayerSettings] = LAYERS
    ) -> None:
        self.kube, self.namespace = kube, namespace
        self.api = Told(access.find(kube.kubeconfig))
        self.lease = Lease()
        self.changed: list[str] = []
        self.wanted: dict[str, int] = {}
        self.starts: Starts = ()
        self.staffing = Staffing()
        self.register = Register(Book(Nobody()), layers, [self.staffing])
        self.workloads = Workloads(
            self.api,
            self.staffing,
            namespaces=None if everywhere else (namespace,),
            targets=ScaleTargets(self.api, namespace=namespace, name="channelbeat"),
            leadership=self.lease,
            clock=SystemClock(),
            changed=self.changed.append,
            create=create,
        )

    def key(self, name: str) -> str:
        return f"{self.namespace}/{name}"

    def workers(self, name: str = "t") -> Workers | None:
        return self.workloads.workers(self.key(name))

    def trouble(self, name: str = "t") -> str:
        """Its reason."""
        workers = self.workers(name)
        return workers.trouble.reason if workers and workers.trouble else ""

    def live(self, name: str = "t-worker") -> dict[str, Any]:
        """Empty for none."""
        try:
            found: dict[str, Any] = self.kube.api.get(f"{PATH.format(self.namespace)}/{name}")
        except Refused as refused:
            if refused.status != 404:
                raise
            return {}
        return found

    def uid(self, name: str = "t-worker") -> str:
        return str(self.live(name).get("metadata", {}).get("uid", ""))

    def replicas(self, name: str = "t-worker") -> int | None:
        live = self.live(name)
        return live["spec"].get("replicas", 1) if live else None

    async def becomes(self, condition: Callable[[], Any], what: str = "", within: float = 10) -> Any:
        return await eventually(condition, within, what=f"{what}: {self.api.asked[-10:]}")

    async def at_rest(self, seconds: float = 0.6) -> None:
        """Nothing was asked for so long."""
        while True:
            asked = len(self.api.asked)
            await asyncio.sleep(seconds)  # that nothing happens can only be seen by waiting
            if len(self.api.asked) == asked:
                return

    @asynccontextmanager
    async def running(self, *, leads: bool = True, follows: bool = True) -> AsyncIterator["Employer"]:
        """`follows`: the schedules that the API server has; if not, the test says what there is."""
        self.lease.held = leads
        parts = [self.workloads.run(), self._decide()]
        if follows:
            for raw in self.kube.api.get(BEATS.format(self.namespace))["items"]:
                self.register.see(raw)
            parts.append(follow(self.api, BEATS.format(self.namespace), self.register))
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            await self.api.close()
            faults = [one for one in done if isinstance(one, Exception)]
            assert not faults, faults

    async def _decide(self) -> None:
        """As the autoscaler does."""
        while True:
            if self.lease.valid():
                for crew in self.workloads.crews():
                    number = self.wanted.get(crew.key.partition("/")[2])
                    if number is not None and self.workloads.observe(crew) is not None:
                        self.workloads.want(crew, Decision(number, Reason.LOAD, "there is so much to do"), self.starts)
            await asyncio.sleep(TICK)
