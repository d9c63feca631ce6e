"""What keeps workers from being ready is said in the condition WorkersReady, with its cure; it ends by itself when that is applied."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from channelbeat.core.reasons import OF_WORKERS
from support.arrivals import Channel, now
from support.beats import Beats
from support.node import LONG, Node
from support.node_release import Release
from support.node_shop import Store
from support.node_troubles import SCHEDULE, TROUBLES, Object, Trouble, made, template
from support.waiting import until

LOOK: Final = 0.2
STAYS: Final = 20_000
ASLEEP: Final = Trouble("asleep", "AllReady", made(template()), ())
RESTING: Final = Trouble("resting", "ScaledToZero", {"template": template()}, ())
NOISE: Final = re.compile(r"https?://|/apis?/|\b(GET|HEAD|PATCH|POST|PUT)\b|shop-worker-\w+|\d+ times|[Bb]ack-?off|rpc error|sha256:")
"""What is none of a newcomer's business, but in a command to be typed."""
OTHERWISE: Final = {
    *("NotAllowed", "ScaleRefused", "NotRecorded", "WorkersNotMade"),  # of another installation: tests/cluster
    *("VolumeNotShared", "Evicted"),  # it takes a second node, or one that is full
    "InternalFault",
}
"""Reasons that are not provoked here."""
OVER: Final = {"AllReady", "NotManaged", "ScaledToZero", "Starting"}
"""Of Events that say that a trouble is over."""
BY_NAME: Final = pytest.mark.parametrize("trouble", TROUBLES, ids=lambda one: one.name)
BRIEF: Final = {"brief": {"existingSecret": {"name": "redis", "key": "url"}, "prefix": "brief", "expiry": "1s"}}


