"""The resource as people meet it: kubectl get and explain, edits that are refused, what a second apply and a status write do."""

import json
import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from support import edges
from support.cluster import CRD, CRDS, ControlPlane
from support.cluster_api import BEATS, YAML, Refused
from support.tree import ROOT

UPDATES: Final = sorted((ROOT / "tests/manifests/update").glob("*.1.yaml"))
MANIFEST: Final = """
apiVersion: channelbeat.dev/v1alpha1
kind: BeatSchedule
metadata: {name: thumbnails}
spec:
  channel: thumbnails-generate
  timeZone: Europe/Berlin
  events:
  - {name: new, type: generate, every: 5m}
  - {name: nightly, type: generate, cron: "30 2 * * *", missed: {window: 6h}}
  worker: {templateFrom: {name: web}, scaling: {maxReplicas: 4}}
"""
STATUS: Final = {
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "False",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-20T01:00:00Z",
            "reason": "EventFault",
            "message": "nightly: ...",
        }
    ],
    "eventCount": "1/2",
    "next": "2026-11-21T02:30:00+01:00",
    "lastScheduleTime": "2026-11-20T01:30:00.000Z",
    "eventStatuses": [
        {"name": "nightly", "nextScheduleTime": "2026-11-21T01:30:00Z", "lastFailure": {"run": "a/b/c", "message": "ValueError"}, "failures": 3, "fault": "..."}
    ],
    "workers": {"summary": "2/4", "reason": "Backlog", "ready": 2, "desired": 4},
}


def beat(namespace: str, name: str = "thumbnails") -> str:
    return f"{BEATS.format(namespace)}/{name}"


@pytest.fixture
def thumbnails(kube: ControlPlane, namespace: str) -> str:
    """Its path."""
    kube.api.create(BEATS.format(namespace), MANIFEST, content=YAML, fieldValidation="Strict")
    return beat(namespace)


@pytest.mark.parametrize("first", UPDATES, ids=lambda path: path.name.removesuffix(".1.yaml"))
def test_an_edit_is_taken_or_refused(kube: ControlPlane, namespace: str, first: Path) -> None:
    before, after = (path.read_text().replace("namespace: shop", f"namespace: {namespace}") for path in (first, Path(str(first).replace(".1.", ".2."))))
    expected = after.splitlines()[0].removeprefix("# expect: ")
    stored = kube.api.create(BEATS.format(namespace), before, content=YAML)
    edited = yaml.safe_load(after) | {"metadata": stored["metadata"]}
    path = beat(namespace, stored["metadata"]["name"])
    if expected == "OK":
        kube.api.call("PUT", path, edited)
    else:
        with pytest.raises(Refused, match=expected):
            kube.api.call("PUT", path, edited)


def test_what_is_stored_has_the_defaults_and_no_others(kube: ControlPlane, thumbnails: str) -> None:
    stored = kube.api.get(thumbnails)["spec"]
    assert stored == yaml.safe_load(MANIFEST)["spec"] | {"suspend": False, "delivery": "BestEffort", "channelLayer": {"name": "default"}}


def test_the_columns_of_kubectl_get(kube: ControlPlane, thumbnails: str, namespace: str) -> None:
    kube.api.patch(f"{thumbnails}/status", {"status": STATUS})
    group = edges.manifest("spec.group", "everybody")
    kube.api.create(BEATS.format(namespace), group | {"metadata": {"name": "unseen"}})
    head, first, second = (re.split(r"  +", line.strip()) for line in kube.kubectl("get", "beat", "-n", namespace).splitlines())
    assert head == ["NAME", "READY", "CHANNEL", "EVENTS", "NEXT", "LAST", "WORKERS", "SUSPEND", "AGE"]
    assert first[:5] == ["thumbnails", "False", "thumbnails-generate", "1/2", "2026-11-21T02:30:00+01:00"]
    assert re.fullmatch(r"\S+", first[5])
    assert first[6:8] == ["2/4", "false"]
    assert second[:2] == ["unseen", "everybody"]
    wide = kube.kubectl("get", "beat", "-n", namespace, "thumbnails", "-o", "wide").splitlines()
    assert re.split(r"  +", wide[0])[-5:] == ["REASON", "ZONE", "DELIVERY", "LAYER", "MESSAGE"]
    assert re.split(r"  +", wide[1])[-5:] == ["EventFault", "Europe/Berlin", "BestEffort", "default", "nightly: ..."]


