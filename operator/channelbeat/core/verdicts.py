"""What is there to say of a schedule in a word? Ordered checks -> the conditions of its status, in the words of `reasons.py`.

The first check that has something to say decides. All four conditions are always there, as tools that follow kstatus expect it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from channelbeat.core import instants
from channelbeat.core.checks import listed
from channelbeat.core.finding import Finding
from channelbeat.core.hindrances import Hindrance
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.outcomes import Notice
from channelbeat.core.parse import Fault
from channelbeat.core.reasons import BLOCKS, ONLY_YOU, TROUBLES, Type, Why
from channelbeat.core.schedule import Event, Missed
from channelbeat.core.timing import durations
from channelbeat.core.workers import Workers

Truth: TypeAlias = Literal["True", "False", "Unknown"]

SHOWN: Final = 3
"""So many faults or names stand in a message; the rest is in `status.eventStatuses`."""
MESSAGE: Final = 2_048
CONDITIONS: Final = 16


_STAYS: Final = frozenset({Why.SCHEDULED, Why.COMPLETED, *TROUBLES.values(), *BLOCKS.values(), Why.UNATTENDED})
"""Said of Ready before, these hold until it is known better."""
_UNTIL: Final[Mapping[Why, str]] = {
    Why.LAYER_AWAY: "nothing is sent until it does: see that it runs, and that the operator's pod reaches it",
    Why.WRITES_REFUSED: "nothing is sent until it takes them: see to its memory and disk, and that the layer names a primary",
    Why.LAYER_TAKEN: "nothing is sent until then",
    Why.LAYER_REFUSED: "nothing is sent until that is mended",
}


class Verdict(NamedTuple):
    """What a condition says."""

    status: Truth
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged. `invalid`: no event can be read; `faults` are then the spec's, else those of its events. `paused`: names of events.
    `trouble`: of its layer, once it has lasted; `meanwhile`: what becomes of what falls due during it; `hindrance`: of its channel. `settled`: it is known
    where its events stand; `ahead`: one is due again. `managed`: it has a `spec.worker`; `workers` None: nothing is known of them. `before` and
    `workers_before`: what was said of Ready and of WorkersReady, of this generation."""

    generation: int
    invalid: bool = False
    faults: Sequence[Fault] = ()
    refusal: Finding | None = None
    paused: Sequence[str] = ()
    suspended: bool = False
    trouble: Notice | None = None
    meanwhile: str = ""
    hindrance: Hindrance | None = None
    settled: bool = True
    ahead: bool = True
    managed: bool = False
    workers: Workers | None = None
    before: Verdict | None = None
    workers_before: Verdict | None = None


def judge(case: Case) -> dict[Type, Verdict]:
    """All four conditions."""
    ready, workers = _first(case, READY), workers_ready(case)
    if ready is SCHEDULED and in_trouble(workers):
        ready = ready._replace(message=f"{ready.message}; for its workers see the condition WorkersReady ({workers.reason})")
    stalled = (
        Verdict("True", ready.reason, ready.message)
        if ready.status == "False" and ready.reason in ONLY_YOU
        else Verdict("False", Why.NOT_STALLED, "sending does not wait for you")
    )
    return {Type.READY: ready, Type.ACCEPTED: _first(case, ACCEPTED), Type.WORKERS_READY: workers, Type.STALLED: stalled}


def conditions(verdicts: Mapping[Type, Verdict], before: Sequence[Mapping[str, Any]], *, generation: int, now: Ms) -> list[dict[str, Any]]:
    """As the status has them. `before`: those it had; a time changes with its status only, and conditions of others stay."""
    had = {one["type"]: one for one in before}
    ours = [_condition(type_, verdict, had.get(type_), generation, now) for type_, verdict in verdicts.items()]
    return [*ours, *(dict(one) for one in before if one["type"] not in verdicts)][:CONDITIONS]


def said(before: Sequence[Mapping[str, Any]], type_: Type, *, generation: int) -> Verdict | None:
    """What a condition said of this generation; None if nothing."""
    for one in before:
        if one["type"] == type_ and one.get("observedGeneration") == generation:
            return Verdict(one["status"], one["reason"], one["message"])
    return None


def meanwhile(events: Iterable[Event]) -> str:
    """What becomes of what falls due while nobody can send, by the events' missed policies; a sentence."""
    kinds: dict[Missed, list[str]] = {}
    for event in events:
        kinds.setdefault(event.missed, []).append(event.name)
    if len(kinds) == 1:
        return f"of what falls due meanwhile, {_sent(next(iter(kinds)))}"
    return "of what falls due meanwhile: " + "; ".join(f"{_few(names)}: {_sent(missed)}" for missed, names in kinds.items())


def workers_ready(case: Case) -> Verdict:
    """Are there as many workers as there should be, and are they of use?"""
    workers, before = case.workers, case.workers_before
    if workers is not None:
        return _of(workers)
    if case.invalid or case.refusal is not None:
        return Verdict("Unknown", Why.NOT_ACCEPTED, "nothing is done about workers until the spec can be run: see the condition Accepted")
    if not case.managed:
        return Verdict("True", Why.NOT_MANAGED, "the workers are somebody else's: there is no spec.worker")
    if before is not None and before.status != "Unknown":
        return before
    return Verdict("Unknown", Why.SETTLING, "it is being found out how many workers there are, and how many there should be")


