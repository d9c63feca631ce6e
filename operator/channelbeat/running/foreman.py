"""One crew's mind: what was decided for it and what a later decision has to know, whether its workers are heard, how long they take to start."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from channelbeat.core import listening
from channelbeat.core.crews import Crew, Member, Sender, sender
from channelbeat.core.finding import Finding
from channelbeat.core.handling import Handling
from channelbeat.core.instants import Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.listening import PATIENCE, Silence
from channelbeat.core.measures import Listener
from channelbeat.core.scaling import UNKNOWN, Decision, Load, Memory, Party, Place, Standing, Target, decide, unchanged
from channelbeat.core.schedule import Scaling
from channelbeat.core.warming import GUESS, Forecast, Starts, learn, short_expiry, together
from channelbeat.engine.book import Book
from channelbeat.engine.ports import Observed
from channelbeat.running.foresight import Foresight
from channelbeat.running.soundings import Soundings


class Look(NamedTuple):
    """What one turn of the loop has found. `now` goes forward only; `wall` is the time that events are due by."""

    soundings: Soundings
    handling: Mapping[Place, Handling]
    layers: Mapping[str, LayerSettings]
    now: Ms
    wall: Ms


class _Start(NamedTuple):
    """From no worker to the first one: `known` listened before, for others."""

    since: Ms
    known: frozenset[str]


class Foreman:
    """`starts` outlives the lead: what was learned is true for whoever leads."""

    def __init__(self) -> None:
        self.starts: Starts = ()
        self.crew: Crew | None = None
        self.places: tuple[Place, ...] = ()
        self._guests: Sequence[Sender] = ()
        self._senders: dict[str, list[Sender]] = {}  # by the member that says how they are scaled for
        self._foresights: dict[str, Foresight] = {}  # of each of them
        self._tracked, self._floor = False, 0
        self.forget()

    def forget(self) -> None:
        """Somebody else decides from now on."""
        self.decision: Decision | None = None
        self.finding: Finding | None = None
        self._memory: Memory | None = None
        self._target: Target | None = None
        self._learned = False  # something of `starts`, ourselves
        self._ours = False
        self._asked = False  # its layer has answered: until then nobody can tell whose the workers are, and none goes
        self._heard: Ms | None = None  # the last time that one of ours was heard, or could not be
        self._silence: Silence = {}
        self._start: _Start | None = None

    def remember(self, starts: Starts) -> None:
        """What others had learned, until we know better."""
        if not self._learned:
            self.starts = starts

    def lead(self, crew: Crew, guests: Sequence[Sender]) -> None:
        """This is the crew now, and who sends to its channels besides."""
        if crew is not self.crew:
            self._take(crew)
        elif guests == self._guests:
            return
        self._guests = guests
        hosts = {place: member.schedule.key for member in reversed(crew.members) for place in member.places}
        self._senders = {member.schedule.key: [sender(member.schedule)] if member.handles_its_own else [] for member in crew.members}
        for guest in guests:
            self._senders[hosts[guest.place]].append(guest)
        known = self._foresights
        self._foresights = {one.schedule: known.get(one.schedule) or Foresight() for those in self._senders.values() for one in those}

    def _take(self, crew: Crew) -> None:
        self.crew, self._start = crew, None  # what was wrong with it, and kept its workers from starting, may have been put right
        self.places = tuple(dict.fromkeys(place for member in crew.members for place in member.places))
        self._tracked = any(member.schedule.spec.delivery == "AtLeastOnce" for member in crew.members)
        self._floor = sum(member.scaling.min_replicas for member in crew.members)

    def pausing(self, book: Book) -> Iterator[tuple[str, Sequence[str]]]:
        """Layers, each with events that failures may pause. The events are from now on as the book has them."""
        for one in (one for those in self._senders.values() for one in those):
            foresight = self._foresights[one.schedule]
            foresight.turn_to(book.definitions(one.schedule))
            if foresight.pausing:
                yield one.place.layer, foresight.pausing

    def busy_pods(self, soundings: Soundings) -> frozenset[str]:
        return frozenset(one.pod for one in self._listeners(soundings) if one.busy and one.pod)

    def decide(self, observed: Observed, look: Look) -> Decision:
        """How many it is to have."""
        listeners = self._listeners(look.soundings)
        self._tell_whose(observed, listeners, look)
        concurrency, own = self._concurrency(listeners), self._own(listeners)
        target = Target(
            replicas=observed.replicas,
            parties=[self._party(member, concurrency, look) for member in self._members()],
            loads=self._loads(own, look),
            concurrency=concurrency,
            stock=self._asked and not self._expected,
            at_work=sum(one.busy > 0 for one in own),
        )
        before, decision = self.decision, self._decided(target, look.now)
        self._time_start(before, decision, observed, listeners, look.now)
        self.finding = self._find(observed, look)
        return decision

    def _decided(self, target: Target, now: Ms) -> Decision:
        """Most crews rest, or do the same for long."""
        if self.decision is not None and target == self._target and (memory := unchanged(self._memory, now)) is not None:
            self._memory = memory
        else:
            self.decision, self._memory = decide(target, self._memory, now)
            self._target = target
        return self.decision

    @property
    def _expected(self) -> bool:
        """Its workers are of ours, for all we know; else Channels' own."""
        return self._tracked or self._ours

    def _members(self) -> Sequence[Member]:
        return () if self.crew is None else self.crew.members

    def _listeners(self, soundings: Soundings) -> Sequence[Listener]:
        """Of all its places, each once."""
        return [*{one.id: one for place in self.places for one in soundings.listeners(place)}.values()]

    def _own(self, listeners: Sequence[Listener]) -> Sequence[Listener]:
        """Who listens elsewhere, too, is not one that was made for these channels, and may be at work on others."""
        if self.crew is None or self.crew.shared:
            return listeners
        channels = {place.channel for place in self.places}
        return [one for one in listeners if channels.issuperset(one.channels)]

    def _tell_whose(self, observed: Observed, listeners: Sequence[Listener], look: Look) -> None:
        """Ours, once one was seen, which counts at zero, too; not any more when workers are ready and none of them is heard for a while."""
        known = [look.soundings.load(place) is not None for place in self.places]
        self._asked = self._asked or any(known)
        unheard = observed.ready > 0 and not listeners and all(known)
        if not unheard or self._heard is None:
            self._heard = look.now
        self._ours = bool(listeners) or (self._ours and look.now - self._heard < PATIENCE)

    def _concurrency(self, listeners: Sequence[Listener]) -> int:
        """What a worker that is started now handles at a time."""
        if self._tracked and self.crew is not None and not self.crew.shared:
            return max((member.schedule.spec.worker.concurrency for member in self._members() if member.schedule.spec.worker), default=1)
        return max(max(listeners, key=lambda one: one.since).concurrency, 1) if listeners else 1

    def _party(self, member: Member, concurrency: int, look: Look) -> Party:
        schedule, scaling = member.schedule, member.scaling
        forecast = together(self._foresee(one, scaling, concurrency, look) for one in self._senders[schedule.key])
        return Party(scaling, member.places, forecast, Standing.SUSPENDED if schedule.spec.suspend else Standing.RUNS)

    def _foresee(self, one: Sender, scaling: Scaling, concurrency: int, look: Look) -> Forecast:
        measured, stats = look.handling.get(one.place), look.soundings.stats(one.place.layer)
        handling = None if measured is None else measured.mean
        return self._foresights[one.schedule].look(stats, scaling, self.starts, handling=handling, concurrency=concurrency, now=look.wall)

    def _loads(self, own: Sequence[Listener], look: Look) -> dict[Place, Load]:
        """A plain message that one of ours handles is claimed by nobody, and only seen as a slot at work."""
        loads = {place: self._load(place, look) for place in self.places}
        if not self._tracked and own:
            first, flying = self.places[0], sum(one.busy for one in own)
            claimed = sum(load.in_flight or 0 for load in loads.values())
            if (load := loads[first]).in_flight is not None and flying > claimed:
                loads[first] = load._replace(in_flight=load.in_flight + flying - claimed)
        return loads

    def _load(self, place: Place, look: Look) -> Load:
        load, measured = look.soundings.load(place), look.handling.get(place)
        if load is None or measured is None:
            return UNKNOWN
        return Load(load.waiting, load.in_flight, measured.since, measured.mean)

    def _time_start(self, before: Decision | None, decision: Decision, observed: Observed, listeners: Sequence[Listener], now: Ms) -> None:
        """From the decision to the first worker that listens; of a stock one it is only known that it is ready."""
        if decision.desired == 0:
            self._start = None
        elif self._start is None:
            if observed == (0, 0) and (before is None or before.desired == 0):
                self._start = _Start(now, frozenset(one.id for one in listeners))
        elif (heard := any(one.id not in self._start.known for one in listeners)) or (observed.ready > 0 and not self._expected):
            took = now - self._start.since
            self.starts, self._learned = learn(self.starts, took if heard else max(took, GUESS)), True  # Django may be loading yet
            self._start = None

    def _find(self, observed: Observed, look: Look) -> Finding | None:
        if self.crew is None:
            return None
        self._silence = self._listen(look) if observed.ready > 0 else {}
        if found := listening.nobody_listens(self.crew, self._silence, look.layers, look.now):
            return found
        for member in self.crew.members:
            layer = look.layers.get(member.schedule.spec.channel_layer.name)
            plain = [one.schedule for one in self._senders[member.schedule.key] if one.plain]
            if layer is not None and (found := short_expiry(member.schedule, plain, layer, self.starts, self._floor)):
                return found
        return None

    def _listen(self, look: Look) -> Silence:
        heard = {place for place in self.places if look.soundings.listeners(place)}
        loads = {place: load for place in self.places if (load := look.soundings.load(place)) is not None}
        return listening.silence(self._silence, self.places, heard, loads, ours=self._expected, now=look.now)
