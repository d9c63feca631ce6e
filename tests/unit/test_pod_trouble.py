"""Why workers are not ready: what kubelets, schedulers and controllers write, and the sentence that is made of it."""

from typing import Any, Final

import pytest

from channelbeat.core.finding import Finding
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.core.pod_trouble import RANKS, diagnose
from channelbeat.core.schedule import ScaleTarget, TemplateFrom, Worker
from support.kubelet import condition, deployment, end, evicted, looping, pod, running, status, terminated, waiting
from support.times import NOON

AGO: Final[Ms] = NOON - 10 * MINUTE
"""When the pods were made."""
COPIED: Final = Worker(template_from=TemplateFrom(name="shop-web"))
OWN: Final = Worker(template={"spec": {}})
SHARED: Final = Worker(scale_target_ref=ScaleTarget(name="shop-worker"))

TRACEBACK: Final = """\x1b[31mstarting\x1b[0m
Traceback (most recent call last):
  File "/app/manage.py", line 8, in <module>
    main()
    ^^^^^^
  File "/usr/lib/python3.11/site-packages/django/conf/__init__.py", line 82, in _setup
    raise ImproperlyConfigured(
django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.
"""
OLD_RUNWORKER: Final = """usage: manage.py runworker [-h] [--layer LAYER] [--version]
                           [-v {0,1,2,3}]
                           channels [channels ...]
manage.py runworker: error: unrecognized arguments: --concurrency 1 --drain-timeout 10m
"""
NO_PYTHON: Final = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
    'process: exec: "python": executable file not found in $PATH: unknown'
)
NOT_FOUND: Final = 'failed to resolve reference "registry.shop/shop:1.5": registry.shop/shop:1.5: not found'
PRIVATE: Final = (
    'failed to pull and unpack image "docker.io/library/shop:1.5": failed to resolve reference "docker.io/library/shop:1.5": '
    "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"
)
AWAY: Final = 'failed to do request: Head "https://u:secret@registry.shop/v2/shop/manifests/1.5": dial tcp: lookup registry.shop: no such host'
CUT_OFF: Final = (
    'failed to pull and unpack image "registry.shop/shop:1.5": failed to resolve reference "registry.shop/shop:1.5": failed to do request: '
    'Head "https://registry.shop/v2/shop/manifests/1.5": dial tcp: lookup registry.shop on 10.0.0.2:53: dial udp 10.0.0.2:53: connect: network is unreachable'
)
BROKEN: Final = "unexpected status from HEAD request to https://u:secret@registry.shop/v2/shop/manifests/1.5: 500 Internal Server Error"
QUOTA: Final = 'pods "thumbnails-worker-5d8f6c7b9d-x7k2p" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2'
RESTRICTED: Final = (
    'pods "thumbnails-worker-5d8f6c7b9d-x7k2p" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "worker" '
    'must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "worker" must set '
    'securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "worker" must set securityContext.runAsNonRoot=true), seccompProfile '
    '(pod or container "worker" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
)
NO_LIMITS: Final = 'pods "thumbnails-worker-5d8f6c7b9d-x7k2p" is forbidden: failed quota: small: must specify limits.cpu for: worker'
PROBED: Final[dict[str, Any]] = {"containers": [{"name": "worker", "image": "shop:1.5", "startupProbe": {}, "readinessProbe": {}}]}
CLAIM: Final = {"name": "media", "persistentVolumeClaim": {"claimName": "shop-media"}}
SECRET: Final = {"name": "keys", "secret": {"secretName": "shop-keys"}}
TOKEN: Final = {
    "name": "kube-api-access-x",
    "projected": {"sources": [{"serviceAccountToken": {}}, {"configMap": {"name": "kube-root-ca.crt"}}]},
}
PROJECTED: Final = {
    "name": "all",
    "projected": {"sources": [{"secret": {"name": "a"}}, {"configMap": {"name": "b"}}, {"secret": {"name": "c", "optional": True}}]},
}


