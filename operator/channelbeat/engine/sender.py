"""Sends what has fired: gathers the events whose turn it is, decides by their plans, and applies what the layer answers."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from channelbeat.core.batch import Adopt, Answer, Answers, Send, Skip
from channelbeat.core.definition import Definition
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Kind, Outcome, Reason, code
from channelbeat.core.planning import Enqueue, Plan, plan
from channelbeat.core.steps import DECLINED, ENQUEUED, Fate, Step, outcome, steps
from channelbeat.engine.agenda import Entry
from channelbeat.engine.ports import Broker, Clock, Journal
from channelbeat.engine.roster import Roster
from channelbeat.engine.submission import BATCH, Submission, Work
from channelbeat.errors import LayerError, Unreachable, WritesRefused

GROUPS_AT_ONCE: Final = 16
ROUND: Final = 10 * BATCH
"""About how many items a round sends, so that changes are taken in and unsettled events settled in between."""
AT_ONCE: Final = 100
"""Occurrences of one event in a batch, so that a long backlog of some lets others in between. Of one that may be declined
a single one: should the answer be lost, the fence's own code says what became of it."""
_BLOCKS: Final = {Answer.FULL: Reason.CHANNEL_FULL, Answer.WRONG_TYPE: Reason.WRONG_TYPE}


@dataclass(slots=True)
class _Sending(Work):
    upcoming: Occurrence | None  # the first that is not decided here
    note: str = ""


