"""A decision on its way: the item that carries it out, and the outcome that is told once it is known to be carried out."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from channelbeat.core import envelope
from channelbeat.core.batch import Adopt, Answer, Send, Skip
from channelbeat.core.definition import Definition
from channelbeat.core.instants import Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Kind, Outcome, Reason, code
from channelbeat.core.planning import Decision, Enqueue, Pass

Fate: TypeAlias = tuple[Kind, Reason]
ENQUEUED: Fate = (Kind.ENQUEUED, Reason.NONE)
REPLAYED: Fate = (Kind.ENQUEUED, Reason.REPLAYED)
DECLINED: Final[Mapping[Answer, Fate]] = {
    Answer.OVERLAP: (Kind.SKIPPED, Reason.PREVIOUS_RUN_ACTIVE),
    Answer.PAUSED: (Kind.SUSPENDED, Reason.PAUSED),
}
"""A send that was carried out, in that its due time is decided, and made no run."""


class Step(NamedTuple):
    """`told` is what there is to say of it, None for a step that only moves a fence; then it may have no definition.
    `grouped` steps have a group_send to follow."""

    item: Skip | Send | Adopt
    definition: Definition | None
    told: Decision | None
    fate: Fate = ENQUEUED
    grouped: bool = False


def steps(definition: Definition, decisions: Sequence[Decision]) -> list[Step]:
    """The decisions of one event in order, as steps."""
    return [enqueue(definition, d.occurrence) if isinstance(d, Enqueue) else skip(definition, d) for d in decisions]


def enqueue(definition: Definition, occurrence: Occurrence, fate: Fate = ENQUEUED) -> Step:
    due, logged = occurrence.due, definition.logged
    if definition.target is None:  # the fence of a group comes first, its message afterwards
        return Step(Skip(definition.key, due, definition.hash, code(*fate), None, logged), definition, Enqueue(occurrence), fate, grouped=True)
    run = envelope.run_id(definition.key, due)
    send = Send(definition.key, due, definition.hash, code(*fate), logged, definition.target, definition.message(run, due), definition.tracked(run))
    return Step(send, definition, Enqueue(occurrence), fate)


def skip(definition: Definition, passed: Pass) -> Step:
    fate = (passed.kind, passed.reason)
    since = passed.since if passed.count > 1 else None
    return Step(Skip(definition.key, passed.until, definition.hash, code(*fate), since, definition.logged), definition, passed, fate)


def entry(passed: Pass) -> str:
    """As the decision log keeps it."""
    return f"{passed.until} {passed.since} {code(passed.kind, passed.reason)}"


def outcome(step: Step, *, at: Ms, fate: Fate | None = None, note: str = "") -> Outcome | None:
    """What is told of a step that was carried out at `at`; another fate than the step's own where it took another turn."""
    kind, reason = fate or step.fate
    definition, told = step.definition, step.told
    if told is None or definition is None:
        return None
    if isinstance(told, Pass):
        if told.count == 0:
            return None
        return Outcome(definition.schedule, definition.event.name, told.until, kind, at, reason, count=told.count, at_least=told.at_least, note=note)
    due, fires = told.occurrence
    lateness = at - fires if kind is Kind.ENQUEUED else None
    return Outcome(definition.schedule, definition.event.name, due, kind, at, reason, lateness, envelope.run_id(definition.key, due), note=note)
