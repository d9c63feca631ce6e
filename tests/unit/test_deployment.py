"""The Deployment of a schedule's workers: what of a copied pod is kept, what a worker is started with, and whether there is anything to apply."""

from copy import deepcopy
from typing import Any, Final

import pytest

from channelbeat.cluster.deployment import APPLIED, applied, applied_replicas, created, hash_of, intact, owner, same
from channelbeat.cluster.pod_template import check, command, drain, pod_template
from channelbeat.core.crews import made
from channelbeat.core.finding import Finding
from channelbeat.core.parse import parse
from channelbeat.core.schedule import BeatSchedule, Worker

UID: Final = "11111111-2222-3333-4444-555555555555"
LABELS: Final = {"app.kubernetes.io/managed-by": "channelbeat", "app.kubernetes.io/component": "worker", "channelbeat.dev/schedule": "thumbnails"}
POD_NAME: Final = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
WEB: Final[dict[str, Any]] = {
    "metadata": {"name": "shop-web", "namespace": "shop"},
    "spec": {
        "replicas": 3,
        "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-20T00:00:00Z"}, "creationTimestamp": None},
            "spec": {
                "serviceAccountName": "shop",
                "imagePullSecrets": [{"name": "pull"}],
                "nodeSelector": {"disk": "fast"},
                "tolerations": [{"key": "shop", "operator": "Exists"}],
                "securityContext": {"runAsUser": 1000},
                "terminationGracePeriodSeconds": 5,
                "volumes": [{"name": "conf", "configMap": {"name": "shop"}}],
                "initContainers": [{"name": "migrate", "image": "shop:1.4", "args": ["migrate"]}],
                "containers": [
                    {
                        "name": "web",
                        "image": "shop:1.4",
                        "command": ["gunicorn"],
                        "args": ["shop.wsgi"],
                        "workingDir": "/srv",
                        "ports": [{"containerPort": 8000}],
                        "livenessProbe": {"httpGet": {"port": 8000}},
                        "readinessProbe": {"httpGet": {"port": 8000}},
                        "startupProbe": {"httpGet": {"port": 8000}},
                        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                        "terminationMessagePolicy": "File",
                        "env": [{"name": "DEBUG", "value": "0"}, {"name": "URL", "value": "redis://r"}],
                        "envFrom": [{"secretRef": {"name": "shop"}}],
                        "resources": {"requests": {"cpu": "1"}},
                        "volumeMounts": [{"name": "conf", "mountPath": "/conf"}],
                        "securityContext": {"readOnlyRootFilesystem": True},
                    },
                    {
                        "name": "proxy",
                        "image": "proxy:2",
                        "args": ["--quiet"],
                        "ports": [{"containerPort": 9000}],
                        "livenessProbe": {"tcpSocket": {"port": 9000}},
                    },
                ],
            },
        },
    },
}
FROM: Final = {"templateFrom": {"name": "shop-web"}}
TEMPLATE: Final[dict[str, Any]] = {
    "metadata": {"labels": {"team": "media"}, "annotations": {"note": "x"}},
    "spec": {"containers": [{"name": "log", "image": "log:1"}, {"name": "worker", "image": "shop:1.4", "args": ["x"], "resources": None}]},
}
EVENT: Final = {"name": "nightly", "type": "generate", "cron": "30 2 * * *"}


