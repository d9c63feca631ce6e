"""The bodies of workers' Deployments before a real API server: what it takes, what it makes of them, and who changed what."""

from copy import deepcopy
from typing import Any, Final

import pytest

from channelbeat.cluster.deployment import MANAGER, PATH, applied, applied_replicas, created, intact, owner, same
from channelbeat.cluster.pod_template import pod_template
from channelbeat.core.crews import made
from channelbeat.core.parse import parse
from channelbeat.core.schedule import BeatSchedule
from support import beats
from support.cluster import ControlPlane
from support.cluster_api import BEATS, Refused

EVENT: Final = {"cron": "30 2 * * *", "name": "nightly"}
WEB: Final[dict[str, Any]] = {
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {"kubectl.kubernetes.io/default-container": "web"}},
            "spec": {
                "imagePullSecrets": [{"name": "pull"}],
                "tolerations": [{"key": "shop", "operator": "Exists"}],
                "topologySpreadConstraints": [
                    {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "web"}}}
                ],
                "volumes": [
                    {"name": "conf", "configMap": {"name": "shop"}},
                    {
                        "name": "info",
                        "downwardAPI": {"items": [{"path": "cpus", "resourceFieldRef": {"containerName": "web", "resource": "limits.cpu"}}]},
                    },
                ],
                "initContainers": [{"name": "migrate", "image": "shop:1.4", "args": ["migrate"]}],
                "containers": [
                    {
                        "name": "web",
                        "image": "shop:1.4",
                        "args": ["gunicorn"],
                        "ports": [{"containerPort": 8000}],
                        "readinessProbe": {"httpGet": {"path": "/", "port": 8000}},
                        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
                        "env": [{"name": "DEBUG", "value": "0"}, {"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
                        "envFrom": [{"secretRef": {"name": "shop"}}],
                        "resources": {"requests": {"cpu": "1000m", "memory": "0.5Gi"}},
                        "volumeMounts": [{"name": "conf", "mountPath": "/conf"}],
                    },
                    {"name": "proxy", "image": "proxy:2", "ports": [{"containerPort": 9000}], "resources": {"limits": {"cpu": 0.5}}},
                ],
            },
        },
    },
}
TEMPLATE: Final[dict[str, Any]] = {
    "metadata": {"labels": {"team": "media"}},
    "spec": {
        "containers": [
            {"name": "log", "image": "log:1"},
            {
                "name": "worker",
                "image": "shop:1.4",
                "env": [{"name": "DEBUG", "value": "1"}],
                "ports": [{"containerPort": 9100}, {"containerPort": 53, "protocol": "UDP"}],
                "resources": {"requests": {"cpu": "1000m"}, "limits": None},
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            },
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    },
}
BLOCKS: Final[dict[str, dict[str, Any]]] = {
    "copied": {"templateFrom": {"name": "web"}},
    "another container": {"templateFrom": {"name": "web", "container": "proxy"}},
    "changed": {
        "templateFrom": {"name": "web"},
        "env": [{"name": "DEBUG", "value": "1"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "resources": {"limits": {"memory": "1Gi"}},
    },
    "template": {"template": TEMPLATE},
}


class Workers:
    """The Deployment of one schedule's workers."""

    def __init__(self, kube: ControlPlane, namespace: str, worker: dict[str, Any], **spec: Any) -> None:
        self.api, self.all = kube.api, PATH.format(namespace)
        raw = beats.manifest(EVENT, name="thumbnails", worker=worker, **spec)
        self.uid: str = kube.api.create(BEATS.format(namespace), raw)["metadata"]["uid"]
        self.schedule = self.read(raw, namespace)
        self.path = f"{self.all}/{made(self.schedule)}"

    def read(self, raw: dict[str, Any], namespace: str) -> BeatSchedule:
        parsed = parse({**raw, "metadata": {"name": "thumbnails", "namespace": namespace}})
        assert parsed.schedule is not None
        assert parsed.faults == ()
        return parsed.schedule

    def template(self) -> dict[str, Any]:
        copied = self.schedule.spec.worker and self.schedule.spec.worker.template_from
        found = pod_template(self.schedule, self.api.get(f"{self.all}/{copied.name}") if copied else None)
        assert isinstance(found, dict), found
        return found

    def edit(self, **worker: Any) -> None:
        raw = beats.manifest(EVENT, name="thumbnails", worker=worker)
        self.schedule = self.read(raw, self.schedule.namespace)

    def body(self, replicas: int = 2) -> dict[str, Any]:
        return applied(self.schedule, self.uid, self.template(), replicas)

    def create(self, **query: str) -> Any:
        return self.api.create(self.all, created(self.schedule, self.uid, self.template()), fieldValidation="Strict", **query)

    def apply(self, replicas: int = 2, **query: str) -> Any:
        return self.api.apply(self.path, self.body(replicas), manager=MANAGER, force="true", fieldValidation="Strict", **query)

    def live(self) -> Any:
        return self.api.get(self.path)


def worker_of(live: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in live["spec"]["template"]["spec"]["containers"] if one["name"] == "worker")
    return found


def stamp(live: dict[str, Any]) -> tuple[int, str]:
    """What a write of ours would move; the resourceVersion is moved by the controllers, too."""
    metadata = live["metadata"]
    return metadata["generation"], next(one["time"] for one in metadata["managedFields"] if (one["manager"], one["operation"]) == (MANAGER, "Apply"))


def names(live: dict[str, Any]) -> set[str]:
    return {one["name"] for one in live["spec"]["template"]["spec"]["containers"]}


@pytest.fixture
def web(kube: ControlPlane, namespace: str) -> str:
    """Its path. Made as `kubectl create` makes it, which takes a variable twice; and the server adds its defaults."""
    kube.api.create(PATH.format(namespace), WEB)
    return f"{PATH.format(namespace)}/web"


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("delivery", ["BestEffort", "AtLeastOnce"])
@pytest.mark.parametrize("block", BLOCKS)
def test_the_server_takes_the_bodies_and_they_are_found_to_be_the_same(kube: ControlPlane, namespace: str, block: str, delivery: str) -> None:
    workers = Workers(kube, namespace, BLOCKS[block], delivery=delivery)
    assert workers.create(dryRun="All")["spec"]["replicas"] == 0
    made = workers.create()
    assert (owner(made), made["spec"]["replicas"], names(made)) == (workers.uid, 0, {"worker"})
    tried = workers.apply(3, dryRun="All")
    assert tried["spec"]["replicas"] == 3
    assert same(tried, workers.body(3))
    assert not same(workers.live(), workers.body(3)), "that was a trial"
    done = workers.apply(3)
    worker = worker_of(done)
    assert worker["command"][:3] == ["python", "manage.py", "runworker"]
    assert worker["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert ("livenessProbe" in worker) == (delivery == "AtLeastOnce")
    assert done["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == (630 if delivery == "AtLeastOnce" else 60)
    assert same(workers.live(), workers.body(3))
    assert stamp(workers.apply(3)) == stamp(done), "to apply it again changes nothing"
    assert not same(workers.live(), workers.body(4))


@pytest.mark.usefixtures("web")
def test_the_copied_pod_as_the_server_has_it(kube: ControlPlane, namespace: str) -> None:
    workers = Workers(kube, namespace, BLOCKS["changed"])
    workers.create()
    done = workers.apply()
    pod, worker = done["spec"]["template"]["spec"], worker_of(done)
    assert not {"args", "ports", "readinessProbe", "livenessProbe", "lifecycle"} & worker.keys()
    assert [(one["name"], one.get("value")) for one in worker["env"]] == [("DEBUG", "1"), ("A", "2"), ("KEY", None), ("POD_NAME", None)]
    assert worker["resources"] == {"limits": {"memory": "1Gi"}}
    assert [one["name"] for one in pod["initContainers"]] == ["migrate"]
    assert pod["volumes"][1]["downwardAPI"]["items"][0]["resourceFieldRef"]["containerName"] == "worker"
    assert pod["topologySpreadConstraints"][0]["topologyKey"] == "zone"
    assert done["spec"]["template"]["metadata"]["labels"].get("app") is None, "a Service of the copied pods sends them nothing"
    assert done["spec"]["selector"] == {"matchLabels": {"channelbeat.dev/schedule": "thumbnails"}}


def test_it_follows_the_copied_one(kube: ControlPlane, namespace: str, web: str) -> None:
    workers = Workers(kube, namespace, BLOCKS["copied"])
    workers.create()
    workers.apply()
    kube.api.patch(f"{web}/scale", {"spec": {"replicas": 5}})
    assert same(workers.live(), workers.body()), "how many there are of it is of no account"
    source = kube.api.get(web)
    source["metadata"].pop("resourceVersion")
    source["spec"]["template"]["spec"]["containers"][0] |= {"image": "shop:1.5", "env": [{"name": "DEBUG", "value": "0"}]}
    kube.api.call("PUT", web, source)
    assert not same(workers.live(), workers.body())
    worker = worker_of(workers.apply())
    assert (worker["image"], [one["name"] for one in worker["env"]]) == ("shop:1.5", ["DEBUG", "POD_NAME"])
    assert same(workers.live(), workers.body())


@pytest.mark.usefixtures("web")
def test_nothing_stays_of_what_was_copied_before(kube: ControlPlane, namespace: str) -> None:
    workers = Workers(kube, namespace, BLOCKS["copied"])
    workers.create()
    assert names(workers.apply()) == {"worker", "proxy"}
    workers.edit(templateFrom={"name": "web", "container": "proxy"})
    done = workers.apply()
    assert names(done) == {"worker", "web"}
    assert (worker_of(done)["image"], "volumeMounts" in worker_of(done)) == ("proxy:2", False)
    workers.edit(template=TEMPLATE)
    assert names(workers.apply()) == {"worker", "log"}
    assert same(workers.live(), workers.body())


@pytest.mark.parametrize(("scaled", "stays"), [(7, 7), (0, 0), (None, 2)], ids=["somebody's", "nobody's: zero leaves none", "ours"])
def test_a_number_that_is_left_to_others_stays(kube: ControlPlane, namespace: str, scaled: int | None, stays: int) -> None:
    workers = Workers(kube, namespace, BLOCKS["template"])
    workers.create()
    workers.apply(2)
    if scaled is not None:
        kube.kubectl("scale", "deployment/thumbnails-worker", f"--replicas={scaled}", "-n", namespace)
    workers.edit(template={"spec": {"containers": [{"name": "worker", "image": "shop:1.5"}]}})
    body = applied(workers.schedule, workers.uid, workers.template(), applied_replicas(workers.live()))
    kube.api.apply(workers.path, body, manager=MANAGER, force="true", fieldValidation="Strict")
    live = workers.live()
    assert (live["spec"]["replicas"], worker_of(live)["image"]) == (stays, "shop:1.5")
    assert same(live, body)


def change_image(live: dict[str, Any]) -> None:
    worker_of(live)["image"] = "other:1"


def change_variable(live: dict[str, Any]) -> None:
    worker_of(live)["env"][0]["value"] = "2"


def remove_variable(live: dict[str, Any]) -> None:
    del worker_of(live)["env"][0]


def remove_ports(live: dict[str, Any]) -> None:
    del worker_of(live)["ports"]


def remove_a_port(live: dict[str, Any]) -> None:
    del worker_of(live)["ports"][1]


def change_cpu(live: dict[str, Any]) -> None:
    worker_of(live)["resources"]["requests"]["cpu"] = "2"


def remove_sidecar(live: dict[str, Any]) -> None:
    live["spec"]["template"]["spec"]["containers"].pop(0)


def change_grace(live: dict[str, Any]) -> None:
    live["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1


def change_label(live: dict[str, Any]) -> None:
    live["spec"]["template"]["metadata"]["labels"]["team"] = "x"


def remove_owner(live: dict[str, Any]) -> None:
    live["metadata"]["ownerReferences"] = []


def scale(live: dict[str, Any]) -> None:
    live["spec"]["replicas"] = 7


CHANGES: Final = [
    change_image,
    change_variable,
    remove_variable,
    remove_ports,
    remove_a_port,
    change_cpu,
    remove_sidecar,
    change_grace,
    change_label,
    remove_owner,
    scale,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_somebody_changed_is_seen_and_put_right(kube: ControlPlane, namespace: str, change: Any) -> None:
    workers = Workers(kube, namespace, BLOCKS["template"])
    workers.create()
    before = workers.apply()
    changed = deepcopy(before)
    change(changed)
    changed["metadata"].pop("resourceVersion")
    assert changed["spec"] != before["spec"] or changed["metadata"]["ownerReferences"] == []
    kube.api.call("PUT", workers.path, changed)
    assert not intact(workers.live(), workers.body())
    assert not same(workers.live(), workers.body())
    workers.apply()
    after = workers.live()
    assert (after["spec"], after["metadata"]["ownerReferences"]) == (before["spec"], before["metadata"]["ownerReferences"])
    assert same(after, workers.body())


def test_what_others_add_is_left_to_them(kube: ControlPlane, namespace: str) -> None:
    workers = Workers(kube, namespace, BLOCKS["template"])
    workers.create()
    workers.apply()
    live = workers.live()
    live["metadata"].pop("resourceVersion")
    live["metadata"]["annotations"]["theirs"] = live["spec"]["template"]["metadata"].setdefault("annotations", {})["theirs"] = "x"
    live["spec"]["template"]["spec"]["containers"].append({"name": "mesh", "image": "mesh:1"})
    kube.api.call("PUT", workers.path, live)
    assert same(workers.live(), workers.body())
    assert names(workers.apply()) == {"worker", "log", "mesh"}


def test_a_scale_to_what_it_is_takes_nothing_from_us(kube: ControlPlane, namespace: str) -> None:
    workers = Workers(kube, namespace, BLOCKS["template"])
    workers.create()
    workers.apply(2)
    kube.api.patch(f"{workers.path}/scale", {"spec": {"replicas": 2}})
    assert same(workers.live(), workers.body(2))


def test_a_name_that_is_taken(kube: ControlPlane, namespace: str) -> None:
    theirs = deepcopy(WEB) | {"metadata": {"name": "thumbnails-worker"}}
    kube.api.create(PATH.format(namespace), theirs)
    workers = Workers(kube, namespace, BLOCKS["template"])
    with pytest.raises(Refused) as refused:
        workers.create()
    assert refused.value.status == 409
    assert owner(workers.live()) == ""


def test_a_template_that_the_server_refuses_is_refused_in_its_own_words(kube: ControlPlane, namespace: str) -> None:
    broken = {"spec": {"containers": [{"name": "worker", "image": "shop:1.4", "volumeMounts": [{"name": "none", "mountPath": "/x"}]}]}}
    workers = Workers(kube, namespace, {"template": broken})
    workers.create()
    with pytest.raises(Refused, match=r'volumeMounts\[0\].name: Not found: "none"'):
        workers.apply()
    workers.edit(template={"spec": {"containers": [{"name": "worker", "image": "shop:1.4", "imagee": "x"}]}})
    with pytest.raises(Refused, match="imagee"):
        workers.apply()
