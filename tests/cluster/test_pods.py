"""Why workers are not ready, told by a real API server and its controllers; kubelets' words are written by the test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import pytest

from channelbeat.cluster import access
from channelbeat.cluster.api import Api
from channelbeat.cluster.deployment import PATH
from channelbeat.cluster.pods import IDLE, PATIENCE, PER_SECOND, SLOWEST, Pods, well
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.core.schedule import TemplateFrom, Worker
from channelbeat.runtime import SystemClock
from support import kubelet
from support.clock import ManualClock
from support.cluster import ControlPlane
from support.waiting import eventually, until

LONG: Final = 40.0
"""Seconds, for controllers on a busy machine."""
NOW: Final[Ms] = SystemClock().now()
WORKER: Final = Worker(template_from=TemplateFrom(name="shop-web"))
WORDS: Final = 'Traceback (most recent call last):\n  File "/app/a.py", line 3, in <module>\n    f()\nRuntimeError: no broker at redis://u:secret@redis/0\n'


class Counting(Api):
    """An Api that counts what it is asked."""

    asked = 0

    async def get(self, path: str, *, timeout: float | None = None, **query: str) -> dict[str, Any]:  # noqa: ASYNC109
        self.asked += 1
        return await super().get(path, timeout=timeout, **query)


class Crew:
    """A Deployment as channelbeat makes it, and the node of its pods."""

    def __init__(self, kube: ControlPlane, namespace: str, name: str = "thumbnails-worker", replicas: int = 2, **pod: Any) -> None:
        self.api, self.namespace, self.name = kube.api, namespace, name
        labels = {"channelbeat.dev/schedule": name}
        spec = {"containers": [{"name": "worker", "image": "shop:1.4"}], **pod}
        template = {"metadata": {"labels": labels}, "spec": spec}
        body = {"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}}
        self.api.create(PATH.format(namespace), body)

    @property
    def path(self) -> str:
        return f"{PATH.format(self.namespace)}/{self.name}"

    def live(self) -> Any:
        return self.api.get(self.path)

    def pods(self, number: int, image: str = "shop:1.4") -> list[dict[str, Any]]:
        """Those of `image`, once there are so many."""

        def made() -> list[dict[str, Any]]:
            found = self.api.get(f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=f"channelbeat.dev/schedule={self.name}")["items"]
            ours = [pod for pod in found if pod["spec"]["containers"][0]["image"] == image]
            return ours if len(ours) == number else []

        return until(made, LONG, what=f"{number} pods of {self.name}")

    def say(self, pod: dict[str, Any], status: dict[str, Any]) -> None:
        """As its node does."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}"
        if not self.api.get(path)["spec"].get("nodeName"):
            to = {"metadata": {"name": pod["metadata"]["name"]}, "target": {"kind": "Node", "name": "n1"}}
            self.api.create(f"{path}/binding", to)
        self.api.patch(f"{path}/status", {"status": status})

    def until(self, condition: Callable[[Any], object], what: str) -> Any:
        def seen() -> Any:
            live = self.live()
            return live if condition(live) else None

        return until(seen, LONG, what=what)


def well_since(at: Ms) -> dict[str, Any]:
    return kubelet.status(kubelet.running(at), since=at)


def crashing() -> dict[str, Any]:
    return kubelet.status(kubelet.looping(1, WORDS, at=NOW), since=NOW - MINUTE)


class Looking:
    """Pods that run, at the pace of the test's clock."""

    def __init__(self, api: Api) -> None:
        self.api, self.clock, self.leads = api, ManualClock(NOW), True
        self.changed = list[str]()
        self.pods = Pods(api, self.clock, leading=lambda: self.leads, changed=self.changed.append)

    async def until(self, key: str, reason: str | None, *, passes: Ms = PATIENCE) -> str:
        """The text of its trouble, once that has come."""
        await self.pass_(passes)

        def is_so() -> bool:
            trouble = self.pods.trouble(key)
            return (trouble and trouble.reason) == reason

        await eventually(is_so, what=f"{reason}, not {self.pods.trouble(key)}")
        trouble = self.pods.trouble(key)
        return trouble.text if trouble else ""

    async def pass_(self, time: Ms) -> None:
        """Let it pass, and all be done that falls due."""
        for _ in range(0, time, IDLE):
            await self.rest()
            self.clock.advance(IDLE)
        await self.rest()

    async def rest(self) -> None:
        def rests() -> bool:
            return bool(self.clock.sleepers) and not any(look.under_way for look in self.pods._looks.values())

        await eventually(rests, what="nothing more is due, and every call has ended")