def schedule(worker: dict[str, Any], *, delivery: str = "BestEffort", events: tuple[dict[str, Any], ...] = (EVENT,), **spec: Any) -> BeatSchedule:
    whole = {"channel": "generate", "delivery": delivery, "events": list(events), "worker": worker} | spec
    metadata = {"name": "thumbnails", "namespace": "shop"}
    parsed = parse({"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "metadata": metadata, "spec": whole})
    assert parsed.faults == ()
    assert parsed.schedule is not None
    return parsed.schedule


def pods(worker: dict[str, Any], source: dict[str, Any] | None = WEB, **spec: Any) -> dict[str, Any]:
    before = deepcopy(source)
    found = pod_template(schedule(worker, **spec), source)
    assert isinstance(found, dict), found
    assert source == before, "what is copied stays as it is"
    return found


def worker_of(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in template["spec"]["containers"] if one["name"] == "worker")
    return found


def web(**container: Any) -> dict[str, Any]:
    """The copied Deployment, with another first container."""
    source = deepcopy(WEB)
    source["spec"]["template"]["spec"]["containers"][0] |= container
    return source


def test_a_copied_pod() -> None:
    """What is kept, and what is dropped."""
    copied = WEB["spec"]["template"]["spec"]
    assert pods(FROM) == {
        "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-20T00:00:00Z"}, "labels": LABELS},
        "spec": {
            **{field: copied[field] for field in ("serviceAccountName", "imagePullSecrets", "nodeSelector", "tolerations", "securityContext", "volumes")},
            "terminationGracePeriodSeconds": 60,
            "initContainers": copied["initContainers"],
            "containers": [
                {
                    "name": "worker",
                    "image": "shop:1.4",
                    "command": ["python", "manage.py", "runworker", "generate"],
                    "workingDir": "/srv",
                    "env": [{"name": "DEBUG", "value": "0"}, {"name": "URL", "value": "redis://r"}, POD_NAME],
                    "envFrom": [{"secretRef": {"name": "shop"}}],
                    "resources": {"requests": {"cpu": "1"}},
                    "volumeMounts": [{"name": "conf", "mountPath": "/conf"}],
                    "securityContext": {"readOnlyRootFilesystem": True},
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                },
                copied["containers"][1],
            ],
        },
    }


def test_another_container_of_the_copied_pod() -> None:
    template = pods({"templateFrom": {"name": "shop-web", "container": "proxy"}})
    first, second = template["spec"]["containers"]
    assert first == WEB["spec"]["template"]["spec"]["containers"][0], "a sidecar is left as it is"
    assert (second["name"], second["image"], "args" in second, "ports" in second) == ("worker", "proxy:2", False, False)


def test_what_differs_from_the_copied_container() -> None:
    env = [{"name": "DEBUG", "value": "1"}, {"name": "SENTRY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    worker = worker_of(pods({**FROM, "resources": {"limits": {"memory": "1Gi"}, "requests": None}, "env": env}))
    assert worker["env"] == [env[0], {"name": "URL", "value": "redis://r"}, env[1], POD_NAME]
    assert worker["resources"] == {"limits": {"memory": "1Gi"}}


@pytest.mark.parametrize("where", ["copied", "given"])
def test_a_pod_name_of_their_own_stays(where: str) -> None:
    theirs = {"name": "POD_NAME", "value": "x"}
    found = worker_of(pods(FROM, web(env=[theirs])) if where == "copied" else pods({**FROM, "env": [theirs]}))
    assert [one for one in found["env"] if one["name"] == "POD_NAME"] == [theirs]


def test_a_variable_that_is_there_twice_counts_as_its_last() -> None:
    """As it does in a pod; server-side apply would refuse it."""
    twice = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "A", "value": "$(B)"}]
    source = web(env=twice)
    source["spec"]["template"]["spec"]["initContainers"][0]["env"] = deepcopy(twice)
    template = pods(FROM, source)
    assert worker_of(template)["env"] == [twice[1], twice[2], POD_NAME]
    assert template["spec"]["initContainers"][0]["env"] == [twice[1], twice[2]]


def test_what_names_the_copied_container_names_it_by_its_new_name() -> None:
    def limit(container: str) -> dict[str, Any]:
        return {"containerName": container, "resource": "limits.cpu"}

    source = web(env=[{"name": "CPUS", "valueFrom": {"resourceFieldRef": limit("web")}}])
    template = source["spec"]["template"]
    apparmor = "container.apparmor.security.beta.kubernetes.io/"
    template["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/default-container": "web",
        f"{apparmor}web": "runtime/default",
        f"{apparmor}proxy": "unconfined",
    }
    items = [{"path": "own", "resourceFieldRef": limit("web")}, {"path": "other", "resourceFieldRef": limit("proxy")}]
    template["spec"]["volumes"].append({"name": "info", "downwardAPI": {"items": items}})
    found = pods(FROM, source)
    assert found["metadata"]["annotations"] == {
        "kubectl.kubernetes.io/default-container": "worker",
        f"{apparmor}worker": "runtime/default",
        f"{apparmor}proxy": "unconfined",
    }
    assert worker_of(found)["env"][0]["valueFrom"]["resourceFieldRef"] == limit("worker")
    assert [item["resourceFieldRef"]["containerName"] for item in found["spec"]["volumes"][1]["downwardAPI"]["items"]] == ["worker", "proxy"]


