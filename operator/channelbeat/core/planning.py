"""What is to be done about an event now: which due times to enqueue, which to pass over, and when to look again.

Planned anew from the fence each time, so a due time that was held back needs no memory: the missed policy is asked
again, with the time it then is.
"""

from typing import Final, NamedTuple, TypeAlias

from channelbeat.core.batch import TOMBSTONE, Fence
from channelbeat.core.definition import Definition
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Kind, Reason

GRACE: Final[Ms] = 10 * SECOND
"""Up to this late is late, and sent; beyond it the missed policy decides."""
ALL_AT_MOST: Final = 1_000


class Enqueue(NamedTuple):
    occurrence: Occurrence


class Pass(NamedTuple):
    """The `count` due times in (since, until] are not sent; `until` is the last of them."""

    since: Ms
    until: Ms
    kind: Kind
    reason: Reason
    count: int  # type: ignore[assignment]  # hides tuple.count
    at_least: bool


Decision: TypeAlias = Enqueue | Pass


class Plan(NamedTuple):
    """`upcoming` is the first occurrence that is not decided here; None when there will be no more."""

    decisions: list[Decision]
    upcoming: Occurrence | None


def plan(definition: Definition, cursor: Ms, now: Ms, upcoming: Occurrence | None = None) -> Plan:
    """Decide every occurrence due after `cursor` that has fired by `now`. `upcoming`, if known, is the first after `cursor`."""
    timetable = definition.timetable
    occurrence = upcoming or timetable.next(cursor)
    if occurrence is None or occurrence.fires > now:
        return Plan([], occurrence)
    decisions: list[Decision] = []
    if definition.suspended:
        last = timetable.latest(cursor, now) or occurrence
        return Plan([left_over(definition, cursor, last.due, Reason.NONE)], timetable.next(last.due))
    if occurrence.fires < now - GRACE:
        last = timetable.latest(cursor, now - GRACE - 1) or occurrence
        decisions += _missed(definition, cursor, last, now)
        occurrence = timetable.next(last.due)
    while occurrence is not None and occurrence.fires <= now:
        decisions.append(Enqueue(occurrence))
        occurrence = timetable.next(occurrence.due)
    return Plan(decisions, occurrence)


def _missed(definition: Definition, cursor: Ms, last: Occurrence, now: Ms) -> list[Decision]:
    """The missed policy, for the occurrences after `cursor` up to `last`, all of them over GRACE late."""
    timetable, missed = definition.timetable, definition.event.missed
    if missed.policy == "Skip":
        return [left_over(definition, cursor, last.due, Reason.POLICY_SKIP)]
    start = now - missed.window
    if last.fires < start:
        return [left_over(definition, cursor, last.due, Reason.OUTSIDE_WINDOW)]
    if missed.policy == "Latest":
        kept, reason = [last], Reason.SUPERSEDED
    else:
        after = max(cursor, start - (definition.event.jitter or 0) - 1)
        kept = [o for o in timetable.youngest(after, last.fires, ALL_AT_MOST) if o.fires >= start]
        reason = Reason.TOO_MANY if len(kept) == ALL_AT_MOST else Reason.OUTSIDE_WINDOW
    older = timetable.latest(cursor, kept[0].due - 1)  # an occurrence fires before the next is due
    before: list[Decision] = [left_over(definition, cursor, older.due, reason)] if older is not None else []
    return before + [Enqueue(o) for o in kept]


def left_over(definition: Definition, since: Ms, until: Ms, reason: Reason) -> Pass:
    """What is due in (since, until] and will not be sent; a suspended event's were suspended, whatever the reason."""
    count, at_least = definition.timetable.count(since, until)
    if definition.suspended:
        return Pass(since, until, Kind.SUSPENDED, Reason.NONE, count, at_least)
    return Pass(since, until, Kind.MISSED, reason, count, at_least)


class Start(NamedTuple):
    """Where an event goes on, and whether the fence must be made (or given its hash) there first."""

    cursor: Ms
    adopt: bool


def start(definition: Definition, fence: Fence | None, *, since: Ms, founded: Ms) -> Start:
    """Where to go on from what the store has. `since`: when we came to know this definition; `founded`: when the store began.

    A fence of the same timing goes on where it stands. Otherwise nothing before is made up for: it starts at `since`, or
    at its creation when that was after the store (and any earlier life) began, so that what was applied while nobody
    led is still sent.
    """
    created, due = definition.created, fence.due if fence is not None else 0
    if fence is not None and fence.hash == definition.hash:
        return Start(max(due, created or 0), adopt=False)
    first_life = fence is None or fence.hash == TOMBSTONE
    if first_life and created is not None and max(founded, due) < created <= since:
        return Start(created, adopt=True)
    return Start(max(since, due), adopt=True)