def with_volumes(*volumes: dict[str, Any]) -> dict[str, Any]:
    return {"containers": [{"name": "worker", "image": "shop:1.5"}], "volumes": [*volumes, TOKEN]}


def found(*pods: dict[str, Any], of: dict[str, Any] | None = None, worker: Worker = COPIED, now: Ms = NOON) -> Finding | None:
    return diagnose(of or deployment(), pods, worker, now)


def told(*pods: dict[str, Any], of: dict[str, Any] | None = None, worker: Worker = COPIED) -> Finding:
    finding = found(*pods, of=of, worker=worker)
    assert finding is not None
    assert finding.reason in RANKS
    assert "secret@" not in finding.text
    return finding


def on_node(*containers: dict[str, Any], made: Ms = AGO, name: str = "a", spec: Any = None, **options: Any) -> dict[str, Any]:
    return pod(status(*containers, since=made, **options), made=made, name=name, spec=spec)


def no_node(message: str, reason: str = "Unschedulable") -> dict[str, Any]:
    return pod({"phase": "Pending", "conditions": [condition("PodScheduled", "False", reason, message)]}, made=NOON - 4 * SECOND, node="")


CONTAINERS: Final = [
    # image
    (
        waiting("ErrImagePull", NOT_FOUND),
        "ImageCannotBePulled",
        "'shop:1.5' of the workers cannot be pulled (the node says: registry.shop/shop:1.5: not found)",
        "correct its name and tag",
    ),
    (waiting("ErrImagePull", PRIVATE), "ImageCannotBePulled", "may require authorization", "imagePullSecrets"),
    (waiting("ErrImagePull", AWAY), "ImageCannotBePulled", "(the node says: dial tcp: lookup registry.shop: no such host)", "cannot reach its registry"),
    (waiting("ErrImagePull", CUT_OFF), "ImageCannotBePulled", "(the node says: dial tcp: lookup registry.shop on 10.0.0.2:53", "cannot reach its registry"),
    (waiting("ErrImagePull", BROKEN), "ImageCannotBePulled", "https://***@registry.shop", "correct its name"),
    (waiting("ImagePullBackOff", 'Back-off pulling image "shop:1.5"'), "ImageCannotBePulled", "cannot be pulled: correct", "Deployment 'shop-web'"),
    (
        waiting("ErrImageNeverPull", 'Container image "shop:1.5" is not present with pull policy of Never'),
        "ImageCannotBePulled",
        "not on the node",
        "kind load",
    ),
    (waiting("InvalidImageName", 'Failed to apply default image tag "shop:1.5:2"'), "ImageCannotBePulled", "no name of an image", "correct it in"),
    (waiting("ErrImagePull", NOT_FOUND, name="proxy"), "ImageCannotBePulled", "container 'proxy'", "correct its name"),
    # configuration
    (waiting("CreateContainerConfigError", 'secret "shop-keys" not found'), "ConfigMissing", 'secret "shop-keys" not found', "create it in namespace shop"),
    (waiting("CreateContainerConfigError", "couldn't find key URL in Secret shop/shop-keys"), "ConfigMissing", "key URL in Secret", "spec.worker.env"),
    (
        waiting("CreateContainerConfigError", 'container has runAsNonRoot and image will run as root (pod: "a_shop(0b3a)", container: worker)'),
        "CannotStart",
        "image will run as root)",
        "Deployment 'shop-web'",
    ),
    # a program that does not begin
    (waiting("RunContainerError", NO_PYTHON), "CannotStart", "executable file not found", "spec.worker.command must name a program"),
    (looping(128, NO_PYTHON, at=NOON, reason="StartError"), "CannotStart", "executable file not found", "spec.worker.command"),
    (terminated(end(128, NO_PYTHON, at=NOON, reason="StartError"), restarts=1), "CannotStart", "executable file not found", "spec.worker.command"),
    (terminated(end(127, NO_PYTHON, at=NOON, reason="ContainerCannotRun"), restarts=1), "CannotStart", "executable file not found", "spec.worker.command"),
    (waiting("CreateContainerError", "failed to reserve container name"), "CannotStart", "reserve container name", "kubectl describe pod"),
    # a program that ends
    (looping(1, TRACEBACK, at=NOON), "CrashLoop", "last words: django.core.exceptions.ImproperlyConfigured: The SECRET_KEY", "spec.worker.env"),
    (
        terminated(end(1, TRACEBACK, at=NOON), restarts=2),
        "CrashLoop",
        "exit code 1",
        "kubectl logs thumbnails-worker-5d8f6c7b9d-a -c worker -n shop --previous",
    ),
    (looping(1, "", at=NOON), "CrashLoop", "(exit code 1): see", "kubectl logs"),
    (looping(0, "", at=NOON, reason="Completed"), "CrashLoop", "end by themselves", "like runworker"),
    (looping(137, "", at=NOON), "CrashLoop", "it was killed", "kubectl logs"),
    (looping(1, "Unknown command: 'runworker'\nType 'manage.py help' for usage.", at=NOON), "CrashLoop", "Unknown command", "INSTALLED_APPS"),
    (looping(1, "ModuleNotFoundError: No module named 'shop'", at=NOON), "CrashLoop", "No module named 'shop'", "see that DJANGO_SETTINGS_MODULE names it"),
    (looping(1, "CommandError: CHANNEL_LAYERS has no 'chat'", at=NOON), "CrashLoop", "no 'chat'", "correct --layer in spec.worker.command"),
    (looping(2, "python: can't open file '/srv/manage.py': [Errno 2] No such file or directory", at=NOON), "CrashLoop", "manage.py", "spec.worker.command"),
    (looping(137, "", at=NOON, reason="OOMKilled"), "OOMKilled", "more memory than their limit allows", "raise limits.memory in spec.worker.resources"),
    (
        looping(137, "", at=NOON, reason="OOMKilled") | {"resources": {"limits": {"memory": "64Mi"}}},
        "OOMKilled",
        "more memory than their limit of 64Mi allows",
        "limits.memory",
    ),
    (looping(2, OLD_RUNWORKER, at=NOON), "StockWorker", "(it says: manage.py runworker: error: unrecognized", 'put "channelbeat.worker" before "channels"'),
    # it runs again, for how long?
    (running(NOON - 5 * SECOND, restarts=4, last=end(1, "oh", at=NOON - MINUTE)), "CrashLoop", "last words: oh", "kubectl logs"),
    (running(NOON - 5 * MINUTE, ready=False, restarts=4, last=end(1, "oh", at=NOON - 6 * MINUTE)), "CrashLoop", "last words: oh", "kubectl logs"),
    # it runs, and no more
    (running(NOON - 2 * MINUTE, ready=False, started=False), "NotReady", "their startupProbe does not succeed", "kubectl describe pod"),
    (
        running(NOON - 2 * MINUTE, ready=False),
        "NotReady",
        "their readinessProbe does not succeed",
        "kubectl logs thumbnails-worker-5d8f6c7b9d-a -c worker -n shop`",
    ),
]


