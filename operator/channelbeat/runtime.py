"""The assembled engine: what a cluster and a single machine both run. They bring manifests, leadership and a journal."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from typing import NamedTuple

from channelbeat.broker.sending import RedisBroker
from channelbeat.core import instants, why
from channelbeat.core.definition import Definition
from channelbeat.core.hindrances import Hindrance
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.measures import ChannelLoad, Listener
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Notice, Outcome
from channelbeat.core.runs import Stats
from channelbeat.core.why import Explanation
from channelbeat.engine.book import Book
from channelbeat.engine.dispatcher import Dispatcher
from channelbeat.engine.lane import Lane
from channelbeat.engine.ports import Broker, Clock, Journal, Leadership
from channelbeat.errors import LayerRefused, UsageError


class SystemClock:
    """The one system clock."""

    def now(self) -> Ms:
        return time.time_ns() // 1_000_000

    async def sleep_until(self, due: Ms | None, wake: asyncio.Event) -> None:
        if due is not None and due <= self.now():
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(None if due is None else (due - self.now()) / instants.SECOND):
                await wake.wait()
        except TimeoutError:
            return


class Alone:
    """The leadership of the only one there is."""

    def valid(self) -> bool:
        return True

    def lost(self) -> bool:
        return False

    def preceded(self) -> bool:
        return False


class Layer(NamedTuple):
    """How it stands with a layer. `epoch`: our fencing number, 0 before we led; `ailment`: what keeps it from being sent to, and since
    when; `turned`: when its loop last ended a turn, which it does every second or so."""

    name: str
    leading: bool
    epoch: int
    ailment: Notice | None
    turned: Ms


class Engine:
    """Everything between a book of schedules and the layers' Redis. `owner` names this installation to other ones; `claim`
    is how long a run stays with a worker that gives no sign of life."""

    def __init__(
        self, layers: Mapping[str, LayerSettings], *, owner: str, journal: Journal, clock: Clock, leadership: Leadership, claim: Ms = 30 * SECOND
    ) -> None:
        self._clock = clock
        self._layers = dict(layers)
        self._broker: Callable[[LayerSettings], Broker] = partial(RedisBroker, owner=owner, claim=claim)
        brokers = {name: self._broker(settings) for name, settings in layers.items()}
        self._dispatcher = Dispatcher(brokers, journal=journal, clock=clock, leadership=leadership, known=self._known)
        self.book = Book(self._dispatcher)

    def _known(self, layer: str, event_key: str) -> bool:
        return self.book.knows(layer, event_key)

    async def run(self) -> None:
        """Until cancelled; then the batches in flight are finished and the leads given up."""
        await self._dispatcher.run()

    def use_layers(self, layers: Mapping[str, LayerSettings]) -> None:
        """These are the layers from now on. One whose settings changed is reached by the new ones, and goes on where it was; the events
        of a new one are to be put after this. LayerRefused when a new one cannot be made; then nothing has changed."""
        made = {name: self._broker(settings) for name, settings in layers.items() if name not in self._layers}
        for name in self._layers.keys() - layers.keys():
            self._dispatcher.drop(name)
        for name, broker in made.items():
            self._dispatcher.add(name, broker)
        for name in self._layers.keys() & layers.keys():
            if _reach(layers[name]) != _reach(self._layers[name]):
                self._dispatcher.lanes[name].use(layers[name])
        self._layers = dict(layers)

    def wake(self) -> None:
        """The leadership has changed."""
        self._dispatcher.wake()

    def layers(self) -> list[Layer]:
        """How it stands with each layer."""
        lanes = self._dispatcher.lanes.items()
        return [Layer(name, lane.leading, lane.broker.epoch, lane.ailment, lane.turned) for name, lane in lanes]

    def hindrances(self) -> list[Hindrance]:
        """What keeps channels of the layers that we lead from taking what is due, or runs from being taken."""
        return self._dispatcher.hindrances()

    async def leading(self, layer: str) -> str:
        """Wait until the layer is led; its store's generation."""
        lane = self._dispatcher.lanes[layer]
        await lane.led.wait()
        return lane.broker.generation

    async def trigger(self, schedule: str, event: str, token: Ms) -> Outcome:
        """Send the event now, once per token; what became of it. UsageError when there is no such event."""
        definition = self._definition(schedule, event)
        return await self._dispatcher.lanes[definition.layer].trigger(definition, token)

    async def why(self, schedule: str, event: str, due: Ms | None) -> Explanation:
        """What became of a due time, or of the latest ones. UsageError when there is no such event; LayerError when its Redis is away."""
        definition = self._definition(schedule, event)
        lane = self._dispatcher.lanes[definition.layer]
        fence, entries = await lane.broker.fence(definition.key), await lane.broker.decisions(definition.key)
        target = definition.target
        backlog = (await lane.broker.backlog([target])).get(target) if target is not None else None
        log = [why.decided(entry) for entry in entries]
        return why.explain(definition, fence, log, due, now=lane.now(), waiting=lane.waiting.reason(definition.target), backlog=backlog)

    def next_fire(self, schedule: str, event: str) -> Occurrence | None:
        """The event's next occurrence; None if there is none, or it is not known yet."""
        definition = self.book.definition(schedule, event)
        lane = self._dispatcher.lanes.get(definition.layer) if definition is not None else None
        return lane.upcoming(definition.key) if lane is not None and definition is not None else None

    def undecided(self, schedule: str, event: str) -> Occurrence | None:
        """The event's first occurrence that nothing has become of, which may be long due while it is held; None as above."""
        definition = self.book.definition(schedule, event)
        lane = self._dispatcher.lanes.get(definition.layer) if definition is not None else None
        return lane.undecided(definition.key) if lane is not None and definition is not None else None

    async def resume(self, schedule: str, event: str) -> bool:
        """End the event's pause; False if there was none. UsageError when there is no such event; LayerError when its Redis is away."""
        definition = self._definition(schedule, event)
        return await self._dispatcher.lanes[definition.layer].broker.resume(definition.key)

    async def backlog(self, layer: str, targets: Sequence[str]) -> dict[str, int]:
        """What waits in each channel, or in a channel's queue (queue_of); LayerError when its Redis is away or it was dropped, here and below."""
        return await self._lane(layer).broker.backlog(targets)

    async def loads(self, layer: str, channels: Sequence[str]) -> dict[str, ChannelLoad]:
        """What waits in each channel, is in flight and was handled; without those of whose keys one is something else."""
        return await self._lane(layer).broker.loads(channels)

    async def listeners(self, layer: str) -> list[Listener]:
        """Workers of ours that were seen in the last minute."""
        return await self._lane(layer).broker.listeners()

    async def stats(self, layer: str, events: Sequence[str]) -> dict[str, Stats]:
        """What became of the runs of each event, by `namespace/name/event`."""
        return await self._lane(layer).broker.stats(events)

    def _lane(self, layer: str) -> Lane:
        if layer not in self._dispatcher.lanes:
            raise LayerRefused(f"there is no layer {layer!r} here")
        return self._dispatcher.lanes[layer]

    def _definition(self, schedule: str, event: str) -> Definition:
        definition = self.book.definition(schedule, event)
        if definition is not None and definition.layer in self._dispatcher.lanes:
            return definition
        if definition is not None:
            raise UsageError(f"schedule {schedule} is for layer {definition.layer!r}, and there is none of that name here")
        known = self.book.schedules
        if schedule not in known:
            raise UsageError(f"no schedule {schedule} runs here{_near(schedule, known)}")
        names = [e.name for e in known[schedule].spec.events]
        raise UsageError(f"schedule {schedule} has no event {event!r} that runs{_near(event, names)}")


def _reach(settings: LayerSettings) -> LayerSettings:
    """Without what is of no account to whoever sends: who may name the layer."""
    return replace(settings, allowed_namespaces=())


def _near(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = get_close_matches(word, names, n=1)
    return f": did you mean {near[0]}?" if near else (f": there are {', '.join(names[:10])}" if names else "")
