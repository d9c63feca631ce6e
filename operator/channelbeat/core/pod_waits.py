"""What keeps a worker's pod from having its containers started, or takes it away? Pure: no node, volumes that cannot be had, a node that lost it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from channelbeat.core.container_trouble import Place, Written, moment
from channelbeat.core.finding import Finding
from channelbeat.core.instants import MINUTE, Ms
from channelbeat.core.last_words import cut

PATIENCE: Final[Ms] = MINUTE
"""A node takes some time to fetch images and to attach volumes."""
RECENT: Final[Ms] = 10 * MINUTE
"""The remains of a pod that was evicted longer ago say nothing of now."""

_PREEMPTION: Final = re.compile(r"\s*(preemption: |no new claims to deallocate).*|(?<=not found\.) not found\.?$", re.DOTALL)
_IN_USE: Final = re.compile(r"ReadWriteOncePod access mode already in-use|no available disk|volume node affinity|PersistentVolume's node affinity")
_NO_VOLUME: Final = re.compile(r"persistentvolumeclaim|PersistentVolumeClaim|persistent volume|\bpvc\b", re.IGNORECASE)


def unstarted(place: Place, pod: Mapping[str, Any], now: Ms) -> Finding | None:
    """Why none of its containers was started yet."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    made = moment(pod["metadata"].get("creationTimestamp"), now)
    if not spec.get("nodeName"):
        return _homeless(place, scheduled, spec, waits=now - made)
    begun = any("waiting" not in (one.get("state") or {}) for one in _containers(status))
    if begun or now - moment(scheduled.get("lastTransitionTime"), made) < PATIENCE:
        return None
    if conditions.get("PodReadyToStartContainers", {}).get("status") == "True":
        image = next((one.get("image", "") for one in spec.get("containers") or () if one.get("name") == place.name), "")
        return Finding(
            "NotReady", f"the node has been fetching the image {image!r} of the workers for over a minute: a smaller image starts sooner; see {place.describe}"
        )
    return _stuck(place, spec)


def lost(place: Place, status: Mapping[str, Any], now: Ms) -> Finding | None:
    """It ended on its node for good, and is replaced by another."""
    at = max((moment(one.get("lastTransitionTime"), 0) for one in status.get("conditions") or ()), default=moment(status.get("startTime"), 0))
    reason, said = status.get("reason", ""), cut(status.get("message", ""))
    if not reason or now - at > RECENT:
        return None
    if reason == "Evicted":
        cure = f"say under requests in {place.written.resources} what the workers take, so that they get a node with room for it"
    else:
        cure = f"see {place.describe}; another worker takes its place"
    return Finding("Evicted", f"a node gave up a worker ({reason}{f': {said}' if said else ''}): {cure}")


def _containers(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        yield from status.get(kind) or ()


def _homeless(place: Place, scheduled: Mapping[str, Any], spec: Mapping[str, Any], *, waits: Ms) -> Finding | None:
    """It has no node."""
    said = cut(_PREEMPTION.sub("", str(scheduled.get("message", ""))))
    if scheduled.get("reason") == "SchedulingGated":
        text = f"something holds the workers' pods back by schedulingGates: see {place.describe}"
    elif scheduled.get("status") == "False":
        if _IN_USE.search(said):
            return _not_shared(place, list(_claims(spec)), said)
        if _NO_VOLUME.search(said):
            cure = f"create the PersistentVolumeClaim in namespace {place.namespace}, or correct the volumes in {place.written.template}"
            return Finding("VolumeMissing", f"the workers wait for a volume (the scheduler says: {said}): {cure}")
        text = f"no node takes the workers (the scheduler says: {said}): {_room(said, place.written)}"
    elif waits >= PATIENCE:
        text = (
            "no scheduler has looked at the workers' pods for over a minute: is the cluster's scheduler running, and is spec.schedulerName one that is there?"
        )
    else:
        return None
    return Finding("Unschedulable", text)


def _room(said: str, written: Written) -> str:
    cures = []
    if "Insufficient" in said or "Too many pods" in said:
        cures += ["add a node", f"lower requests in {written.resources}", "lower spec.worker.scaling.maxReplicas"]
    if "taint" in said:
        cures.append(f"add a toleration in {written.template}")
    if "affinity" in said or "selector" in said or "topology" in said:
        cures.append(f"correct nodeSelector and affinity in {written.template}")
    return ", or ".join(cures or ["add a node", f"correct what {written.template} asks of one"])


def _stuck(place: Place, spec: Mapping[str, Any]) -> Finding:
    """It has a node, which does not get it ready for its containers."""
    claims, others = list(_claims(spec)), list(_taken_from(spec))
    if claims:
        return _not_shared(place, claims, "")
    if others:
        cure = f"create what is missing in namespace {place.namespace}, or correct the volumes in {place.written.template}; {place.describe} says which"
        return Finding("VolumeMissing", f"the workers have waited for their volumes for over a minute, which come from {', '.join(others)}: {cure}")
    return Finding("NotReady", f"the node has not got the workers' pods ready for over a minute: {place.describe} says why")


def _not_shared(place: Place, claims: list[str], said: str) -> Finding:
    names = ", ".join(repr(claim) for claim in claims)
    words = f" (the scheduler says: {said})" if said else f" for over a minute: {place.describe} says why"
    cure = "give the workers a spec.worker.template without it, or make it one that nodes share (accessModes: [ReadWriteMany])"
    return Finding(
        "VolumeNotShared",
        f"the workers wait for the volume of PersistentVolumeClaim {names}{words}. Most often another pod has it, and it cannot be shared: {cure}",
    )


def _claims(spec: Mapping[str, Any]) -> Iterator[str]:
    for volume in spec.get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            yield str(volume["persistentVolumeClaim"].get("claimName", ""))


def _taken_from(spec: Mapping[str, Any]) -> Iterator[str]:
    """The Secrets and ConfigMaps that must be there. Not the server's own, which every pod has."""
    for volume in spec.get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            if str(volume.get("name", "")).startswith("kube-api-access-"):
                continue
            for kind, named, word in (("secret", "secretName", "Secret"), ("secret", "name", "Secret"), ("configMap", "name", "ConfigMap")):
                one = source.get(kind) or {}
                if one.get(named) and not one.get("optional"):
                    yield f"{word} {one[named]!r}"
