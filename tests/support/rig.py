"""An engine on a real Redis and a clock the test holds: what most tests of promises stand on."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import msgpack
from redis import Redis

from channelbeat.broker.sending import RedisBroker
from channelbeat.core import instants
from channelbeat.core.definition import Definition
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Kind, Notice, Outcome, Sign
from channelbeat.core.parse import parse
from channelbeat.core.runs import Finished
from channelbeat.core.schedule import BeatSchedule
from channelbeat.engine.book import Book
from channelbeat.engine.dispatcher import Dispatcher
from channelbeat.engine.ports import Broker
from support.clock import ManualClock
from support.waiting import eventually

LONG = 60.0
"""Seconds: some tests have tens of thousands of events, and the machine may be busy with other things."""


def schedule(*events: dict[str, Any], name: str = "t", **spec: Any) -> BeatSchedule:
    """`default/t` on channel `c`, unless `spec` says otherwise; events get a name and a type where they have none."""
    named = [{"name": f"e{i}" if i else "e", "type": "x", **event} for i, event in enumerate(events)]
    target = {} if "group" in spec else {"channel": "c"}
    parsed = parse({"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "metadata": {"name": name}, "spec": {**target, **spec, "events": named}})
    assert parsed.schedule is not None, parsed.faults
    return parsed.schedule


def due_of(message: dict[str, Any]) -> str:
    """The due time (or trigger) of a message, out of its run id."""
    return str(message["beat"]["run"]).rpartition("/")[2]


class Recorder:
    """A Journal that keeps what it is told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.notices: list[Notice] = []
        self.runs: list[Finished] = []

    def record(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes += outcomes

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)

    def finished(self, runs: Sequence[Finished]) -> None:
        self.runs += runs

    def counts(self, schedule: str | None = None) -> Counter[str]:
        """Occurrences by kind, or kind/Reason: of all schedules, or of one."""
        found = Counter[str]()
        for o in [o for o in self.outcomes if schedule in (None, o.schedule)]:
            found[f"{o.kind}/{o.reason}" if o.reason else str(o.kind)] += o.count
        return found

    def decided(self, event: str = "e") -> int:
        """Due times of the event that something final is said to have become of; triggers have none."""
        return sum(o.count for o in self.outcomes if o.event == event and o.kind is not Kind.HELD and "/trigger-" not in (o.run or ""))

    def dues(self, kind: Kind) -> list[str]:
        return [instants.text(o.due) for o in self.outcomes if o.kind is kind]

    def signs(self) -> list[Sign]:
        return [n.sign for n in self.notices]


class Lease:
    """A Leadership that the test gives and takes away. `taken`: by somebody else, for all that can be told; None: just when it is not
    held. Neither held nor taken, nobody can tell."""

    held = True
    taken: bool | None = None
    first: bool = False  # nobody has ever had it, though it is lost until we have
    _others = False

    def valid(self) -> bool:
        return self.held

    def lost(self) -> bool:
        lost = not self.held if self.taken is None else self.taken
        self._others = self._others or (lost and not self.first)
        return lost

    def preceded(self) -> bool:
        return self._others