class Scene:
    """All troubles at a time."""

    def __init__(self, node: Node, store: Store) -> None:
        self.node, self.store = node, store

    def make(self, *troubles: Trouble) -> None:
        made = {trouble.name: trouble.objects(self.store.url) for trouble in troubles}
        self._kubectl("create", [one for *around, _ in made.values() for one in around])
        others = {f"{trouble.name}/{one['metadata']['name']}-worker" for trouble in troubles for one in trouble.around if one["kind"] == "BeatSchedule"}
        until(lambda: others <= self._deployments(), LONG, what=f"{', '.join(others)} to be there", every=LOOK)
        self._kubectl("create", [schedule for *_, schedule in made.values()])

    def _deployments(self) -> set[str]:
        return {f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in self.node.api.get("/apis/apps/v1/deployments")["items"]}

    def cure(self, *troubles: Trouble) -> None:
        for trouble in troubles:
            if trouble.cured is not None:
                change = [{"op": "replace", "path": "/spec/worker", "value": trouble.cured}]
                self.node.api.patch(f"{self.beats(trouble).path}/{SCHEDULE}", change, content="application/json-patch+json")
            if trouble.typed:
                self.node.kubectl("-n", trouble.name, *trouble.typed)
        objects = [{**one, "metadata": {"namespace": trouble.name, **one["metadata"]}} for trouble in troubles for one in trouble.cure]
        self._kubectl("create", objects)

    def beats(self, trouble: Trouble) -> Beats:
        return Beats(self.node, trouble.name)

    def scale(self, trouble: Trouble, deployment: str, replicas: int) -> None:
        """As a user does, once it is as the schedule wants it."""
        path = f"/apis/apps/v1/namespaces/{trouble.name}/deployments/{deployment}"
        self.beats(trouble).becomes("WorkersReady=True", SCHEDULE, LONG)
        until(lambda: self.node.api.get(path)["spec"]["replicas"] == 1, LONG, what="one replica", every=LOOK)
        self.node.kubectl("scale", "-n", trouble.name, f"deployment/{deployment}", f"--replicas={replicas}")

    def told(self, trouble: Trouble, kind: str) -> list[str]:
        """Reasons of the schedule's Events, each with its message."""
        found = self.node.api.get(f"/api/v1/namespaces/{trouble.name}/events", fieldSelector="involvedObject.kind=BeatSchedule")["items"]
        return [f"{one['reason']}: {one['message']}" for one in found if one["type"] == kind]

    def versions(self) -> dict[str, str]:
        found = self.node.api.get("/apis/channelbeat.dev/v1alpha1/beatschedules")["items"]
        return {f"{one['metadata']['namespace']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in found}

    def _kubectl(self, verb: str, objects: list[Object]) -> None:
        if objects:
            self.node.kubectl(verb, "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


@pytest.fixture(scope="module")
def scene(release: Release, node: Node, store: Store) -> Iterator[Scene]:
    release.upgrade(layers=BRIEF)
    scene = Scene(node, store)
    scene.make(ASLEEP, RESTING)
    scene.make(*TROUBLES)
    by_name = {one.name: one for one in TROUBLES}
    scene.scale(by_name["scaled-once"], "gallery", 2)
    for _ in range(2):
        scene.scale(by_name["scaled-twice"], f"{SCHEDULE}-worker", 3)
    yield scene
    everything = [one.name for one in (ASLEEP, RESTING, *TROUBLES)]
    node.kubectl("delete", "beatschedules", "--all", "-A", "--wait=false")
    node.kubectl("delete", "namespace", "--wait=false", *everything)


def test_every_reason_is_among_them() -> None:
    assert {one.reason for one in TROUBLES} | OTHERWISE == OF_WORKERS


def row(scene: Scene, trouble: Trouble, condition: Mapping[str, Any]) -> str:
    return f"\n{trouble.name}: {scene.beats(trouble).row(SCHEDULE)['Workers']} {condition['reason']}\n    {condition['message']}"


def test_none_is_wrong(scene: Scene) -> None:
    for one in (ASLEEP, RESTING):
        condition = scene.beats(one).becomes(f"WorkersReady=True/{one.reason}", SCHEDULE, LONG)
        print(row(scene, one, condition))
        assert scene.told(one, "Warning") == []


@BY_NAME
def test_it_says_what_is_wrong_and_what_to_do(trouble: Trouble, scene: Scene) -> None:
    condition = scene.beats(trouble).becomes(f"WorkersReady=False/{trouble.reason}", SCHEDULE, LONG)
    print(row(scene, trouble, condition))
    message = condition["message"]
    assert [words for words in trouble.says if words not in message] == []
    assert NOISE.findall(re.sub(r"`[^`]*`", "", message)) == []
    until(lambda: f"{trouble.reason}: {message}"[:1000] in scene.told(trouble, "Warning"), LONG, what="an Event", every=LOOK)


def test_nothing_is_written_while_it_lasts(scene: Scene, release: Release, store: Store) -> None:
    print(scene.node.kubectl("get", "beatschedules", "-A", "-o", "wide"))
    print(scene.node.kubectl("describe", "beatschedule", "-n", "no-secret", SCHEDULE))
    beats = Beats(scene.node, scene.node.new_namespace())
    key = beats.put({"every": "200ms"}, channel=beats.namespace)
    channel = Channel(store.client, beats.namespace, "asgi")
    since = channel.flows([key], LONG)
    before, written = scene.versions(), release.metric("channelbeat_status_writes_total", result="written")
    channel.reaches(since + STAYS, [key], LONG)
    after, more = scene.versions(), release.metric("channelbeat_status_writes_total", result="written") - written
    beats.delete()
    print(f"{more:g} writes for {len(after)} schedules in {(now() - since) / 1000:.0f} s")
    assert [name for name, version in before.items() if after[name] != version and not key.startswith(f"{name}/")] == []
    told = {one.name: scene.told(one, "Warning") for one in TROUBLES}
    assert {name: events for name, events in told.items() if len(events) != 1} == {}, "Events, one for each"
    lines = (json.loads(line[line.index("{") :]) for line in release.logs().splitlines() if "{" in line)
    logged = Counter(
        re.findall(r"workers of ([^/]+)/", line["message"])[0] for line in lines if line["level"] == "warning" and "workers of " in line["message"]
    )
    assert {one.name: logged[one.name] for one in TROUBLES if logged[one.name] != 1} == {}, "lines of the log, one for each"


CURABLE: Final = [one for one in TROUBLES if one.cured is not None or one.cure or one.typed]


@pytest.fixture(scope="module")
def cured(scene: Scene) -> Scene:
    scene.cure(*CURABLE)
    return scene


@pytest.mark.parametrize("trouble", CURABLE, ids=lambda one: one.name)
def test_its_cure_ends_it(trouble: Trouble, cured: Scene) -> None:
    condition = cured.beats(trouble).becomes("WorkersReady=True", SCHEDULE, LONG)
    print(row(cured, trouble, condition))
    until(lambda: OVER & {one.partition(":")[0] for one in cured.told(trouble, "Normal")}, LONG, what="an Event", every=LOOK)