def test_a_template_of_their_own() -> None:
    assert pods({"template": TEMPLATE}, None) == {
        "metadata": {"labels": {"team": "media", **LABELS}, "annotations": {"note": "x"}},
        "spec": {
            "terminationGracePeriodSeconds": 60,
            "containers": [
                {"name": "log", "image": "log:1"},
                {
                    "name": "worker",
                    "image": "shop:1.4",
                    "command": ["python", "manage.py", "runworker", "generate"],
                    "env": [POD_NAME],
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                },
            ],
        },
    }


def test_what_a_template_of_their_own_says_of_the_worker_stays() -> None:
    said = {
        "ports": [{"containerPort": 1}],
        "livenessProbe": {"exec": {"command": ["true"]}},
        "startupProbe": {"exec": {"command": ["true"]}},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        "terminationMessagePolicy": "File",
    }
    template = {"spec": {"containers": [{"name": "worker", "image": "i", **said}], "terminationGracePeriodSeconds": 4_000}}
    found = pods({"template": template}, None, delivery="AtLeastOnce")
    assert {field: worker_of(found)[field] for field in said} == said
    assert found["spec"]["terminationGracePeriodSeconds"] == 4_000


def test_their_labels_never_take_the_workers_out_of_the_selector() -> None:
    template = {"metadata": {"labels": {"channelbeat.dev/schedule": "other"}}, "spec": TEMPLATE["spec"]}
    assert pods({"template": template}, None)["metadata"]["labels"]["channelbeat.dev/schedule"] == "thumbnails"


@pytest.mark.parametrize(
    ("worker", "spec", "says"),
    [
        pytest.param({}, {}, "python manage.py runworker generate", id="best effort: nothing that stock would reject"),
        pytest.param({"concurrency": 4, "drainTimeout": "5m"}, {}, "python manage.py runworker generate", id="whatever it says"),
        pytest.param(
            {}, {"delivery": "AtLeastOnce"}, "python manage.py runworker --concurrency 1 --drain-timeout 10m generate", id="at least once: the defaults"
        ),
        pytest.param(
            {"concurrency": 4, "drainTimeout": "1h30m", "channels": ["urgent", "generate"], "command": ["./run", "worker"]},
            {"delivery": "AtLeastOnce"},
            "./run worker --concurrency 4 --drain-timeout 1h30m urgent generate",
            id="all it can say",
        ),
        pytest.param({}, {"channelLayer": {"name": "media"}}, "python manage.py runworker --layer media generate", id="another layer"),
        pytest.param(
            {"command": ["runworker", "--layer", "default"]}, {"channelLayer": {"name": "media"}}, "runworker --layer default generate", id="called otherwise"
        ),
        pytest.param({"command": ["runworker", "--layer=x"]}, {"channelLayer": {"name": "media"}}, "runworker --layer=x generate", id="or in one word"),
    ],
)
def test_what_a_worker_is_started_with(worker: dict[str, Any], spec: dict[str, Any], says: str) -> None:
    of = schedule({**FROM, **worker}, **spec).spec
    assert command(of, of.worker or Worker()) == says.split()
    assert worker_of(pods({**FROM, **worker}, **spec))["command"] == says.split()