@pytest.fixture
async def api(kube: ControlPlane) -> AsyncIterator[Counting]:
    api = Counting(access.find(kube.kubeconfig))
    yield api
    await api.close()


@pytest.fixture
async def looking(api: Counting) -> AsyncIterator[Looking]:
    looking = Looking(api)
    task = asyncio.create_task(looking.pods.run())
    yield looking
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_crash_loop_is_told_with_its_last_words_and_is_over_when_they_run(
    controllers: ControlPlane, namespace: str, api: Counting, looking: Looking
) -> None:
    crew = Crew(controllers, namespace)
    pods = crew.pods(2)
    for pod in pods:
        crew.say(pod, crashing())
    looking.pods.seen("k", crew.live(), WORKER)
    text = await looking.until("k", "CrashLoop")
    assert "their last words: RuntimeError: no broker at redis://***@redis/0" in text
    await looking.pass_(MINUTE)
    assert looking.changed == ["k"], "it was told once"
    for pod in pods:
        crew.say(pod, well_since(NOW - HOUR))
    looking.pods.seen("k", crew.until(well, "all of them ready"), WORKER)
    await looking.until("k", None)
    assert looking.changed == ["k", "k"]
    asked = api.asked
    await looking.pass_(2 * MINUTE)
    assert api.asked == asked, "it is well"


async def test_a_quota(controllers: ControlPlane, namespace: str, looking: Looking) -> None:
    quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
    controllers.api.create(quotas, {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}})
    until(lambda: controllers.api.get(f"{quotas}/small").get("status", {}).get("hard"), LONG, what="a quota that counts")
    crew = Crew(controllers, namespace)
    crew.say(crew.pods(1)[0], well_since(NOW - HOUR))
    looking.pods.seen("k", crew.until(_refused, "a pod refused"), WORKER)
    text = await looking.until("k", "Quota")
    assert f"a quota of namespace {namespace} allows no more workers (the cluster says: exceeded quota: small, requested: pods=1, used: pods=1" in text


async def test_a_quota_that_asks_for_limits(controllers: ControlPlane, namespace: str, looking: Looking) -> None:
    quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
    controllers.api.create(quotas, {"metadata": {"name": "small"}, "spec": {"hard": {"limits.cpu": "1"}}})
    until(lambda: controllers.api.get(f"{quotas}/small").get("status", {}).get("hard"), LONG, what="a quota that counts")
    looking.pods.seen("k", Crew(controllers, namespace).until(_refused, "a pod refused"), WORKER)
    text = await looking.until("k", "Quota")
    assert "must specify limits.cpu for: worker): say so in spec.worker.resources" in text


async def test_pods_that_the_namespace_does_not_admit(controllers: ControlPlane, looking: Looking) -> None:
    strict = controllers.new_namespace(**{"pod-security.kubernetes.io/enforce": "restricted"})
    looking.pods.seen("k", Crew(controllers, strict).until(_refused, "a pod refused"), WORKER)
    text = await looking.until("k", "PodRefused")
    assert f"namespace {strict} does not admit the workers' pods (the cluster says: violates PodSecurity" in text
    assert "allowPrivilegeEscalation" in text


async def test_a_service_account_that_is_not_there(controllers: ControlPlane, namespace: str, looking: Looking) -> None:
    looking.pods.seen("k", Crew(controllers, namespace, serviceAccountName="media").until(_refused, "a pod refused"), WORKER)
    text = await looking.until("k", "PodRefused")
    assert "the workers' pods have no service account" in text
    assert 'serviceaccount "media" not found' in text


async def test_of_a_rollout_the_new_pods_count(controllers: ControlPlane, namespace: str, looking: Looking) -> None:
    crew = Crew(controllers, namespace)
    for pod in crew.pods(2):
        crew.say(pod, well_since(NOW - HOUR))
    assert well(crew.until(well, "all of them ready"))
    image = {"spec": {"template": {"spec": {"containers": [{"name": "worker", "image": "shop:1.5"}]}}}}
    crew.api.apply(crew.path, {"apiVersion": "apps/v1", "kind": "Deployment", **image}, force="true")
    (new,) = crew.pods(1, "shop:1.5")
    crew.say(new, kubelet.status(kubelet.waiting("ErrImagePull", "shop:1.5: not found"), since=NOW))
    looking.pods.seen("k", crew.until(lambda live: live["status"].get("updatedReplicas") == 1, "a rollout"), WORKER)
    text = await looking.until("k", "ImageCannotBePulled")
    assert text.endswith("Meanwhile 2 of the old template still run")
    crew.say(new, well_since(NOW - HOUR))
    latest = crew.pods(2, "shop:1.5")
    for pod in latest:
        crew.say(pod, well_since(NOW - HOUR))
    looking.pods.seen("k", crew.until(well, "the rollout is done"), WORKER)
    await looking.until("k", None)


