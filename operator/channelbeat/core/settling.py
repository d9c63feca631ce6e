"""Where an event stands, once its fence has been read: what became of steps whose answer was lost, what an edit or a
removal leaves undone, what a store that lost writes is to be given again, and how the fence must be moved for that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from channelbeat.core.batch import TOMBSTONE, Adopt, Fence, Send, Verdict
from channelbeat.core.definition import Definition
from channelbeat.core.instants import Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Kind, Outcome, Reason, code
from channelbeat.core.planning import Enqueue, Pass, Start, left_over, start
from channelbeat.core.steps import DECLINED, ENQUEUED, REPLAYED, Fate, Step, enqueue, entry, outcome

_DECLINED: Final = {code(*fate): fate for fate in DECLINED.values()}
RESTORED = "restored"
"""The code of a fence that was raised to where it stood before the store lost it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an event before its fence is read.

    `current` is the definition its fence was last moved under, `wanted` the one that is to run; None for an event that
    has gone. `acknowledged` is the fence as last answered, None if never. `unanswered` are steps whose reply was lost,
    `recent` the occurrences enqueued in the last minute, oldest first. `since` is when `wanted` came to be known; `broken`: the event
    had gone before that (REMOVED) or was another one (EDITED), and no fence may say so. `begun` is where `current` started, as far as we saw it.
    """

    key: str
    current: Definition | None
    wanted: Definition | None
    acknowledged: Ms | None
    unanswered: Sequence[Step]
    recent: Sequence[Occurrence]
    since: Ms
    broken: Reason = Reason.NONE
    begun: Ms | None = None


@dataclass(slots=True)
class Settlement:
    """`outcomes` are certain now, and so are the occurrences `enqueued` without an answer; `steps` are still to be carried
    out; then the event goes on at `cursor`."""

    cursor: Ms
    outcomes: list[Outcome] = field(default_factory=list)
    enqueued: list[Occurrence] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def settle(standing: Standing, fence: Fence | None, verdict: Verdict, *, founded: Ms, at: Ms, others: Ms | None = None) -> Settlement:
    """`founded`: when the store's generation began; `at`: now; `others`: until when another leader may have sent, None if there was none."""
    settlement = Settlement(cursor=0)
    current = standing.current
    lost = verdict is Verdict.WIPED
    reached = standing.acknowledged
    for step in standing.unanswered:
        if lost or _carried_out(step, fence):
            reached = max(reached or 0, step.item.due)
            fate = _fate_of_unanswered(step, None if lost else fence)
            told = outcome(step, at=at, fate=fate)
            settlement.outcomes += [told] if told is not None else []
            if isinstance(step.item, Send) and isinstance(step.told, Enqueue) and (fate or step.fate) == ENQUEUED:
                settlement.enqueued.append(step.told.occurrence)
    if lost or (verdict is Verdict.NEW and others is not None):
        fence = _raise(settlement, standing, fence, reached, others)
    elif verdict is Verdict.ROLLED_BACK and current is not None and reached is not None:
        fence = _replay(settlement, standing, current, fence, reached)
    _go_on(settlement, standing, fence, founded)
    return settlement


def _carried_out(step: Step, fence: Fence | None) -> bool:
    return fence is not None and fence.hash == step.item.hash and step.item.due <= fence.due


def _fate_of_unanswered(step: Step, fence: Fence | None) -> Fate | None:
    """None: as planned. A group's message follows its fence, so a fence without an answer leaves it open; what the layer
    may have declined is open once the fence has moved on. `fence` None: the store that could have said is gone."""
    if not isinstance(step.told, Enqueue):
        return None
    if fence is None:
        return Kind.UNKNOWN, Reason.STORE_WIPED
    if step.grouped:
        return Kind.UNKNOWN, Reason.REPLY_LOST
    if step.definition is None or not step.definition.may_be_declined:
        return None
    return _DECLINED.get(fence.code) if fence.due == step.item.due else (Kind.UNKNOWN, Reason.REPLY_LOST)


def _raise(settlement: Settlement, standing: Standing, fence: Fence | None, reached: Ms | None, others: Ms | None) -> Fence | None:
    """Past all that may have been sent; a leader who came before us may have done so already."""
    current, wanted = standing.current, standing.wanted
    over = current is None or wanted is None or standing.broken or wanted.hash != current.hash
    definition, left = (wanted, standing.since) if others is not None and over else (current, reached)
    if definition is None or left is None:
        return fence
    until = max(left, others or 0)
    if fence is not None and fence.due >= until:
        return fence
    hash_, left = (definition.hash, left) if fence is None else (fence.hash, max(left, fence.due))
    passed = None if definition.suspended else _up_to(definition, left, until, Reason.STORE_WIPED)._replace(kind=Kind.UNKNOWN)
    settlement.steps.append(_step(standing.key, until, hash_, RESTORED, definition, passed))
    return Fence(until, hash_, RESTORED)


def _replay(settlement: Settlement, standing: Standing, current: Definition, fence: Fence | None, reached: Ms) -> Fence | None:
    """Give a store that went back in time what it lost: the last minute is sent again, what is older is counted lost."""
    ours = fence is not None and fence.hash == current.hash
    if fence is not None and ours and fence.due >= reached:
        return fence
    again = [o for o in standing.recent if not (fence is not None and ours and o.due <= fence.due)]
    before = again[0].due - 1 if again else reached
    gone: Pass | None = None
    left = fence.due if fence is not None and ours else standing.begun
    if left is not None and not current.suspended:
        gone = _up_to(current, left, before, Reason.STORE_ROLLED_BACK)
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
    if wanted is None:
        begin = Start(since if fence is None else max(since, fence.due), adopt=fence is None or fence.hash != TOMBSTONE)
    else:
        seen = fence._replace(hash=TOMBSTONE) if fence is not None and standing.broken else fence
        wanted = replace(wanted, created=None) if standing.broken is Reason.EDITED else wanted
        begin = start(wanted, seen, since=since, founded=founded)
    settlement.cursor = begin.cursor
    if not begin.adopt:
        return
    undone = None
    if current is not None and fence is not None and fence.hash == current.hash:
        undone = _up_to(current, fence.due, begin.cursor, Reason.REMOVED if wanted is None else standing.broken or Reason.EDITED)
    hash_, word = (TOMBSTONE, "removed") if wanted is None else (wanted.hash, "edited" if undone else "new")
    settlement.steps.append(_step(standing.key, begin.cursor, hash_, word, current, undone))


def _up_to(definition: Definition, since: Ms, until: Ms, reason: Reason) -> Pass:
    """What is due in (since, until], told by the last due time of it rather than by `until`."""
    last = definition.timetable.last_due(since, until)
    passed = left_over(definition, since, until, reason)
    return passed if last is None else passed._replace(until=last)


def _step(key: str, due: Ms, hash_: str, word: str, definition: Definition | None, passed: Pass | None) -> Step:
    """Move the fence; what that passes over, of `definition`, is told."""
    if passed is None or passed.count == 0:
        return Step(Adopt(key, due, hash_, word), definition, None)
    return Step(Adopt(key, due, hash_, word, entry(passed)), definition, passed, (passed.kind, passed.reason))
