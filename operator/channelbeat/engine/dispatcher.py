"""All lanes: each definition to the lane of its layer, each lane a task of its own (and its upkeep another), so that a dead Redis stops only its own."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from channelbeat.core.definition import Definition
from channelbeat.engine.lane import Lane
from channelbeat.engine.ports import Broker, Clock, Journal, Leadership
from channelbeat.engine.stores import Stores
from channelbeat.engine.upkeep import Upkeep


class Dispatcher:
    """`brokers` by layer name. A definition of any other layer is not run: whoever puts it has said so."""

    def __init__(self, brokers: Mapping[str, Broker], *, journal: Journal, clock: Clock, leadership: Leadership, known: Callable[[str, str], bool]) -> None:
        stores = Stores()
        self.lanes = {
            name: Lane(broker, journal=journal, clock=clock, leadership=leadership, stores=stores, known=partial(known, name))
            for name, broker in brokers.items()
        }
        self._upkeep = {name: Upkeep(lane, journal=journal, clock=clock) for name, lane in self.lanes.items()}

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
        for lane in self.lanes.values():
            lane.complete()

    async def run(self) -> None:
        """Until cancelled: then every lane ends its turn and gives up its lead. A lane that fails ends all."""
        tasks = [asyncio.create_task(lane.run(), name=f"layer {name}") for name, lane in self.lanes.items()]
        beside = {asyncio.create_task(upkeep.run(), name=f"upkeep of layer {name}"): upkeep for name, upkeep in self._upkeep.items()}
        try:
            # not gather, which would cut a turn short when we are cancelled, and leave its batches unanswered
            done, _ = await asyncio.wait([*tasks, *beside], return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task, upkeep in beside.items():  # first, because a lane closes its broker; what is cut short here can be done again
                upkeep.stop()
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            for lane in self.lanes.values():
                lane.stop()
            await asyncio.gather(*tasks, return_exceptions=True)
