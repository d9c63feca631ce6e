"""Reads the fences of unsettled events, a batch at a time, and carries out what follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from channelbeat.core.batch import Adopt, Answer, Answers, Fence, Look, Verdict
from channelbeat.core.instants import Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.settling import Standing, settle
from channelbeat.core.steps import DECLINED, outcome
from channelbeat.engine.agenda import Entry
from channelbeat.engine.ports import Broker, Clock, Journal
from channelbeat.engine.roster import Roster
from channelbeat.engine.submission import BATCH, Submission, Work
from channelbeat.errors import LayerError, Unreachable


@dataclass(slots=True)
class _Settling(Work):
    cursor: Ms  # where the event goes on when all is done


class Settler:
    """`verdict` is what the store was found to be; it counts until every event has been settled once."""

    def __init__(self, broker: Broker, roster: Roster, submission: Submission, journal: Journal, clock: Clock) -> None:
        self._broker, self._roster, self._submission, self._journal, self._clock = broker, roster, submission, journal, clock
        self._recent: Mapping[str, Sequence[Occurrence]] = {}
        self.verdict = Verdict.SAME
        self._others = False

    def found(self, verdict: Verdict, *, others: bool) -> None:
        """Every event is to be settled anew, with a store that is `verdict`; `others`: somebody else may have sent since we last did."""
        self._others = others or (self._others and self.verdict is not Verdict.SAME)
        # A recovery that was cut short goes on: the store may by now look the same to us.
        if self.verdict not in (Verdict.ROLLED_BACK, Verdict.WIPED) or verdict is Verdict.WIPED:
            self.verdict = verdict
        self._recent = self._roster.recent(self._clock.now()) if self.verdict is Verdict.ROLLED_BACK else {}
        self._roster.unsettle_all()

    async def settle_some(self, now: Ms) -> bool:
        """Settle up to a batch of events; False if none could be."""
        entries = list(islice(self._roster.unsettled.values(), BATCH))
        if entries:
            answers = await self._submission.enqueue([Look(entry.key) for entry in entries])
            works = [work for place, entry in enumerate(entries) if (work := self._settle(entry, answers.extra[place], now)) is not None]
            await self._submission.submit(works, self._answered, self._failed)
        for entry in entries:  # one that could not be settled lets the others have their turn
            if entry.key in self._roster.unsettled:
                self._roster.unsettled[entry.key] = self._roster.unsettled.pop(entry.key)
        if not self._roster.unsettled and self.verdict is not Verdict.SAME:
            if self.verdict is Verdict.WIPED:
                self._submission.check()
                await self._broker.found()
            self.verdict = Verdict.SAME
        return not all(entry.key in self._roster.unsettled for entry in entries)

    def _settle(self, entry: Entry, fence: Fence | None, now: Ms) -> _Settling | None:
        """None when the event is settled as it stands."""
        standing = Standing(
            key=entry.key,
            current=entry.current,
            wanted=entry.current if entry.parked else entry.wanted,
            acknowledged=entry.cursor,
            unanswered=entry.unanswered,
            recent=self._recent.get(entry.key, ()),
            since=min(entry.since, now),
            broken=entry.broken,
            begun=entry.begun,
        )
        try:
            settlement = settle(standing, fence, self.verdict, founded=self._broker.founded or now, at=self._clock.now(), others=now if self._others else None)
        except Exception as fault:  # noqa: BLE001 - see set_aside
            self._roster.set_aside(entry, fault)
            return None
        entry.unanswered = ()
        self._journal.record(settlement.outcomes)
        for occurrence in settlement.enqueued:
            self._roster.enqueued(entry.key, occurrence, self._clock.now())
        if settlement.steps:
            return _Settling(entry, settlement.steps, settlement.cursor)
        self._roster.settled(entry, settlement.cursor)
        return None

    def _answered(self, batch: Sequence[_Settling], answers: Answers) -> None:
        at, place = self._clock.now(), 0
        for work in batch:
            self._answered_one(work, answers, place, at)
            place += len(work.steps)

    def _answered_one(self, work: _Settling, answers: Answers, place: int, at: Ms) -> None:
        entry = work.entry
        for position, step in enumerate(work.steps, start=place):
            answer = answers.answers[position]
            if answer is not Answer.DONE and answer not in DECLINED:
                break  # a full channel, most likely: still unsettled, it goes on from where its fence is then
            entry.cursor = step.item.due
            if isinstance(step.item, Adopt):
                work.cursor = max(work.cursor, answers.extra[position])
            told = outcome(step, at=at, fate=DECLINED.get(answer))
            self._journal.record([told] if told is not None else [])
        else:
            self._roster.settled(entry, work.cursor)

    def _failed(self, work: _Settling, error: LayerError) -> None:
        if isinstance(error, Unreachable):
            work.entry.unanswered = tuple(work.steps)
