"""Does somebody else scale a Deployment that we scale? Pure: what is seen of it -> whose it is, and whether we stop.

It is seen by change: of a number that we had set, and that was there, to another one that is not of our writing (managedFields). So neither what is
seen late nor what another leader has written is taken for somebody else's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from channelbeat.cluster.deployment import MANAGER, has_replicas
from channelbeat.core.finding import Finding
from channelbeat.core.instants import MINUTE, Ms

WITHIN: Final[Ms] = 5 * MINUTE
ENOUGH: Final = 2
"""Changes of a Deployment that we made; the first may have been an accident, and is put right. One that is somebody else's is his at once."""
AUTOSCALER: Final = "delete the HorizontalPodAutoscaler that names it, or the ScaledObject that made that"
KEDA: Final = "delete the ScaledObject that names it"
APPLIER: Final = "leave spec.replicas out of the manifest that is applied"
OTHERS: Final = "let whoever does it stop"
KNOWN: Final = {
    "kube-controller-manager": ("a HorizontalPodAutoscaler (kube-controller-manager)", AUTOSCALER),
    "keda": ("KEDA (keda)", KEDA),
    "keda-operator": ("KEDA (keda-operator)", KEDA),
    "argocd-controller": ("Argo CD (argocd-controller)", APPLIER),
    "argocd-application-controller": ("Argo CD (argocd-application-controller)", APPLIER),
    "kustomize-controller": ("Flux (kustomize-controller)", APPLIER),
    "helm-controller": ("Flux (helm-controller)", APPLIER),
    "helm": ("Helm (helm)", APPLIER),
    "kubectl": ("kubectl scale", OTHERS),
    "kubectl-edit": ("kubectl edit", OTHERS),
    "kubectl-patch": ("kubectl patch", OTHERS),
    "kubectl-replace": ("kubectl replace", OTHERS),
    "kubectl-client-side-apply": ("kubectl apply", APPLIER),
    "kubectl-server-side-apply": ("kubectl apply", APPLIER),
}
"""By the field manager: what people call it, and what ends it."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One Deployment. `last`: how many replicas we set last; `there`: that was seen. `changes`: when others have changed it, lately; `by`: the manager who
    did, once we have stopped. A fresh one for a new Deployment, and when spec.worker is edited."""

    last: int | None = None
    there: bool = False
    changes: tuple[Ms, ...] = ()
    by: str = ""


def resumed(original: int, last: int, live: Mapping[str, Any], uid: str) -> Watched:
    """Of somebody else's that was scaled before our term: a number that is neither is another's. The original may be there still. `uid`: of the one that
    was scaled, empty if that is not known; one that was made anew since is nobody's doing."""
    if uid not in ("", live["metadata"]["uid"]):
        return Watched()
    return Watched(last, there=live["spec"].get("replicas", 1) != original)


def was_set(watched: Watched, replicas: int) -> Watched:
    """We wrote it, or are about to."""
    return replace(watched, last=replicas, there=False) if replicas != watched.last else watched


def look(watched: Watched, live: Mapping[str, Any], wanted: int, now: Ms, *, shared: bool) -> tuple[Watched, Finding | None]:
    """What to remember, and why we stop. To be asked for each change that is seen of it, in their order, before anything is written. `live`: the
    Deployment with its managedFields; `wanted`: how many replicas we want now; `shared`: it is somebody else's (scaleTargetRef)."""
    replicas = live["spec"].get("replicas", 1)
    if replicas == wanted:
        return Watched(replicas, True, () if watched.by else watched.changes), None
    if watched.by:
        return watched, _refusal(watched.by, live, wanted, shared=shared)
    if replicas == watched.last:
        return replace(watched, there=True), None
    if not watched.there or is_ours(live):
        return watched, None
    recent = (*(at for at in watched.changes if 0 <= now - at < WITHIN), now)
    watched = replace(watched, there=False, changes=recent)
    if len(recent) < ENOUGH and not shared:
        return watched, None
    watched = replace(watched, by=_manager(live))
    return watched, _refusal(watched.by, live, wanted, shared=shared)


def is_ours(live: Mapping[str, Any]) -> bool:
    """Whether its number of replicas is as we wrote it: who changes it becomes its manager, and who writes the same does not."""
    return any(entry.get("manager") == MANAGER for entry in _managers(live))


def who(live: Mapping[str, Any]) -> str:
    """Who wrote its number of replicas last, for people."""
    return _known(_manager(live))[0]


def _manager(live: Mapping[str, Any]) -> str:
    """The newest of them."""
    entry = max(_managers(live), key=lambda one: str(one.get("time", "")), default={})
    manager = str(entry.get("manager") or "somebody")
    return "kubectl-server-side-apply" if (manager, entry.get("operation")) == ("kubectl", "Apply") else manager


def _known(manager: str) -> tuple[str, str]:
    return KNOWN.get(manager, (manager, OTHERS))


def _managers(live: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Who manages spec.replicas."""
    return filter(has_replicas, live["metadata"].get("managedFields", ()))


def _refusal(manager: str, live: Mapping[str, Any], wanted: int, *, shared: bool) -> Finding:
    metadata, replicas = live["metadata"], live["spec"].get("replicas", 1)
    name, cure = _known(manager)
    does = f"{name} scales the Deployment {metadata['namespace']}/{metadata['name']}, too, to {replicas} now"
    instead = "or take spec.worker.scaleTargetRef out of the schedules that name it" if shared else "and say in spec.worker.scaling how it is to be scaled"
    back = f"`kubectl scale -n {metadata['namespace']} deployment/{metadata['name']} --replicas={wanted}`"
    ends = f"channelbeat leaves the number alone until it is {wanted}, which it wants now ({back}), or spec.worker is edited"
    return Finding("ScaledByAnother", f"{does}: {cure}, {instead}; {ends}")