@pytest.mark.parametrize(("container", "reason", "fault", "cure"), CONTAINERS)
def test_a_container_that_is_not_there(container: dict[str, Any], reason: str, fault: str, cure: str) -> None:
    finding = told(on_node(container, spec=PROBED))
    assert finding.reason == reason
    assert fault in finding.text
    assert cure in finding.text


@pytest.mark.parametrize(
    "container",
    [
        pytest.param(waiting("ContainerCreating"), id="being made"),
        pytest.param(running(NOON - SECOND, ready=False, started=False), id="Django is being loaded"),
        pytest.param(running(NOON - HOUR), id="well"),
        pytest.param(running(NOON - HOUR, restarts=7, last=end(1, "oh", at=NOON - HOUR)), id="it crashed, and is over it"),
        pytest.param(running(NOON - 31 * SECOND, restarts=7, last=end(1, "oh", at=NOON - MINUTE)), id="it has run for long enough"),
        pytest.param(running(NOON - SECOND, restarts=1, last=end(1, "oh", at=NOON - SECOND)), id="it crashed once"),
        pytest.param(running(NOON - SECOND, restarts=9, last=end(1, "oh", at=NOON - SECOND, after=HOUR)), id="it crashes every hour"),
        pytest.param(
            running(NOON - SECOND, ready=False, last=end(128, NO_PYTHON, at=NOON, reason="StartError"), restarts=1), id="it could not be started once"
        ),
        pytest.param(terminated(end(1, "oh", at=NOON)), id="its first end: it is started again at once"),
        pytest.param(waiting("PodInitializing", restarts=7, last=end(255, "", at=NOON, reason="Unknown")), id="its node was started anew"),
    ],
)
def test_nothing_is_wrong_with_it(container: dict[str, Any]) -> None:
    assert found(on_node(container, made=NOON - 20 * SECOND, spec=PROBED)) is None


