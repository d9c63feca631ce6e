"""A Redis that ends and comes back with its data in the middle of a burst: nothing is lost, nothing is doubled."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from redis.asyncio import Redis

from channelbeat.core.instants import SECOND
from channelbeat.core.outcomes import Sign
from support import repeats
from support.redis import RedisServer
from support.rig import Rig, schedule
from support.times import NOON
from support.waiting import eventually

pytestmark = pytest.mark.chaos

Rigs: TypeAlias = Callable[..., Rig]
EVENTS = 100
BURST = 10 * SECOND
PER_SECOND = 5
ALL = {"every": "200ms", "missed": {"policy": "All"}}
SCHEDULES = [schedule(*[ALL] * EVENTS), schedule(ALL, name="never", suspend=True)]


async def burst(rig: Rig, server: RedisServer, share: float) -> None:
    """Much comes due at once; returns when about `share` of it is in the channel."""
    async with Redis.from_url(server.url) as redis:
        before = await redis.zcard("asgic")
        rig.clock.advance(BURST)

        async def under_way() -> bool:
            return await redis.zcard("asgic") > before + share * EVENTS * PER_SECOND * BURST / SECOND

        await eventually(under_way)


async def end(server: RedisServer, how: signal.Signals) -> None:
    """While the engine goes on."""
    os.kill(server.pid, how)
    await eventually(lambda: not server.alive())


@pytest.fixture(autouse=True)
def as_sent() -> Iterator[None]:
    """Messages are as in production: Redis brings some back."""
    with repeats.that_replace():
        yield


def due_by_now(rig: Rig) -> int:
    return (rig.clock.now() - NOON) * PER_SECOND // SECOND * EVENTS


def assert_each_once(rig: Rig) -> None:
    """All that came due is in the channel once, and told once."""
    due = due_by_now(rig)
    runs = Counter(message["beat"]["run"] for message in rig.messages())
    assert (len(runs), runs.total()) == (due, due)
    assert rig.journal.counts() == {"enqueued": due, "suspended": due // EVENTS}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["shut down", "killed"])
async def test_ended_and_started_again_and_again(rigs: Rigs, own_redis: RedisServer, how: signal.Signals) -> None:
    rig = rigs(own_redis.url)
    await rig.start(*SCHEDULES)
    for share in (0, 0.3, 0.6):
        await burst(rig, own_redis, share)
        await end(own_redis, how)
        own_redis.start()
        await own_redis.answering(print)
        await rig.advance_until(rig.is_idle)
    await rig.advance_until(lambda: rig.is_idle() and rig.clock.now() % SECOND == 0)
    assert_each_once(rig)


def tear(server: RedisServer) -> None:
    """As by a crash in the middle of a write: of the last batch that sent something, not all is in the file, and nothing after it."""
    file = next(file for pattern in ("appendonlydir/*.incr.aof", "appendonly.aof") for file in server.directory.glob(pattern))
    written = file.read_bytes()
    sent = written.rindex(b"\r\nasgic\r\n$")
    os.truncate(file, written.index(b"EXEC\r\n", sent))


async def test_what_a_crash_has_torn_comes_back_and_doubles_nothing(rigs: Rigs, own_redis: RedisServer) -> None:
    """Redis leaves a torn batch out when it starts, but not out of its file: with what follows it is read again at the start after that."""
    rig = rigs(own_redis.url)
    await rig.start(*SCHEDULES)
    rig.clock.advance(SECOND)
    await rig.idle()
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
        await end(own_redis, how)
        if how is signal.SIGKILL:
            tear(own_redis)
        own_redis.start()
        await own_redis.answering(print)
        rig.clock.advance(SECOND)
        await rig.advance_until(lambda: rig.is_idle() and len(rig.messages()) >= due_by_now(rig))
    runs = Counter(message["beat"]["run"] for message in rig.messages())
    assert (len(runs), runs.total()) == (due_by_now(rig), due_by_now(rig))


async def test_away_for_a_while_and_back(rigs: Rigs, own_redis: RedisServer) -> None:
    rig = rigs(own_redis.url)
    await rig.start(*SCHEDULES)
    await burst(rig, own_redis, 0)
    await end(own_redis, signal.SIGTERM)
    await rig.advance_until(lambda: rig.journal.signs()[-1] is Sign.AWAY)
    rig.clock.advance(5 * SECOND)
    own_redis.start()
    await own_redis.answering(print)
    await rig.advance_until(lambda: rig.is_idle() and rig.clock.now() % SECOND == 0)
    assert_each_once(rig)
    assert [sign for sign in rig.journal.signs() if sign in (Sign.AWAY, Sign.LEADING)] == [Sign.LEADING, Sign.AWAY, Sign.LEADING]


async def test_hanging_for_a_while(rigs: Rigs, own_redis: RedisServer) -> None:
    rig = rigs(own_redis.url, timeout=0.5)
    await rig.start(*SCHEDULES)
    await burst(rig, own_redis, 0)
    own_redis.freeze()
    await eventually(lambda: Sign.AWAY in rig.journal.signs())  # what it was asked meanwhile, it does when it wakes
    own_redis.thaw()
    await rig.advance_until(lambda: rig.is_idle() and rig.clock.now() % SECOND == 0)
    assert_each_once(rig)