async def test_those_that_are_well_or_none_are_not_looked_at(controllers: ControlPlane, namespace: str, api: Counting, looking: Looking) -> None:
    crew = Crew(controllers, namespace, replicas=1)
    for pod in crew.pods(1):
        crew.say(pod, well_since(NOW - HOUR))
    live = crew.until(well, "it is ready")
    looking.pods.seen("well", live)
    looking.pods.seen("none", live | {"spec": live["spec"] | {"replicas": 0}})
    looking.pods.seen("for a moment", live | {"status": {}})
    looking.pods.seen("gone", live | {"status": {}})
    await looking.pass_(PATIENCE - SECOND)
    looking.pods.seen("for a moment", live)
    looking.pods.seen("gone", None)
    await looking.pass_(5 * MINUTE)
    assert api.asked == 0


async def test_one_that_starts_is_looked_at_more_and_more_rarely(controllers: ControlPlane, namespace: str, api: Counting, looking: Looking) -> None:
    crew = Crew(controllers, namespace, replicas=1)
    crew.say(crew.pods(1)[0], kubelet.status(kubelet.waiting("ContainerCreating"), since=NOW))
    looking.pods.seen("k", crew.live(), WORKER)
    seconds = []
    for second in range(90):
        before = api.asked
        await looking.pass_(SECOND)
        if api.asked > before:
            seconds.append(second + 1)
    assert seconds[0] == PATIENCE // SECOND
    gaps = [later - earlier for earlier, later in pairwise(seconds)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= SLOWEST // SECOND
    assert len(seconds) < 8


async def test_of_many_only_some_are_looked_at_a_second(controllers: ControlPlane, namespace: str, api: Counting, looking: Looking) -> None:
    live = Crew(controllers, namespace, replicas=0).live()
    for number in range(20):
        looking.pods.seen(str(number), live | {"spec": live["spec"] | {"replicas": 1}})
    await looking.pass_(PATIENCE)
    assert api.asked == PER_SECOND
    for more in (2, 3, 4):
        await looking.pass_(SECOND)
        assert api.asked == more * PER_SECOND


async def test_who_does_not_lead_asks_nothing(controllers: ControlPlane, namespace: str, api: Counting, looking: Looking) -> None:
    crew = Crew(controllers, namespace, replicas=1)
    crew.say(crew.pods(1)[0], crashing())
    looking.leads = False
    looking.pods.seen("k", crew.live(), WORKER)
    await looking.pass_(MINUTE)
    assert api.asked == 0
    looking.leads = True
    await looking.until("k", "CrashLoop", passes=SECOND)


async def test_an_api_server_that_is_away_is_told_once_and_asked_again(
    controllers: ControlPlane, namespace: str, looking: Looking, caplog: pytest.LogCaptureFixture
) -> None:
    crew = Crew(controllers, namespace, replicas=1)
    crew.say(crew.pods(1)[0], crashing())
    there = looking.api.access
    looking.api.access = replace(there, server="https://127.0.0.1:1")
    looking.pods.seen("k", crew.live(), WORKER)
    await looking.pass_(PATIENCE)
    assert caplog.messages
    await looking.pass_(MINUTE)
    assert looking.pods.trouble("k") is None
    assert len([line for line in caplog.messages if "cannot look why workers are not ready" in line]) == 1
    looking.api.access = there
    await looking.until("k", "CrashLoop", passes=SLOWEST)


async def test_the_pods_of_any_selector(controllers: ControlPlane, namespace: str, looking: Looking) -> None:
    labels = {"app": "media", "tier": "worker"}
    expressions = [
        {"key": "app", "operator": "In", "values": ["media", "shop"]},
        {"key": "tier", "operator": "NotIn", "values": ["web"]},
        {"key": "app", "operator": "Exists"},
        {"key": "canary", "operator": "DoesNotExist"},
    ]
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "worker", "image": "shop:1.4"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"tier": "worker"}, "matchExpressions": expressions}, "template": template}
    live = controllers.api.create(PATH.format(namespace), {"metadata": {"name": "theirs"}, "spec": spec})
    Crew(controllers, namespace).pods(2)

    async def all_there() -> bool:
        return len(await looking.pods.of(live)) == 2

    await eventually(all_there, LONG)
    assert all(pod["metadata"]["labels"]["app"] == "media" for pod in await looking.pods.of(live))


def _refused(live: Any) -> bool:
    return any(one["type"] == "ReplicaFailure" for one in live.get("status", {}).get("conditions", ()))
