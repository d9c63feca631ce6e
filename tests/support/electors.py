"""Candidates for a Lease on a real API server, and an eye on all of them: at no time do two call it theirs beyond doubt."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from channelbeat.cluster import access
from channelbeat.cluster.api import Api
from channelbeat.cluster.elector import Elector
from channelbeat.core.instants import Ms
from channelbeat.errors import ApiUnreachable
from support.cluster import ControlPlane
from support.waiting import eventually

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
NAME = "channelbeat"
QUICK: dict[str, Ms] = {"duration": 1_000, "renewal": 250}
SLOW: dict[str, Ms] = {"duration": 50_000, "renewal": 20_000}
"""So that what happens within seconds was told by the watch."""
STEADY: dict[str, Ms] = {"duration": 30_000, "renewal": 1_000}
"""Renewed every second, by calls that have time, and not lost by a machine that stands still for one: where nothing is to run out."""


class Deaf(Api):
    """Its watches hang."""

    async def watch(self, path: str, *, since: str, **query: str) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        await asyncio.Event().wait()
        yield "", {}


class Mute(Api):
    """Answers to what it writes are lost while `mute`; it is carried out."""

    mute = True
    lost = 0

    async def _unheard(self, answer: dict[str, Any]) -> dict[str, Any]:
        if self.mute:
            self.lost += 1
            raise ApiUnreachable("the answer is lost")
        return answer

    async def create(self, path: str, body: Any, *, timeout: float | None = None) -> dict[str, Any]:  # noqa: ASYNC109 - as Api has it
        return await self._unheard(await super().create(path, body, timeout=timeout))

    async def replace(self, path: str, body: Any, *, timeout: float | None = None) -> dict[str, Any]:  # noqa: ASYNC109
        return await self._unheard(await super().replace(path, body, timeout=timeout))


class Stuck(Api):
    """Its first write is carried out, and then waits for `go_on`."""

    go_on: asyncio.Event

    async def create(self, path: str, body: Any, *, timeout: float | None = None) -> dict[str, Any]:  # noqa: ASYNC109 - as Api has it
        self.go_on = asyncio.Event()
        answer = await super().create(path, body, timeout=timeout)
        await self.go_on.wait()
        return answer


class Candidate:
    """`changes`: what it was at each call of `changed`: valid, lost."""

    def __init__(self, name: str, api: Api, elector: Callable[[Callable[[], None]], Elector]) -> None:
        self.name, self.api = name, api
        self.changes: list[tuple[bool, bool]] = []
        self.elector = elector(lambda: self.changes.append((self.elector.valid(), self.elector.lost())))
        self.task = asyncio.create_task(self.elector.run())

    def mute(self, mute: bool) -> None:
        assert isinstance(self.api, Mute)
        self.api.mute = mute

    def go_on(self) -> None:
        assert isinstance(self.api, Stuck)
        self.api.go_on.set()

    @property
    def unheard(self) -> int:
        assert isinstance(self.api, Mute)
        return self.api.lost

    async def leads(self) -> None:
        await eventually(self.elector.valid, 20, what=f"{self.name} leads")

    async def kill(self) -> None:
        """As kill -9: nothing is given up."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.api.close()


class Election:
    """Of one namespace. `doubled`: who called the Lease theirs at the same time, ever."""

    def __init__(self, kube: ControlPlane, namespace: str) -> None:
        self.kube, self.namespace = kube, namespace
        self.all, self.path = LEASES.format(namespace), f"{LEASES.format(namespace)}/{NAME}"
        self.candidates = list[Candidate]()
        self.doubled = set[tuple[str, ...]]()
        self._eye = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            if len(valid := self.valid()) > 1:
                self.doubled.add(tuple(valid))
            await asyncio.sleep(0)
            await asyncio.sleep(0.0005)

    def valid(self) -> list[str]:
        return [one.name for one in self.candidates if one.elector.valid()]

    async def one_leads(self, among: list[Candidate] | None = None, within: float = 20) -> Candidate:
        chosen = self.candidates if among is None else among
        found = await eventually(lambda: [one for one in chosen if one.elector.valid()], within, what="a leader")
        (leader,) = found
        assert isinstance(leader, Candidate)
        return leader

    def stand(self, name: str, *, token: str = "", api: type[Api] = Api, timing: dict[str, Ms] = QUICK, **more: Any) -> Candidate:
        """A new candidate, as the administrator or with a `token`."""
        ours = api(access.find(self.kube.write_kubeconfig(f"{self.namespace}-{name}", token or self.kube.token)), timeout=2.0)
        options = {**timing, **more}
        candidate = Candidate(name, ours, lambda changed: Elector(ours, namespace=self.namespace, name=NAME, identity=name, changed=changed, **options))
        self.candidates.append(candidate)
        return candidate

    def spec(self) -> dict[str, Any]:
        """Of the Lease; empty while there is none."""
        found = self.kube.api.get(self.all)["items"]
        return dict(found[0]["spec"]) if found else {}

    def overwrite(self, **spec: Any) -> None:
        """By a stranger, whatever it was."""
        self.kube.api.patch(self.path, {"spec": {"leaseDurationSeconds": 1, **spec}})

    async def close(self) -> None:
        for one in self.candidates:
            await one.kill()
        self._eye.cancel()


@asynccontextmanager
async def held(kube: ControlPlane, namespace: str) -> AsyncIterator[Election]:
    election = Election(kube, namespace)
    try:
        yield election
    finally:
        await election.close()
    assert not election.doubled, f"valid at the same time: {election.doubled}"
