"""Sends what has fired: gathers the events whose turn it is, decides by their plans, and applies what the layer answers."""

import asyncio
from dataclasses import dataclass
from typing import Final

from channelbeat.core.batch import Answer, Answers, Send, Skip
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Kind, Outcome, Reason, code
from channelbeat.core.planning import Enqueue, plan
from channelbeat.core.steps import Fate, Step, outcome, steps
from channelbeat.engine.agenda import Entry
from channelbeat.engine.ports import Broker, Clock, Journal
from channelbeat.engine.roster import Roster
from channelbeat.engine.submission import BATCH, IN_FLIGHT, Submission, Work
from channelbeat.errors import LayerError, Unreachable, WritesRefused

GROUPS_AT_ONCE: Final = 16
_BLOCKS: Final = {Answer.FULL: Reason.CHANNEL_FULL, Answer.WRONG_TYPE: Reason.WRONG_TYPE}


@dataclass(slots=True)
class _Sending(Work):
    upcoming: Occurrence | None  # the first that is not decided here
    whole: bool = True  # nothing before `upcoming` is held back
    note: str = ""


class Sender:
    def __init__(self, broker: Broker, roster: Roster, submission: Submission, journal: Journal, clock: Clock) -> None:
        self._broker, self._roster, self._submission, self._journal, self._clock = broker, roster, submission, journal, clock
        self._grouped: list[Step] = []
        self._refused: list[_Sending] = []  # their messages cannot be serialized: to be passed over next
        self._group_slots = asyncio.Semaphore(GROUPS_AT_ONCE)

    async def send_due(self, now: Ms) -> None:
        """One round: what has fired by `now`, up to a few batches of it."""
        works = self._gather(now)
        try:
            await self._submission.submit(works, self._answered, self._failed)
            refused, self._refused = self._refused, []
            await self._submission.submit(refused, self._answered, self._failed)
        finally:
            grouped, self._grouped = self._grouped, []
            await asyncio.gather(*(self._send_to_group(step) for step in grouped))

    def _gather(self, now: Ms) -> list[_Sending]:
        works: list[_Sending] = []
        size, taken = 0, set[str]()
        waiting, due = self._roster.waiting, self._roster.agenda
        for source, again in ((waiting.take(now), True), (due.due(now), False)):
            for entry in source:
                work = self._work(entry, now, again=again) if entry.settled and entry.key not in taken else None
                if work is not None:
                    works.append(work)
                    taken.add(entry.key)
                    size += len(work.steps)
                    if size >= BATCH * IN_FLIGHT:
                        return works
        return works

    def _work(self, entry: Entry, now: Ms, *, again: bool) -> _Sending | None:
        """What is to be done about one event; None when nothing has to be asked of the layer."""
        definition = entry.current
        if definition is None or entry.cursor is None:
            return None
        decisions, upcoming = plan(definition, entry.cursor, now, entry.upcoming)
        reason = None if again else self._roster.waiting.reason(definition.channel)
        planned = steps(definition, decisions)
        if reason is not None:  # do not ask a channel that is known to take nothing
            first = next((i for i, decision in enumerate(decisions) if isinstance(decision, Enqueue)), len(decisions))
            self._hold(entry, planned[first:], reason, now)
            planned, whole = planned[:first], first == len(decisions)
        else:
            whole = True
        if not planned:
            self._next(entry, upcoming)
            return None
        return _Sending(entry, planned, upcoming, whole)

    def _next(self, entry: Entry, upcoming: Occurrence | None) -> None:
        if upcoming is not None:
            self._roster.agenda.put(entry, upcoming.fires)

    def _answered(self, work: _Sending, answers: Answers, place: int) -> None:
        entry, at = work.entry, self._clock.now()
        outcomes: list[Outcome] = []
        for position, step in enumerate(work.steps):
            answer = answers.answers[place + position]
            if answer is not Answer.DONE:
                entry.upcoming = None
                self._not_done(work, position, answer, answers.extra.get(place + position, ""))
                break
            entry.cursor = step.item.due
            if step.grouped:
                self._grouped.append(step)
                continue
            if isinstance(step.item, Send) and isinstance(step.told, Enqueue):
                self._roster.enqueued(entry.key, step.told.occurrence, at)
            told = outcome(step, at=at, note=work.note)
            if told is not None:
                outcomes.append(told)
        else:
            entry.upcoming = work.upcoming if work.whole else None
            self._next(entry, work.upcoming)
        if place == 0:
            self._roster.waiting.answered(answers.room)
        self._journal.record(outcomes)

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
        if isinstance(error, WritesRefused):
            entry.upcoming = None
            self._tell_held(entry, work.steps, Reason.WRITES_REFUSED)
            self._roster.agenda.put(entry, self._clock.now() + SECOND)
            return
        self._roster.unsettle(entry)
        if isinstance(error, Unreachable):
            entry.unanswered = tuple(work.steps)

    def _hold(self, entry: Entry, held: list[Step], reason: Reason, now: Ms) -> None:
        if held and entry.current is not None and entry.current.channel is not None:
            self._roster.waiting.add(entry, entry.current.channel, held[0].item.due, reason, now)
            self._tell_held(entry, held, reason)

    def _tell_held(self, entry: Entry, held: list[Step], reason: Reason) -> None:
        """Once per occurrence, not per try."""
        fate: Fate = (Kind.HELD, reason)
        for step in held:
            if isinstance(step.told, Enqueue) and step.item.due > entry.told:
                entry.told = step.item.due
                told = outcome(step, at=self._clock.now(), fate=fate)
                self._journal.record([told] if told is not None else [])

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
        sent = outcome(step, at=self._clock.now(), fate=fate, note=note)
        self._journal.record([sent] if sent is not None else [])


def _passed_over(entry: Entry, step: Step, error: str) -> _Sending:
    """The step's occurrence is passed over, because its message cannot be made; what follows it is planned again."""
    item, fate = step.item, (Kind.FAILED, Reason.NOT_SERIALIZABLE)
    logged = isinstance(item, Send) and item.logged
    instead = step._replace(item=Skip(item.event, item.due, item.hash, code(*fate), None, logged), fate=fate)
    note = f"the layer's serializer refuses the message ({error}): change the event's fields or message"
    return _Sending(entry, [instead], step.told.occurrence if isinstance(step.told, Enqueue) else None, whole=False, note=note)
