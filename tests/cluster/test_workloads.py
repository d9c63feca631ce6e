"""Workers' Deployments before a real API server: made, kept as they should be, scaled, left alone; and what is told of each."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any, Final, cast

import pytest

from channelbeat.cluster import posts, workloads
from channelbeat.cluster.deployment import PATH
from channelbeat.cluster.turns import Turn
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.errors import ApiRefused, ApiUnreachable
from support import employing
from support.beats import Beats
from support.cluster import ControlPlane
from support.employing import Employer

OTHER_LAYERS: Final = {"other": LayerSettings("other", "redis://127.0.0.1:1")}
EVENT: Final = {"name": "nightly", "cron": "30 2 * * *"}
TEMPLATE: Final[dict[str, Any]] = {"spec": {"containers": [{"name": "worker", "image": "shop:1.4"}]}}
OWN: Final[dict[str, Any]] = {"template": TEMPLATE}
COPY: Final[dict[str, Any]] = {"templateFrom": {"name": "web"}}
WEB: Final[dict[str, Any]] = {
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "shop:1.4"}]}},
    },
}


@pytest.fixture
def us(kube: ControlPlane, namespace: str) -> Employer:
    return Employer(kube, namespace)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is tried again after half a minute at least, and so not while a test waits, unless something changed."""
    monkeypatch.setattr(posts, "SECOND", MINUTE)


def is_ready(us: Employer, number: int) -> bool:
    workers = us.workers()
    return workers is not None and workers.ready == number


def asked_at(us: Employer, what: str) -> list[float]:
    """When that is asked, from now on, in seconds: how long something waits is not told by how much has happened when a busy machine looks."""
    times = list[float]()

    def note(asked: str) -> None:
        if asked == what:
            times.append(time.monotonic())

    us.api.fails = note
    return times


def image(us: Employer, name: str = "t-worker") -> str:
    live = us.live(name)
    return str(live["spec"]["template"]["spec"]["containers"][0]["image"]) if live else ""


def put_web(us: Employer, image: str = "shop:1.4", name: str = "web") -> None:
    body = deepcopy(WEB)
    body["metadata"]["name"] = name
    body["spec"]["template"]["spec"]["containers"][0]["image"] = image
    us.kube.api.apply(f"{PATH.format(us.namespace)}/{name}", {"apiVersion": "apps/v1", "kind": "Deployment", **body}, force="true")