@pytest.mark.parametrize(
    ("typed", "layer", "says"),
    [
        ("python manage.py runworker", "default", "python -m channelbeat.heartbeat urgent generate"),
        ("python manage.py runworker", "media", "python -m channelbeat.heartbeat --layer media urgent generate"),
        ("python manage.py runworker --layer own", "media", "python -m channelbeat.heartbeat --layer own urgent generate"),
        ("tini -- /venv/bin/python3 src/manage.py runworker", "default", "tini -- /venv/bin/python3 -m channelbeat.heartbeat urgent generate"),
        ("./manage.py runworker", "media", "./manage.py runworker --check --layer media urgent generate"),
        ("./run.sh worker --layer own", "media", "./run.sh worker --layer own --check urgent generate"),
        ("uv run manage.py runworker", "default", "uv run manage.py runworker --check urgent generate"),
    ],
)
def test_how_it_is_asked_whether_it_lives(typed: str, layer: str, says: str) -> None:
    block = {**FROM, "command": typed.split(), "channels": ["urgent", "generate"]}
    of = schedule(block, delivery="AtLeastOnce", channelLayer={"name": layer}).spec
    assert check(of, of.worker or Worker()) == says.split()
    worker = worker_of(pods(block, delivery="AtLeastOnce", channelLayer={"name": layer}))
    assert worker["livenessProbe"] == {"exec": {"command": says.split()}, "periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 3}
    assert worker["startupProbe"]["exec"]["command"] == says.split()
    begins = says.partition(" urgent")[0].replace("channelbeat.heartbeat", "channelbeat.heartbeat --wait 120")
    waits = [*begins.split(), "urgent", "generate"]
    assert worker.get("lifecycle") == ({"preStop": {"exec": {"command": waits}}} if "--wait" in waits else None), "before it is told to stop"


def test_stock_workers_are_not_asked() -> None:
    assert not {"livenessProbe", "startupProbe", "readinessProbe", "lifecycle"} & worker_of(pods(FROM)).keys()


def timed(*timeouts: str) -> tuple[dict[str, Any], ...]:
    return tuple({**EVENT, "name": f"e{number}", "attemptTimeout": timeout} for number, timeout in enumerate(timeouts))


@pytest.mark.parametrize(
    ("worker", "spec", "seconds"),
    [
        ({}, {}, 30),
        ({}, {"delivery": "AtLeastOnce"}, 600),
        ({}, {"delivery": "AtLeastOnce", "events": timed("1m", "20m", "5m")}, 1_200),
        ({}, {"delivery": "AtLeastOnce", "events": timed("3h")}, 3_600),
        ({"drainTimeout": "3h"}, {"delivery": "AtLeastOnce", "events": timed("1m")}, 10_800),
        ({"drainTimeout": "1s"}, {}, 1),
        ({"drainTimeout": "1500ms"}, {}, 2),
    ],
)
def test_the_grace_is_as_long_as_the_drain_and_a_little_more(worker: dict[str, Any], spec: dict[str, Any], seconds: int) -> None:
    assert -(-drain(schedule({**FROM, **worker}, **spec).spec) // 1_000) == seconds
    assert pods({**FROM, **worker}, **spec)["spec"]["terminationGracePeriodSeconds"] == seconds + 30


OURS: Final = {"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "name": "other", "uid": "u", "controller": True}


@pytest.mark.parametrize(
    ("named", "source", "reason", "says"),
    [
        (
            {},
            None,
            "NoSuchDeployment",
            "spec.worker.templateFrom.name: namespace shop has no Deployment 'shop-web': create it, or name one that is there",
        ),
        (
            {"container": "wep"},
            WEB,
            "NoSuchContainer",
            "spec.worker.templateFrom.container: Deployment 'shop-web' has no container 'wep' (there is web, proxy): name one of them",
        ),
        (
            {"container": "proxy"},
            web(name="worker"),
            "ContainerNameTaken",
            "spec.worker.templateFrom.container: Deployment 'shop-web' has another container called 'worker', as 'proxy' would be called: "
            "choose that one, or use spec.worker.template",
        ),
        (
            {},
            {**WEB, "metadata": {"name": "other-worker", "ownerReferences": [OURS]}},
            "CopiesWorkers",
            "spec.worker.templateFrom.name: Deployment 'shop-web' has the workers of BeatSchedule 'other': name the Deployment that one copies",
        ),
    ],
)
def test_what_cannot_be_copied(named: dict[str, str], source: dict[str, Any] | None, reason: str, says: str) -> None:
    found = pod_template(schedule({"templateFrom": {"name": "shop-web", **named}}), source)
    assert found == Finding(reason, says)


def test_a_copied_grace_is_for_requests_and_of_no_account() -> None:
    source = web()
    source["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 4_000
    assert pods(FROM, source)["spec"]["terminationGracePeriodSeconds"] == 60


def test_a_container_that_is_called_worker_may_be_copied() -> None:
    assert worker_of(pods(FROM, web(name="worker")))["image"] == "shop:1.4"


HEAD: Final = {
    "name": "thumbnails-worker",
    "namespace": "shop",
    "labels": LABELS,
    "ownerReferences": [
        {
            "apiVersion": "channelbeat.dev/v1alpha1",
            "kind": "BeatSchedule",
            "name": "thumbnails",
            "uid": UID,
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ],
}
SELECTED: Final = {"channelbeat.dev/schedule": "thumbnails"}


def test_it_is_made_with_no_more_than_the_server_demands() -> None:
    assert created(schedule(FROM), UID, pods(FROM)) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": HEAD,
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": SELECTED},
            "template": {"metadata": {"labels": SELECTED}, "spec": {"containers": [{"name": "worker", "image": "shop:1.4"}]}},
        },
    }


def test_everything_else_is_applied() -> None:
    template = pods(FROM)
    body = applied(schedule(FROM), UID, template, 3)
    assert body == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**HEAD, "annotations": {APPLIED: hash_of(body)}},
        "spec": {"replicas": 3, "selector": {"matchLabels": SELECTED}, "template": template},
    }


def test_zero_replicas_are_said() -> None:
    assert applied(schedule(FROM), UID, pods(FROM), 0)["spec"]["replicas"] == 0


def test_the_hash_is_of_what_is_applied_but_for_the_replicas() -> None:
    of = schedule(FROM)
    body = applied(of, UID, pods(FROM), 3)
    assert hash_of(body) == hash_of(applied(of, UID, pods(FROM), 4)) == hash_of(applied(of, UID, dict(reversed(pods(FROM).items())), 3))
    others = [
        applied(of, "another", pods(FROM), 3),
        applied(of, UID, pods(FROM, web(image="shop:1.5")), 3),
        applied(schedule({**FROM, "concurrency": 2}, delivery="AtLeastOnce"), UID, pods({**FROM, "concurrency": 2}, delivery="AtLeastOnce"), 3),
    ]
    assert len({hash_of(one) for one in (body, *others)}) == 4


SMALL: Final = {"spec": {"containers": [{"name": "worker", "image": "i", "ports": [{"containerPort": 80}]}], "terminationGracePeriodSeconds": 30}}
FIELDS: Final[dict[str, Any]] = {
    "f:metadata": {
        "f:annotations": {f"f:{APPLIED}": {}},
        "f:labels": {f"f:{label}": {} for label in LABELS},
        "f:ownerReferences": {f'k:{{"uid":"{UID}"}}': {}},
    },
    "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"other"}': {".": {}, "f:name": {}},
                    'k:{"name":"worker"}': {
                        ".": {},
                        "f:image": {},
                        "f:name": {},
                        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                    },
                },
                "f:terminationGracePeriodSeconds": {},
            }
        },
    },
}


