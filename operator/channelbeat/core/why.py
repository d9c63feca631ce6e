"""What became of a due time, and what can still be said beyond it, from the event's fence and the log of its decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from channelbeat.core import envelope, instants
from channelbeat.core.batch import Fence
from channelbeat.core.definition import Definition
from channelbeat.core.hindrances import held
from channelbeat.core.instants import DAY, Ms
from channelbeat.core.outcomes import Reason

SHOWN: Final = 10
_OF_CODE: Final = {
    "enqueued": "it was enqueued",
    "enqueued/Replayed": "it was enqueued, and once more after Redis had lost its newest writes",
    "missed/PolicySkip": "nobody could send it in time, and missed.policy is Skip",
    "missed/Superseded": "nobody could send it in time; missed.policy is Latest, so a younger one was sent instead",
    "missed/OutsideWindow": "nobody could send it in time, and it was older than missed.window when somebody could",
    "missed/TooMany": "nobody could send it in time, and missed.policy All sends at most 1,000",
    "missed/Edited": "it had not been sent when the event was edited, and an edit makes up for nothing before it",
    "missed/Removed": "it had not been sent when the event was removed",
    "suspended": "the event was suspended then",
    "suspended/Paused": "the event was paused then, after too many dead runs in a row",
    "skipped/PreviousRunActive": "an earlier run was not finished, and overlap is Skip, or is BufferOne and another run waited already",
    "failed/NotSerializable": "the layer's serializer refuses its message",
    "failed/GroupSendFailed": "its group_send failed; it is not sent again",
    "unknown/ReplyLost": "Redis's reply was lost between its fence and its group_send, so it may not have been sent; it is not sent again",
    "unknown/StoreWiped": "it may or may not have been enqueued before Redis was wiped; it is not sent again",
    "lost/StoreRolledBack": "it had been enqueued when Redis lost its newest writes, longer ago than a minute, so it was not sent again",
    "triggered": "it was triggered, and enqueued",
}
_POSITIONS: Final = {"new", "edited", "removed", "restored"}
"""Codes of a fence that stands at a moment, not at a due time."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Sentences for people, facts for programs."""

    sentences: tuple[str, ...]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decided:
    """One entry of the decision log: the due times in (since, due], or `due` alone, decided at `at`."""

    due: Ms
    since: Ms | None
    code: str
    at: Ms

    def covers(self, due: Ms) -> bool:
        return self.code != "triggered" and (due == self.due if self.since is None else self.since < due <= self.due)


def decided(entry: str) -> Decided:
    """An entry as the log keeps it: "due since code at"."""
    due, since, code, at = entry.split(" ")
    return Decided(int(due), None if since == "-" else int(since), code, int(at))


def explain(
    definition: Definition, fence: Fence | None, log: Sequence[Decided], due: Ms | None, *, now: Ms, waiting: Reason | None, backlog: int | None
) -> Explanation:
    """`due` None: the event's latest decisions. `waiting`: why its channel takes nothing now; `backlog` of its channel."""
    facts: dict[str, Any] = {
        "schedule": definition.schedule,
        "event": definition.event.name,
        "decidedUntil": instants.text(fence.due) if fence is not None else None,
        "backlog": backlog,
    }
    if due is None:
        sentences = _latest(definition, fence, log, now, facts)
    else:
        facts["due"] = instants.text(due)
        sentences = _of(definition, fence, log, due, now, facts)
    if waiting is not None and fence is not None and definition.timetable.latest(fence.due, now) is not None:
        sentences.append(f"It is held back now: {held(definition.channel, waiting, tracked=definition.policy is not None)}.")
        facts["held"] = str(waiting)
    return Explanation(tuple(sentences), facts)


