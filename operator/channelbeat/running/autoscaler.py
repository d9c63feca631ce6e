"""Every second, for each crew: what waits, who listens, what is due -> how many workers it should have. Gather, decide, apply.

Only who leads asks and decides. Every layer is asked once a turn, whatever the number of channels; nothing is said to Kubernetes here.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from channelbeat.core.crews import Crew, Sender, guests
from channelbeat.core.finding import Finding
from channelbeat.core.handling import Handling, learned
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.scaling import Decision, Place
from channelbeat.core.warming import Starts
from channelbeat.engine.ports import Clock, Leadership, Workloads
from channelbeat.engine.stopwatch import Stopwatch
from channelbeat.running.foreman import Foreman, Look
from channelbeat.running.soundings import Question, Soundings
from channelbeat.runtime import Engine

log: Final = logging.getLogger("channelbeat.workers")

EVERY: Final[Ms] = SECOND
AT_ONCE: Final = 25
"""Crews that are decided on between two turns of the loop."""


class Autoscaler:
    """`layers` are the installation's, as they are now."""

    def __init__(
        self, engine: Engine, workloads: Workloads, *, layers: Callable[[], Mapping[str, LayerSettings]], leadership: Leadership, clock: Clock
    ) -> None:
        self._engine, self._workloads, self._layers, self._leadership, self._clock = engine, workloads, layers, leadership, clock
        self._watch = Stopwatch(clock)
        self._soundings = Soundings(engine, self._watch.now)
        self._foremen: dict[str, Foreman] = {}
        self._guests: Mapping[str, Sequence[Sender]] = {}
        self._mustered: tuple[Sequence[Crew], int] | None = None  # the crews, and how far the book had changed, when guests were made out
        self._handling: dict[Place, Handling] = {}
        self._faults: dict[str, str] = {}  # what was told of a crew; of all of them under ""
        self._leading = False

    async def run(self) -> None:
        """Never returns, and raises for no layer that is away and no crew that is faulty."""
        never = asyncio.Event()
        try:
            while True:
                began = self._watch.now()
                if self._leadership.valid():
                    self._leading = True
                    try:
                        await self._turn()
                    except Exception as fault:  # noqa: BLE001 - it is logged, once
                        self._stumbled("", fault)
                elif self._leading:
                    self._step_down()
                await self._watch.sleep_until(began + EVERY, never)
        finally:
            await self._soundings.end()

    def decision(self, key: str) -> Decision | None:
        """The last one of a crew; None if nothing was decided yet."""
        foreman = self._foremen.get(key)
        return foreman.decision if foreman is not None else None

    def finding(self, key: str) -> Finding | None:
        """What keeps a crew's workers from their work, as far as Redis can tell."""
        foreman = self._foremen.get(key)
        return foreman.finding if foreman is not None else None

    def starts(self, key: str) -> Starts:
        """What was learned of how long a crew's workers take to start."""
        foreman = self._foremen.get(key)
        return foreman.starts if foreman is not None else ()

    def remember(self, key: str, starts: Starts) -> None:
        """What an earlier leader had learned; it counts until we know better. The crew need not be known yet."""
        self._foremen.setdefault(key, Foreman()).remember(starts)

    def busy_pods(self, key: str) -> frozenset[str]:
        """Pods that listen on a crew's channels and have work in hand."""
        foreman = self._foremen.get(key)
        return foreman.busy_pods(self._soundings) if foreman is not None else frozenset()

    async def _turn(self) -> None:
        crews = self._workloads.crews()
        self._muster(crews)
        await self._soundings.look(self._questions(crews))
        self._measure()
        look = Look(self._soundings, self._handling, self._layers(), self._watch.now(), self._clock.now())
        for number, crew in enumerate(crews):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            if not self._leadership.valid():
                return
            try:
                self._decide(crew, look)
            except Exception as fault:  # noqa: BLE001 - it is logged, once
                self._stumbled(crew.key, fault)

    def _muster(self, crews: Sequence[Crew]) -> None:
        """Each crew has its foreman. One that has no crew yet keeps what it is to remember; one that had one goes with it."""
        mustered = crews, self._engine.book.changes
        if mustered != self._mustered:
            self._mustered, self._guests = mustered, guests(crews, self._engine.book.schedules.values())
        for crew in crews:
            if (foreman := self._foremen.get(crew.key)) is None:
                foreman = self._foremen[crew.key] = Foreman()
            foreman.lead(crew, self._guests.get(crew.key, ()))
        if len(self._foremen) > len(crews):
            there = {crew.key for crew in crews}
            for key in [key for key, foreman in self._foremen.items() if foreman.crew is not None and key not in there]:
                del self._foremen[key]
                self._faults.pop(key, None)

    def _questions(self, crews: Sequence[Crew]) -> dict[str, Question]:
        """What is to be asked of each layer; of one that there is not, nobody can tell anything."""
        questions: dict[str, Question] = {}
        for crew in crews:
            foreman = self._foremen[crew.key]
            for place in foreman.places:
                questions.setdefault(place.layer, Question()).channels.add(place.channel)
            for layer, events in foreman.pausing(self._engine.book):
                questions.setdefault(layer, Question()).pausing.update(events)
        return questions

    def _measure(self) -> None:
        """How long one takes in each place, which crews may have in common."""
        before, self._handling = self._handling, {}
        for place in (place for foreman in self._foremen.values() for place in foreman.places):
            if place in self._handling:
                continue
            load, known = self._soundings.load(place), before.get(place)
            measured = known if load is None else learned(known, load)
            if measured is not None:
                self._handling[place] = measured

    def _decide(self, crew: Crew, look: Look) -> None:
        observed, foreman = self._workloads.observe(crew), self._foremen[crew.key]
        if observed is None:
            return
        before = foreman.decision
        decision = foreman.decide(observed, look)
        was = observed.replicas if before is None else before.desired
        if decision.desired != was:
            namespace, _, deployment = crew.key.rpartition("/")
            extra = {"namespace": namespace, "deployment": deployment, "from": was, "to": decision.desired, "reason": str(decision.reason)}
            log.info("workers %s: %d -> %d (%s): %s", crew.key, was, decision.desired, decision.reason, decision.sentence, extra=extra)
        self._workloads.want(crew, decision, foreman.starts)

    def _step_down(self) -> None:
        """Somebody else leads: what we knew is not how it will be when we do again."""
        self._leading = False
        self._handling = {}
        self._soundings.forget()
        for foreman in self._foremen.values():
            foreman.forget()

    def _stumbled(self, key: str, fault: Exception) -> None:
        """Told once; it is tried again, and stops nobody else."""
        if self._faults.get(key) != (brief := f"{type(fault).__name__}: {fault}"):
            self._faults[key] = brief
            what = f"workers {key}" if key else "no workers"
            log.error("%s cannot be decided on, for a fault of channelbeat's own: please report it", what, exc_info=fault)