def live(body: dict[str, Any], fields: dict[str, Any] = FIELDS, **entry: str) -> dict[str, Any]:
    """As the server has it after `body` was applied."""
    found = deepcopy(body)
    theirs = {"manager": "Python", "operation": "Update", "fieldsV1": {}}
    found["metadata"]["managedFields"] = [theirs, {"manager": "channelbeat", "operation": "Apply", "fieldsV1": fields, **entry}]
    return found


def without(*path: str) -> dict[str, Any]:
    """A set has no branches without leaves."""
    fields = deepcopy(FIELDS)
    branches = [fields]
    for step in path[:-1]:
        branches.append(branches[-1][step])
    for branch, step in zip(reversed(branches), reversed(path), strict=True):
        del branch[step]
        if branch:
            break
    return fields


POD: Final = ("f:spec", "f:template", "f:spec")
CONTAINER: Final = (*POD, "f:containers", 'k:{"name":"worker"}')


@pytest.mark.parametrize(
    ("fields", "entry", "whole"),
    [
        pytest.param(FIELDS, {}, True, id="all of it is ours"),
        pytest.param(without("f:spec", "f:replicas"), {}, False, id="somebody scaled it"),
        pytest.param(without(*CONTAINER, "f:image"), {}, False, id="somebody changed the image"),
        pytest.param(without(*CONTAINER), {}, False, id="somebody replaced the container"),
        pytest.param(without(*CONTAINER, "f:ports", 'k:{"containerPort":80,"protocol":"TCP"}'), {}, False, id="somebody removed a port"),
        pytest.param(without(*POD, "f:terminationGracePeriodSeconds"), {}, False, id="somebody changed the grace"),
        pytest.param(without("f:metadata", "f:labels", "f:channelbeat.dev/schedule"), {}, False, id="somebody changed a label"),
        pytest.param(without("f:metadata", "f:ownerReferences", f'k:{{"uid":"{UID}"}}'), {}, False, id="somebody removed its owner"),
        pytest.param(FIELDS, {"manager": "kubectl"}, False, id="another applied the same"),
        pytest.param(FIELDS, {"operation": "Update"}, False, id="it was not applied"),
        pytest.param(FIELDS, {"subresource": "scale"}, False, id="of a subresource"),
    ],
)
def test_whether_it_is_all_ours_still(fields: dict[str, Any], entry: dict[str, str], whole: bool) -> None:
    body = applied(schedule({"template": SMALL}), UID, SMALL, 2)
    assert intact(live(body, fields, **entry), body) == whole
    assert same(live(body, fields, **entry), body) == whole


