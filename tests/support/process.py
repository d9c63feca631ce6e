"""A process of a story: an engine whose answers can get lost, on a wire that carries one thing at a time.

One at a time, so that the same story always goes the same way.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar, cast

from redis.exceptions import ConnectionError

from channelbeat.broker.sending import RedisBroker
from channelbeat.core.batch import Answers, Fence, Item, Verdict
from channelbeat.core.definition import Definition
from channelbeat.core.instants import Ms
from channelbeat.core.outcomes import Outcome
from channelbeat.core.planning import Pass
from channelbeat.core.schedule import BeatSchedule
from channelbeat.engine.ports import Broker
from support.clock import ManualClock
from support.rig import Rig

T = TypeVar("T")


class Wire:
    """`born`: when each generation began, by the story's clock, which is far behind Redis's."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.lock = asyncio.Lock()
        self.born: dict[str, Ms] = {}

    async def quiet(self, processes: Sequence["Process"]) -> None:
        """Every process sleeps."""
        deadline = time.monotonic() + 10
        while self.clock.sleepers < len(processes):
            for process in processes:
                process.check()
            if time.monotonic() > deadline:
                raise AssertionError("the processes find no rest")
            await asyncio.sleep(0)


class Turns:
    """A broker whose calls wait for the wire, and whose store was founded by the story's clock."""

    def __init__(self, broker: RedisBroker, wire: Wire) -> None:
        self._broker, self._wire = broker, wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    @property
    def founded(self) -> Ms:
        return self._wire.born.get(self._broker.generation, 0)

    async def peek(self) -> str:
        return await self._in_turn(self._broker.peek())

    async def lead(self) -> Verdict:
        return await self._in_turn(self._broker.lead())

    async def found(self) -> None:
        await self._in_turn(self._broker.found())

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        return await self._in_turn(self._broker.enqueue(items))

    async def group_send(self, group: str, message: Mapping[str, Any]) -> None:
        await self._in_turn(self._broker.group_send(group, message))

    async def resign(self) -> None:
        await self._in_turn(self._broker.resign())

    async def remembered(self) -> AsyncIterator[tuple[str, Fence]]:
        async def found() -> list[tuple[str, Fence]]:
            return [it async for it in self._broker.remembered()]

        for it in await self._in_turn(found()):
            yield it

    async def _in_turn(self, asked: Coroutine[Any, Any, T]) -> T:
        with closing(asked):
            async with self._wire.lock:
                answer = await asked
            self._wire.born.setdefault(self._broker.generation, self._wire.clock.now())
            return answer


class Lossy:
    """One of a broker's scripts. `losses`: for each of the next calls, whether it is carried out before its answer is lost."""

    def __init__(self, script: Any, losses: list[bool]) -> None:
        self._script, self._losses = script, losses

    async def __call__(self, **what: Any) -> Any:
        carried_out = self._losses.pop(0) if self._losses else None
        if carried_out is False:
            raise ConnectionError("as the story has it, before it was carried out")
        answer = await self._script(**what)
        if carried_out:
            raise ConnectionError("as the story has it, after it was carried out")
        return answer


class Process(Rig):
    """A rig that need not lead to be started."""

    def __init__(self, url: str, *, owner: str, wire: Wire) -> None:
        super().__init__(url, owner=owner, clock=wire.clock, wrap=self._flaky, channel_capacity={"narrow": 3})
        self.losses: list[bool] = []
        self._wire = wire
        self._read = 0

    def _flaky(self, broker: Broker) -> Broker:
        assert isinstance(broker, RedisBroker)
        for script in ("_lead", "_enqueue"):
            setattr(broker, script, Lossy(getattr(broker, script), self.losses))
        return cast(Broker, Turns(broker, self._wire))

    async def launch(self, manifests: Iterable[tuple[BeatSchedule, Ms]]) -> None:
        self.assemble()
        for schedule, created in manifests:
            self.book.put(schedule, created=created)
        self.book.complete()
        await self.run()

    async def ask(self, definition: Definition, token: Ms) -> None:
        """Trigger it, and do not wait."""
        self.lane.trigger(definition, token)

    def knows(self, event: str) -> bool:
        """Has it known where the event stands?"""
        entry = self.lane._roster.entries.get(event)
        return entry is not None and entry.current is not None

    def unanswered(self) -> Iterator[tuple[str, Ms, Ms]]:
        """Of which due times it does not know whether Redis carried out what it asked for: of event, in (start, end]."""
        for event, entry in self.lane._roster.entries.items():
            for step in entry.unanswered:
                if isinstance(step.told, Pass):
                    yield event, step.told.since, step.told.until
                else:
                    yield event, step.item.due - 1, step.item.due

    def check(self) -> None:
        """Raises what its engine failed with."""
        if self._task is not None and self._task.done():
            self._task.result()
            raise AssertionError("the engine ended by itself")

    def news(self) -> list[Outcome]:
        """The outcomes since the last time."""
        fresh = self.journal.outcomes[self._read :]
        self._read += len(fresh)
        return fresh
