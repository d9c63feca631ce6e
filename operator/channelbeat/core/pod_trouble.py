"""Why are workers not ready? What their Deployment and their pods say, as one sentence that names the cure. Pure.

A pod has its trouble from its containers, or from what comes before them: a node, volumes. Of a Deployment that is being rolled out, the pods of its
newest template count. The rights to read Events and logs are not ours: where only those tell, the sentence says how to see them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from channelbeat.core.container_trouble import Place, Written, moment, trouble
from channelbeat.core.finding import Finding
from channelbeat.core.instants import MINUTE, Ms
from channelbeat.core.last_words import cut
from channelbeat.core.pod_waits import lost, unstarted
from channelbeat.core.schedule import Worker

RANKS: Final = (
    "StockWorker",
    "CrashLoop",
    "OOMKilled",
    "CannotStart",
    "ImageCannotBePulled",
    "ConfigMissing",
    "PodRefused",
    "Quota",
    "VolumeNotShared",
    "VolumeMissing",
    "Unschedulable",
    "Evicted",
    "NotReady",
)
"""What is told where several apply: first what stops every worker until somebody mends it, then what there is no room for, last what is vague."""

PATIENCE: Final[Ms] = MINUTE
"""A container that runs may take so long to become ready."""

LISTED: Final = 1_000
"""Characters of what a namespace demands of its pods: all of it has to be met."""

_REPLICA_SET: Final = re.compile(r'replica ?set "([^"]+)"', re.IGNORECASE)
_NAMES_POD: Final = re.compile(r'^pods "[^"]*" is forbidden: ')
"""It has another name with each try."""


def diagnose(deployment: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], worker: Worker, now: Ms) -> Finding | None:
    """`deployment` and `pods` as the API server has them; `worker` of a schedule whose workers they are; `now` is the wall clock's. None while
    nothing is wrong that can be told. Its text stays the same while the trouble does."""
    written = _written(worker)
    newest, older = _newest(deployment, [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")])
    found = [*(one for pod in newest if (one := _of_pod(pod, written, now)) is not None), *_of_deployment(deployment, written)]
    if not found:
        return None
    first = min(found, key=lambda one: RANKS.index(one.reason))
    old = sum(_ready(pod) for pod in older)
    return Finding(first.reason, f"{first.text}. Meanwhile {old} of the old template still run{'s' * (old == 1)}") if old else first


def _written(worker: Worker) -> Written:
    if worker.template_from is not None:
        template = f"Deployment {worker.template_from.name!r} (spec.worker.templateFrom)"
        return Written(template, "spec.worker.command", f"spec.worker.env or in {template}", "spec.worker.resources")
    if worker.scale_target_ref is not None:
        template = f"Deployment {worker.scale_target_ref.name!r} (spec.worker.scaleTargetRef)"
        return Written(template, f"command in {template}", f"env of {template}", f"resources of {template}")
    template = "spec.worker.template"
    return Written(template, "spec.worker.command", f"env of {template}", f"resources of {template}")


def _newest(deployment: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """The pods of its newest ReplicaSet, which the Deployment names, and those of older ones; others that the selector finds are not its own. The
    oldest first, so that the same one is told of again."""
    name = deployment["metadata"]["name"]
    ours = [(made_by, pod) for pod in pods if (made_by := _replica_set(pod)).rpartition("-")[0] == name]
    ours.sort(key=lambda one: (one[1]["metadata"].get("creationTimestamp", ""), one[1]["metadata"]["name"]))
    named = _REPLICA_SET.search(_condition(deployment, "Progressing").get("message", ""))
    newest = named[1] if named else ours[-1][0] if ours else ""
    return [pod for made_by, pod in ours if made_by == newest], [pod for made_by, pod in ours if made_by != newest]


def _replica_set(pod: Mapping[str, Any]) -> str:
    owners = pod["metadata"].get("ownerReferences", ())
    return next((str(one["name"]) for one in owners if one.get("controller") and one.get("kind") == "ReplicaSet"), "")


def _condition(of: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((one for one in (of.get("status") or {}).get("conditions") or () if one.get("type") == kind), {})


def _ready(pod: Mapping[str, Any]) -> bool:
    return bool(_condition(pod, "Ready").get("status") == "True")


def _of_deployment(deployment: Mapping[str, Any], written: Written) -> Iterator[Finding]:
    """What the Deployment says of pods that were not made, and of a rollout that does not get on."""
    name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
    failure = _condition(deployment, "ReplicaFailure")
    if failure.get("status") == "True" and failure.get("reason") == "FailedCreate":
        yield _not_made(_NAMES_POD.sub("", str(failure.get("message", ""))), written, namespace)
    progress = _condition(deployment, "Progressing")
    if progress.get("status") == "False":
        said = cut(progress.get("message", ""))
        if progress.get("reason") == "ReplicaSetCreateError":
            yield Finding("PodRefused", f"no pods can be made for the workers (the cluster says: {said}): correct {written.template}")
        elif progress.get("reason") == "ProgressDeadlineExceeded":
            see = f"`kubectl describe deployment {name} -n {namespace}` and `kubectl get events -n {namespace}`"
            yield Finding("NotReady", f"the workers do not become ready, for longer than progressDeadlineSeconds (the cluster says: {said}): see {see}")


def _not_made(message: str, written: Written, namespace: str) -> Finding:
    said = cut(message)
    if "exceeded quota" in message:
        cure = f"raise it (`kubectl describe quota -n {namespace}`), or lower {written.resources} or spec.worker.scaling.maxReplicas"
        return Finding("Quota", f"a quota of namespace {namespace} allows no more workers (the cluster says: {said}): {cure}")
    if "failed quota" in message:
        return Finding(
            "Quota",
            f"a quota of namespace {namespace} asks every container to say what resources it takes (the cluster says: {said}): say so in {written.resources}",
        )
    if "PodSecurity" in message:
        cure = f"set the securityContext that it asks for in {written.template}"
        said = cut(message, LISTED)
        return Finding("PodRefused", f"namespace {namespace} does not admit the workers' pods (the cluster says: {said}): {cure}")
    if "serviceaccount" in message.lower():
        return Finding(
            "PodRefused",
            f"the workers' pods have no service account (the cluster says: {said}): create it, or correct serviceAccountName in {written.template}",
        )
    return Finding("PodRefused", f"the cluster makes no pods of the workers (it says: {said}): correct it in {written.template}")


def _of_pod(pod: Mapping[str, Any], written: Written, now: Ms) -> Finding | None:
    status, metadata = pod.get("status") or {}, pod["metadata"]
    place = Place("worker", metadata["name"], metadata["namespace"], written)
    if status.get("phase") == "Failed":
        return lost(place, status, now)
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    found = [one for container in containers if (one := trouble(place._replace(name=container["name"]), container, now)) is not None]
    if found:
        return min(found, key=lambda one: RANKS.index(one.reason))
    return unstarted(place, pod, now) or _unready(place, pod, now)


def _unready(place: Place, pod: Mapping[str, Any], now: Ms) -> Finding | None:
    """Its containers run, and a probe is not content."""
    status, specs = pod.get("status") or {}, {one["name"]: one for one in (pod.get("spec") or {}).get("containers") or ()}
    for container in status.get("containerStatuses") or ():
        running = (container.get("state") or {}).get("running")
        if running is None or container.get("ready") or now - moment(running.get("startedAt"), now) < PATIENCE:
            continue
        at, spec = place._replace(name=container["name"]), specs.get(container["name"], {})
        probe = "startupProbe" if not container.get("started", True) and "startupProbe" in spec else "readinessProbe"
        logs = at.logs.replace(" --previous", "")
        cure = f"see what the probe says with {at.describe}, and what the program does with {logs}"
        return Finding("NotReady", f"{at.who} run for over a minute, but their {probe} does not succeed: {cure}")
    return None