async def test_it_is_made_scaled_and_left_in_peace(us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 0
    async with us.running():
        await us.becomes(lambda: "channelbeat.dev/applied" in us.live().get("metadata", {}).get("annotations", {}))
        assert us.replicas() == 0
        us.wanted["t-worker"] = 3
        await us.becomes(lambda: us.replicas() == 3)
        us.wanted["t-worker"] = 1
        await us.becomes(lambda: us.replicas() == 1)
        await us.at_rest()
        assert us.api.writes[0] == "POST t-worker"
        assert us.api.writes[1:] == ["PATCH t-worker"] * 3, "one call for each change"
        workers = us.workers()
        assert workers is not None
        assert (workers.deployment, workers.desired, workers.ready, workers.trouble) == ("t-worker", 1, 0, None)


async def test_changes_of_status_and_of_how_many_are_copied_cost_no_call(own_kube: ControlPlane) -> None:
    """Its status, and that of what it copies, change all the time. The controllers would set right what is written here."""
    if own_kube.manager:
        own_kube.manager.kill()
    namespace = own_kube.new_namespace()
    us, beats = Employer(own_kube, namespace), Beats(own_kube, namespace)
    put_web(us)
    beats.put(EVENT, worker=COPY)
    us.wanted["t-worker"] = 2
    async with us.running():
        await us.becomes(lambda: us.replicas() == 2)
        await us.at_rest()
        asked = len(us.api.asked)
        for ready in (0, 1, 2):
            us.kube.api.patch(f"{PATH.format(us.namespace)}/t-worker/status", {"status": {"replicas": 2, "readyReplicas": ready}})
            await us.becomes(partial(is_ready, us, ready))
        us.kube.api.patch(f"{PATH.format(us.namespace)}/web/scale", {"spec": {"replicas": 4}})
        us.kube.api.patch(f"{PATH.format(us.namespace)}/web/status", {"status": {"replicas": 4, "readyReplicas": 4}})
        us.kube.api.patch(f"{PATH.format(us.namespace)}/web", {"metadata": {"annotations": {"x": "y"}}})
        await us.at_rest()
        assert us.api.asked[asked:] == []


async def test_it_follows_the_copied_one_and_keeps_its_number(us: Employer, beats: Beats) -> None:
    put_web(us)
    beats.put(EVENT, worker=COPY)
    us.wanted["t-worker"] = 2
    async with us.running():
        await us.becomes(lambda: us.replicas() == 2)
        before = us.live()["metadata"]["generation"]
        put_web(us, "shop:1.5")
        await us.becomes(lambda: image(us) == "shop:1.5")
        assert (us.replicas(), us.live()["metadata"]["generation"]) == (2, before + 1)
        beats.put(EVENT, worker={**COPY, "env": [{"name": "A", "value": "b"}]})
        await us.becomes(lambda: us.live()["metadata"]["generation"] == before + 2)
        assert us.replicas() == 2


async def test_the_copied_one_comes_later_goes_and_comes_again(us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker=COPY)
    us.wanted["t-worker"] = 1
    async with us.running():
        await us.becomes(lambda: us.trouble() == "NoSuchDeployment")
        assert us.live() == {}
        put_web(us)
        await us.becomes(lambda: us.replicas() == 1)
        await us.becomes(lambda: us.trouble() == "")
        us.kube.api.delete(f"{PATH.format(us.namespace)}/web")
        await us.becomes(lambda: us.trouble() == "NoSuchDeployment")
        us.wanted["t-worker"] = 3
        await us.becomes(lambda: us.replicas() == 3, "what waits is handled by what there is")
        await us.becomes(lambda: us.trouble() == "NoSuchDeployment")
        put_web(us, "shop:2")
        await us.becomes(lambda: image(us) == "shop:2")
        await us.becomes(lambda: us.trouble() == "")
        assert us.replicas() == 3


async def test_another_container_or_source_is_followed_at_once(us: Employer, beats: Beats) -> None:
    put_web(us)
    put_web(us, "other:1", name="other")
    beats.put(EVENT, worker=COPY)
    us.wanted["t-worker"] = 1
    async with us.running():
        await us.becomes(lambda: image(us) == "shop:1.4")
        beats.put(EVENT, worker={"templateFrom": {"name": "other"}})
        await us.becomes(lambda: image(us) == "other:1")
        put_web(us, "other:2", name="other")
        await us.becomes(lambda: image(us) == "other:2")
        beats.put(EVENT, worker={"templateFrom": {"name": "other", "container": "nobody"}})
        await us.becomes(lambda: us.trouble() == "NoSuchContainer")
        assert image(us) == "other:2"


async def test_one_that_somebody_deletes_is_made_again(us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 2
    async with us.running():
        await us.becomes(lambda: us.replicas() == 2)
        uid = us.uid()
        us.kube.api.delete(f"{PATH.format(us.namespace)}/t-worker")
        await us.becomes(lambda: us.replicas() == 2 and us.uid() not in ("", uid))
        await us.becomes(lambda: us.trouble() == "")


async def test_one_that_somebody_edits_is_put_back(us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 2
    async with us.running():
        await us.becomes(lambda: us.replicas() == 2)
        path = f"{PATH.format(us.namespace)}/t-worker"
        us.kube.kubectl("set", "image", "deployment/t-worker", "worker=other:1", "-n", us.namespace)
        await us.becomes(lambda: image(us) == "shop:1.4")
        us.kube.kubectl("scale", "deployment/t-worker", "--replicas=7", "-n", us.namespace)
        await us.becomes(lambda: us.replicas() == 2)
        us.kube.api.patch(path, {"metadata": {"annotations": {"theirs": "x"}}, "spec": {"template": {"metadata": {"annotations": {"theirs": "x"}}}}})
        await us.at_rest()
        assert us.live()["spec"]["template"]["metadata"]["annotations"]["theirs"] == "x", "what is not ours is left"


async def test_a_name_that_is_taken(us: Employer, beats: Beats) -> None:
    put_web(us, name="t-worker")
    us.wanted["t-worker"] = 2
    async with us.running():
        beats.put(EVENT, worker=OWN)
        await us.becomes(lambda: us.trouble() == "NameTaken")
        text = str(us.workers())
        assert "there is a Deployment" in text
        assert "delete or rename it, or give this schedule another name" in text
        await us.at_rest()
        assert (us.replicas(), image(us)) == (1, "shop:1.4"), "it is left alone"
        us.kube.api.delete(f"{PATH.format(us.namespace)}/t-worker")
        await us.becomes(lambda: us.replicas() == 2)
        await us.becomes(lambda: us.trouble() == "")


async def test_that_of_an_earlier_schedule_is_waited_for(controllers: ControlPlane, us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 1
    async with us.running():
        await us.becomes(lambda: us.replicas() == 1)
        uid = us.uid()
        beats.delete()
        beats.put(EVENT, worker=OWN)
        await us.becomes(lambda: us.replicas() == 1 and us.uid() not in ("", uid), within=60)
        first = us.live()
        assert first, us.api.asked
        assert first["metadata"]["ownerReferences"][0]["uid"] == beats.get()["metadata"]["uid"]
        beats.delete()
        await us.becomes(lambda: us.live() == {}, "the garbage collector has it", within=60)


async def test_a_schedule_that_is_gone_gets_no_deployment_again(us: Employer, beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner's uid would be one that nobody has: the garbage collector would take it, and its pods, a moment later."""
    monkeypatch.setattr(employing, "TICK", 1.0)  # as rarely as the product decides
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 1
    async with us.running(follows=False):
        us.register.see(beats.get())
        await us.becomes(lambda: us.replicas() == 1)
        await us.at_rest(1.5)
        writes = len(us.api.writes)
        us.register.forget(us.key("t"), beats.get()["metadata"]["uid"])
        us.kube.api.delete(f"{PATH.format(us.namespace)}/t-worker")
        await us.at_rest(1.5)
        assert us.api.writes[writes:] == []


async def test_what_somebody_deletes_again_and_again_is_made_ever_later(us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 1
    path, times = f"{PATH.format(us.namespace)}/t-worker", asked_at(us, "POST t-worker")
    async with us.running():
        await us.becomes(lambda: us.replicas() == 1)
        for _ in range(2):
            uid = us.uid()
            us.kube.api.delete(path)
            await us.becomes(lambda uid=uid: us.uid() not in ("", uid))  # type: ignore[misc]
        us.kube.api.delete(path)
        await us.becomes(lambda: len(times) == 4, within=20)
    _, second, third, fourth = times
    assert third - second >= 2
    assert fourth - third >= 4


async def test_what_the_server_stumbles_over_is_told(us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 1

    def stumble(asked: str) -> None:
        if asked.startswith("POST"):
            raise ApiUnreachable('the API server stumbles over POST: 500 Internal error occurred: failed calling webhook "x.example.com"')

    us.api.fails = stumble
    async with us.running():
        await us.becomes(lambda: us.trouble() == "NotAllowed", within=15)
        assert 'failed calling webhook "x.example.com"' in str(us.workers())
        assert us.api.writes.count("POST t-worker") >= 3, "once may be chance"
        us.api.fails = lambda _: None
        await us.becomes(lambda: us.replicas() == 1, within=15)
        await us.becomes(lambda: us.trouble() == "")


async def test_nobody_is_stopped_for_whom_there_is_work_by_now(us: Employer, beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    """To look which pods are busy takes time."""
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 4
    held, looked = asyncio.Event(), asyncio.Event()

    async def slowly(_: Mapping[str, Any]) -> list[dict[str, Any]]:
        looked.set()
        await held.wait()
        return []

    async with us.running():
        await us.becomes(lambda: us.replicas() == 4)
        monkeypatch.setattr(us.workloads._pods, "of", slowly)
        us.wanted["t-worker"] = 1
        await us.becomes(looked.is_set)
        us.wanted["t-worker"] = 6
        await us.becomes(lambda: (workers := us.workers()) is not None and workers.desired == 6)
        writes = len(us.api.writes)
        held.set()
        await us.becomes(lambda: us.replicas() == 6)
        assert us.api.writes[writes:] == ["PATCH t-worker"], "one, and it is not the one that lowers"


@pytest.mark.usefixtures("patient")
async def test_a_template_that_the_server_refuses(us: Employer, beats: Beats) -> None:
    broken = {"spec": {"containers": [{"name": "worker", "image": "shop:2", "volumeMounts": [{"name": "none", "mountPath": "/x"}]}]}}
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 1
    async with us.running():
        await us.becomes(lambda: us.replicas() == 1)
        beats.put(EVENT, worker={"template": broken})
        await us.becomes(lambda: us.trouble() == "TemplateRefused")
        assert 'volumeMounts[0].name: Not found: "none"' in str(us.workers())
        us.wanted["t-worker"] = 4
        await us.becomes(lambda: us.replicas() == 4, "what waits is handled by the workers there are")
        assert (us.trouble(), image(us)) == ("TemplateRefused", "shop:1.4")
        beats.put(EVENT, worker={"template": {"spec": {"containers": [{"name": "worker", "image": "shop:3"}]}}})
        await us.becomes(lambda: image(us) == "shop:3")
        await us.becomes(lambda: us.trouble() == "")
        assert us.replicas() == 4


@pytest.mark.usefixtures("patient")
async def test_a_template_that_is_refused_from_the_beginning(us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker={"template": {"spec": {"containers": [{"name": "worker"}]}}})
    us.wanted["t-worker"] = 1
    async with us.running():
        await us.becomes(lambda: us.trouble() == "TemplateRefused")
        assert "image: Required value" in str(us.workers())
        assert len(us.api.writes) < 4, "it is not asked all the time"
        beats.put(EVENT, worker=OWN)
        await us.becomes(lambda: us.replicas() == 1)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("field", "says"),
    [
        ({"imagePullPolicy": "Nevr"}, 'spec.template.spec.containers[0].imagePullPolicy: Unsupported value: "Nevr"'),
        ({"comand": ["x"]}, '.spec.template.spec.containers[name="worker"].comand: field not declared in schema'),
    ],
    ids=["a value that is none", "a field that there is not"],
)
async def test_nothing_is_run_of_what_was_never_applied(us: Employer, beats: Beats, field: dict[str, Any], says: str) -> None:
    """It was made with an image and no command: nobody wants to have that run."""
    beats.put(EVENT, worker={"template": {"spec": {"containers": [{"name": "worker", "image": "shop:1.4", **field}]}}})
    us.wanted["t-worker"] = 2
    async with us.running():
        await us.becomes(lambda: us.trouble() == "TemplateRefused")
        assert f"spec.worker.template is not taken (the cluster says: {says}" in str(us.workers())
        await us.at_rest()
        assert us.replicas() == 0
        beats.put(EVENT, worker=OWN)
        await us.becomes(lambda: us.replicas() == 2)


async def test_rights_that_are_taken_away_are_told_and_tried_again(kube: ControlPlane, namespace: str, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    us = Employer(kube, namespace)

    def forbid(asked: str) -> None:
        if asked == "PATCH t-worker" and forbidden:
            message = 'deployments.apps "t-worker" is forbidden: User "us" cannot patch resource "deployments" in API group "apps"'
            raise ApiRefused(message, 403, "Forbidden")

    forbidden = [True]
    us.api.fails = forbid
    us.wanted["t-worker"] = 2
    async with us.running():
        await us.becomes(lambda: us.trouble() == "NotAllowed")
        assert "give our ServiceAccount create and patch on deployments.apps" in str(us.workers())
        forbidden.clear()
        await us.becomes(lambda: us.replicas() == 2)
        await us.becomes(lambda: us.trouble() == "")


async def test_an_api_server_that_does_not_answer_is_asked_again(kube: ControlPlane, namespace: str, beats: Beats) -> None:
    """An answer was lost, of a call that was carried out; others were not."""
    beats.put(EVENT, worker=OWN)
    us = Employer(kube, namespace)
    left = {"POST t-worker": 2, "PATCH t-worker": 2}

    def lose(asked: str) -> None:
        if left.get(asked):
            left[asked] -= 1
            raise ApiUnreachable("no answer")

    us.api.fails = lose
    us.wanted["t-worker"] = 2
    async with us.running():
        await us.becomes(lambda: us.replicas() == 2, within=30)  # up to six seconds of them between the tries
        assert us.trouble() == ""
        assert left == {"POST t-worker": 0, "PATCH t-worker": 0}


async def test_nothing_is_written_without_the_lead(us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 2
    async with us.running(leads=False):
        await us.becomes(lambda: us.api.asked)
        await us.at_rest()
        assert us.api.writes == []
        us.lease.held = True
        us.workloads.wake()
        await us.becomes(lambda: us.replicas() == 2)
        us.lease.held = False
        us.workloads.wake()
        us.wanted["t-worker"] = 4
        asked = len(us.api.writes)
        us.kube.kubectl("set", "image", "deployment/t-worker", "worker=other:1", "-n", us.namespace)
        beats.patch(worker={"concurrency": 2})
        await us.at_rest()
        assert len(us.api.writes) == asked
        us.lease.held = True
        us.workloads.wake()
        await us.becomes(lambda: us.replicas() == 4 and image(us) == "shop:1.4")


def scale(us: Employer, number: int, name: str = "t-worker") -> None:
    us.kube.kubectl("scale", f"deployment/{name}", f"--replicas={number}", "-n", us.namespace)


def seen(us: Employer) -> int | None:
    """The number that is known of: what becomes another before it was, is nobody's doing."""
    live = us.workloads._deployments.get(us.key("t-worker"))
    return live.replicas if live else None


async def is_scaled_by_another(us: Employer, number: int) -> None:
    """Until we stop."""
    us.wanted["t-worker"] = 2
    for _ in range(2):
        await us.becomes(lambda: us.replicas() == 2 and seen(us) == 2)
        await us.at_rest(0.3)
        scale(us, number)
    await us.becomes(lambda: us.trouble() == "ScaledByAnother")


async def test_somebody_else_who_scales_it_is_given_way(us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    async with us.running():
        await is_scaled_by_another(us, 7)
        asked = len(us.api.writes)
        us.wanted["t-worker"] = 3
        await us.at_rest()
        assert (us.replicas(), len(us.api.writes)) == (7, asked)
        scale(us, 3)
        await us.becomes(lambda: us.trouble() == "")
        us.wanted["t-worker"] = 1
        await us.becomes(lambda: us.replicas() == 1)


@pytest.mark.parametrize("number", [0, 7])
async def test_what_somebody_else_scales_has_the_template_that_it_should(us: Employer, beats: Beats, number: int) -> None:
    """To scale to zero leaves nobody who manages the number."""
    put_web(us)
    beats.put(EVENT, worker=COPY)
    async with us.running():
        await is_scaled_by_another(us, number)
        await us.at_rest()
        writes = len(us.api.writes)
        put_web(us, "shop:1.5")
        await us.becomes(lambda: image(us) == "shop:1.5")
        us.kube.kubectl("set", "image", "deployment/t-worker", "worker=other:1", "-n", us.namespace)
        await us.becomes(lambda: image(us) == "shop:1.5")
        us.wanted["t-worker"] = 3
        await us.at_rest()
        assert us.api.writes[writes:] == ["PATCH t-worker"] * 2, "one call for each change"
        assert (us.replicas(), us.trouble()) == (number, "ScaledByAnother"), "the number is theirs"
        scale(us, 3)
        await us.becomes(lambda: us.trouble() == "")
        us.wanted["t-worker"] = 1
        await us.becomes(lambda: us.replicas() == 1)


async def test_who_scaled_one_that_is_gone_scales_none(us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    async with us.running():
        await is_scaled_by_another(us, 0)
        uid = us.uid()
        us.kube.api.delete(f"{PATH.format(us.namespace)}/t-worker")
        await us.becomes(lambda: us.replicas() == 2 and us.uid() not in ("", uid))
        await us.becomes(lambda: us.trouble() == "")
        scale(us, 7)
        await us.becomes(lambda: us.replicas() == 2, "of the new one it is the first time")


async def test_one_of_somebody_elses_that_somebody_scales_is_left_alone_until_it_is_gone(us: Employer, beats: Beats) -> None:
    put_web(us)
    beats.put(EVENT, worker={"scaleTargetRef": {"name": "web"}})
    us.wanted["web"] = 5
    async with us.running():
        await us.becomes(lambda: us.replicas("web") == 5)
        await us.at_rest()
        scale(us, 7, "web")
        await us.becomes(lambda: us.trouble() == "ScaledByAnother")
        writes = len(us.api.writes)
        us.wanted["web"] = 2
        await us.at_rest()
        assert (us.replicas("web"), us.api.writes[writes:]) == (7, [])
        us.kube.api.delete(f"{PATH.format(us.namespace)}/web")
        await us.becomes(lambda: us.trouble() == "NoSuchDeployment")
        put_web(us)
        await us.becomes(lambda: us.replicas("web") == 2)
        await us.becomes(lambda: us.trouble() == "")


async def test_a_deployment_of_somebody_elses_is_only_scaled(us: Employer, beats: Beats) -> None:
    target = {"scaleTargetRef": {"name": "web"}}
    beats.put(EVENT, worker=target)
    beats.put(EVENT, name="s", channel="d", worker=target)
    us.wanted["web"] = 5
    async with us.running():
        await us.becomes(lambda: us.trouble() == "NoSuchDeployment")
        put_web(us)
        await us.becomes(lambda: us.replicas("web") == 5)
        await us.becomes(lambda: us.trouble() == "")
        assert us.api.writes == ["POST channelbeat-targets", "PATCH web/scale"]
        assert {us.workers("t"), us.workers("s")} == {us.workers("t")}
        us.wanted["web"] = 2
        await us.becomes(lambda: us.replicas("web") == 2)
        beats.delete()
        beats.delete("s")
        await us.becomes(lambda: us.replicas("web") == 1, "what it had before is given back")


async def test_what_a_refused_schedule_scales_is_given_back_when_that_is_gone(kube: ControlPlane, us: Employer, beats: Beats) -> None:
    """Whoever leads next has never seen it in good order."""
    put_web(us)
    beats.put(EVENT, worker={"scaleTargetRef": {"name": "web"}})
    us.wanted["web"] = 5
    async with us.running():
        await us.becomes(lambda: us.replicas("web") == 5)
    later = Employer(kube, us.namespace, layers=OTHER_LAYERS)
    async with later.running():
        await later.becomes(lambda: later.api.asked)
        await later.at_rest(1.5)
        assert later.replicas("web") == 5, "it may be in good order again"
        beats.delete()
        await later.becomes(lambda: later.replicas("web") == 1)


async def test_what_a_refused_schedule_had_made_ends_when_it_has_no_use_for_it(kube: ControlPlane, us: Employer, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 2
    async with us.running():
        await us.becomes(lambda: us.replicas() == 2)
    later = Employer(kube, us.namespace, layers=OTHER_LAYERS)
    async with later.running():
        await later.becomes(lambda: later.api.asked)
        await later.at_rest(1.5)
        assert later.replicas() == 2, "it may be in good order again"
        beats.put(EVENT, channelLayer={"name": "other"})
        await later.becomes(lambda: later.replicas() == 0)


async def test_an_installation_that_makes_none(kube: ControlPlane, namespace: str, beats: Beats) -> None:
    us = Employer(kube, namespace, create=False)
    beats.put(EVENT, worker=OWN)
    beats.put(EVENT, name="s", channel="d", worker={"scaleTargetRef": {"name": "web"}})
    put_web(us)
    us.wanted = {"t-worker": 2, "web": 3}
    async with us.running():
        await us.becomes(lambda: us.replicas("web") == 3)
        assert us.trouble() == "WorkersNotMade"
        assert us.live() == {}
        assert us.trouble("s") == ""


async def test_workers_that_a_schedule_has_no_use_for_any_more_end(us: Employer, beats: Beats) -> None:
    """It brings its own from now on. The Deployment stays, to be deleted by who likes."""
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 2
    async with us.running():
        await us.becomes(lambda: us.replicas() == 2)
        beats.put(EVENT)
        await us.becomes(lambda: us.replicas() == 0)
        assert us.workers() is None
        beats.put(EVENT, worker=OWN)
        await us.becomes(lambda: us.replicas() == 2)


@pytest.mark.parametrize("how", ["deleted", "without workers"])
async def test_the_pods_of_a_schedule_that_has_no_workers_any_more_are_not_looked_at(us: Employer, beats: Beats, how: str) -> None:
    """Though nothing happens to the Deployment."""

    def forbid(asked: str) -> None:
        if asked.startswith("PATCH"):
            raise ApiRefused("it is forbidden", 403, "Forbidden")

    def looked_at() -> list[str]:
        return [*us.workloads._pods._looks]

    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 2
    async with us.running(follows=False):
        us.register.see(beats.get())
        await us.becomes(lambda: us.replicas() == 2)
        await us.becomes(lambda: looked_at() == [us.key("t-worker")])
        await us.at_rest()
        us.api.fails = forbid
        if how == "deleted":
            us.register.forget(us.key("t"), beats.get()["metadata"]["uid"])
        else:
            beats.put(EVENT)
            us.register.see(beats.get())
        await us.becomes(lambda: looked_at() == [])
        beats.put(EVENT, worker=OWN)
        us.register.see(beats.get())
        await us.becomes(lambda: looked_at() == [us.key("t-worker")])


async def test_what_is_copied_is_asked_for_before_anything_is_said_of_it(us: Employer, beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody had named it when it was told of. It is decided on new crews a moment before we take them in."""
    monkeypatch.setattr(workloads, "COALESCED", 2 * SECOND)
    put_web(us)
    beats.put(EVENT, name="s", channel="d", worker=OWN)
    us.wanted["s-worker"] = us.wanted["t-worker"] = 1
    async with us.running():
        await us.becomes(lambda: us.replicas("s-worker") == 1)
        beats.put(EVENT, worker=COPY)
        await us.becomes(lambda: us.workers() is not None)
        assert us.trouble() == ""
        await us.becomes(lambda: us.trouble() or us.replicas() == 1)
        assert us.trouble() == ""


async def test_a_lead_that_cannot_be_told_for_a_moment_loses_no_turn(us: Employer, beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    beats.put(EVENT, worker=OWN)
    us.wanted["t-worker"] = 1
    async with us.running():
        await us.becomes(lambda: us.replicas() == 1)
        await us.at_rest()
        take, valid, blinks = us.workloads._turns.take, us.lease.valid, list[str]()

        def taken(now: Ms, most: int) -> list[tuple[Turn, str]]:
            found = take(now, most)
            if found and not blinks:
                blinks.append("now")
            return found

        def blinking() -> bool:
            if blinks != ["now"]:
                return valid()
            blinks.append("over")
            return False

        monkeypatch.setattr(us.workloads._turns, "take", taken)
        monkeypatch.setattr(us.lease, "valid", blinking)
        us.wanted["t-worker"] = 3
        await us.becomes(lambda: us.replicas() == 3)
        assert blinks == ["now", "over"]


async def test_two_makers_for_a_channel(us: Employer, beats: Beats) -> None:
    """The younger one has none, and gives up those that it had."""
    beats.put(EVENT, worker=OWN)
    us.wanted = {"t-worker": 2, "u-worker": 2, "v-worker": 2}
    async with us.running():
        await us.becomes(lambda: us.replicas() == 2)
        beats.put(EVENT, name="u", worker=OWN)
        beats.put(EVENT, name="v", channel="e", worker=OWN)
        await us.becomes(lambda: us.trouble("u") == "ChannelTaken")
        await us.becomes(lambda: us.replicas("v-worker") == 2)
        assert us.live("u-worker") == {}
        beats.patch(worker={"channels": ["c", "e"]})
        await us.becomes(lambda: us.trouble("v") == "ChannelTaken")
        await us.becomes(lambda: us.replicas("v-worker") == 0)
        beats.delete()
        await us.becomes(lambda: (us.replicas("u-worker"), us.replicas("v-worker")) == (2, 2))
        await us.becomes(lambda: (us.trouble("u"), us.trouble("v")) == ("", ""))


async def test_what_was_learned_of_starts_goes_to_the_next_leader(kube: ControlPlane, namespace: str, beats: Beats) -> None:
    beats.put(EVENT, worker=OWN)
    us, other, late = (Employer(kube, namespace) for _ in range(3))

    class Next:
        def __init__(self) -> None:
            self.remembered: dict[str, Any] = {}

        def remember(self, key: str, starts: Any) -> None:
            self.remembered[key] = starts

        def starts(self, key: str) -> Any:
            return self.remembered.get(key, ())

        def finding(self, key: str) -> None: ...

        def busy_pods(self, key: str) -> frozenset[str]:
            return frozenset()

    standby, alone = Next(), Next()
    other.workloads.heed(cast("Any", standby))
    late.workloads.heed(cast("Any", alone))
    us.wanted["t-worker"] = 1
    async with us.running(), other.running(leads=False):
        await us.becomes(lambda: us.replicas() == 1)
        us.starts = (4200, 3900)
        await us.at_rest()
        assert "channelbeat.dev/start-ups" not in us.live()["metadata"]["annotations"], "not worth a call"
        us.wanted["t-worker"] = 2
        await us.becomes(lambda: us.replicas() == 2)
        await us.becomes(lambda: standby.remembered == {us.key("t-worker"): (4200, 3900)})
    async with late.running():
        await us.becomes(lambda: alone.remembered == {us.key("t-worker"): (4200, 3900)}, "though it leads before it has seen them")


@contextmanager
def mutating(us: Employer, resource: str, mutation: Mapping[str, Any]) -> Iterator[None]:
    """The cluster makes something else of what is written in the namespace."""
    policies, name, kube = "/apis/admissionregistration.k8s.io/v1", f"mutates-{us.namespace}", us.kube
    policy = {
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": us.namespace}},
            "resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}],
        },
        "reinvocationPolicy": "Never",
        "mutations": [mutation],
    }
    kube.api.create(f"{policies}/mutatingadmissionpolicies", {"metadata": {"name": name}, "spec": policy})
    kube.api.create(f"{policies}/mutatingadmissionpolicybindings", {"metadata": {"name": name}, "spec": {"policyName": name}})
    try:
        yield
    finally:
        kube.api.delete(f"{policies}/mutatingadmissionpolicybindings/{name}")
        kube.api.delete(f"{policies}/mutatingadmissionpolicies/{name}")


async def test_a_cluster_that_makes_something_else_of_it_is_not_fought(us: Employer, beats: Beats) -> None:
    """As one does that lets images come from its own registry only."""
    mutation = "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{terminationGracePeriodSeconds: 7}}}}"

    def mutates() -> bool:
        tried = us.kube.api.apply(
            f"{PATH.format(us.namespace)}/x", {"apiVersion": "apps/v1", "kind": "Deployment", **WEB, "metadata": {"name": "x"}}, dryRun="All"
        )
        return bool(tried["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 7)

    with mutating(us, "deployments", {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": mutation}}):
        await us.becomes(mutates, within=30)
        beats.put(EVENT, worker=OWN)
        us.wanted["t-worker"] = 1
        async with us.running():
            await us.becomes(lambda: us.replicas() == 1)
            await us.at_rest()
            assert len(us.api.writes) <= 3
            us.wanted["t-worker"] = 2
            await us.becomes(lambda: us.replicas() == 2)


@pytest.mark.parametrize("whose", ["somebody else's", "one that there is no use for"])
async def test_a_number_that_the_cluster_does_not_take_is_written_ever_later(us: Employer, beats: Beats, whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clamped = "!has(object.spec.replicas) ? 2 : object.spec.replicas > 3 ? 3 : object.spec.replicas"
    mutation = f"[JSONPatch{{op: 'add', path: '/spec/replicas', value: {clamped}}}]"
    shared = whose == "somebody else's"
    name = "web" if shared else "t-worker"
    path = f"{PATH.format(us.namespace)}/{name}/scale"
    if shared:
        put_web(us)
    else:
        beats.put(EVENT, worker=OWN)
        us.wanted[name] = 2
        async with us.running():
            await us.becomes(lambda: us.replicas(name) == 2)
        us = Employer(us.kube, us.namespace)

    def mutates() -> bool:
        return bool(us.kube.api.patch(path, {"spec": {"replicas": 9}}, dryRun="All")["spec"]["replicas"] == 3)

    with mutating(us, "deployments/scale", {"patchType": "JSONPatch", "jsonPatch": {"expression": mutation}}):
        await us.becomes(mutates, within=30)
        spec: dict[str, Any] = {"worker": {"scaleTargetRef": {"name": "web"}}} if shared else {}
        beats.put(EVENT, **spec)
        us.wanted[name] = 5
        times = asked_at(us, f"PATCH {name}/scale")
        async with us.running():
            await us.becomes(lambda: len(times) >= 3, within=20)
            assert times[2] - times[1] >= 2
            if shared:
                monkeypatch.setattr(posts, "SECOND", MINUTE)  # the same number would wait for so long
                us.wanted[name] = 2
                await us.becomes(lambda: us.replicas(name) == 2, "another number does not wait")
