"""What kubelets and controllers write into the status of pods and Deployments: the shapes of real ones, for tests that have no nodes."""

from typing import Any

from channelbeat.core import instants
from channelbeat.core.instants import MINUTE, Ms

HASH = "5d8f6c7b9d"
TEMPLATE: dict[str, Any] = {"containers": [{"name": "worker", "image": "shop:1.5"}]}


def deployment(*conditions: dict[str, Any], newest: str = HASH, replicas: int = 2, **status: Any) -> dict[str, Any]:
    """`newest`: what its Progressing condition names; empty for none."""
    progress = condition("Progressing", "True", "ReplicaSetUpdated", f'ReplicaSet "thumbnails-worker-{newest}" is progressing.')
    said = [*conditions, *([progress] if newest and not any(one["type"] == "Progressing" for one in conditions) else [])]
    return {
        "metadata": {"name": "thumbnails-worker", "namespace": "shop", "generation": 1},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"channelbeat.dev/schedule": "thumbnails"}}},
        "status": {"conditions": said, **status},
    }


def pod(
    status: dict[str, Any], *, made: Ms, name: str = "a", hash: str = HASH, spec: dict[str, Any] | None = None, node: str = "n1", **metadata: Any
) -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"thumbnails-worker-{hash}", "uid": "u", "controller": True}
    return {
        "metadata": {
            "name": f"thumbnails-worker-{hash}-{name}",
            "namespace": "shop",
            "creationTimestamp": instants.text(made),
            "ownerReferences": [owner],
            **metadata,
        },
        "spec": {**(spec or TEMPLATE), **({"nodeName": node} if node else {})},
        "status": status,
    }


def condition(kind: str, status: str, reason: str = "", message: str = "", at: Ms = 0) -> dict[str, Any]:
    said = {"reason": reason, "message": message, "lastTransitionTime": instants.text(at) if at else ""}
    return {"type": kind, "status": status, **{key: value for key, value in said.items() if value}}


def waiting(reason: str, message: str = "", *, name: str = "worker", restarts: int = 0, last: dict[str, Any] | None = None) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    return _container(name, state, restarts, last)


def running(
    since: Ms, *, name: str = "worker", ready: bool = True, started: bool = True, restarts: int = 0, last: dict[str, Any] | None = None
) -> dict[str, Any]:
    return _container(name, {"running": {"startedAt": instants.text(since)}}, restarts, last) | {"ready": ready, "started": started}


def terminated(ended: dict[str, Any], *, name: str = "worker", restarts: int = 0, ready: bool = False) -> dict[str, Any]:
    return _container(name, {"terminated": ended}, restarts, None) | {"ready": ready}


def end(code: int, message: str = "", *, at: Ms, reason: str = "Error", after: Ms = 2_000) -> dict[str, Any]:
    said = {"message": message} if message else {}
    return {"exitCode": code, "reason": reason, "startedAt": instants.text(at - after), "finishedAt": instants.text(at), **said}


def looping(code: int, message: str = "", *, at: Ms, reason: str = "Error", name: str = "worker", restarts: int = 4) -> dict[str, Any]:
    words = f"back-off 1m20s restarting failed container={name} pod=thumbnails-worker-{HASH}-a_shop(0b3a)"
    return waiting("CrashLoopBackOff", words, name=name, restarts=restarts, last=end(code, message, at=at, reason=reason))


def status(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), since: Ms, sandbox: bool = True) -> dict[str, Any]:
    """Of a pod on a node since `since`."""
    ready = all(one["ready"] for one in containers)
    why = {} if ready else {"reason": "ContainersNotReady", "message": "containers with unready status: [worker]"}
    return {
        "phase": "Running" if any("running" in one["state"] for one in containers) else "Pending",
        "startTime": instants.text(since),
        "conditions": [
            condition("PodReadyToStartContainers", str(sandbox), at=since),
            condition("Ready", str(ready), at=since, **why),
            condition("PodScheduled", "True", at=since),
        ],
        **({"initContainerStatuses": list(init)} if init else {}),
        "containerStatuses": list(containers),
    }


def evicted(at: Ms, reason: str = "Evicted") -> dict[str, Any]:
    message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 40Mi. Container worker was using 900Mi, request is 0."
    return {
        "phase": "Failed",
        "reason": reason,
        "message": message,
        "startTime": instants.text(at - MINUTE),
        "conditions": [condition("DisruptionTarget", "True", "TerminationByKubelet", at=at)],
    }


def _container(name: str, state: dict[str, Any], restarts: int, last: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "name": name,
        "image": "shop:1.5",
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": last} if last else {},
    }