@pytest.mark.parametrize(
    ("init", "reason"),
    [
        pytest.param(looping(1, "no such table", at=NOON, name="migrate"), "CrashLoop", id="crashes"),
        pytest.param(waiting("ErrImagePull", NOT_FOUND, name="migrate"), "ImageCannotBePulled", id="cannot be pulled"),
        pytest.param(terminated(end(0, "", at=NOON, reason="Completed"), name="migrate", restarts=3, ready=True), None, id="has done its work at last"),
    ],
)
def test_an_init_container(init: dict[str, Any], reason: str | None) -> None:
    finding = found(on_node(waiting("PodInitializing"), init=(init,), made=NOON - 20 * SECOND))
    assert (finding and finding.reason) == reason
    assert finding is None or "container 'migrate' of the workers' pods" in finding.text


@pytest.mark.parametrize(
    ("message", "reason", "said", "cure"),
    [
        (
            "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
            "Unschedulable",
            "(the scheduler says: 0/3 nodes are available: 3 Insufficient cpu.): add a node",
            "lower spec.worker.scaling.maxReplicas",
        ),
        ("0/1 nodes are available: 1 node(s) had untolerated taint(s).", "Unschedulable", "untolerated taint", "toleration in Deployment 'shop-web'"),
        ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.", "Unschedulable", "affinity", "correct nodeSelector and affinity"),
        ("no nodes available to schedule pods", "Unschedulable", "no nodes available", "add a node"),
        (
            "0/2 nodes are available: 2 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod.",
            "VolumeNotShared",
            "ReadWriteOncePod",
            "spec.worker.template",
        ),
        ('0/1 nodes are available: persistentvolumeclaim "shop-media" not found.', "VolumeMissing", "shop-media", "create the PersistentVolumeClaim"),
        ('0/1 nodes are available: persistentvolumeclaim "shop-media" not found. not found', "VolumeMissing", '"shop-media" not found.): create', "shop-web"),
        ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "VolumeMissing", "unbound", "create the PersistentVolumeClaim"),
    ],
)
def test_a_pod_without_a_node(message: str, reason: str, said: str, cure: str) -> None:
    finding = told(no_node(message))
    assert finding.reason == reason
    assert said in finding.text
    assert cure in finding.text
    assert "preemption" not in finding.text


def test_a_pod_that_nobody_looks_for_a_node_for() -> None:
    for made, reason in [(NOON - 30 * SECOND, None), (NOON - 2 * MINUTE, "Unschedulable")]:
        finding = found(pod({"phase": "Pending"}, made=made, node=""))
        assert (finding and finding.reason) == reason
    assert "schedulingGates" in told(no_node("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated")).text


@pytest.mark.parametrize(
    ("volumes", "sandbox", "reason", "says"),
    [
        pytest.param((CLAIM, SECRET), False, "VolumeNotShared", "PersistentVolumeClaim 'shop-media'", id="a claim"),
        pytest.param((SECRET,), False, "VolumeMissing", "Secret 'shop-keys': create", id="a Secret"),
        pytest.param((PROJECTED,), False, "VolumeMissing", "Secret 'a', ConfigMap 'b': create", id="projected ones, but not what is optional"),
        pytest.param((), False, "NotReady", "kubectl describe pod", id="none of its own"),
        pytest.param((CLAIM,), True, "NotReady", "fetching the image 'shop:1.5'", id="the volumes are there"),
    ],
)
def test_a_pod_whose_containers_are_not_made(volumes: Any, sandbox: bool, reason: str, says: str) -> None:
    for made, expected in [(NOON - 50 * SECOND, None), (NOON - 61 * SECOND, reason)]:
        finding = found(on_node(waiting("ContainerCreating"), made=made, spec=with_volumes(*volumes), sandbox=sandbox))
        assert (finding and finding.reason) == expected
    assert finding is not None
    assert says in finding.text


