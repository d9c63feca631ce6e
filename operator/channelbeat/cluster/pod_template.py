"""What are the pods of a schedule's workers? Pure: its worker block, and the Deployment that it copies -> a pod template, or why there is none.

The worker's container is always called `worker`, copied or not: the name stands in the POST that makes the Deployment, whose fields nobody can
take back, so that under another name the container would stay beside its successor for ever.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from channelbeat.core.finding import Finding
from channelbeat.core.instants import HOUR, SECOND, Ms
from channelbeat.core.schedule import BeatSchedule, Spec, Worker
from channelbeat.core.timing import durations

Body: TypeAlias = dict[str, Any]

WORKER: Final = "worker"
SCHEDULE: Final = "channelbeat.dev/schedule"
"""A label: the schedule whose workers they are. The selector is this one alone."""
MANAGED: Final = {"app.kubernetes.io/managed-by": "channelbeat", "app.kubernetes.io/component": "worker"}
LONGEST_DRAIN: Final[Ms] = HOUR
"""If the schedule names none."""
PLAIN_DRAIN: Final[Ms] = 30 * SECOND
"""Likewise, under BestEffort. The stock runworker knows no SIGTERM, and as a container's first process is not ended by it: it goes on until it is killed."""
TAIL: Final = 30
"""Seconds beyond the drain, in which a worker gives back what did not end, and leaves."""
LAYER: Final = "default"