class Rig:
    """One process that may send. `start` and `kill` are what a deployment would do to it; several rigs may share a Redis."""

    def __init__(
        self,
        url: str,
        *,
        clock: ManualClock | None = None,
        owner: str = "us",
        timeout: float = 2.0,
        claim: Ms = 30 * SECOND,
        wrap: Callable[[Broker], Broker] = lambda b: b,
        more_layers: Sequence[str] = (),
        **options: Any,
    ) -> None:
        self.settings = LayerSettings(**{"name": "default", "url": url, "capacity": 1_000_000, **options})
        self._more = [replace(self.settings, name=name, prefix=name) for name in more_layers]
        self.url, self.owner, self.timeout, self.claim = url, owner, timeout, claim
        self.clock = clock or ManualClock()
        self.journal = Recorder()
        self.leadership = Lease()
        self._wrap = wrap
        self._task: asyncio.Task[None] | None = None
        self._lane_tasks = set[asyncio.Task[Any]]()

    async def start(self, *schedules: BeatSchedule, created: Ms | None = None, complete: bool = True) -> None:
        """A fresh process with these schedules; returns when every fence is known."""
        self.assemble()
        for one in schedules:
            self.book.put(one, created=created)
        if complete:
            self.book.complete()
        await self.run()
        await self.idle()

    def assemble(self) -> None:
        """An engine that does not run yet."""
        all_settings = (self.settings, *self._more)
        brokers = {s.name: self._wrap(RedisBroker(s, owner=self.owner, claim=self.claim, timeout=self.timeout)) for s in all_settings}
        self.dispatcher = Dispatcher(
            brokers, journal=self.journal, clock=self.clock, leadership=self.leadership, known=lambda layer, key: self.book.knows(layer, key)
        )
        self.lane = self.dispatcher.lanes["default"]
        self.book = Book(self.dispatcher)

    async def run(self) -> None:
        others = asyncio.all_tasks()
        self._task = asyncio.create_task(self.dispatcher.run())
        for _ in range(3):  # it begins its layers' services, and they their lanes and upkeep
            await asyncio.sleep(0)
        self._lane_tasks = asyncio.all_tasks() - others - {self._task}

    async def kill(self) -> None:
        """As kill -9: nothing is finished, nothing is given up."""
        task, self._task = self._task, None
        if task is not None:
            for lane_task in self._lane_tasks:
                lane_task.cancel()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for lane in self.dispatcher.lanes.values():
                await lane.broker.close()

    async def stop(self) -> None:
        """As SIGTERM: batches are finished, the lead is given up."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def idle(self) -> None:
        """Nothing left to do until the clock moves."""
        await eventually(self.is_idle, LONG, what="the lane to be idle")

    def is_idle(self) -> bool:
        lanes = self.dispatcher.lanes.values()
        asleep = min(self.clock.sleepers, self.clock.upkeep_sleepers)
        return all(lane.led.is_set() and lane.resting for lane in lanes) and asleep >= len(lanes)

    async def pass_time(self, length: Ms, step: Ms = SECOND) -> None:
        """Let time pass in steps, idle after each."""
        for done in itertools.count(step, step):
            self.clock.advance(min(step, length - (done - step)))
            await self.idle()
            if done >= length:
                return

    async def advance_until(self, condition: Callable[[], bool | Awaitable[bool]], step: Ms = SECOND // 2, within: float = LONG) -> None:
        """Let time pass, whenever a lane sleeps, until the condition holds; does not wait for idleness, which a dead Redis would prevent."""

        async def stepped() -> bool:
            answer = condition()
            if await answer if isinstance(answer, Awaitable) else answer:
                return True
            if self.clock.sleepers:
                self.clock.advance(step)
            return False

        await eventually(stepped, within, what="the condition")

    def definition(self, event: str = "e", schedule: str = "default/t") -> Definition:
        """The event as it runs."""
        found = self.book.definition(schedule, event)
        assert found is not None
        return found

    def messages(self, channel: str = "c", prefix: str | None = None) -> list[dict[str, Any]]:
        """What waits in the channel, in order."""
        with Redis.from_url(self.url) as redis:
            return [msgpack.unpackb(member[12:]) for member in redis.zrange((prefix or self.settings.prefix) + channel, 0, -1)]

    def sent(self, channel: str = "c", prefix: str | None = None) -> list[str]:
        """The due times (or triggers) that wait in the channel, in order."""
        return [due_of(message) for message in self.messages(channel, prefix)]

    def take(self, count: int, channel: str = "c") -> list[str]:
        """The same for the first `count`, which are taken as a worker would."""
        with Redis.from_url(self.url) as redis:
            return [due_of(msgpack.unpackb(member[12:])) for member, _ in redis.zpopmin(self.settings.prefix + channel, count)]