@pytest.mark.parametrize(
    ("message", "reason", "said", "cure"),
    [
        (QUOTA, "Quota", "(the cluster says: exceeded quota: small, requested: pods=1", "maxReplicas"),
        (NO_LIMITS, "Quota", "must specify limits.cpu", "say so in spec.worker.resources"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true', "PodRefused", "runAsNonRoot", "securityContext"),
        ('pods "x" is forbidden: error looking up service account shop/media: serviceaccount "media" not found', "PodRefused", "media", "serviceAccountName"),
        (RESTRICTED, "PodRefused", 'seccompProfile.type to "RuntimeDefault" or "Localhost")): set', "Deployment 'shop-web'"),
        ('admission webhook "policy.shop" denied the request: no', "PodRefused", "policy.shop", "Deployment 'shop-web'"),
    ],
)
def test_pods_that_are_not_made(message: str, reason: str, said: str, cure: str) -> None:
    finding = told(of=deployment(condition("ReplicaFailure", "True", "FailedCreate", message)))
    assert finding.reason == reason
    assert said in finding.text
    assert cure in finding.text
    assert "x7k2p" not in finding.text, "it has another name with each try"


def test_a_rollout_that_does_not_get_on() -> None:
    stuck = deployment(condition("Progressing", "False", "ProgressDeadlineExceeded", 'ReplicaSet "thumbnails-worker-5d8f6c7b9d" has timed out progressing.'))
    assert told(of=stuck).reason == "NotReady"
    assert "kubectl describe deployment thumbnails-worker -n shop" in told(of=stuck).text
    assert told(on_node(waiting("ErrImagePull", NOT_FOUND)), of=stuck).reason == "ImageCannotBePulled", "whatever explains it comes first"
    failed = deployment(condition("Progressing", "False", "ReplicaSetCreateError", 'Failed to create new replica set "x": no'))
    assert told(of=failed).reason == "PodRefused"


def test_a_node_that_gave_a_worker_up() -> None:
    finding = told(pod(evicted(NOON - MINUTE), made=AGO))
    assert finding.reason == "Evicted"
    assert "low on resource: memory" in finding.text
    assert found(pod(evicted(NOON - HOUR), made=AGO)) is None, "what is left of it says nothing of now"
    assert "another worker takes its place" in told(pod(evicted(NOON - MINUTE, "NodeShutdown"), made=AGO)).text


def test_the_pods_of_the_newest_template_count() -> None:
    old = [pod(status(running(AGO), since=AGO), made=NOON - SECOND, hash="old", name=name) for name in "ab"]
    crashing_old = [pod(status(looping(1, "oh", at=NOON), since=AGO), made=NOON - SECOND, hash="old")]
    new = on_node(looping(1, "new fault", at=NOON))
    finding = told(*old, new)
    assert "new fault" in finding.text
    assert finding.text.endswith("Meanwhile 2 of the old template still run")
    assert told(old[0], new).text.endswith("Meanwhile 1 of the old template still runs")
    assert "Meanwhile" not in told(*crashing_old, new).text
    assert found(*crashing_old, on_node(running(AGO))) is None, "they are on their way out"
    assert found(*crashing_old) is None
    assert found(*crashing_old, of=deployment(newest="")) is not None, "the Deployment names none: the one of the latest pod"


def test_pods_of_others_and_those_that_are_going_count_for_nothing() -> None:
    crashing = on_node(looping(1, "oh", at=NOON))
    assert found(crashing) is not None
    assert found(crashing | {"metadata": crashing["metadata"] | {"deletionTimestamp": "2026-11-21T12:00:00Z"}}) is None
    assert found(crashing | {"metadata": crashing["metadata"] | {"ownerReferences": []}}, of=deployment(newest="")) is None
    other = [crashing["metadata"]["ownerReferences"][0] | {"name": "thumbnails-worker-2-5d8f6c7b9d"}]
    assert found(crashing | {"metadata": crashing["metadata"] | {"ownerReferences": other}}, of=deployment(newest="")) is None


def test_of_several_troubles_the_one_that_stops_all_is_told() -> None:
    ranked = [
        ("StockWorker", on_node(looping(2, OLD_RUNWORKER, at=NOON), name="e")),
        ("CrashLoop", on_node(looping(1, "oh", at=NOON), name="d")),
        ("ImageCannotBePulled", on_node(waiting("ErrImagePull", NOT_FOUND), name="c")),
        ("Unschedulable", no_node("0/3 nodes are available: 3 Insufficient cpu.")),
        ("NotReady", on_node(running(NOON - 2 * MINUTE, ready=False), name="a")),
    ]
    full = deployment(condition("ReplicaFailure", "True", "FailedCreate", QUOTA))
    for at, (reason, _) in enumerate(ranked):
        rest = [pod for _, pod in reversed(ranked[at:])]
        assert told(*rest).reason == reason
        assert told(*rest, of=full).reason == (reason if at < 3 else "Quota")


CHANGING: Final = [
    (waiting("ErrImagePull", NOT_FOUND), waiting("ImagePullBackOff", f'Back-off pulling image "shop:1.5": ErrImagePull: {NOT_FOUND}')),
    (looping(1, TRACEBACK, at=NOON), terminated(end(1, TRACEBACK, at=NOON), restarts=5)),
    (looping(1, TRACEBACK, at=NOON), running(NOON - SECOND, restarts=5, last=end(1, TRACEBACK, at=NOON))),
    (looping(1, TRACEBACK, at=NOON, restarts=2), looping(1, TRACEBACK, at=NOON + MINUTE, restarts=40)),
    (waiting("RunContainerError", NO_PYTHON), looping(128, NO_PYTHON, at=NOON, reason="StartError")),
]


@pytest.mark.parametrize(("one", "another"), CHANGING)
def test_the_sentence_stays_the_same_while_the_trouble_does(one: dict[str, Any], another: dict[str, Any]) -> None:
    assert told(on_node(one)) == told(on_node(another))


def test_of_several_pods_the_same_one_is_told_of_again() -> None:
    first, second = on_node(looping(1, "a", at=NOON), name="z"), on_node(looping(1, "b", at=NOON), name="b", made=AGO + SECOND)
    assert told(first, second) == told(second, first) == told(first)


@pytest.mark.parametrize(
    ("worker", "reason", "where"),
    [
        (COPIED, "OOMKilled", "limits.memory in spec.worker.resources"),
        (OWN, "OOMKilled", "limits.memory in resources of spec.worker.template"),
        (SHARED, "OOMKilled", "limits.memory in resources of Deployment 'shop-worker' (spec.worker.scaleTargetRef)"),
        (COPIED, "Error", "give it in spec.worker.env or in Deployment 'shop-web' (spec.worker.templateFrom)"),
        (OWN, "Error", "give it in env of spec.worker.template"),
        (SHARED, "Error", "give it in env of Deployment 'shop-worker'"),
    ],
)
def test_the_cure_says_where_the_template_is_written(worker: Worker, reason: str, where: str) -> None:
    assert where in told(on_node(looping(1, TRACEBACK, at=NOON, reason=reason)), worker=worker).text


def test_texts_are_bounded() -> None:
    assert len(told(on_node(looping(1, "x" * 5_000, at=NOON))).text) < 800
    assert len(told(on_node(waiting("ErrImagePull", "x" * 5_000))).text) < 800
    assert len(told(of=deployment(condition("ReplicaFailure", "True", "FailedCreate", "x" * 5_000))).text) < 800
