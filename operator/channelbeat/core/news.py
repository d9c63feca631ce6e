"""What does a new status tell that somebody would want to be told? Transitions -> what becomes a Kubernetes Event; never a single firing.

| reason | type | when |
|---|---|---|
| a reason of Ready, but Settling | Normal, or Warning where Ready is False | Ready has another status or reason |
| a reason of WorkersReady, but Starting | Warning | WorkersReady is False with another reason |
| a reason of WorkersReady | Normal | it was False with another reason than Starting, and is not any more |
| Scaled | Normal | another number of workers is wanted |
| EventPaused | Warning | an event was paused |
| EventResumed | Normal | a pause has ended |
| Triggered | Normal | a trigger was carried out |
| TriggerRefused | Warning | a trigger was not |
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from channelbeat.core.outcomes import Kind
from channelbeat.core.reasons import Type, Why
from channelbeat.core.verdicts import Verdict, cut, in_trouble

MESSAGE: Final = 1_000
_OTHERWISE: Final = (Why.EVENT_PAUSED, Why.SETTLING)  # told of the event itself; and nothing to tell


class News(NamedTuple):
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def news(had: Mapping[str, Any], has: Mapping[str, Any], why: str = "") -> Iterator[News]:
    """Of the transition from one status to the next. `why`: so many workers are wanted."""
    before, after = (_said(status, Type.READY) for status in (had, has))
    if before[:2] != after[:2] and after.reason not in _OTHERWISE:
        yield News("Warning" if after.status == "False" else "Normal", after.reason, cut(after.message, MESSAGE))
    yield from _of_workers(had, has, why)
    were = {event["name"]: event for event in had.get("eventStatuses", ())}
    for event in has.get("eventStatuses", ()):
        yield from _of_event(event["name"], were.get(event["name"], {}), event)


def _of_workers(had: Mapping[str, Any], has: Mapping[str, Any], why: str) -> Iterator[News]:
    was, is_ = (status.get("workers", {}).get("desired") for status in (had, has))
    if None not in (was, is_) and was != is_:
        yield News("Normal", "Scaled", cut(f"from {was:,} to {is_:,} {'worker' if is_ == 1 else 'workers'}{why and ': '}{why}", MESSAGE))
    before, after = (_said(status, Type.WORKERS_READY) for status in (had, has))
    if in_trouble(after) and before[:2] != after[:2]:
        yield News("Warning", after.reason, cut(after.message, MESSAGE))
    elif in_trouble(before) and after.status != "Unknown" and not in_trouble(after):
        yield News("Normal", after.reason, cut(after.message, MESSAGE))


def _of_event(name: str, was: Mapping[str, Any], is_: Mapping[str, Any]) -> Iterator[News]:
    if "paused" in is_ and "paused" not in was:
        yield News("Warning", "EventPaused", cut(f"event {name} is paused {is_['paused']}", MESSAGE))
    if "paused" in was and "paused" not in is_:
        yield News("Normal", "EventResumed", f"event {name} is no longer paused")
    answer = is_.get("lastHandledTrigger")
    if answer is not None and answer != was.get("lastHandledTrigger"):
        yield of_answer(name, answer)


def of_answer(event: str, answer: str) -> News:
    """To a trigger annotation."""
    done = answer.endswith(f" {Kind.ENQUEUED}")
    return News("Normal" if done else "Warning", "Triggered" if done else "TriggerRefused", cut(f"trigger of event {event}: {answer}", MESSAGE))


def _said(status: Mapping[str, Any], type_: Type) -> Verdict:
    """By a condition; by none, that it is not known."""
    found = next((one for one in status.get("conditions", ()) if one["type"] == type_), None)
    return Verdict("Unknown", "") if found is None else Verdict(found["status"], found["reason"], found["message"])
