"""What do an object's annotations ask for, given what its status says was answered? And what is said of it.

`trigger.channelbeat.dev/EVENT: TIME` sends the event now, once for each TIME; the answer stands in the status as `TIME answer`.
`resume.channelbeat.dev/EVENT: TIME` ends a pause of the event that began before TIME. TIME is RFC 3339.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final, NamedTuple

from channelbeat.core import instants
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.outcomes import Kind, Outcome, Reason

TRIGGER: Final = "trigger.channelbeat.dev/"
RESUME: Final = "resume.channelbeat.dev/"
ANSWER: Final = 128
"""As long as the status lets an answer be."""
SHOWN: Final = 40
AT_MOST: Final = 200
"""Annotations of one object that are looked at: both kinds, of as many events as a schedule may have."""
AHEAD: Final[Ms] = 5 * MINUTE
"""A clock may be so far ahead of ours."""
LATE: Final[Ms] = 5 * SECOND
"""After its time has come, a resume is looked at once more: Redis's clock may be behind ours."""
_NO_SUCH: Final = "NoSuchEvent: the schedule has none of that name"
NOW: Final = "annotate with the present time"
ANEW: Final = "mend it, then annotate anew"


class Trigger(NamedTuple):
    """The event is to be sent for this `token`; `value` is how the annotation gives it."""

    event: str
    value: str
    token: Ms


class Refused(NamedTuple):
    """What is asked for cannot be; `text` says why and what to do, and begins with the annotation's value."""

    event: str
    value: str
    text: str


class Resume(NamedTuple):
    """A pause of the event that began by `token` is over."""

    event: str
    token: Ms


class Requests(NamedTuple):
    triggers: tuple[Trigger, ...]
    refused: tuple[Refused, ...]
    resumes: tuple[Resume, ...]
    misread: tuple[Refused, ...]
    """Resumes that cannot be; the status has no place for them."""


def handled(status: Mapping[str, Any]) -> dict[str, str]:
    """What a status says of triggers, by event."""
    events = status.get("eventStatuses") or ()
    return {str(event.get("name")): str(event["lastHandledTrigger"]) for event in events if event.get("lastHandledTrigger")}


def requests(annotations: Mapping[str, str], said: Mapping[str, str], *, names: Collection[str], parked: Collection[str], refusal: str | None) -> Requests:
    """`said`: what the status says was answered, by event. `names`: of all the schedule's events, `parked` of those that have a fault;
    `refusal`: in a word, why none of them runs, None if they do."""
    triggers, refused, resumes, misread = list[Trigger](), list[Refused](), list[Resume](), list[Refused]()
    near: str | None = None  # of the first that has another name: finding it costs, and the loop is shared with all that is due
    for number, (name, value) in enumerate(islice(_known_first(annotations, {*names}), AT_MOST + 1)):
        prefix, event = _parts(name)
        answer, token = said.get(event, "") if prefix == TRIGGER else "", _token(value)
        if token is not None and answer.startswith(f"{shown(value)} "):
            continue
        if number == AT_MOST:
            why: str | None = f"TooMany: {AT_MOST} annotations of a schedule are looked at, not this one nor the rest: remove old ones"
        else:
            why = _fault(event, token, names, parked, refusal)
        if why == _NO_SUCH:
            near = _near(event, names) if near is None else ""
            why += near
        if why is not None:
            text = answer_text(value, why)
            if text != answer:
                (refused if prefix == TRIGGER else misread).append(Refused(event, value, text))
        elif prefix == TRIGGER:
            triggers.append(Trigger(event, value, token or 0))
        else:
            resumes.append(Resume(event, token or 0))
    return Requests(tuple(triggers), tuple(refused), tuple(resumes), tuple(misread))


def answer(value: str, outcome: Outcome) -> str:
    """Of a trigger that was asked for."""
    return answer_text(value, _said(outcome))


def answer_text(value: str, said: str) -> str:
    text = f"{shown(value)} {' '.join(said.split())}"
    return text if len(text) <= ANSWER else f"{text[: ANSWER - 1]}…"


def shown(value: str) -> str:
    """An annotation's value as an answer begins with it: as it is, if it can be read and is short."""
    plain = value if value and value.isprintable() else repr(value)
    return plain if len(plain) <= SHOWN else f"{plain[: SHOWN - 1]}…"


def ends(token: Ms, paused: Ms | None) -> bool:
    """Does a resume of this `token` end a pause that began then? A whole second is meant as all of it: `date` cuts the rest off."""
    until = token if token % SECOND else token + SECOND - 1
    return paused is not None and paused <= until


def next_look(token: Ms, now: Ms) -> Ms | None:
    """When a resume that was looked at `now` is to be looked at again; None: never. Its time may be ahead of our clock, and a pause may
    begin before it."""
    return token + LATE if now < token + LATE else None


def may_act(token: Ms, now: Ms) -> bool:
    """One further ahead than a clock may be is for later."""
    return token <= now + AHEAD


def _parts(name: str) -> tuple[str, str]:
    """Of an annotation: what is asked for, and of which event."""
    return (TRIGGER, name.removeprefix(TRIGGER)) if name.startswith(TRIGGER) else (RESUME, name.removeprefix(RESUME))


def _known_first(annotations: Mapping[str, str], names: Collection[str]) -> list[tuple[str, str]]:
    """Those of events that there are: what is left over of others keeps none of them waiting. Else as they are (the API server sorts them), so
    that each look takes the same ones."""
    return sorted(annotations.items(), key=lambda one: _parts(one[0])[1] not in names)


def _near(event: str, names: Collection[str]) -> str:
    found = get_close_matches(event, sorted(names), n=1)
    return f": did you mean {found[0]}?" if found else ""


def _token(value: str) -> Ms | None:
    try:
        return instants.parse(value)
    except ValueError:
        return None


def _fault(event: str, token: Ms | None, names: Collection[str], parked: Collection[str], refusal: str | None) -> str | None:
    if token is None:
        return "NotATime: write it with its offset, like 2026-11-21T02:30:00Z"
    if refusal is not None:
        return f"NotSent: the schedule does not run ({refusal}): see its condition Accepted; {ANEW}"
    if event not in names:
        return _NO_SUCH
    if event in parked:
        return f"NotSent: the event has a fault, which the status tells; {ANEW}"
    return None


def _said(outcome: Outcome) -> str:
    if outcome.kind is Kind.ENQUEUED:
        return str(Kind.ENQUEUED)
    why = _WHY.get(outcome.reason) or outcome.note or str(outcome.kind)
    return f"{outcome.reason or outcome.kind}: {why}"


_WHY: Final = {
    Reason.DUPLICATE: "it was carried out before",
    Reason.EXPIRED: f"more than 10 minutes old; {NOW}",
    Reason.FROM_THE_FUTURE: f"more than 5 minutes ahead of the operator's clock; {NOW}",
    Reason.PREVIOUS_RUN_ACTIVE: "its overlap policy wants the earlier run done first",
    Reason.STORE_WIPED: "it may have been sent before its Redis was wiped, or not",
    Reason.REPLY_LOST: "it may have been sent, or not: Redis's reply was lost",
}
