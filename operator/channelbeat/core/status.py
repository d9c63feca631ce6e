"""The status of a BeatSchedule: the one it had and what is known now -> the one it is to have, and what of that is urgent.

Counts and last times are carried over from the one it had, because a new leader knows nothing of them. What is not known, and what is zero,
is left out. Every text is bounded as the CRD wants it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from channelbeat.core import instants, verdicts
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.reasons import RECURRENT, Type, Why
from channelbeat.core.runs import Stats
from channelbeat.core.tally import Tally
from channelbeat.core.timing import zones
from channelbeat.core.timing.timetable import Timetable
from channelbeat.core.verdicts import Case, cut

CLOSE: Final[Ms] = 10 * MINUTE
"""With smaller gaps than this a status says how often, and not when: it is written too rarely for that."""
FAULT: Final = 1_024
ERROR: Final = 1_024
PAUSED: Final = 1_024
RUN: Final = 512
ANSWER: Final = 128
_OURS: Final = ("observedGeneration", "conditions", "eventCount", "next", "lastScheduleTime", "eventStatuses", "workers")


class Coming(NamedTuple):
    """When an event is due next. `gap`: until the time after that, if it is so close that `often` says more; `last`: there is none after it."""

    due: Ms
    gap: Ms | None = None
    often: str = ""
    last: bool = False


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What is known of one event. `runs`: it is sent when it is due. `coming` None: it is not due again, or nobody knows. `stats` None: not
    tracked, or nobody knows; `version`: of the policy under which it may be paused, empty if it cannot be."""

    name: str
    fault: str = ""
    runs: bool = True
    coming: Coming | None = None
    tally: Tally = field(default_factory=Tally)
    stats: Stats | None = None
    version: str = ""
    pause_after: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a schedule. `case` is without what `make` finds out: `paused`, `ahead` and `before`."""

    key: str
    case: Case
    events: Sequence[EventFacts]
    zone: str = "UTC"


def coming(timetable: Timetable, often: str, due: Ms | None, now: Ms) -> Coming | None:
    """`due` next, as somebody knows it; None: by the timetable. `often`: in the words of the spec."""
    if due is None:
        occurrence = timetable.next(now)
        if occurrence is None:
            return None
        due = occurrence.due
    after = timetable.next(due)
    if after is None:
        return Coming(due, last=True)
    gap = after.due - due
    if gap >= CLOSE or due - now >= CLOSE:
        return Coming(due)
    return Coming(due, gap, often)


def make(had: Mapping[str, Any], facts: Facts, now: Ms) -> dict[str, Any]:
    """The status it is to have; what is not ours in the one it `had` stays."""
    generation = facts.case.generation
    same = had.get("observedGeneration") == generation
    before = {one["name"]: one for one in had.get("eventStatuses", ())}
    events = [_event(before.get(event.name, {}), event, facts.key, same=same) for event in facts.events]
    paused = [event["name"] for event in events if "paused" in event]
    case = _completed(facts, paused, had)
    times = [time for event in events if (time := _moment(event.get("lastScheduleTime"))) is not None]
    status = {name: value for name, value in had.items() if name not in _OURS} | {
        "observedGeneration": generation,
        "conditions": verdicts.conditions(verdicts.judge(case), had.get("conditions", ()), generation=generation, now=now),
        "eventCount": f"{sum(event.runs and event.name not in paused for event in facts.events)}/{len(facts.events)}",
        "next": _next([event.coming for event in facts.events if event.coming and event.runs and event.name not in paused], facts.zone),
        "lastScheduleTime": instants.text(max(times)) if times else "",
        "eventStatuses": events,
        "workers": _workers(had, case),
    }
    return {name: value for name, value in status.items() if value or name == "observedGeneration"}


def urgent(had: Mapping[str, Any], has: Mapping[str, Any]) -> bool:
    """Does something differ that people wait for? A condition, the generation, a pause, an answer, the number of workers. Not that workers with
    a trouble that comes and goes are starting, or that more of those that crash are ready: one that crashes again and again does so, and is so, now
    and then."""
    turned = [
        {**one, "reason": Why.STARTING} if one["type"] == Type.WORKERS_READY and one["reason"] in RECURRENT and _starts(has) else one
        for one in had.get("conditions", ())
    ]
    known = {**had, "conditions": turned}
    was, is_ = (status.get("workers") or {} for status in (had, has))
    if _crash(had) and _crash(has) and was.get("ready", 0) < is_.get("ready", 0):
        known["workers"] = {**was, "ready": is_["ready"]}
    return _pressing(known) != _pressing(has)


def patch(had: Mapping[str, Any], has: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch from one to the other: what has gone is null, lists are replaced whole. Empty when they are the same."""
    changes: dict[str, Any] = {name: None for name in had if name not in has}
    for name, value in has.items():
        old = had.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := patch(old, value):
                changes[name] = inner
        elif name not in had or old != value:
            changes[name] = value
    return changes


def _completed(facts: Facts, paused: Sequence[str], had: Mapping[str, Any]) -> Case:
    case = facts.case
    before, workers = (verdicts.said(had.get("conditions", ()), type_, generation=case.generation) for type_ in (Type.READY, Type.WORKERS_READY))
    return replace(case, paused=paused, ahead=any(event.coming for event in facts.events), before=before, workers_before=workers)


