"""Which Deployments are known, through everything that happens to a watch."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from channelbeat.cluster import access, deployments
from channelbeat.cluster.deployment import PATH
from channelbeat.cluster.deployments import Deployments
from channelbeat.cluster.staffing import Part
from channelbeat.errors import ApiRefused, ApiUnreachable
from support import link
from support.cluster import ControlPlane
from support.employing import Told
from support.waiting import eventually

NEITHER: Final = Part(whole=False, template=False)
WHOLE: Final = Part(whole=True, template=False)
COPIED: Final = Part(whole=False, template=True)
LONG: Final = 60.0
"""Seconds. An API server that comes back slowly is asked ever more rarely: about as long again as it was away."""


def body(name: str, image: str = "a:1", **labels: str) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": spec}


class Strange(Told):
    """A watch may have to begin anew, and a question may be answered with something else."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.forgets = False
        self.elsewhere: dict[str, str] = {}  # paths

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        return await super()._call(method, self.elsewhere.get(path, path), body, **options)

    async def watch(self, path: str, *, since: str, **query: str) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        async with aclosing(super().watch(path, since=since, **query)) as changes:
            async for change in changes:
                if self.forgets:
                    self.forgets = False
                    raise ApiRefused("too old resource version", 410, "Expired")
                yield change


class Seer:
    """A follower of the Deployments of some namespaces. `parts`: what matters of which."""

    def __init__(self, kube: ControlPlane, *namespaces: str, kubeconfig: Path | None = None) -> None:
        self.kube, self.namespace = kube, namespaces[0]
        self.path = PATH.format(self.namespace)
        self.parts: dict[str, Part] = {}
        self.changes: list[str] = []
        self.api = Strange(access.find(kubeconfig or kube.kubeconfig))
        self.found = Deployments(self.api, namespaces=namespaces, part=lambda key: self.parts.get(key.partition("/")[2], NEITHER), changed=self.changes.append)

    def key(self, name: str) -> str:
        return f"{self.namespace}/{name}"

    def put(self, name: str, image: str = "a:1", **labels: str) -> None:
        self.kube.api.apply(f"{self.path}/{name}", body(name, image, **labels), force="true")

    def scale(self, name: str, replicas: int) -> None:
        self.kube.api.patch(f"{self.path}/{name}/scale", {"spec": {"replicas": replicas}})

    def replicas(self, name: str) -> int | None:
        live = self.found.get(self.key(name))
        return live.replicas if live else None

    def image(self, name: str) -> str:
        live = self.found.get(self.key(name))
        return str(live.source["spec"]["template"]["spec"]["containers"][0]["image"]) if live and live.template else ""

    def need(self, name: str, part: Part) -> None:
        self.parts[name] = part
        self.found.need([self.key(name)], [])

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Seer"]:
        task = asyncio.create_task(self.found.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.api.close()


@pytest.fixture
def seer(kube: ControlPlane, namespace: str) -> Seer:
    return Seer(kube, namespace)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "SHORTEST", 50)


async def test_only_what_matters_is_kept(seer: Seer) -> None:
    seer.parts = {"ours": WHOLE, "copied": COPIED}
    for name in ("ours", "copied", "other"):
        seer.put(name)
    seer.put("labelled", **{"channelbeat.dev/schedule": "x"})
    async with seer.running():
        await eventually(lambda: seer.found.known(seer.key("ours")))
        assert {key.partition("/")[2] for key in seer.found.keys()} == {"ours", "copied", "labelled"}  # noqa: SIM118 - a method of ours
        ours, copied = seer.found.get(seer.key("ours")), seer.found.get(seer.key("copied"))
        assert ours is not None
        assert copied is not None
        assert (bool(ours.rest), bool(ours.template), bool(copied.rest), bool(copied.template)) == (True, False, False, True)
        assert ours.body["metadata"]["name"] == "ours"
        seer.put("later", **{"channelbeat.dev/schedule": "y"})
        await eventually(lambda: seer.replicas("later") == 1)
        seer.kube.api.delete(f"{seer.path}/later")
        await eventually(lambda: seer.replicas("later") is None)


