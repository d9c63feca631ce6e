"""Rules between fields. They look at the manifest as written, so that they are told beside the faults of single fields.

Each answers (path, sentence) pairs, the path below the event or the spec it was given; what cannot be read is left to
the checks of single fields.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

from channelbeat.core import instants
from channelbeat.core.checks import listed, shown
from channelbeat.core.instants import Ms
from channelbeat.core.schedule import RETRY, SCALING
from channelbeat.core.timing import durations

Raw: TypeAlias = Mapping[str, Any]
Told: TypeAlias = Iterator[tuple[str, str]]

_TRACKED: Final = ("overlap", "startDeadline", "attemptTimeout", "retry")
_COPIED: Final = ("resources", "env")
_OWN_PODS: Final = ("command", "concurrency", "drainTimeout", *_COPIED)


def of_event(event: Raw, spec: Raw) -> Told:
    """Rules inside one event; those that depend on the schedule's delivery too."""
    yield from _exactly_one(event, "cron", "every", "at")
    if "timeZone" in event and "cron" not in event and ("every" in event or "at" in event):
        yield "timeZone", "may be given with cron only; every and at do not depend on a zone"
    if "at" in event:
        for field in ("notBefore", "notAfter"):
            if field in event:
                yield field, "may not be given with at"
    if _falls(_read(instants.parse, event.get("notBefore")), _read(instants.parse, event.get("notAfter")), equal=True):
        yield "notAfter", "must be later than notBefore"
    if _falls(_length(event.get("jitter")), _length(event.get("every")), equal=True):
        yield "jitter", "must be shorter than every"
    if _has(event.get("fields"), "message") and "message" in event:
        yield "fields", "must not contain 'message' when message is given beside it, because both would be the key `message`"
    retry = event.get("retry")
    if isinstance(retry, Mapping) and _falls(_length(retry.get("backoff"), RETRY.backoff), _length(retry.get("maxBackoff"), RETRY.max_backoff)):
        given = f", not {shown(retry['maxBackoff'])}" if "maxBackoff" in retry else f"; its default is {durations.text(RETRY.max_backoff)}"
        yield "retry.maxBackoff", f"must be greater than or equal to backoff{given}"
    if spec.get("delivery", "BestEffort") == "BestEffort":
        for field in _TRACKED:
            if field in event:
                yield field, "needs delivery: AtLeastOnce, because only then it is known what became of a run"


def of_spec(spec: Raw) -> Told:
    """Rules outside the events."""
    yield from _exactly_one(spec, "channel", "group")
    if "group" in spec and spec.get("delivery") == "AtLeastOnce":
        yield "delivery", "must be BestEffort with group, because a group has no queue to retry from"
    if "group" in spec and "worker" in spec:
        yield "worker", "may not be given with group, because a group reaches consumers that are connected already and has no queue"
    if "pauseAfterFailures" in spec and spec.get("delivery", "BestEffort") == "BestEffort":
        yield "pauseAfterFailures", "needs delivery: AtLeastOnce, because only then failures are known"
    worker = spec.get("worker")
    if isinstance(worker, Mapping):
        for path, what in _of_worker(worker, spec.get("channel")):
            yield f"worker.{path}".rstrip("."), what


def _of_worker(worker: Raw, channel: object) -> Told:
    yield from _exactly_one(worker, "templateFrom", "template", "scaleTargetRef")
    if "scaleTargetRef" in worker:
        for field in _OWN_PODS:
            if field in worker:
                yield field, "may not be given with scaleTargetRef, whose pods belong to somebody else"
    elif "template" in worker:
        for field in _COPIED:
            if field in worker:
                yield field, "may be given with templateFrom only; with template it stands in the container"
        if not _has_worker_container(worker["template"]):
            yield "template", "must have spec.containers, one of them called 'worker'"
    channels = worker.get("channels")
    if isinstance(channels, list | tuple) and isinstance(channel, str) and channel not in channels:
        yield "channels", f"must contain spec.channel, {shown(channel)}"
    if isinstance(channels, list | tuple) and (twice := sorted({name for name in channels if isinstance(name, str) and channels.count(name) > 1})):
        yield "channels", f"must not name {twice[0]!r} twice"
    scaling = worker.get("scaling")
    if isinstance(scaling, Mapping):
        low, high = scaling.get("minReplicas", SCALING.min_replicas), scaling.get("maxReplicas", SCALING.max_replicas)
        if isinstance(low, int) and isinstance(high, int) and low > high:
            default = "" if "maxReplicas" in scaling else f"; its default is {high}"
            yield "scaling.minReplicas", f"must be less than or equal to maxReplicas{default}"


def _exactly_one(raw: Raw, *fields: str) -> Told:
    given = [field for field in fields if field in raw]
    misspelt = not given and any(get_close_matches(str(key).lower(), fields, n=1, cutoff=0.75) for key in raw)
    if len(given) != 1 and not misspelt:  # a misspelt one is told as such
        yield "", f"set exactly one of {listed(*fields)}, not {listed(*given) or 'none'}"


def _falls(first: Ms | None, second: Ms | None, *, equal: bool = False) -> bool:
    """Whether the second, where both can be read, is less than the first (or equal to it)."""
    return first is not None and second is not None and (second < first or (equal and second == first))


def _length(value: object, default: Ms | None = None) -> Ms | None:
    return default if value is None else _read(durations.parse, value)


def _read(parse: Callable[[str], Ms], value: object) -> Ms | None:
    try:
        return parse(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _has(value: object, key: str) -> bool:
    return isinstance(value, Mapping) and key in value


def _has_worker_container(template: object) -> bool:
    spec = template.get("spec") if isinstance(template, Mapping) else None
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    return isinstance(containers, Iterable) and any(isinstance(c, Mapping) and c.get("name") == "worker" for c in containers)