def _workers(had: Mapping[str, Any], case: Case) -> Mapping[str, Any]:
    """What was said stays while it is not known how many there should be. Empty where they are somebody else's."""
    workers = case.workers
    if workers is not None and workers.decision is not None:
        ready, desired = workers.staying, workers.desired
        return {"summary": f"{ready}/{desired}", "reason": str(workers.decision.reason), "ready": ready, "desired": desired}
    nobody_s = not workers.deployment if workers is not None else not (case.managed or case.invalid)
    return {} if nobody_s else had.get("workers", {})


def _event(had: Mapping[str, Any], event: EventFacts, key: str, *, same: bool) -> dict[str, Any]:
    tally, stats = event.tally, event.stats
    success = max(_moment(had.get("lastSuccessfulTime")) or 0, tally.success, (stats.last_success or 0) if stats is not None else 0)
    failed = tally.failure.at if tally.failure is not None else _moment((had.get("lastFailure") or {}).get("time")) or 0
    failures = tally.dead + (0 if tally.success else had.get("failures", 0))
    often = event.coming is not None and event.coming.gap is not None
    paused = _paused(had, event, key, same=same)
    status = {
        "name": event.name,
        "nextScheduleTime": instants.text(event.coming.due) if event.coming is not None and event.runs and not often and not paused else "",
        "lastScheduleTime": _text(max(_moment(had.get("lastScheduleTime")) or 0, tally.last)),
        "lastSuccessfulTime": _text(success),
        "lastFailure": _failure(tally) or had.get("lastFailure"),
        "failures": 0 if success > failed else failures,
        "notSent": had.get("notSent", 0) + tally.not_sent,
        "paused": paused,
        "fault": cut(event.fault, FAULT),
        "lastHandledTrigger": cut(tally.answered, ANSWER) or had.get("lastHandledTrigger"),
    }
    return {name: value for name, value in status.items() if value}


def _failure(tally: Tally) -> dict[str, str] | None:
    run = tally.failure
    return None if run is None else {"run": cut(run.run, RUN), "time": instants.text(run.at), "message": cut(run.error, ERROR)}


def _paused(had: Mapping[str, Any], event: EventFacts, key: str, *, same: bool) -> str:
    """Redis knows it; while it cannot be asked, what was said stays, until an edit."""
    if not event.version:
        return ""
    stats = event.stats
    if stats is None and not event.tally.paused:
        return str(had.get("paused", "")) if same else ""
    since = (stats.paused if stats.version == event.version else None) if stats is not None else event.tally.paused
    if since is None:
        return ""
    namespace, _, name = key.partition("/")
    resume = f'kubectl annotate -n {namespace} beat {name} --overwrite resume.channelbeat.dev/{event.name}="$(date -u +%Y-%m-%dT%H:%M:%SZ)"'
    text = f"since {instants.text(since - since % SECOND)}, after {event.pause_after} dead runs in a row: mend it, then edit the event, or resume it: {resume}"
    return cut(text, PAUSED)


def _next(comings: Sequence[Coming], zone: str) -> str:
    """How often, if one is due often: the one that is so most of all; else when the first is due, with the zone's offset."""
    often = [(one.gap, one.often) for one in comings if one.gap is not None]
    if often:
        return min(often)[1]
    if not comings:
        return ""
    due = min(one.due for one in comings)
    try:
        offset = zones.offset(zones.zone(zone), due) // MINUTE
        shown = instants.text(due + offset * MINUTE)
    except OverflowError:  # so near the end of the calendar that the zone's clocks have no time for it
        return instants.text(due)
    hours, minutes = divmod(abs(offset), 60)
    return f"{shown[:-1]}{'+' if offset > 0 else '-'}{hours:02}:{minutes:02}" if offset else shown


def _pressing(status: Mapping[str, Any]) -> tuple[Any, ...]:
    conditions = [(one["type"], one["status"], one["reason"], one.get("observedGeneration")) for one in status.get("conditions", ())]
    events = {one["name"]: (one.get("paused"), one.get("lastHandledTrigger")) for one in status.get("eventStatuses", ())}
    workers = status.get("workers") or {}
    return (
        status.get("observedGeneration"),
        conditions,
        (workers.get("ready"), workers.get("desired")),
        {name: what for name, what in events.items() if any(what)},
    )


def _starts(status: Mapping[str, Any]) -> bool:
    return _workers_ready(status) == Why.STARTING


def _crash(status: Mapping[str, Any]) -> bool:
    return _workers_ready(status) in (Why.CRASH_LOOP, Why.OOM_KILLED, Why.STOCK_WORKER)


def _workers_ready(status: Mapping[str, Any]) -> str:
    """The condition's reason."""
    return next((one["reason"] for one in status.get("conditions", ()) if one["type"] == Type.WORKERS_READY), "")


def _moment(text: str | None) -> Ms | None:
    """None for nothing, and for what is no moment: somebody else may have written it."""
    try:
        return instants.parse(text) if text else None
    except ValueError:
        return None


def _text(at: Ms) -> str:
    return instants.text(at) if at else ""