def test_it_is_found_by_its_category_and_by_selectable_fields(kube: ControlPlane, thumbnails: str, namespace: str) -> None:
    assert thumbnails.endswith("/thumbnails")
    for selector, found in (
        ("spec.suspend=false", True),
        ("spec.suspend=true", False),
        ("spec.channel=thumbnails-generate", True),
        ("spec.delivery=AtLeastOnce", False),
    ):
        assert bool(kube.api.get(BEATS.format(namespace), fieldSelector=selector)["items"]) == found, selector
    assert "thumbnails" in kube.kubectl("get", "channelbeat", "-n", namespace)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("beat", "sends typed events to one Django Channels channel"),
        ("beat.spec.events", "Exactly one of cron, every and at."),
        ("beat.spec.events.cron", "Five fields (minute, hour, day of the month, month, weekday)"),
        ("beat.spec.worker.scaling.warmUp", "Defaults to Auto."),
        ("beat.spec.worker.template", "A whole pod template"),
        ("beat.status.conditions", "Stalled is True when only you can help."),
    ],
)
def test_kubectl_explains_it(kube: ControlPlane, typed: str, says: str) -> None:
    assert says in " ".join(kube.kubectl("explain", typed).split())


def test_kubectl_explains_every_field(kube: ControlPlane) -> None:
    told = kube.kubectl("explain", "beat", "--recursive")
    for field in ("pauseAfterFailures", "eventsPerReplica", "lastHandledTrigger"):
        assert f"{field}\t<" in told


def test_a_second_apply_changes_nothing(kube: ControlPlane, namespace: str) -> None:
    """Defaults in lists would make it send them each time."""
    assert kube.kubectl("apply", "-n", namespace, "-f", "-", stdin=MANIFEST) == "beatschedule.channelbeat.dev/thumbnails created\n"
    assert kube.kubectl("apply", "-n", namespace, "-f", "-", stdin=MANIFEST) == "beatschedule.channelbeat.dev/thumbnails unchanged\n"


def test_two_may_own_events_of_one_schedule(kube: ControlPlane, namespace: str) -> None:
    for manager, channel in (("web", {"channel": "c"}), ("media", {})):
        spec = channel | {"events": [{"name": manager, "type": "t", "every": "1m"}]}
        body = {"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "metadata": {"name": "both"}, "spec": spec}
        stored = kube.api.apply(beat(namespace, "both"), json.dumps(body), manager=manager)
    assert [event["name"] for event in stored["spec"]["events"]] == ["web", "media"]


def test_the_status_is_written_whole_and_apart_from_the_spec(kube: ControlPlane, thumbnails: str) -> None:
    written = kube.api.patch(f"{thumbnails}/status", {"status": STATUS, "spec": {"suspend": True}}, fieldValidation="Strict")
    assert (written["status"], written["spec"]["suspend"], written["metadata"]["generation"]) == (STATUS, False, 1)


def test_the_status_has_no_fields_but_those_described(kube: ControlPlane, thumbnails: str) -> None:
    with pytest.raises(Refused, match=r'unknown field "status\.backlog"'):
        kube.api.patch(f"{thumbnails}/status", {"status": {"backlog": 5}}, fieldValidation="Strict")


def test_kubectl_waits_for_ready(kube: ControlPlane, thumbnails: str, namespace: str) -> None:
    ready = {"type": "Ready", "status": "True", "observedGeneration": 1, "lastTransitionTime": "2026-11-20T01:00:00Z", "reason": "Running", "message": ""}
    kube.api.patch(f"{thumbnails}/status", {"status": {"conditions": [ready]}})
    assert "condition met" in kube.kubectl("wait", "-n", namespace, "beat/thumbnails", "--for=condition=Ready", "--timeout=10s")


def test_a_schedule_near_its_bounds_costs_the_server_little(kube: ControlPlane, namespace: str) -> None:
    """100 events of the longest cron expressions, with zones and payloads: the rules' cost at run time is limited, too."""
    cron = "0,1,2,3,4,5,6,7,8,9,10-12,13-15,16-18,19-21/2 0-1,2-3,4-5,6-7,8-9 1-30/2 jan-mar,apr-jun mon-wed,fri"
    assert len(cron) == 100
    fields = {f"key{i}": {"value": [i] * 5} for i in range(64)}
    events = [{"name": f"e{i}", "type": "t" * 128, "cron": cron, "timeZone": "America/Argentina/Buenos_Aires", "fields": fields} for i in range(100)]
    body = edges.manifest("spec.events", events) | {"metadata": {"name": "large"}}
    kube.api.create(BEATS.format(namespace), body, fieldValidation="Strict")
    kube.api.patch(f"{beat(namespace, 'large')}/status", {"status": STATUS})


def test_the_server_finds_no_fault_with_the_crd(kube: ControlPlane) -> None:
    conditions = {one["type"]: one["status"] for one in kube.api.get(f"{CRDS}/{yaml.safe_load(CRD.read_text())['metadata']['name']}")["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