def _of(definition: Definition, fence: Fence | None, log: Sequence[Decided], due: Ms, now: Ms, facts: dict[str, Any]) -> list[str]:
    when = instants.text(due)
    entry = next((e for e in reversed(log) if e.covers(due)), None)
    if entry is not None:
        return _decision(definition, entry.code, when, facts, at=entry.at) + _beyond(definition, entry.code, facts)
    is_due = definition.timetable.count(due - 1, due)[0] == 1
    if not is_due:
        return [f"{when} is no due time of this event as it is now.", *_neighbours(definition, due)]
    if due > now:
        return [f"{when} has not come yet.", *_neighbours(definition, now)]
    if fence is None or fence.due < due:
        facts["outcome"] = "undecided"
        return [f"{when} has not been decided yet: the event's last decision is at {instants.text(fence.due) if fence else 'no time at all'}."]
    if fence.due == due and fence.code not in _POSITIONS:
        return _decision(definition, fence.code, when, facts) + _beyond(definition, fence.code, facts)
    facts["outcome"] = "forgotten"
    kept = "the log keeps an event's last 100 decisions" if definition.logged else "the log keeps decisions of events rarer than every 10 s only"
    earliest = f", here back to {instants.text(log[0].due)}" if log else ""
    return [f"{when} has been decided or was before the event's time, but how is not known any more: {kept}{earliest}."]


def _decision(definition: Definition, code: str, when: str, facts: dict[str, Any], at: Ms | None = None) -> list[str]:
    facts["outcome"] = code.partition("/")[0]
    facts["reason"] = code.partition("/")[2]
    if at is not None:
        facts["at"] = instants.text(at)
    decided_at = f" (decided at {instants.text(at)} by Redis's clock)" if at is not None else ""
    return [f"{when}: {_OF_CODE.get(code, code)}{decided_at}."]


def _beyond(definition: Definition, code: str, facts: dict[str, Any]) -> list[str]:
    """What the queue itself says of a run that was enqueued."""
    if not code.startswith("enqueued"):
        return []
    facts["run"] = envelope.run_id(definition.key, instants.parse(facts["due"])) if "due" in facts else None
    if definition.group is not None:
        return [f"It went to the consumers that were in group {definition.group} at that moment; a group keeps no queue."]
    backlog = facts["backlog"]
    if definition.policy is not None:
        waiting = "not known" if backlog is None else backlog
        return [
            f"What a worker made of it is told by `channelbeat run show {facts['run']}`. "
            f"Runs that wait in channelbeat's queue of channel {definition.channel} now: {waiting}."
        ]
    waits = f"{'an unknown number of' if backlog is None else backlog} messages wait in channel {definition.channel} now"
    return [f"What a worker made of it is not known under BestEffort: look for run {facts['run']} in the worker's log; {waits}."]


def _latest(definition: Definition, fence: Fence | None, log: Sequence[Decided], now: Ms, facts: dict[str, Any]) -> list[str]:
    shown = list(log[-SHOWN:])
    facts["decisions"] = [
        {"due": instants.text(e.due), "since": None if e.since is None else instants.text(e.since), "code": e.code, "at": instants.text(e.at)} for e in shown
    ]
    lines = [f"{instants.text(e.due)}: {_OF_CODE.get(e.code, e.code)} (at {instants.text(e.at)})." for e in shown]
    if not lines and fence is not None:
        last = f"{instants.text(fence.due)}: {_OF_CODE[fence.code]}." if fence.code in _OF_CODE else f"Nothing has been due since {instants.text(fence.due)}."
        lines = [last] + ([] if definition.logged else ["Earlier ones are not kept: the event is due more often than every 10 s."])
    return (lines or ["Nothing has been decided yet."]) + _neighbours(definition, now)


def _neighbours(definition: Definition, at: Ms) -> list[str]:
    before, after = definition.timetable.latest(at - 366 * DAY, at - 1), definition.timetable.next(at)
    named = [f"the one before is {instants.text(before.due)}"] if before is not None else []
    named += [f"the next is {instants.text(after.due)}"] if after is not None else ["there will be no more"]
    suspended = " It is suspended." if definition.suspended else ""
    return [f"Of its due times {' and '.join(named)}.{suspended}"]