def in_trouble(workers_ready: Verdict) -> bool:
    """Of the verdict about workers: something is wrong, besides that they take their time."""
    return workers_ready.status == "False" and workers_ready.reason != Why.STARTING


def _of(workers: Workers) -> Verdict:
    if workers.trouble is not None:
        return Verdict("False", workers.trouble.reason, workers.trouble.text)
    desired, ready = workers.desired, workers.staying
    why = f": {workers.decision.sentence}" if workers.decision is not None else ""
    if not desired:
        return Verdict("True", Why.SCALED_TO_ZERO, f"no worker is called for{why}")
    if ready == desired:
        return Verdict("True", Why.ALL_READY, f"{ready:,} of {desired:,} ready{why}")
    missing = ("another is" if ready else "it is") if desired - ready == 1 else "the others are" if ready else "they are"
    return Verdict("False", Why.STARTING, f"{ready:,} of {desired:,} ready, {missing} being started{why}")


def unaccepted(case: Case) -> Verdict | None:
    """A fault in the spec, or in what it asks of the installation."""
    if case.invalid:
        return Verdict("False", Why.INVALID_SPEC, f"nothing of it runs: {_told(case.faults)}")
    if case.refusal is not None:
        return Verdict("False", case.refusal.reason, case.refusal.text)
    if case.faults:
        return Verdict("False", Why.EVENT_FAULT, f"events with a fault do not run, the others do: {_told(case.faults)}")
    return None


def paused(case: Case) -> Verdict | None:
    """Events that wait for somebody."""
    if not case.paused:
        return None
    be = "is" if len(case.paused) == 1 else "are"
    message = f"{_few(case.paused)} {be} paused after too many dead runs in a row: mend that, then edit or resume; see status.eventStatuses"
    return Verdict("False", Why.EVENT_PAUSED, message)


def suspended(case: Case) -> Verdict | None:
    return Verdict("True", Why.SUSPENDED, "nothing is sent while it is suspended") if case.suspended else None


def trouble(case: Case) -> Verdict | None:
    """The layer cannot be sent to."""
    if case.trouble is None:
        return None
    reason = TROUBLES[case.trouble.sign]
    return Verdict("False", reason, f"{case.trouble.text}; {_UNTIL[reason]}. {_capital(case.meanwhile)}")


def hindered(case: Case) -> Verdict | None:
    """The layer is well, and the channel is not. That nobody listens is no news while workers of ours are being started."""
    hindrance, before = case.hindrance, case.before
    if hindrance is None:
        return None
    if hindrance.why is Why.UNATTENDED and case.workers is not None:
        workers = workers_ready(case)
        if workers.reason == Why.STARTING:
            hindrance = hindrance._replace(lasts=False)
        if in_trouble(workers):
            hindrance = hindrance._replace(text=f"its runs wait, and no worker takes them ({workers.reason}): {workers.message}")
    if hindrance.lasts:
        return Verdict("False", hindrance.why, hindrance.text)
    return before if before is not None and before.reason == hindrance.why else None


def settling(case: Case) -> Verdict | None:
    """What was said stays, if it may; an edit is another matter."""
    if case.settled:
        return None
    before = case.before
    if before is not None and before.reason in _STAYS:
        return before
    return Verdict("Unknown", Why.SETTLING, "it is being read from its layer's Redis where its events stand")


def completed(case: Case) -> Verdict | None:
    return None if case.ahead else Verdict("True", Why.COMPLETED, "nothing is due any more")


Check: TypeAlias = Callable[[Case], Verdict | None]
SCHEDULED: Final = Verdict("True", Why.SCHEDULED, "what is due is sent")
READY: Final[Sequence[Check]] = (unaccepted, paused, suspended, trouble, hindered, settling, completed, lambda _: SCHEDULED)
ACCEPTED: Final[Sequence[Check]] = (unaccepted, lambda _: Verdict("True", Why.ACCEPTED, "the spec can be run"))


def _first(case: Case, checks: Sequence[Check]) -> Verdict:
    return next(verdict for check in checks if (verdict := check(case)) is not None)


def _condition(type_: Type, verdict: Verdict, before: Mapping[str, Any] | None, generation: int, now: Ms) -> dict[str, Any]:
    since = before["lastTransitionTime"] if before is not None and before["status"] == verdict.status else instants.text(now - now % SECOND)
    return {
        "type": str(type_),
        "status": verdict.status,
        "observedGeneration": generation,
        "lastTransitionTime": since,
        "reason": str(verdict.reason),
        "message": cut(verdict.message, MESSAGE),
    }


def cut(text: str, length: int) -> str:
    """At most `length` characters of it."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _told(faults: Sequence[Fault]) -> str:
    more = len(faults) - SHOWN
    return "; ".join(map(str, faults[:SHOWN])) + (f"; and {more} more: see status.eventStatuses" if more > 0 else "")


def _few(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return listed(*names[:SHOWN], f"{more} more") if more > 0 else listed(*names)


def _sent(missed: Missed) -> str:
    if missed.policy == "Skip":
        return "nothing is sent later"
    which = "the latest occurrence of each event" if missed.policy == "Latest" else "every occurrence"
    return f"{which} is sent then, if at most {durations.text(missed.window)} late"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
