"""The assembled engine: what a cluster and a single machine both run. They bring manifests, leadership and a journal."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from channelbeat.broker.sending import RedisBroker
from channelbeat.core import instants, why
from channelbeat.core.definition import Definition
from channelbeat.core.instants import Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Outcome
from channelbeat.core.why import Explanation
from channelbeat.engine.book import Book
from channelbeat.engine.dispatcher import Dispatcher
from channelbeat.engine.ports import Broker, Clock, Journal, Leadership
from channelbeat.errors import UsageError


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


class Engine:
    """Everything between a book of schedules and the layers' Redis. `owner` names this installation to other ones."""

    def __init__(self, layers: Mapping[str, LayerSettings], *, owner: str, journal: Journal, clock: Clock, leadership: Leadership) -> None:
        self._clock = clock
        brokers: dict[str, Broker] = {name: RedisBroker(settings, owner=owner) for name, settings in layers.items()}
        self._dispatcher = Dispatcher(brokers, journal=journal, clock=clock, leadership=leadership, known=self._known)
        self.book = Book(self._dispatcher)

    def _known(self, layer: str, event_key: str) -> bool:
        return self.book.knows(layer, event_key)

    async def run(self) -> None:
        """Until cancelled; then the batches in flight are finished and the leads given up."""
        await self._dispatcher.run()

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
        backlog = (await lane.broker.backlog([definition.channel])).get(definition.channel) if definition.channel is not None else None
        log = [why.decided(entry) for entry in entries]
        return why.explain(definition, fence, log, due, now=lane.now(), waiting=lane.waits(definition), backlog=backlog)

    def next_fire(self, schedule: str, event: str) -> Occurrence | None:
        """The event's next occurrence; None if there is none, or it is not known yet."""
        definition = self.book.definition(schedule, event)
        lane = self._dispatcher.lanes.get(definition.layer) if definition is not None else None
        return lane.upcoming(definition.key) if lane is not None and definition is not None else None

    async def backlog(self, layer: str, channels: Sequence[str]) -> dict[str, int]:
        """Messages waiting in each channel; LayerError when its Redis is away."""
        return await self._dispatcher.lanes[layer].broker.backlog(channels)

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


def _near(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = get_close_matches(word, names, n=1)
    return f": did you mean {near[0]}?" if near else (f": there are {', '.join(names[:10])}" if names else "")