async def test_an_answer_that_comes_after_its_end_was_told_brings_nothing_back(seer: Seer) -> None:
    seer.parts = {"ours": WHOLE}
    async with seer.running():
        await eventually(lambda: seer.found.known(seer.key("ours")))
        seer.put("ours")
        first = seer.kube.api.get(f"{seer.path}/ours")
        await eventually(lambda: seer.replicas("ours") == 1)
        seer.kube.api.delete(f"{seer.path}/ours")
        await eventually(lambda: seer.replicas("ours") is None)
        seer.found.keep(first)
        assert seer.replicas("ours") is None
        seer.put("ours", "a:2")
        await eventually(lambda: seer.replicas("ours") == 1)
        seer.found.keep(first)
        seer.scale("ours", 2)
        await eventually(lambda: seer.replicas("ours") == 2)
        found = seer.found.get(seer.key("ours"))
        assert found is not None
        assert found.uid != first["metadata"]["uid"]


async def test_what_is_named_later_is_asked_for(seer: Seer) -> None:
    seer.put("web", "a:2")
    async with seer.running():
        await eventually(lambda: seer.found.known(seer.key("web")))
        assert seer.image("web") == ""
        seer.need("web", COPIED)
        assert not seer.found.known(seer.key("web"))
        await eventually(lambda: seer.found.known(seer.key("web")))
        assert seer.image("web") == "a:2"
        seer.need("none", COPIED)
        await eventually(lambda: seer.found.known(seer.key("none")))
        assert seer.found.get(seer.key("none")) is None
        asked = len(seer.api.asked)
        seer.need("web", COPIED)
        assert seer.found.known(seer.key("web"))
        seer.put("web", "a:3")
        await eventually(lambda: seer.image("web") == "a:3")
        assert len(seer.api.asked) == asked, "the watch goes on with it"
        seer.need("web", Part(whole=True, template=True))
        await eventually(lambda: (live := seer.found.get(seer.key("web"))) and live.rest)


@pytest.mark.parametrize("name", ["../deployments", "../../x", ".", "..", "%2e%2e", "?x", "#", "web/scale", "web%2Fscale", "web?x", "web#", " ", "\n", ""])
async def test_a_name_that_is_none_leads_nowhere(seer: Seer, name: str) -> None:
    seer.put("web")
    async with seer.running():
        await eventually(lambda: seer.found.known(seer.key("web")))
        asked, told = len(seer.api.asked), len(seer.changes)
        seer.need(name, WHOLE)
        await eventually(lambda: seer.found.known(seer.key(name)))
        assert (seer.found.get(seer.key(name)), seer.changes[told:]) == (None, [seer.key(name)])
        assert seer.api.asked[asked:] in ([], [f"GET {quote(name, safe='')}"])
        seer.need("web", WHOLE)
        await eventually(lambda: seer.replicas("web") == 1)


@pytest.mark.parametrize("answer", ["", "/web", "/web/scale", "/web/status"])
async def test_an_answer_that_is_something_else_is_none(seer: Seer, answer: str) -> None:
    elsewhere = PATH.format(seer.kube.new_namespace())
    seer.kube.api.apply(f"{elsewhere}/web", body("web"), force="true")
    seer.parts = {"web": WHOLE}
    async with seer.running():
        await eventually(lambda: seer.found.known(seer.key("web")))
        seer.api.elsewhere = {f"{seer.path}/web": f"{elsewhere}{answer}"}
        told = len(seer.changes)
        seer.need("web", WHOLE)
        await eventually(lambda: seer.found.known(seer.key("web")))
        assert (list(seer.found.keys()), seer.changes[told:]) == ([], [seer.key("web")])


async def test_what_was_asked_for_in_vain_is_told_of_when_a_list_does_not_have_it(seer: Seer) -> None:
    def silent(asked: str) -> None:
        if asked in ("GET none", "GET there"):
            raise ApiUnreachable("the API server does not answer")

    seer.put("there")
    seer.api.fails = silent
    async with seer.running():
        await eventually(lambda: seer.found.known(seer.key("none")))
        told = len(seer.changes)
        for name in ("none", "there"):
            seer.need(name, WHOLE)
        await eventually(lambda: {"GET none", "GET there"} <= set(seer.api.asked))
        assert not seer.found.known(seer.key("none"))
        seer.api.forgets = True
        seer.put("any")
        await eventually(lambda: seer.found.known(seer.key("none")))
        await eventually(lambda: {seer.key("none"), seer.key("there")} <= {*seer.changes[told:]})
        assert seer.replicas("there") == 1


