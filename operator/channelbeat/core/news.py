"""What does a new status tell that somebody would want to be told? Transitions -> what becomes a Kubernetes Event; never a single firing.

| reason | type | when |
|---|---|---|
| a reason of Ready, but Settling | Normal, or Warning where Ready is False | Ready has another status or reason |
| EventPaused | Warning | an event was paused |
| EventResumed | Normal | a pause has ended |
| Triggered | Normal | a trigger was carried out |
| TriggerRefused | Warning | a trigger was not |
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from channelbeat.core.outcomes import Kind
from channelbeat.core.reasons import Type, Why
from channelbeat.core.verdicts import cut

MESSAGE: Final = 1_000
_OTHERWISE: Final = (Why.EVENT_PAUSED, Why.SETTLING)  # told of the event itself; and nothing to tell


class News(NamedTuple):
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def news(had: Mapping[str, Any], has: Mapping[str, Any]) -> Iterator[News]:
    """Of the transition from one status to the next."""
    before, after = _ready(had), _ready(has)
    turned = (before.get("status"), before.get("reason")) != (after.get("status"), after.get("reason"))
    if turned and after.get("reason") not in _OTHERWISE:
        yield News("Warning" if after.get("status") == "False" else "Normal", after.get("reason", ""), cut(after.get("message", ""), MESSAGE))
    were = {event["name"]: event for event in had.get("eventStatuses", ())}
    for event in has.get("eventStatuses", ()):
        yield from _of_event(event["name"], were.get(event["name"], {}), event)


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


def _ready(status: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((one for one in status.get("conditions", ()) if one["type"] == Type.READY), {})
