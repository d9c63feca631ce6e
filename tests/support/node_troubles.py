"""What newcomers get wrong with workers, as a table: manifests, the reason that WorkersReady gives, what its message has to hold, and the cure it names.

Each is in a namespace of its own, which has its name; its schedule is called `shop`, and a day may pass before its event is due.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from support.node_images import THUMBNAILS
from support.node_shop import E2E

Object: TypeAlias = dict[str, Any]

SCHEDULE: Final = "shop"
ASLEEP: Final = ["python3", "-c", "import signal; signal.sigwait([signal.SIGTERM])"]
"""A program that goes on and does nothing; it takes the channel for an argument."""
RUNWORKER: Final = ["python3", "manage.py", "runworker"]
SECRET_URL: Final[Object] = {"name": "CHANNELBEAT_REDIS_URL", "valueFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}
RESTRICTED: Final = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def template(*env: Object, pod: Mapping[str, Any] | None = None, **container: Any) -> Object:
    """Of a pod with the tests' project; `env` outdoes what it has."""
    settings = {"name": "DJANGO_SETTINGS_MODULE", "value": "probe.settings"}
    variables = {one["name"]: one for one in (settings, SECRET_URL, *env)}
    mounts = [{"name": "probe", "mountPath": "/app/probe"}, *container.pop("mounts", ())]
    worker = {"name": "worker", "image": THUMBNAILS, "imagePullPolicy": "Never", "env": [*variables.values()], "volumeMounts": mounts, **container}
    pod = dict(pod or {})
    volumes = [{"name": "probe", "configMap": {"name": "probe"}}, *pod.pop("volumes", ())]
    return {"spec": {"enableServiceLinks": False, "containers": [worker], "volumes": volumes, **pod}}


def variable(name: str, value: str) -> Object:
    return {"name": name, "value": value}


def made(like: Object, command: list[str] = ASLEEP, **worker: Any) -> Object:
    """A worker block: one worker, always."""
    return {"template": like, "command": command, "scaling": {"minReplicas": 1}, **worker}


def deployment(name: str, like: Object, *, replicas: int = 0) -> Object:
    labels = {"app": name}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {**like, "metadata": {"labels": labels}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def schedule(name: str, **spec: Any) -> Object:
    event = {"name": "e", "type": "work", "cron": "0 0 1 1 *"}
    return {"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "metadata": {"name": name}, "spec": {"events": [event], **spec}}


@dataclass(frozen=True)
class Trouble:
    """`spec`: what the schedule has besides its worker block; `around`: objects that are there before it; `labels`: of the namespace. `cured`: the worker
    block that the message asks for, or else `cure`: objects to make, or `typed`: what is to be typed after kubectl."""

    name: str
    reason: str
    worker: Object
    says: tuple[str, ...]
    spec: Object = field(default_factory=dict)
    around: tuple[Object, ...] = ()
    labels: Object = field(default_factory=dict)
    cured: Object | None = None
    cure: tuple[Object, ...] = ()
    typed: tuple[str, ...] = ()

    def objects(self, url: str) -> list[Object]:
        """In the order in which they are to be made."""
        probe = {file.name: file.read_text() for file in (E2E / "probe").glob("*.py")}
        whole = [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "redis"}, "stringData": {"url": url, "other": f"{url[:-1]}5"}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}, "data": probe},
            *self.around,
            schedule(SCHEDULE, **{"channel": self.name, "worker": self.worker, **self.spec}),
        ]
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": self.labels}}
        return [namespace, *({**one, "metadata": {"namespace": self.name, **one["metadata"]}} for one in whole)]


AT_LEAST_ONCE: Final = {"delivery": "AtLeastOnce"}
WEB: Final = {"name": "web", "image": THUMBNAILS}
GALLERY: Final = deployment("gallery", template())
BRIEF: Final = {"name": "brief"}
ROOM: Final = {"requests": {"cpu": "1000"}}