_CONTAINERS: Final = ("initContainers", "containers")
_KINDS: Final[Mapping[type, str]] = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
_SERVES: Final = ("args", "ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
_APPARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_POD_NAME: Final = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
_OFTEN: Final = {"periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 3}
_STARTED: Final = ("--wait", "120")  # seconds
_AT_FIRST: Final = {"periodSeconds": 5, "timeoutSeconds": 10, "failureThreshold": 120}


def labels(schedule: BeatSchedule) -> dict[str, str]:
    """Of the Deployment and its pods."""
    return {**MANAGED, SCHEDULE: schedule.name}


def pod_template(schedule: BeatSchedule, source: Mapping[str, Any] | None = None) -> Body | Finding:
    """`schedule` has a worker block with `templateFrom` or `template`; `source` is the Deployment that `templateFrom` names, as the API server has it."""
    spec = schedule.spec
    worker = spec.worker or Worker()
    if worker.template_from is None:
        template: Body | Finding = _own(worker)
    else:
        template = _copied(schedule, worker, source)
    if isinstance(template, Finding):
        return template
    metadata, pod = template.setdefault("metadata", {}), template.setdefault("spec", {})
    metadata["labels"] = {**metadata.get("labels", {}), **labels(schedule)}
    given = pod.get("terminationGracePeriodSeconds", 0) if worker.template_from is None else 0
    pod["terminationGracePeriodSeconds"] = max(-(-drain(spec) // SECOND) + TAIL, given if isinstance(given, int) else 0)
    for one in _containers(pod):
        if "env" in one:
            one["env"] = _merged(one["env"], ())
        if one.get("name") == WORKER:
            _to_worker(one, spec, worker)
    return template


def container(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """The worker's, of a pod template."""
    return next((one for one in template.get("spec", {}).get("containers", ()) if one.get("name") == WORKER), {"name": WORKER})


def drain(spec: Spec) -> Ms:
    """How long workers may take to finish what they began."""
    if spec.worker is not None and spec.worker.drain_timeout is not None:
        return spec.worker.drain_timeout
    if spec.delivery == "BestEffort":
        return PLAIN_DRAIN
    return min(max((event.attempt_timeout for event in spec.events), default=LONGEST_DRAIN), LONGEST_DRAIN)


def command(spec: Spec, worker: Worker) -> list[str]:
    """With the channels; options that the stock runworker would reject, only under AtLeastOnce. The layer is called in the project as it is in
    the installation, as in local mode, unless the command says otherwise."""
    options = ["--concurrency", str(worker.concurrency), "--drain-timeout", durations.text(drain(spec))] if spec.delivery == "AtLeastOnce" else []
    return [*worker.command, *_added_layer(spec, worker), *options, *_channels(spec, worker)]


def check(spec: Spec, worker: Worker) -> list[str]:
    """Exits with 0 if the worker is alive. Django is not loaded where it can be seen which Python runs the command."""
    if python := _python(worker):
        return [*python, "-m", "channelbeat.heartbeat", *_layer(spec, worker), *_channels(spec, worker)]
    return [*worker.command, "--check", *_added_layer(spec, worker), *_channels(spec, worker)]


def started(spec: Spec, worker: Worker) -> list[str]:
    """Waits until the worker is there; empty where it cannot be seen which Python runs the command. Before it has a handler for SIGTERM, a container's
    first process would not hear it, and once started go on taking runs until it is killed."""
    python = _python(worker)
    return [*python, "-m", "channelbeat.heartbeat", *_STARTED, *_layer(spec, worker), *_channels(spec, worker)] if python else []


def _to_worker(one: Body, spec: Spec, worker: Worker) -> None:
    one.pop("args", None)
    one["command"] = command(spec, worker)
    one["env"] = _merged(one.get("env", ()), worker.env, (_POD_NAME,))
    if worker.resources:
        one["resources"] = _bare(worker.resources)
    one.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    if spec.delivery == "AtLeastOnce":
        # Django takes its time to load, more than a liveness probe would wait for
        for probe, pace in (("startupProbe", _AT_FIRST), ("livenessProbe", _OFTEN)):
            one.setdefault(probe, {"exec": {"command": check(spec, worker)}, **pace})
        if waits := started(spec, worker):
            one.setdefault("lifecycle", {"preStop": {"exec": {"command": waits}}})


def _own(worker: Worker) -> Body | Finding:
    """Nobody has looked at its shape so far. Of what we do not touch ourselves, the API server tells."""
    template: Body = _bare(worker.template or {})
    for path, value, kind, cure in _shapes(template):
        if not isinstance(value, kind):  # not which value: of a variable it may be a password
            fault = "is required" if kind is str and value is None else f"must be {_KINDS[kind]}, not {_KINDS.get(type(value), 'a number')}"
            return Finding("TemplateRefused", f"spec.worker.template.{path}: {fault}: {cure}")
    return template


def _shapes(template: Mapping[str, Any]) -> Iterator[tuple[str, Any, type, str]]:
    """What is worked with here, what it has to be, and how to write it. To be left at the first that is something else."""
    metadata, pod = template.get("metadata", {}), template.get("spec", {})
    yield "metadata", metadata, dict, "write `metadata: {labels: {NAME: VALUE}}`, or leave it out"
    yield "metadata.labels", metadata.get("labels", {}), dict, "write `labels: {NAME: VALUE}`, or leave it out"
    yield "spec", pod, dict, "write `spec: {containers: [{name: worker, image: IMAGE}]}`"
    for kind in _CONTAINERS:
        yield f"spec.{kind}", pod.get(kind, []), list, (cure := f"write `{kind}: [{{name: NAME, image: IMAGE}}]`")
        for at, one in enumerate(pod.get(kind, [])):
            yield f"spec.{kind}[{at}]", one, dict, cure
            path, env, cure_env = f"spec.{kind}[{at}].env", one.get("env", []), 'write `env: [{name: NAME, value: "VALUE"}]`'
            yield path, env, list, cure_env
            for number, variable in enumerate(env):
                yield f"{path}[{number}]", variable, dict, cure_env
                yield f"{path}[{number}].name", variable.get("name"), str, cure_env


def _copied(schedule: BeatSchedule, worker: Worker, source: Mapping[str, Any] | None) -> Body | Finding:
    """All of the pod and its annotations. Not its labels: Services would send requests to workers. Of the container that becomes the worker, nothing
    that serves requests."""
    wanted, path = worker.template_from, "spec.worker.templateFrom"
    if source is None or wanted is None:
        name = wanted.name if wanted else ""
        return Finding("NoSuchDeployment", f"{path}.name: namespace {schedule.namespace} has no Deployment {name!r}: create it, or name one that is there")
    owners = [owner["name"] for owner in source["metadata"].get("ownerReferences", ()) if owner.get("kind") == "BeatSchedule"]
    if owners:
        text = f"{path}.name: Deployment {wanted.name!r} has the workers of BeatSchedule {owners[0]!r}: name the Deployment that one copies"
        return Finding("CopiesWorkers", text)
    template = _bare(source["spec"]["template"])
    pod = template["spec"]
    names = [one["name"] for one in pod["containers"]]
    chosen = wanted.container or names[0]
    if chosen not in names:
        there = ", ".join(names)
        return Finding("NoSuchContainer", f"{path}.container: Deployment {wanted.name!r} has no container {chosen!r} (there is {there}): name one of them")
    if chosen != WORKER and any(one["name"] == WORKER for one in _containers(pod)):
        text = f"Deployment {wanted.name!r} has another container called 'worker', as {chosen!r} would be called: choose that one, or use spec.worker.template"
        return Finding("ContainerNameTaken", f"{path}.container: {text}")
    one = next(one for one in pod["containers"] if one["name"] == chosen)
    one["name"] = WORKER
    for field in (*_SERVES, "terminationMessagePolicy"):
        one.pop(field, None)
    _rename(pod, chosen)
    annotations = _annotations(template.get("metadata", {}).get("annotations", {}), chosen)
    return {"metadata": {"annotations": annotations} if annotations else {}, "spec": pod}


def _annotations(copied: Mapping[str, str], old: str) -> dict[str, str]:
    """Those that name the container name it by its new name."""
    renamed = {f"{_APPARMOR}{WORKER}" if key == f"{_APPARMOR}{old}" else key: value for key, value in copied.items()}
    return renamed | ({_DEFAULT_CONTAINER: WORKER} if _DEFAULT_CONTAINER in renamed else {})


def _rename(value: Any, old: str) -> None:
    """What asks for the container's own resources, in variables and volumes, asks for them by its new name."""
    if isinstance(value, dict):
        reference = value.get("resourceFieldRef")
        if isinstance(reference, dict) and reference.get("containerName") == old:
            reference["containerName"] = WORKER
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _rename(inner, old)


def _merged(env: Sequence[Mapping[str, Any]], *more: Sequence[Mapping[str, Any]]) -> list[Body]:
    """Each name once, as server-side apply demands: the last of those in `env`, the entry of the first of `more` in its place, of others if there is none."""
    found: dict[str, Body] = {}
    for one in env:
        found.pop(one["name"], None)  # a variable may refer to those before it
        found[one["name"]] = dict(one)
    for at, others in enumerate(more):
        for one in others:
            if at == 0 or one["name"] not in found:
                found[one["name"]] = _bare(one)
    return list(found.values())


def _containers(pod: Mapping[str, Any]) -> Iterator[Body]:
    for kind in _CONTAINERS:
        yield from pod.get(kind, ())


def _channels(spec: Spec, worker: Worker) -> tuple[str, ...]:
    return worker.channels or ((spec.channel,) if spec.channel else ())


def _python(worker: Worker) -> Sequence[str]:
    """The words before manage.py, if they end with an interpreter."""
    at = next((at for at, word in enumerate(worker.command) if word.rpartition("/")[2] == "manage.py"), 0)
    return worker.command[:at] if at and worker.command[at - 1].rpartition("/")[2].startswith("python") else ()


def _layer(spec: Spec, worker: Worker) -> list[str]:
    alias = _layer_in(worker.command) or spec.channel_layer.name
    return [] if alias == LAYER else ["--layer", alias]


def _added_layer(spec: Spec, worker: Worker) -> list[str]:
    """To a command that does not say it."""
    return [] if _layer_in(worker.command) else _layer(spec, worker)


def _layer_in(words: Sequence[str]) -> str:
    """What a command says of the layer; empty for nothing."""
    for at, word in enumerate(words):
        if word == "--layer" and at + 1 < len(words):
            return words[at + 1]
        if word.startswith("--layer="):
            return word.removeprefix("--layer=")
    return ""


def _bare(value: Any) -> Any:
    """A copy without nulls, which say nothing."""
    if isinstance(value, Mapping):
        return {key: _bare(inner) for key, inner in value.items() if inner is not None}
    return [_bare(inner) for inner in value] if isinstance(value, list | tuple) else value
