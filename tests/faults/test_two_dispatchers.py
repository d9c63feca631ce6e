"""Two that send at once: what both believe to be theirs to send is sent once, whatever arrives twice."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, TypeAlias, cast

from redis.asyncio import Redis

from channelbeat.broker.sending import RedisBroker
from channelbeat.core.batch import Answer, Answers, Item
from channelbeat.core.instants import HOUR, SECOND
from channelbeat.core.outcomes import Sign
from channelbeat.engine.ports import Broker
from support.clock import ManualClock
from support.rig import Rig, schedule
from support.times import NOON

Rigs: TypeAlias = Callable[..., Rig]


class Forger:
    """Between an engine and its broker: sends under whatever epoch the store has, and every third batch twice."""

    def __init__(self, redis: "Redis") -> None:
        self._redis, self._turn = redis, count()
        self.duplicates = 0

    def between(self, broker: Broker) -> Broker:
        self._broker = cast(RedisBroker, broker)
        return cast(Broker, self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        self._broker._epoch = str(int(await self._redis.hget("channelbeat:asgi:state", ":epoch") or 0))
        answers = await self._broker.enqueue(items)
        self.duplicates += answers.answers.count(Answer.DUPLICATE)
        if next(self._turn) % 3 == 0:
            self.duplicates += (await self._broker.enqueue(items)).answers.count(Answer.DUPLICATE)
        return answers


async def test_two_dispatchers_with_one_epoch_send_ten_thousand_events_once(rigs: Rigs, redis: "Redis") -> None:
    clock = ManualClock(NOON)
    forgers = [Forger(redis), Forger(redis)]
    one, two = (rigs(clock=clock, wrap=forger.between) for forger in forgers)
    schedules = [schedule(*[{"every": "1h"}] * 100, name=f"s{number}") for number in range(100)]
    await one.start(*schedules)
    await two.start(*schedules)
    clock.advance(HOUR)
    await one.idle()
    await two.idle()
    runs = [message["beat"]["run"] for message in one.messages()]
    assert len(runs) == len(set(runs)) == 10_000
    assert one.journal.counts() + two.journal.counts() == {"enqueued": 10_000}
    assert all(forger.duplicates for forger in forgers), "they did not meet"


async def test_two_that_take_the_lead_from_each_other_again_and_again(rigs: Rigs) -> None:
    clock = ManualClock(NOON)
    one, two = rigs(clock=clock), rigs(clock=clock)
    schedules = schedule(*[{"every": "1s"}] * 20), schedule({"every": "1s"}, {"every": "1s", "jitter": "500ms"}, name="never", suspend=True)
    await one.start(*schedules)
    await two.start(*schedules)
    await one.advance_until(lambda: clock.now() > NOON + 30 * SECOND and one.is_idle() and two.is_idle(), step=SECOND // 4)
    seconds = (clock.now() - NOON) // SECOND
    runs = [message["beat"]["run"] for message in one.messages()]
    assert len(runs) == len(set(runs)) == 20 * seconds
    told = one.journal.counts() + two.journal.counts()
    assert told == {"enqueued": 20 * seconds, "suspended": told["suspended"]}
    assert 2 * seconds - 1 <= told["suspended"] <= 2 * seconds  # the last with jitter may be still to come
    assert Sign.TAKEN in one.journal.signs()
    assert Sign.TAKEN in two.journal.signs()