TROUBLES: Final = (
    Trouble(
        "image-not-loaded",
        "ImageCannotBePulled",
        made(template(image="localhost/shop:1")),
        ("localhost/shop:1", "imagePullPolicy is Never", "kind load docker-image localhost/shop:1"),
        cured=made(template()),
    ),
    Trouble(
        "image-without-registry",
        "ImageCannotBePulled",
        made(template(image="registry.invalid/shop:1", imagePullPolicy="IfNotPresent")),
        ("registry.invalid/shop:1", "the node cannot reach its registry"),
    ),
    Trouble(
        "no-manage-py",
        "CrashLoop",
        made(template(workingDir="/"), RUNWORKER),
        ("manage.py", "name it with its folder in spec.worker.command"),
        cured=made(template(workingDir="/"), ["python3", "/app/manage.py", "runworker"]),
    ),
    Trouble(
        "no-such-module",
        "CrashLoop",
        made(template(variable("DJANGO_SETTINGS_MODULE", "shop.settings")), RUNWORKER),
        ("No module named 'shop'", "DJANGO_SETTINGS_MODULE"),
        cured=made(template(), RUNWORKER),
    ),
    Trouble("no-such-layer-there", "CrashLoop", made(template(), [*RUNWORKER, "--layer", "chat"]), ("'chat'", "correct --layer in spec.worker.command")),
    Trouble(
        "no-variable",
        "CrashLoop",
        {"templateFrom": {"name": "gallery"}, "command": RUNWORKER, "scaling": {"minReplicas": 1}},
        ("KeyError: 'REDIS_URL'", "spec.worker.env or in Deployment 'gallery'"),
        around=(deployment("gallery", template(variable("URL_IN", "REDIS_URL"))),),
        cured={
            "templateFrom": {"name": "gallery"},
            "command": RUNWORKER,
            "scaling": {"minReplicas": 1},
            "env": [{**SECRET_URL, "name": "REDIS_URL"}],
        },
    ),
    Trouble("ends-at-once", "CrashLoop", made(template(), ["python3", "-c", "pass"]), ("without a fault", "like runworker")),
    Trouble(
        "stock-worker",
        "StockWorker",
        made(template(variable("APPS", "channels")), RUNWORKER),
        ('"channelbeat.worker" before "channels" in INSTALLED_APPS', "--concurrency"),
        spec=AT_LEAST_ONCE,
        cured=made(template(variable("APPS", "channelbeat.worker channels")), RUNWORKER),
    ),
    Trouble(
        "too-little-memory",
        "OOMKilled",
        made(template(resources={"limits": {"memory": "24Mi"}}), RUNWORKER),
        ("more memory than their limit of 24Mi allows", "limits.memory"),
    ),
    Trouble(
        "no-secret",
        "ConfigMissing",
        made(template({"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}})),
        ('secret "keys" not found', "create it in namespace no-secret"),
        cure=({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"key": "x"}},),
    ),
    Trouble(
        "no-claim",
        "VolumeMissing",
        made(template(mounts=[{"name": "d", "mountPath": "/d"}], pod={"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "pictures"}}]})),
        ('"pictures" not found.)', "create the PersistentVolumeClaim in namespace no-claim"),
    ),
    Trouble(
        "no-volume",
        "VolumeMissing",
        made(template(mounts=[{"name": "d", "mountPath": "/d"}], pod={"volumes": [{"name": "d", "secret": {"secretName": "tls"}}]})),
        ("Secret 'tls'", "create what is missing in namespace no-volume"),
    ),
    Trouble(
        "quota",
        "Quota",
        made(template()),
        ("exceeded quota: none", "kubectl describe quota -n quota"),
        around=({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}},),
    ),
    Trouble(
        "restricted",
        "PodRefused",
        made(template()),
        ("allowPrivilegeEscalation", "seccompProfile.type", "set the securityContext"),
        labels={"pod-security.kubernetes.io/enforce": "restricted"},
        cured=made(template(securityContext=RESTRICTED)),
    ),
    Trouble(
        "no-service-account",
        "PodRefused",
        made(template(pod={"serviceAccountName": "shopkeeper"})),
        ("shopkeeper", "create it, or correct serviceAccountName"),
    ),
    Trouble(
        "no-such-node",
        "Unschedulable",
        made(template(pod={"nodeSelector": {"disk": "ssd"}})),
        ("correct nodeSelector",),
        cured=made(template()),
    ),
    Trouble("no-room", "Unschedulable", made(template(resources=ROOM)), ("Insufficient cpu", "add a node", "lower requests")),
    Trouble(
        "not-ready",
        "NotReady",
        made(template(readinessProbe={"exec": {"command": ["python3", "-c", "raise SystemExit('no shop yet')"]}, "periodSeconds": 10, "timeoutSeconds": 10})),
        ("readinessProbe", "kubectl describe pod"),
    ),
    Trouble(
        "no-such-program",
        "CannotStart",
        {"template": template(), "scaling": {"minReplicas": 1}},
        ('"python"', "spec.worker.command must name a program that is in the image"),
        cured=made(template(), RUNWORKER),
    ),
    Trouble(
        "other-database",
        "NobodyListens",
        made(template({**SECRET_URL, "valueFrom": {"secretKeyRef": {"name": "redis", "key": "other"}}}), RUNWORKER),
        ("channel 'other-database'", "CHANNEL_LAYERS"),
        spec=AT_LEAST_ONCE,
        cured=made(template(), RUNWORKER),
    ),
    Trouble(
        "other-prefix",
        "NobodyListens",
        made(template(variable("PREFIX", "shop")), RUNWORKER),
        ("prefix 'asgi'", "CHANNEL_LAYERS"),
        spec=AT_LEAST_ONCE,
    ),
    Trouble(
        "short-expiry",
        "ExpiryShorterThanStartUp",
        {**made(template(variable("PREFIX", "brief")), [*RUNWORKER, "--layer", "default"]), "scaling": {"warmUp": "24h"}},
        ("layer 'brief' drops messages after 1s", "minReplicas: 1"),
        spec={"channelLayer": BRIEF, "events": [{"name": "e", "type": "work", "every": "12h"}]},
        cured=made(template(variable("PREFIX", "brief")), [*RUNWORKER, "--layer", "default"]),
    ),
    Trouble(
        "channel-taken",
        "ChannelTaken",
        made(template()),
        ("channel 'asleep'", "remove spec.worker"),
        spec={"channel": "asleep"},
        typed=("patch", "beatschedule", SCHEDULE, "--type=json", '--patch=[{"op": "remove", "path": "/spec/worker"}]'),
    ),
    Trouble(
        "target-taken",
        "TargetTaken",
        {"scaleTargetRef": {"name": "first-worker"}},
        ("target-taken/first-worker", "remove spec.worker here"),
        around=(schedule("first", channel="first", worker={"template": template()}),),
    ),
    Trouble(
        "copies-workers",
        "CopiesWorkers",
        {"templateFrom": {"name": "second-worker"}},
        ("'second-worker' has the workers of BeatSchedule 'second'", "name the Deployment that one copies"),
        around=(schedule("second", channel="second", worker={"template": template()}),),
    ),
    Trouble(
        "two-workers",
        "ContainerNameTaken",
        {"templateFrom": {"name": "gallery", "container": "web"}},
        ("another container called 'worker'", "spec.worker.template"),
        around=(deployment("gallery", template(pod={"initContainers": [{"name": "worker", "image": THUMBNAILS}], "containers": [WEB]})),),
    ),
    Trouble(
        "name-taken",
        "NameTaken",
        made(template()),
        ("name-taken/shop-worker", "delete or rename it"),
        around=(deployment("shop-worker", template()),),
        typed=("delete", "deployment", "shop-worker"),
    ),
    Trouble("scaled-twice", "ScaledByAnother", made(template()), ("kubectl scale", "spec.worker.scaling")),
    Trouble(
        "scaled-once",
        "ScaledByAnother",
        {"scaleTargetRef": {"name": "gallery"}, "scaling": {"minReplicas": 1}},
        ("kubectl scale", "spec.worker.scaleTargetRef", "`kubectl scale -n scaled-once deployment/gallery --replicas=1`"),
        around=(deployment("gallery", template(command=ASLEEP)),),
        typed=("scale", "deployment/gallery", "--replicas=1"),
    ),
    Trouble("no-source", "NoSuchDeployment", {"templateFrom": {"name": "gallery"}}, ("'gallery'", "create it"), cure=(GALLERY,)),
    Trouble("no-target", "NoSuchDeployment", {"scaleTargetRef": {"name": "gallery"}}, ("no-target/gallery", "create it"), cure=(GALLERY,)),
    Trouble("no-container", "NoSuchContainer", {"templateFrom": {"name": "gallery", "container": "web"}}, ("'web'", "there is worker"), around=(GALLERY,)),
    Trouble("template-refused", "TemplateRefused", made(template(imagePullPolicy="Nevr")), ("imagePullPolicy", "Nevr", "your spec.worker.template")),
    Trouble(
        "template-unknown", "TemplateRefused", made(template(comand=["x"])), ("comand: field not declared", "your spec.worker.template"), cured=made(template())
    ),
)
