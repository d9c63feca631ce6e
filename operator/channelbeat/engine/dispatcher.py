"""All lanes: each definition to the lane of its layer, each lane a task of its own (and its upkeep another), so that a dead Redis stops only its own."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from channelbeat.core.definition import Definition
from channelbeat.core.hindrances import Hindrance, blocked, unattended
from channelbeat.engine.lane import Lane
from channelbeat.engine.ports import Broker, Clock, Journal, Leadership
from channelbeat.engine.stores import Stores
from channelbeat.engine.upkeep import Upkeep


class _Service:
    """A lane and its upkeep."""

    def __init__(self, lane: Lane, upkeep: Upkeep) -> None:
        self.lane, self.upkeep = lane, upkeep
        self._stop = asyncio.Event()

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        """Until `stop`: then the lane ends its turn and gives up its lead. Either's failure is both's end."""
        name = self.lane.broker.name
        lane = asyncio.create_task(self.lane.run(), name=f"layer {name}")
        upkeep = asyncio.create_task(self.upkeep.run(), name=f"upkeep of layer {name}")
        stop = asyncio.create_task(self._stop.wait(), name=f"end of layer {name}")
        try:
            # not gather, which would cut a turn short when we are cancelled, and leave its batches unanswered
            done, _ = await asyncio.wait([lane, upkeep, stop], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            stop.cancel()
            self.upkeep.stop()  # first, because a lane closes its broker; what is cut short here can be done again
            upkeep.cancel()
            await asyncio.gather(upkeep, return_exceptions=True)
            self.lane.stop()
            await asyncio.gather(lane, return_exceptions=True)


class Dispatcher:
    """`brokers` by layer name. A definition of any other layer is not run: whoever puts it has said so."""

    def __init__(self, brokers: Mapping[str, Broker], *, journal: Journal, clock: Clock, leadership: Leadership, known: Callable[[str, str], bool]) -> None:
        self._journal, self._clock, self._leadership, self._known = journal, clock, leadership, known
        self._stores = Stores()
        self._services: dict[str, _Service] = {}
        self._tasks: dict[asyncio.Task[None], tuple[str, _Service]] = {}  # one whose layer was dropped is there until it has ended
        self._changed = asyncio.Event()
        self._complete = False
        self.lanes: dict[str, Lane] = {}
        for name, broker in brokers.items():
            self.add(name, broker)

    def add(self, name: str, broker: Broker) -> None:
        """A layer more; its events are to be put after this."""
        known = partial(self._known, name)
        lane = Lane(broker, journal=self._journal, clock=self._clock, leadership=self._leadership, stores=self._stores, known=known)
        self._services[name] = _Service(lane, Upkeep(lane, journal=self._journal, clock=self._clock))
        self.lanes[name] = lane
        if self._complete:
            lane.complete()
        self._changed.set()

    def drop(self, name: str) -> None:
        """A layer less: its lane ends its turn and gives up its lead. What it was asked to trigger is withdrawn."""
        dropped = self._services.pop(name)
        del self.lanes[name]
        if all(service is not dropped for _, service in self._tasks.values()):
            dropped.lane.withdraw()  # it has not begun, and never will
        for its, service in self._tasks.values():
            if its == name:
                self._stores.leave(name)
                service.stop()

    def put(self, definition: Definition) -> None:
        if (lane := self.lanes.get(definition.layer)) is not None:
            lane.put(definition)

    def remove(self, layer: str, key: str) -> None:
        if (lane := self.lanes.get(layer)) is not None:
            lane.remove(key)

    def park(self, layer: str, key: str) -> None:
        if (lane := self.lanes.get(layer)) is not None:
            lane.park(key)

    def complete(self) -> None:
        self._complete = True
        for lane in self.lanes.values():
            lane.complete()

    def hindrances(self) -> list[Hindrance]:
        """Of the channels of layers that we lead; where a queue has two, the later one says more."""
        led = [(name, service) for name, service in self._services.items() if service.lane.leading]
        full = [blocked(name, *one) for name, service in led for one in service.lane.waiting.blocked()]
        return full + [unattended(name, *one) for name, service in led for one in service.upkeep.unattended.items()]

    def wake(self) -> None:
        """Something that matters to all may have changed, such as the leadership."""
        for lane in self.lanes.values():
            lane.wake()

    async def run(self) -> None:
        """Until cancelled: then every lane ends its turn and gives up its lead. A lane that fails ends all."""
        try:
            while True:
                self._changed.clear()
                self._begin()
                await self._next()
        finally:
            for _, service in self._tasks.values():
                service.stop()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self) -> None:
        """One whose namesake has not ended yet begins when it has."""
        running = {name for name, _ in self._tasks.values()}
        for name, service in self._services.items():
            if name not in running:
                self._tasks[asyncio.create_task(service.run(), name=f"service of layer {name}")] = name, service

    async def _next(self) -> None:
        """Until a layer has come or gone."""
        change = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait([change, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            change.cancel()
        for task in [task for task in self._tasks if task.done()]:
            del self._tasks[task]
            task.result()
