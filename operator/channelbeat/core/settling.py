"""Where an event stands, once its fence has been read: what became of steps whose answer was lost, what an edit or a
removal leaves undone, what a store that lost writes is to be given again, and how the fence must be moved for that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from channelbeat.core.batch import TOMBSTONE, Adopt, Fence, Verdict
from channelbeat.core.definition import Definition
from channelbeat.core.instants import Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Kind, Outcome, Reason, code
from channelbeat.core.planning import Enqueue, Pass, left_over, start
from channelbeat.core.steps import REPLAYED, Fate, Step, enqueue, entry, outcome

RESTORED = "restored"
"""The code of a fence that was raised to where it stood before the store lost it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an event before its fence is read.

    `current` is the definition its fence was last moved under, `wanted` the one that is to run; None for an event that
    has gone. `acknowledged` is the fence as last answered, None if never. `unanswered` are steps whose reply was lost,
    `recent` the occurrences enqueued in the last minute, oldest first. `since` is when `wanted` came to be known; `reborn`: the event
    had gone before that, and its tombstone may not have been written.
    """

    key: str
    current: Definition | None
    wanted: Definition | None
    acknowledged: Ms | None
    unanswered: Sequence[Step]
    recent: Sequence[Occurrence]
    since: Ms
    reborn: bool = False


@dataclass(slots=True)
class Settlement:
    """`outcomes` are certain now; `steps` are still to be carried out; then the event goes on at `cursor`."""

    cursor: Ms
    outcomes: list[Outcome] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def settle(standing: Standing, fence: Fence | None, verdict: Verdict, *, founded: Ms, at: Ms) -> Settlement:
    """`founded`: when the store's generation began; `at`: now."""
    settlement = Settlement(cursor=0)
    current, acknowledged = standing.current, standing.acknowledged
    lost = verdict is Verdict.WIPED
    reached = acknowledged
    for step in standing.unanswered:
        if lost or _carried_out(step, fence):
            reached = max(reached or 0, step.item.due)
            told = outcome(step, at=at, fate=_fate_of_unanswered(step, lost))
            settlement.outcomes += [told] if told is not None else []
    if current is not None and reached is not None:
        if lost:
            fence = _raise(settlement, current, reached)
        elif verdict is Verdict.ROLLED_BACK:
            fence = _replay(settlement, current, fence, reached, standing.recent)
    _go_on(settlement, standing, fence, founded)
    return settlement


def _carried_out(step: Step, fence: Fence | None) -> bool:
    return fence is not None and fence.hash == step.item.hash and step.item.due <= fence.due


def _fate_of_unanswered(step: Step, lost: bool) -> Fate | None:
    """None: as planned. A group's message follows its fence, so a fence without an answer leaves it open."""
    if lost and isinstance(step.told, Enqueue):
        return Kind.UNKNOWN, Reason.STORE_WIPED
    return (Kind.UNKNOWN, Reason.REPLY_LOST) if step.grouped else None


def _raise(settlement: Settlement, current: Definition, reached: Ms) -> Fence:
    settlement.steps.append(Step(Adopt(current.key, reached, current.hash, RESTORED), current, None))
    return Fence(reached, current.hash, RESTORED)


def _replay(settlement: Settlement, current: Definition, fence: Fence | None, reached: Ms, recent: Sequence[Occurrence]) -> Fence | None:
    """Give a store that went back in time what it lost: the last minute is sent again, what is older is counted lost."""
    ours = fence is not None and fence.hash == current.hash
    if fence is not None and ours and fence.due >= reached:
        return fence
    again = [o for o in recent if not (fence is not None and ours and o.due <= fence.due)]
    before = again[0].due - 1 if again else reached
    gone: Pass | None = None
    if fence is not None and ours and not current.suspended:
        gone = _up_to(current, fence.due, before, Reason.STORE_ROLLED_BACK)
    fate = (Kind.LOST, Reason.STORE_ROLLED_BACK)
    logged = entry(gone._replace(kind=fate[0])) if gone is not None and gone.count else ""
    settlement.steps.append(Step(Adopt(current.key, before, current.hash, code(*fate), logged), current, gone, fate))
    settlement.steps += [enqueue(current, occurrence, REPLAYED) for occurrence in again]
    if again and again[-1].due < reached:
        settlement.steps.append(Step(Adopt(current.key, reached, current.hash, RESTORED), current, None))
    return Fence(reached, current.hash, RESTORED)


def _go_on(settlement: Settlement, standing: Standing, fence: Fence | None, founded: Ms) -> None:
    """From `fence`, which is where the steps so far leave it, to where the wanted definition starts."""
    current, wanted, since = standing.current, standing.wanted, standing.since
    gone = wanted is None or standing.reborn
    undone = None
    if current is not None and fence is not None and fence.hash == current.hash and (wanted is None or gone or wanted.hash != current.hash):
        undone = _up_to(current, fence.due, since, Reason.REMOVED if gone else Reason.EDITED)
    if wanted is None:
        settlement.cursor = max(since, fence.due) if fence is not None else since
        if fence is None or fence.hash != TOMBSTONE:
            settlement.steps.append(_undone_step(standing, settlement.cursor, TOMBSTONE, "removed", undone))
        return
    if standing.reborn and fence is not None:
        fence = fence._replace(hash=TOMBSTONE)
    begin = start(wanted, fence, since=since, founded=founded)
    settlement.cursor = begin.cursor
    if begin.adopt:
        settlement.steps.append(_undone_step(standing, begin.cursor, wanted.hash, "edited" if undone else "new", undone))


def _up_to(definition: Definition, since: Ms, until: Ms, reason: Reason) -> Pass:
    """What is due in (since, until], told by the last due time of it rather than by `until`."""
    last = definition.timetable.latest(since, until)
    passed = left_over(definition, since, until, reason)
    return passed if last is None else passed._replace(until=last.due)


def _undone_step(standing: Standing, due: Ms, hash_: str, word: str, undone: Pass | None) -> Step:
    if undone is None or undone.count == 0:
        return Step(Adopt(standing.key, due, hash_, word), standing.current, None)
    fate = (undone.kind, undone.reason)
    return Step(Adopt(standing.key, due, hash_, word, entry(undone)), standing.current, undone, fate)