class Sender:
    def __init__(self, broker: Broker, roster: Roster, submission: Submission, journal: Journal, clock: Clock) -> None:
        self._broker, self._roster, self._submission, self._journal, self._clock = broker, roster, submission, journal, clock
        self._grouped = defaultdict[str, list[Step]](list)  # by event: its own are sent in order
        self._refused: list[_Sending] = []  # their messages cannot be serialized: to be passed over next
        self._group_slots = asyncio.Semaphore(GROUPS_AT_ONCE)
        self._now: Ms = 0  # when this round began
        self._under_way = set[Entry]()

    async def send_due(self, now: Ms) -> None:
        """One round: what has fired by `now`, up to a few batches of it."""
        self._now = now
        self._under_way.clear()
        try:
            await self._submission.submit(self._gather(now), self._answered, self._failed)
            refused, self._refused = self._refused, []
            await self._submission.submit(refused, self._answered, self._failed)
        finally:
            grouped, self._grouped = self._grouped, defaultdict(list)
            await asyncio.gather(*(self._send_to_groups(each) for each in grouped.values()))

    def _gather(self, now: Ms) -> Iterator[_Sending]:
        """One that is under way is passed over: its answer finds it its next place."""
        size = 0
        for entry, until, again in self._turns(now):
            work = self._work(entry, now, until, again=again) if entry.settled and entry not in self._under_way else None
            if work is not None:
                self._under_way.add(entry)
                yield work
                size += len(work.steps)
                if size >= ROUND:
                    break

    def _turns(self, now: Ms) -> Iterator[tuple[Entry, Ms | None, bool]]:
        """Whose turn it is, with the last due time it may send now, and whether it has waited for its channel."""
        for entry, until in self._roster.waiting.take(now):
            yield entry, until, True
        for entry in self._roster.agenda.due(now):
            yield entry, None, False

    def _work(self, entry: Entry, now: Ms, until: Ms | None, *, again: bool) -> _Sending | None:
        """What is to be done about one event; None when nothing has to be asked of the layer."""
        definition = entry.current
        if definition is None or entry.cursor is None:
            return None
        try:
            if not again and not definition.suspended and (reason := self._roster.waiting.reason(definition.target)) is not None:
                self._join(entry, definition, reason, now)
                return None
            planned = _portion(plan(definition, entry.cursor, now, entry.upcoming), until, 1 if definition.may_be_declined else AT_ONCE)
            if again and not any(isinstance(decision, Enqueue) for decision in planned.decisions):
                self._roster.waiting.spare(definition.target)
            if planned.decisions:
                return _Sending(entry, steps(definition, planned.decisions), planned.upcoming)
        except Exception as fault:  # noqa: BLE001 - see set_aside
            self._roster.set_aside(entry, fault)
            return None
        self._next(entry, planned.upcoming)
        return None

    def _join(self, entry: Entry, definition: Definition, reason: Reason, now: Ms) -> None:
        """Its channel is known to take nothing: it is not asked. What came due since the last look waits with the others."""
        cursor = entry.cursor or 0
        oldest = entry.upcoming or definition.timetable.next(cursor)
        if oldest is None or oldest.fires > now or definition.target is None:
            self._next(entry, oldest)
            return
        self._roster.waiting.add(entry, definition.target, oldest.due, reason, now)
        decisions, upcoming = plan(definition, max(cursor, entry.told), now)
        self._tell_held(entry, steps(definition, decisions), reason)
        self._next(entry, upcoming)

    def _next(self, entry: Entry, upcoming: Occurrence | None) -> None:
        if upcoming is not None:  # what is late queues up behind what is due
            self._roster.agenda.put(entry, max(upcoming.fires, self._now))

    def _answered(self, batch: Sequence[_Sending], answers: Answers) -> None:
        at, place = self._clock.now(), 0
        outcomes: list[Outcome] = []
        for work in batch:
            self._answered_one(work, answers, place, at, outcomes)
            place += len(work.steps)
        self._roster.waiting.answered(answers.room)
        self._journal.record(outcomes)

    def _answered_one(self, work: _Sending, answers: Answers, place: int, at: Ms, outcomes: list[Outcome]) -> None:
        entry = work.entry
        self._under_way.discard(entry)
        for position, step in enumerate(work.steps):
            answer = answers.answers[place + position]
            if answer is not Answer.DONE and answer not in DECLINED:
                entry.upcoming = None
                self._not_done(work, position, answer, answers.extra.get(place + position, ""))
                break
            entry.cursor = step.item.due
            if step.grouped:
                self._grouped[entry.key].append(step)
                continue
            fate = step.fate if answer is Answer.DONE else DECLINED[answer]
            if fate == ENQUEUED and isinstance(step.item, Send) and isinstance(step.told, Enqueue):
                self._roster.enqueued(entry.key, step.told.occurrence, at)
            told = outcome(step, at=at, fate=fate, note=work.note)
            if told is not None:
                outcomes.append(told)
        else:
            entry.upcoming = work.upcoming
            self._next(entry, work.upcoming)

    def _not_done(self, work: _Sending, position: int, answer: Answer, extra: str) -> None:
        """What follows for the step at `position` and those after it, which were not carried out either."""
        entry, rest = work.entry, work.steps[position:]
        if answer in _BLOCKS:
            self._hold(entry, rest, _BLOCKS[answer], self._clock.now())
            self._next(entry, work.upcoming)
        elif answer is Answer.EARLY:
            self._tell_held(entry, rest, Reason.CLOCK_AHEAD)
            self._roster.agenda.put(entry, self._clock.now() + SECOND)
        elif answer is Answer.UNSERIALIZABLE:
            self._refused.append(_passed_over(entry, rest[0], extra))
        else:
            self._roster.unsettle(entry)

    def _failed(self, work: _Sending, error: LayerError) -> None:
        entry = work.entry
        self._under_way.discard(entry)
        if isinstance(error, WritesRefused):
            entry.upcoming = None
            self._tell_held(entry, work.steps, Reason.WRITES_REFUSED)
            self._roster.agenda.put(entry, self._clock.now() + SECOND)
            return
        self._roster.unsettle(entry)
        if isinstance(error, Unreachable):
            entry.unanswered = tuple(work.steps)

    def _hold(self, entry: Entry, held: list[Step], reason: Reason, now: Ms) -> None:
        if held and entry.current is not None and entry.current.target is not None:
            self._roster.waiting.add(entry, entry.current.target, held[0].item.due, reason, now)
            self._tell_held(entry, held, reason)

    def _tell_held(self, entry: Entry, held: list[Step], reason: Reason) -> None:
        """Once per occurrence, not per try."""
        fate: Fate = (Kind.HELD, reason)
        for step in held:
            if isinstance(step.told, Enqueue) and step.item.due > entry.told:
                entry.told = step.item.due
                told = outcome(step, at=self._clock.now(), fate=fate)
                self._journal.record([told] if told is not None else [])

    async def _send_to_groups(self, of_one_event: list[Step]) -> None:
        for step in of_one_event:
            await self._send_to_group(step)

    async def _send_to_group(self, step: Step) -> None:
        definition, told = step.definition, outcome(step, at=self._clock.now())
        if told is None or told.run is None or definition is None or definition.group is None:
            return
        fate, note = None, ""
        try:
            async with self._group_slots:
                await self._broker.group_send(definition.group, definition.message(told.run, told.due))
        except (LayerError, TypeError, ValueError, OverflowError) as error:
            fate, note = (Kind.FAILED, Reason.GROUP_SEND_FAILED), str(error)
            await self._correct(definition, told.due, fate)
        sent = outcome(step, at=self._clock.now(), fate=fate, note=note)
        self._journal.record([sent] if sent is not None else [])

    async def _correct(self, definition: Definition, due: Ms, fate: Fate) -> None:
        """What was decided before the group's message failed is not what became of it; `why` is to know."""
        if definition.logged:
            with suppress(LayerError):  # it has been told; only the memory of it is at stake
                await self._submission.enqueue([Adopt(definition.key, due, definition.hash, code(*fate), f"{due} - {code(*fate)}")])


def _passed_over(entry: Entry, step: Step, error: str) -> _Sending:
    """The step's occurrence is passed over, because its message cannot be made; what follows it is planned again."""
    item, fate = step.item, (Kind.FAILED, Reason.NOT_SERIALIZABLE)
    logged = isinstance(item, Send) and item.logged
    instead = step._replace(item=Skip(item.event, item.due, item.hash, code(*fate), None, logged), fate=fate)
    note = f"the layer's serializer refuses the message ({error}): change the event's fields or message"
    return _Sending(entry, [instead], entry.current.timetable.next(item.due) if entry.current is not None else None, note=note)


def _portion(planned: Plan, until: Ms | None, most: int) -> Plan:
    """As much of a plan as may be sent now: at least one, but nothing else due after `until`, and no more than `most`."""
    decisions = planned.decisions
    if len(decisions) == 1:
        return planned
    one = 1 if decisions and isinstance(decisions[0], Enqueue) else 2
    for place, decision in enumerate(decisions[one:], start=one):
        if isinstance(decision, Enqueue) and (place >= most or (until is not None and decision.occurrence.due > until)):
            return Plan(decisions[:place], decision.occurrence)
    return planned
