"""What is written to the schedules' status, and when? By the leader alone, and never for a single firing.

What people wait for (a condition, an edit that was read, an answer to a trigger, a pause) is written half a second after it happened; all else
at most every five minutes an object, within a rate that is shared by all: what changed of one object first, then what a layer's trouble or a new
lead changed of many, then the rest. Nothing is written that is the same, and with nothing happening nothing is looked at.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from channelbeat.cluster import drafting, facts
from channelbeat.cluster.api import Api
from channelbeat.cluster.calls import Calls
from channelbeat.cluster.k8s_events import Events
from channelbeat.cluster.layer_troubles import LayerTroubles
from channelbeat.cluster.ledger import NOTHING, Ledger, Tallies
from channelbeat.cluster.register import Seen
from channelbeat.cluster.rota import GRID, Rota
from channelbeat.cluster.turns import Turn
from channelbeat.cluster.writing import Draft, Tracked, Writer
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.news import of_answer
from channelbeat.core.outcomes import Notice, Outcome
from channelbeat.core.runs import Finished, Stats
from channelbeat.core.status import Facts
from channelbeat.core.workers import Workers, nothing_known
from channelbeat.engine.ports import Clock, Leadership
from channelbeat.engine.stopwatch import Stopwatch
from channelbeat.runtime import Engine

ROUTINE: Final[Ms] = 5 * MINUTE
AT_LEAST_EVERY: Final[Ms] = SECOND
YIELDS: Final = 20  # after so many looks others have their turn: a look takes a tenth of a millisecond
LOOKS: Final = 5  # for each write that there is room for: most find nothing to write


class Reporter:
    """A Journal, and a listener of the register. `workers`: how it stands with those of a schedule; who knows calls `staffed` when that changes.
    `writes`: what became of each call, by word (cluster/writing.py, k8s_events.py)."""

    def __init__(
        self,
        api: Api,
        engine: Engine,
        *,
        leadership: Leadership,
        clock: Clock,
        workers: Callable[[str], Workers | None] = nothing_known,
        writes_per_second: float = 20.0,
    ) -> None:
        self._engine, self._leadership, self._clock = engine, leadership, clock
        self.writes: Counter[str] = Counter()
        self._watch = Stopwatch(clock)
        self._wake = asyncio.Event()
        self._calls = Calls(writes_per_second, self._watch, ended=self._wake.set)
        self._events = Events(api, self.writes)
        self._troubles = LayerTroubles()
        self._sources = facts.Sources(engine, self._troubles, workers)
        self._statistics = facts.Statistics(engine, self._troubles)
        self._objects: dict[str, Tracked] = {}
        self._writer = Writer(api, self._watch, self.writes, self._objects.get)
        self._ledger = Ledger(self._objects)
        self._rota = Rota(self._objects, self._watch)
        self._unsettled: dict[str, set[str]] = {}  # objects whose layer has to be well before more can be said, by layer
        self._others = True  # have led since we last did

    def seen(self, seen: Seen) -> None:
        """An object, as the API server has it; our own writes come back here."""
        object_ = self._objects.get(seen.key)
        if object_ is None or object_.seen.uid != seen.uid:
            self._objects[seen.key] = Tracked(seen, routine=self._watch.now() + ROUTINE if seen.status else 0)
            self.look(seen.key)
            return
        before = object_.sees(seen)
        if (before.generation, before.refusal, before.annotations) != (seen.generation, seen.refusal, seen.annotations):
            self.look(seen.key)
        elif seen.status != before.status and object_.ours is None and not object_.busy:
            self._rota.routine(seen.key)  # mostly our own; what somebody else wrote is put right some time

    def gone(self, key: str) -> None:
        """The object is no more."""
        self._objects.pop(key, None)
        self._ledger.drop(key)
        self._rota.drop(key)

    def answered(self, key: str, event: str, text: str) -> None:
        """This became of the event's trigger annotation."""
        if (object_ := self._objects.get(key)) is None:
            return
        if event in object_.seen.names:
            self._ledger.answered(key, event, text)
            self.look(key)
        else:  # which has no place in the status
            self._events.tell(object_.seen, of_answer(event, text), self._clock.now())
            self._wake.set()

    def look(self, key: str) -> None:
        """Something may be different that people wait for."""
        self._rota.soon(key)
        self._wake.set()

    def staffed(self, key: str) -> None:
        """Something else is to be said of its workers. Why so many are wanted changes with the load, and is written in passing."""
        if (object_ := self._objects.get(key)) is not None:
            was, object_.staff = object_.staff, drafting.staff(self._sources.workers(key))
            self._rota.routine(key) if object_.staff == was else self.look(key)

    def wake(self) -> None:
        """The leadership may have changed."""
        self._wake.set()

    def record(self, outcomes: Sequence[Outcome]) -> None:
        for key in self._ledger.record(outcomes):
            self._rota.routine(key)

    def finished(self, runs: Sequence[Finished]) -> None:
        for key, paused in self._ledger.finished(runs):
            self.look(key) if paused else self._rota.routine(key)

    def tell(self, notice: Notice) -> None:
        """Of layers it is asked how they stand: a trouble is to last before it is written."""

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._wake.clear()
                self._see_who_leads()
                if self._rota.leads:
                    await self._round()
                await self._watch.sleep_until(self._next(), self._wake)
        finally:
            await self._calls.end()

    def _see_who_leads(self) -> None:
        now, led = self._watch.now(), self._rota.leads
        changed = self._troubles.look(self._engine.layers(), self._engine.hindrances, now)
        self._rota.leads = self._leadership.valid()
        if self._leadership.lost() and not self._others:
            self._others = True
            self._ledger.forget_answers()  # somebody else may give a newer one
        if self._rota.leads and not led:
            self._take_over(now)
        elif self._rota.leads:
            if changed:
                self._rota.many(key for key, object_ in self._objects.items() if facts.concerned(object_.seen, changed))
            for layer in [layer for layer in self._unsettled if self._troubles.well(layer)]:
                self._rota.many(self._unsettled.pop(layer))
        elif led:
            self._rota.clear()

    def _take_over(self, now: Ms) -> None:
        for object_ in self._objects.values():
            if object_.seen.status and self._others:  # who may have written it a moment ago
                object_.routine = now + ROUTINE
        self._others = False
        self._unsettled.clear()
        self._rota.many(self._objects)

    def _next(self) -> Ms:
        now = self._watch.now()
        first = now if self._events else self._rota.first()
        if not self._rota.leads or first is None:
            return now + AT_LEAST_EVERY
        return min(max(first, self._calls.next()), now + AT_LEAST_EVERY)

    async def _round(self) -> None:
        """Gather for those whose turn it is, decide, and have it written; what there is no room for has its turn again."""
        now = self._watch.now()
        due = self._rota.take(now, LOOKS * self._room())
        known = await self._statistics.of([self._objects[key].seen for _, key in due])
        for number, (turn, key) in enumerate(due):
            if number % YIELDS == YIELDS - 1:
                await asyncio.sleep(0)
            if (object_ := self._objects.get(key)) is None:
                continue
            if object_.busy or self._room() < 1:
                self._rota.want(turn, key, now + GRID)
            elif object_.doubt is not None:
                self._call(object_, self._clear_up(object_, turn))
            else:
                self._decide(object_, turn, known)
        if not due and self._events and self._room() >= 1:
            self._calls.begin(self._events.post())

    def _room(self) -> int:
        return self._calls.room() if self._leadership.valid() else 0

    def _decide(self, object_: Tracked, turn: Turn, known: dict[str, Stats]) -> None:
        key, now, passed = object_.seen.key, self._clock.now(), self._watch.now()
        tallies = self._ledger.take(key)
        try:
            draft, found = drafting.draft(object_, self._sources, tallies, known, now=now, passed=passed)
            if (left := drafting.turns(found, draft.has, now)) is not None:
                self._rota.want(Turn.SOON, key, passed + left)
            self._look_when_settled(object_, found)
            differs, waits = bool(draft.patch), turn is not Turn.ROUTINE and not draft.urgent
        except Exception:  # noqa: BLE001 - see stumbled
            self._ledger.put_back(key, tallies)
            return drafting.stumbled(object_)
        if not differs:
            return
        if waits:
            self._ledger.put_back(key, tallies)
            return self._rota.routine(key)
        object_.routine = passed + ROUTINE if turn is Turn.ROUTINE else object_.routine
        self._call(object_, self._write(object_, turn, draft))

    def _look_when_settled(self, object_: Tracked, found: Facts) -> None:
        layer = facts.layer_of(object_.seen)
        if found.case.settled or not layer:
            object_.unsettled = 0
        elif self._troubles.well(layer):
            self._rota.want(Turn.MANY, found.key, self._watch.now() + drafting.settles(object_, found))
            object_.unsettled += 1
        else:
            self._unsettled.setdefault(layer, set()).add(found.key)

    def _call(self, object_: Tracked, call: Coroutine[Any, Any, None]) -> None:
        object_.busy = True
        self._calls.begin(call, then=object_.at_rest)

    async def _write(self, object_: Tracked, turn: Turn, draft: Draft) -> None:
        if await self._writer.write(object_, draft):
            for one in draft.news:
                self._events.tell(object_.seen, one, self._clock.now())
        else:
            self._try_again(object_, turn, NOTHING if object_.doubt else draft.tallies)

    async def _clear_up(self, object_: Tracked, turn: Turn) -> None:
        self._try_again(object_, turn, await self._writer.clear_up(object_))

    def _try_again(self, object_: Tracked, turn: Turn, tallies: Tallies) -> None:
        """With `tallies`, unless they are of an object that is no more: of one of its name that was made since, only its status is looked at."""
        key = object_.seen.key
        if self._objects.get(key) is not object_:
            self.look(key)
        elif object_.gone:
            self.gone(key)
        else:
            self._ledger.put_back(key, tallies)
            self._rota.want(turn, key, self._watch.now())
