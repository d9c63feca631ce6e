"""Who should lead, and who does: while nobody can tell, whoever leads goes on; once somebody else has it, nothing more leaves."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, cast

import pytest
from redis.asyncio import Redis

from channelbeat.core.batch import Answers, Item, Send, Verdict
from channelbeat.core.instants import SECOND
from channelbeat.core.outcomes import Sign
from channelbeat.engine.ports import Broker
from support.clock import ManualClock
from support.redis import RedisServer
from support.rig import Lease, Rig, schedule
from support.times import NOON
from support.waiting import eventually

Rigs: TypeAlias = Callable[..., Rig]

ALL = {"every": "1s", "missed": {"policy": "All"}}
EVERY = schedule(ALL)
MANY = [schedule(*[ALL] * 100, name=f"s{number}") for number in range(10)]
MOVES = 0.003  # seconds


class Watched:
    """Between an engine and its broker: `before` is called with the name of each call before it is passed on; `send` is a batch that sends."""

    def __init__(self, before: Callable[[str], None]) -> None:
        self._before = before

    def between(self, broker: Broker) -> Broker:
        self._broker = broker
        return cast(Broker, self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def peek(self) -> str:
        return str(await self._call("peek", self._broker.peek))

    async def lead(self) -> Verdict:
        return cast(Verdict, await self._call("lead", self._broker.lead))

    async def found(self) -> None:
        await self._call("found", self._broker.found)

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        name = "send" if any(isinstance(item, Send) for item in items) else "enqueue"
        return cast(Answers, await self._call(name, lambda: self._broker.enqueue(items)))

    async def _call(self, name: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        self._before(name)
        return await ask()


def unsure(rig: Rig) -> None:
    """The API server gives no answer: whose the lead is, nobody can tell."""
    rig.leadership.held, rig.leadership.taken = False, False


def lost(rig: Rig) -> None:
    rig.leadership.held, rig.leadership.taken = False, True


def won(rig: Rig) -> None:
    rig.leadership.held, rig.leadership.taken = True, False
    rig.dispatcher.wake()


def runs(rig: Rig) -> list[str]:
    return [message["beat"]["run"] for message in rig.messages()]


def seconds(rig: Rig) -> int:
    return (rig.clock.now() - NOON) // SECOND


def assert_each_once(rig: Rig, events: int = 1) -> None:
    """All that came due since noon is in the channel, once."""
    found = runs(rig)
    assert len(found) == len(set(found)) == events * seconds(rig)


async def test_while_nobody_can_tell_it_goes_on(rig: Rig) -> None:
    await rig.start(EVERY)
    unsure(rig)
    await rig.pass_time(30 * SECOND)
    assert_each_once(rig)
    assert rig.lane.leading


@pytest.mark.chaos
@pytest.mark.parametrize("what", ["restarted", "rolled back", "wiped"])
async def test_while_nobody_can_tell_it_goes_on_though_redis_was(rigs: Rigs, own_redis: RedisServer, what: str) -> None:
    rig = rigs(own_redis.url)
    await rig.start(EVERY)
    snapshot = own_redis.snapshot()
    await rig.pass_time(5 * SECOND)
    unsure(rig)
    rig.journal.notices.clear()
    own_redis.kill()
    await rig.advance_until(lambda: Sign.AWAY in rig.journal.signs())
    {"restarted": own_redis.crash, "rolled back": lambda: own_redis.restore(snapshot), "wiped": own_redis.wipe}[what]()
    told = {"restarted": Sign.LEADING, "rolled back": Sign.ROLLED_BACK, "wiped": Sign.WIPED}[what]
    await rig.advance_until(lambda: told in rig.journal.signs() and rig.is_idle())
    before = len(rig.sent())
    await rig.pass_time(5 * SECOND)
    assert len(rig.sent()) == before + 5
    if what != "wiped":
        assert_each_once(rig)


async def test_who_was_never_sure_takes_no_lead(rig: Rig, redis: Redis) -> None:
    unsure(rig)
    rig.assemble()
    rig.book.put(EVERY)
    await rig.run()
    await rig.advance_until(lambda: seconds(rig) >= 10)
    assert not await redis.exists("channelbeat:asgi:state")
    won(rig)
    await rig.advance_until(rig.is_idle)
    assert rig.lane.leading


async def test_outranked_while_nobody_can_tell_it_stops_until_it_is_sure(rigs: Rigs) -> None:
    clock = ManualClock(NOON)
    one, two = rigs(clock=clock), rigs(clock=clock)
    await one.start(EVERY)
    unsure(one)
    await two.start(EVERY)
    await two.advance_until(lambda: Sign.TAKEN in one.journal.signs() and two.is_idle())
    before = one.journal.counts()["enqueued"]
    await two.advance_until(lambda: seconds(two) >= 20 and two.is_idle())
    assert one.journal.counts()["enqueued"] == before
    assert one.journal.signs().count(Sign.TAKEN) == 1
    assert two.journal.signs() == [Sign.CLOCK_SKEW, Sign.LEADING]  # it was never stopped by the other
    lost(two)
    won(one)
    await one.advance_until(lambda: seconds(one) >= 40 and one.is_idle())
    assert_each_once(one)
    assert one.journal.counts() + two.journal.counts() == {"enqueued": seconds(one)}


@pytest.mark.chaos
async def test_a_wipe_while_nobody_can_tell_repeats_nothing_that_another_may_have_sent(rigs: Rigs, own_redis: RedisServer) -> None:
    rig = rigs(own_redis.url)
    await rig.start(EVERY)
    await rig.pass_time(5 * SECOND)
    unsure(rig)
    own_redis.wipe()
    rig.clock.advance(3 * SECOND)  # in which another may have led, and sent these
    await rig.advance_until(rig.is_idle)
    await rig.pass_time(2 * SECOND)
    counts = rig.journal.counts()
    assert counts["unknown/StoreWiped"] >= 3
    assert counts["enqueued"] - 5 == len(rig.sent())
    assert counts.total() == seconds(rig)


async def test_lost_in_the_middle_of_a_burst_the_next_batch_does_not_leave(rigs: Rigs) -> None:
    calls = list[str]()

    def before(name: str) -> None:
        calls.append(name)
        if calls.count("send") == 2 and rig.leadership.taken is None:
            lost(rig)
            calls.clear()

    rig = rigs(wrap=Watched(before).between)
    await rig.start(*MANY)
    rig.clock.advance(9 * SECOND)
    await eventually(lambda: not rig.leadership.held and rig.clock.sleepers, what="it to stand down")
    assert calls == []
    assert len(runs(rig)) in range(1_000, 3_000)  # batches that had left
    rig.clock.advance(SECOND)
    won(rig)
    await rig.advance_until(rig.is_idle)
    assert_each_once(rig, 1_000)
    assert rig.journal.counts() == {"enqueued": 1_000 * seconds(rig)}
    assert Sign.TAKEN not in rig.journal.signs()  # whoever gives way is not ailing


async def test_lost_while_it_takes_the_lead_it_takes_it_from_nobody(rigs: Rigs, redis: Redis) -> None:
    calls = list[str]()

    def before(name: str) -> None:
        calls.append(name)
        if calls.count("peek") == 2:
            lost(rig)

    rig = rigs(wrap=Watched(before).between)
    rig.assemble()
    await rig.run()
    await rig.advance_until(lambda: "peek" in calls and seconds(rig) >= 5)
    assert "lead" not in calls
    assert not await redis.exists("channelbeat:asgi:state")


@pytest.mark.chaos
async def test_lost_while_a_wiped_store_is_made_good_it_is_left_to_the_other(rigs: Rigs, own_redis: RedisServer) -> None:
    calls = list[str]()

    def before(name: str) -> None:
        calls.append(name)

    rig = rigs(own_redis.url, wrap=Watched(before).between)
    await rig.start(EVERY)
    await rig.pass_time(5 * SECOND)
    own_redis.wipe()
    settler: Any = rig.lane._settler
    settle = settler._answered

    def answered(*given: Any) -> None:
        settle(*given)
        lost(rig)

    settler._answered = answered
    calls.clear()
    rig.clock.advance(SECOND)
    await rig.advance_until(lambda: not rig.leadership.held and rig.clock.sleepers > 0)
    assert "lead" in calls
    assert "found" not in calls
    other = rigs(own_redis.url, clock=rig.clock)
    await other.start(EVERY)
    await other.pass_time(5 * SECOND)
    assert len(other.sent()) == len(set(other.sent())) >= 5


class Moving:
    """A Lease that two hold in turns. The one that is to give it up may not know for a while whether it still has it, and then it is
    not lost to it."""

    def __init__(self, one: Lease, two: Lease, rigs: Sequence[Rig]) -> None:
        self._leases, self._rigs = (one, two), rigs
        self.moves = 0

    async def run(self) -> None:
        for holder in itertools.cycle((0, 1)):
            new, old = self._leases[holder], self._leases[1 - holder]
            if self.moves % 3 == 0:
                old.held, old.taken = False, False
            else:
                old.held, old.taken = False, True
            new.held, new.taken = True, False
            for rig in self._rigs:
                rig.dispatcher.wake()
            self.moves += 1
            await asyncio.sleep(MOVES)


@pytest.mark.slow
async def test_a_lease_that_moves_every_few_milliseconds_under_a_thousand_events_a_second(rigs: Rigs) -> None:
    clock = ManualClock(NOON)
    one, two = rigs(clock=clock), rigs(clock=clock)
    await one.start(*MANY)
    await two.start(*MANY)
    moving = Moving(one.leadership, two.leadership, (one, two))
    task = asyncio.create_task(moving.run())
    for _ in range(400):
        clock.advance(SECOND // 10)
        await asyncio.sleep(MOVES * 1.4)
    task.cancel()
    assert moving.moves > 100
    lost(one)
    won(two)

    def done() -> bool:
        if two.is_idle() and clock.now() % SECOND == 0:
            return True
        if clock.sleepers == 2:  # neither has anything to do
            clock.advance(SECOND // 10)
        return False

    await eventually(done, within=60)
    assert_each_once(two, 1_000)
    assert one.journal.counts() + two.journal.counts() == {"enqueued": 1_000 * seconds(two)}
    assert min(rig.journal.counts()["enqueued"] for rig in (one, two)) > 1_000, "only one of them sent"


@pytest.mark.parametrize("first", [True, False], ids=["a first installation", "somebody else has led"])
async def test_a_store_without_a_name_is_one_that_was_wiped_only_if_somebody_may_have_led(rigs: Rigs, first: bool) -> None:
    rig = rigs()
    rig.leadership.first = first
    lost(rig)
    rig.assemble()
    rig.book.put(schedule({"every": "1s"}), created=rig.clock.now() - 10 * SECOND)
    rig.book.complete()
    await rig.run()
    for _ in range(5):
        await eventually(lambda: rig.clock.sleepers == 1)
        rig.clock.advance(SECOND)
    won(rig)
    rig.lane.wake()
    await rig.idle()
    await rig.pass_time(3 * SECOND)
    assert ("unknown/StoreWiped" in rig.journal.counts()) != first
    assert rig.journal.counts()["enqueued"] == (8 if first else 3)  # since it was first seen
