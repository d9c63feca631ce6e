"""What is to be done about a Deployment, so that it is as it should be? Pure: what is wanted, and what is there -> one call, and what stands in the way."""

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from channelbeat.cluster import deployment
from channelbeat.cluster.deployment import APPLIED
from channelbeat.cluster.live import Live
from channelbeat.cluster.pod_template import Body, pod_template
from channelbeat.core.crews import Crew
from channelbeat.core.finding import Finding
from channelbeat.core.masking import masked
from channelbeat.errors import ApiError, ApiRefused

LONGEST_WORDS: Final = 1000
"""Of the API server, which may list every field there is."""
_PREAMBLE: Final = re.compile(r'^(failed to create typed patch object \([^)]*\): |Deployment\.apps "[^"]*" is invalid: )')
"""Of which Deployment it speaks, goes without saying."""


class Call(Enum):
    MAKE = auto()
    APPLY = auto()
    SCALE = auto()
    RESUME = auto()  # ask what an earlier leader had set


class Step(NamedTuple):
    """`call` None: nothing. `body`: of MAKE and APPLY. `trouble`: why it is not as it should be, or will not be after that. `waits`: for somebody else
    to be done with what is there."""

    call: Call | None = None
    body: Body | None = None
    trouble: Finding | None = None
    waits: bool = False

    @property
    def hash(self) -> str:
        """Of what is applied."""
        return "" if self.body is None else self.body["metadata"].get("annotations", {}).get(APPLIED, "")


NOTHING: Final = Step()
NOT_MADE: Final = Finding(
    "WorkersNotMade",
    "spec.worker: this installation makes no Deployments (the Helm value workers.create is false): make one yourself and name it in "
    "spec.worker.scaleTargetRef, or remove spec.worker, or have workers.create set to true",
)


def step(crew: Crew, live: Live | None, source: Mapping[str, Any] | None, replicas: int | None) -> Step:
    """Of a Deployment that we make. `source`: the one that it copies, None if there is none. `replicas` None: how many, is left to somebody else."""
    one = crew.members[0]
    if live is not None and (live.dying or live.owner != one.uid):
        return _not_ours(crew, live)
    template = pod_template(one.schedule, source)
    if isinstance(template, Finding):
        return scaled(live, replicas, template)
    if live is None:
        return Step(Call.MAKE, deployment.created(one.schedule, one.uid, template))
    body = deployment.applied(one.schedule, one.uid, template, deployment.applied_replicas(live.body) if replicas is None else replicas)
    return NOTHING if deployment.same(live.body, body) else Step(Call.APPLY, body)


def scaled(live: Live | None, replicas: int | None, trouble: Finding | None = None) -> Step:
    """What waits is handled by what there is, though that cannot be made as it should be. What was made and nothing was applied to yet, is nobody's
    idea of a worker."""
    there = live is not None and replicas not in (None, live.replicas) and deployment.was_applied(live.body)
    return Step(Call.SCALE if there else None, trouble=trouble)


def target(crew: Crew, live: Live | None, replicas: int | None) -> Step:
    """Of one that is somebody else's. `replicas` None: it is not known how many there should be, or left to others."""
    if live is None:
        return Step(trouble=no_target(crew.key))
    return NOTHING if replicas in (None, live.replicas) else Step(Call.SCALE)


def no_target(key: str) -> Finding:
    return Finding("NoSuchDeployment", f"spec.worker.scaleTargetRef.name: there is no Deployment {key}: create it, or name one that is there")


def told(crew: Crew, error: ApiRefused) -> Finding:
    """Why the API server does not make it, or not as it should be: in its own words."""
    words = masked(_PREAMBLE.sub("", error.words))[:LONGEST_WORDS]
    if error.reason in ("NotRecorded", "ScaleRefused", "NoSuchDeployment"):
        return Finding(error.reason, words)
    namespace, cannot = crew.key.partition("/")[0], f"the Deployment {crew.key} cannot be made or changed"
    if error.status == 403 and "cannot" in words:  # said by the authorizer; what an admission policy or a quota forbids is 403, too
        cure = "give our ServiceAccount create and patch on deployments.apps, and patch on deployments.apps/scale, as the chart does with workers.create"
        return Finding("NotAllowed", f"{cannot}: {words}: {cure}")
    if "exceeded quota" in words:
        cure = f"raise it (`kubectl describe quota -n {namespace}`)"
        return Finding(
            "Quota", f"a quota of namespace {namespace} keeps the Deployment {crew.key} from being made or changed (the cluster says: {words}): {cure}"
        )
    if "is being terminated" in words:
        return Finding("NotAllowed", f"{cannot}: namespace {namespace} is being deleted, and this schedule with it")
    worker = crew.members[0].schedule.spec.worker
    copied = worker is not None and worker.template_from is not None
    if copied:
        what, cure = "spec.worker.templateFrom: the copied pod template, with what spec.worker adds to it,", "change one of them"
    else:
        what, cure = "spec.worker.template", "correct it there (what the cluster calls spec.template is your spec.worker.template)"
    return Finding("TemplateRefused", f"{what} is not taken (the cluster says: {words}): {cure}")


def not_answered(crew: Crew, error: ApiError) -> Finding:
    """The API server stumbles over it, or somebody does whom it asks."""
    words, cure = masked(error)[:LONGEST_WORDS], "it is tried again; see to the API server, or to the admission webhook for deployments.apps that it waits for"
    return Finding("NotAllowed", f"the Deployment {crew.key} cannot be made or changed: {words}: {cure}")


def _not_ours(crew: Crew, live: Live) -> Step:
    """That of an earlier schedule of the name goes with its owner, and the name is free then."""
    schedule = crew.members[0].schedule
    owners = live.body["metadata"].get("ownerReferences", ())
    if live.dying or any((one.get("kind"), one.get("name")) == ("BeatSchedule", schedule.name) and one.get("controller") for one in owners):
        text = f"the Deployment {crew.key} is that of an earlier schedule {schedule.name}, or is being deleted: its place is taken when it is gone. "
        return Step(trouble=Finding("NameTaken", f"{text}If that takes long, see its finalizers, or delete it"), waits=True)
    owner = next((f", which belongs to {one.get('kind')} {one.get('name')}" for one in owners), "")
    text = f"there is a Deployment {crew.key} already{owner}, and the workers' would be called so: delete or rename it, or give this schedule another name"
    return Step(trouble=Finding("NameTaken", text))