async def test_the_number_and_status_of_a_copied_one_are_no_change(seer: Seer) -> None:
    seer.parts = {"web": COPIED, "last": WHOLE}
    seer.put("web")
    async with seer.running():
        await eventually(lambda: seer.image("web"))
        before = len(seer.changes)
        seer.scale("web", 5)
        seer.kube.api.patch(f"{seer.path}/web/status", {"status": {"replicas": 5}})
        seer.put("last")
        await eventually(lambda: seer.replicas("last") == 1)
        assert {*seer.changes[before:]} == {seer.key("last")}  # more than once, if its controller was quick


async def test_an_answer_is_not_followed_by_what_was_before(seer: Seer) -> None:
    seer.parts = {"ours": WHOLE}
    seer.put("ours")
    before = seer.kube.api.get(f"{seer.path}/ours")
    async with seer.running():
        await eventually(lambda: seer.replicas("ours") == 1)
        seer.scale("ours", 3)
        seer.found.keep(seer.kube.api.get(f"{seer.path}/ours"))
        seer.found.keep(before)
        assert seer.replicas("ours") == 3


async def test_an_api_server_that_was_away(own_kube: ControlPlane) -> None:
    """What happened meanwhile is known; and after it has forgotten its history, too."""
    seer = Seer(own_kube, own_kube.new_namespace())
    seer.parts = dict.fromkeys(["a", "b", "c"], WHOLE)
    for name in ("a", "b"):
        seer.put(name)
    async with seer.running():
        await eventually(lambda: seer.replicas("b") == 1)
        own_kube.server.kill()
        await asyncio.to_thread(own_kube.restart)
        seer.scale("a", 2)
        await eventually(lambda: seer.replicas("a") == 2, LONG)
        own_kube.server.freeze()
        own_kube.server.thaw()
        seer.scale("a", 3)
        await eventually(lambda: seer.replicas("a") == 3, LONG)


async def test_a_deletion_that_no_watch_tells(own_kube: ControlPlane) -> None:
    """The API server has forgotten what was deleted, changed and made meanwhile."""
    with link.link(own_kube) as cable:
        seer = Seer(own_kube, own_kube.new_namespace(), kubeconfig=cable.kubeconfig)
        seer.parts = dict.fromkeys(["a", "b", "c"], WHOLE)
        for name in ("a", "b"):
            seer.put(name)
        async with seer.running():
            await eventually(lambda: seer.replicas("b") == 1)
            await asyncio.to_thread(cable.cut)
            own_kube.api.delete(f"{seer.path}/a")
            seer.scale("b", 4)
            seer.put("c")
            own_kube.server.kill()
            own_kube.compact()
            await asyncio.to_thread(own_kube.restart)
            assert seer.replicas("a") == 1, "what is known holds"
            assert seer.found.known(seer.key("a"))
            await asyncio.to_thread(cable.mend)
            await eventually(lambda: (seer.replicas("a"), seer.replicas("b"), seer.replicas("c")) == (None, 4, 1), LONG)


async def test_without_the_right_to_list_them(kube: ControlPlane, namespace: str, caplog: pytest.LogCaptureFixture) -> None:
    seer = Seer(kube, namespace)
    refuses = [True]

    def forbid(asked: str) -> None:
        if refuses:
            raise ApiRefused("deployments.apps is forbidden", 403, "Forbidden")

    seer.api.fails = forbid
    seer.parts = {"a": WHOLE}
    seer.put("a")
    async with seer.running():
        trouble = await eventually(lambda: seer.found.trouble(seer.key("a")))
        assert trouble.reason == "NotAllowed"
        assert "give our ServiceAccount get, list and watch on deployments.apps" in trouble.text
        assert not seer.found.known(seer.key("a"))
        await eventually(lambda: len(seer.api.asked) > 3)
        assert len(caplog.records) == 1, "it is told once"
        refuses.clear()
        await eventually(lambda: seer.replicas("a") == 1)
        assert seer.found.trouble(seer.key("a")) is None


async def test_pages_and_namespaces(kube: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "CHUNK", "2")
    second, third = kube.new_namespace(), kube.new_namespace()
    seer = Seer(kube, namespace, second)
    seer.parts = {f"d{number}": WHOLE for number in range(5)}
    for number in range(5):
        for one in (namespace, second, third):
            kube.api.apply(f"{PATH.format(one)}/d{number}", body(f"d{number}"), force="true")
    async with seer.running():
        await eventually(lambda: len(seer.found.keys()) == 10)
        assert {key.partition("/")[0] for key in seer.found.keys()} == {namespace, second}  # noqa: SIM118 - a method of ours