def test_an_empty_list_is_managed_by_nobody() -> None:
    body = deepcopy(applied(schedule({"template": SMALL}), UID, SMALL, 2))
    body["spec"]["template"]["spec"]["volumes"] = []
    assert intact(live(body, FIELDS), body)
    body["spec"]["template"]["spec"]["volumes"] = [{"name": "a"}]
    assert not intact(live(body, FIELDS), body)


@pytest.mark.parametrize(
    ("spec", "entry", "left"),
    [
        ({"f:replicas": {}}, {}, 2),
        ({"f:selector": {}}, {}, None),
        ({"f:replicas": {}}, {"manager": "kubectl"}, None),
        ({"f:replicas": {}}, {"operation": "Update"}, None),
    ],
    ids=["ours", "somebody else's by now", "of a stranger", "scaled by us"],
)
def test_a_number_that_we_applied_is_applied_on(spec: dict[str, Any], entry: dict[str, str], left: int | None) -> None:
    """Left out, it would become 1: who applied something takes it away so."""
    assert applied_replicas(live(applied(schedule({"template": SMALL}), UID, SMALL, 2), {"f:spec": spec}, **entry)) == left


def test_a_number_that_is_somebody_elses_is_left_out() -> None:
    of = schedule({"template": SMALL})
    body = applied(of, UID, SMALL, None)
    assert "replicas" not in body["spec"]
    assert body["metadata"] == applied(of, UID, SMALL, 2)["metadata"], "the hash, too"
    theirs = live(applied(of, UID, SMALL, 7), without("f:spec", "f:replicas"))
    assert same(theirs, body)
    assert not same(theirs, applied(of, UID, SMALL, 7)), "it is to be ours again"


def test_whether_there_is_anything_to_apply() -> None:
    of = schedule({"template": SMALL})
    body = applied(of, UID, SMALL, 2)
    now = live(body)
    assert same(now, body)
    assert not same(now, applied(of, UID, SMALL, 3))
    assert not same(now, applied(of, UID, {"spec": {**SMALL["spec"], "hostname": "x"}}, 2))
    assert not same({**now, "metadata": {**now["metadata"], "annotations": None}}, body)
    assert not same(created(of, UID, SMALL), body)


@pytest.mark.parametrize(("value", "whole"), [("a", True), ("b", False)])
def test_a_list_that_is_managed_by_its_values(value: str, whole: bool) -> None:
    body = {"metadata": {"finalizers": [value]}, "spec": {}}
    assert intact(live(body, {"f:metadata": {"f:finalizers": {".": {}, 'v:"a"': {}}}, "f:spec": {".": {}}}), body) == whole


@pytest.mark.parametrize(
    ("owners", "uid"),
    [([OURS], "u"), ([{**OURS, "controller": False}], ""), ([{"uid": "x"}, OURS], "u"), ([], "")],
)
def test_who_owns_it(owners: list[dict[str, Any]], uid: str) -> None:
    assert owner({"metadata": {"ownerReferences": owners}}) == uid
    assert owner({"metadata": {}}) == ""


def test_its_name_is_short_enough_for_pods() -> None:
    assert made(schedule(FROM)) == "thumbnails-worker"
