"""A reporter at work: a real API server, a real engine on a real Redis, and the watch that brings everything back. The test holds the clock."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from channelbeat.cluster import access
from channelbeat.cluster.api import Api
from channelbeat.cluster.journals import Journals
from channelbeat.cluster.register import Register
from channelbeat.cluster.reports import Reporter
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.workers import Workers
from channelbeat.errors import ApiRefused, ApiUnreachable
from channelbeat.runtime import Engine
from support.clock import ManualClock
from support.cluster import ControlPlane
from support.cluster_api import BEATS
from support.following import follow
from support.rig import Lease
from support.waiting import eventually


class Tapped(Api):
    """Counts what is asked, and may keep answers back: `loses` of what is carried out, `swallows` of what is not, which is refused with
    `status` if it has one. What is written to a name in `hangs` is never answered."""

    under_way = loses = swallows = status = 0
    hangs: str = ""

    async def merge(self, path: str, body: Mapping[str, Any], *, timeout: float | None = None) -> dict[str, Any]:  # noqa: ASYNC109
        if path.split("/")[-2] == self.hangs:
            await asyncio.Event().wait()
        with self._counted():
            if self.swallows:
                self.swallows -= 1
                raise ApiRefused("refused", self.status) if self.status else ApiUnreachable("swallowed")
            answer = await super().merge(path, body, timeout=timeout)
            if self.loses:
                self.loses -= 1
                raise ApiUnreachable("lost")
            return answer

    async def get(self, path: str, *, timeout: float | None = None, **query: str) -> dict[str, Any]:  # noqa: ASYNC109
        with self._counted():
            return await super().get(path, timeout=timeout, **query)

    async def create(self, path: str, body: Mapping[str, Any], *, timeout: float | None = None) -> dict[str, Any]:  # noqa: ASYNC109
        with self._counted():
            return await super().create(path, body, timeout=timeout)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1


class Watched:
    """The test's clock, as the reporter has it."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._nap: tuple[Ms | None, asyncio.Event] | None = None

    @property
    def asleep(self) -> bool:
        """There is nothing for it to do before the clock moves."""
        if self._nap is None:
            return False
        due, wake = self._nap
        return (due is None or due > self.now()) and not wake.is_set()

    def now(self) -> Ms:
        return self._clock.now()

    async def sleep_until(self, due: Ms | None, wake: asyncio.Event) -> None:
        self._nap = due, wake
        try:
            await self._clock.sleep_until(due, wake)
        finally:
            self._nap = None


class Replica:
    """What one process of the operator is, as far as status goes."""

    def __init__(self, kube: ControlPlane, namespace: str, layers: Mapping[str, LayerSettings], *, clock: ManualClock, rate: float = 1_000.0) -> None:
        self.kube, self.namespace, self.clock = kube, namespace, clock
        self.path = BEATS.format(namespace)
        self.api = Tapped(access.find(kube.kubeconfig))
        self.lease = Lease()
        self.naps = Watched(clock)
        journals = Journals()
        self.engine = Engine(layers, owner="us", journal=journals, clock=clock, leadership=self.lease)
        self.workers: dict[str, Workers] = {}
        self.reporter = Reporter(self.api, self.engine, leadership=self.lease, clock=self.naps, workers=self.workers.get, writes_per_second=rate)
        self.register = Register(self.engine.book, layers, [self.reporter])
        journals.to.append(self.reporter)

    @property
    def writes(self) -> Counter[str]:
        return self.reporter.writes

    @asynccontextmanager
    async def running(self, *, leads: bool = True) -> AsyncIterator["Replica"]:
        self.lease.held = leads
        self.following = asyncio.create_task(follow(self.api, self.path, self.register))
        parts = [self.following, asyncio.create_task(self.engine.run()), asyncio.create_task(self.reporter.run())]
        try:
            yield self
        finally:
            for part in parts:
                part.cancel()
            ended = await asyncio.gather(*parts, return_exceptions=True)
            await self.api.close()
            faults = [fault for fault in ended if isinstance(fault, Exception) and not isinstance(fault, ApiUnreachable)]
            assert not faults, faults

    def get(self, name: str) -> Any:
        return self.kube.api.get(f"{self.path}/{name}")

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(name).get("status", {})
        return found

    def condition(self, name: str, type_: str = "Ready") -> tuple[str, str]:
        """Its status and reason; empty while there is none."""
        return next(((one["status"], one["reason"]) for one in self.status(name).get("conditions", []) if one["type"] == type_), ("", ""))

    def event(self, name: str, event: str) -> dict[str, Any]:
        return next((one for one in self.status(name).get("eventStatuses", []) if one["name"] == event), {})

    def events(self) -> list[tuple[str, str]]:
        """Kubernetes Events: type and reason."""
        found = self.kube.api.get(f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return [(one["type"], one["reason"]) for one in sorted(found, key=lambda one: int(one["metadata"]["resourceVersion"]))]

    def staff(self, name: str, workers: Workers) -> None:
        """So it stands with its workers from now on."""
        self.workers[f"{self.namespace}/{name}"] = workers
        self.reporter.staffed(f"{self.namespace}/{name}")

    async def seen(self, *names: str) -> None:
        """Wait until the register knows these as the server has them now."""
        wanted = {f"{self.namespace}/{name}": self.get(name) for name in names}

        def known() -> bool:
            seen = self.reporter._objects
            return all(
                key in seen
                and (seen[key].seen.uid, seen[key].seen.generation) == (one["metadata"]["uid"], one["metadata"]["generation"])
                and json.loads(seen[key].seen.status or b"{}") == one.get("status", {})
                for key, one in wanted.items()
            )

        await eventually(known, what=f"{names} seen")

    async def idle(self) -> None:
        """Until the reporter has nothing to do before the clock moves."""
        await eventually(lambda: self.naps.asleep and not self.api.under_way, what="the reporter to be idle")

    async def pass_time(self, length: Ms, step: Ms = SECOND // 2) -> None:
        """In steps, with the reporter idle after each."""
        while length > 0:
            self.clock.advance(min(step, length))
            length -= step
            await self.idle()

    async def pass_until(self, condition: Any, *, step: Ms = SECOND // 2, within: float = 40.0) -> None:
        async def stepped() -> bool:
            if condition():
                return True
            await self.pass_time(step)
            return False

        await eventually(stepped, within, what="the condition")
