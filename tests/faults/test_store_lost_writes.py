"""A Redis that is put back in time, or wiped: what had been sent is sent again for a minute at most, or not at all, and is counted."""

from collections.abc import Callable
from typing import TypeAlias

import pytest
from redis.asyncio import Redis

from channelbeat.core import instants
from channelbeat.core.batch import Adopt, Send
from channelbeat.core.instants import HOUR, MINUTE, SECOND
from channelbeat.core.outcomes import Kind, Sign
from support.clock import ManualClock
from support.losses import Losses
from support.redis import RedisServer
from support.rig import Rig, schedule
from support.times import NOON, short

pytestmark = pytest.mark.chaos

Rigs: TypeAlias = Callable[..., Rig]
either_way = pytest.mark.parametrize("carried_out", [True, False], ids=["carried out", "never arrived"])
EVERY = schedule({"every": "1s"})


def sent(rig: Rig) -> list[int]:
    """The due times in the channel, as seconds after noon, as often as they are there."""
    return sorted((instants.parse(message["beat"]["due"]) - NOON) // SECOND for message in rig.messages())


async def go_on(rig: Rig, length: int = 5 * SECOND) -> None:
    """Time passes until it is got over, and then some."""
    await rig.advance_until(rig.is_idle)
    await rig.pass_time(length)


async def run_back(rig: Rig, server: RedisServer, length: int) -> None:
    """Put the store back by `length`, and let the leader get over it."""
    snapshot = server.snapshot()
    await rig.pass_time(length)
    server.restore(snapshot)
    rig.clock.advance(SECOND)
    await rig.advance_until(lambda: Sign.ROLLED_BACK in rig.journal.signs())
    await go_on(rig)


async def test_a_short_way_back_in_time_is_replayed_in_full(rigs: Rigs, own_redis: RedisServer) -> None:
    rig = rigs(own_redis.url)
    await rig.start(EVERY)
    await rig.pass_time(30 * SECOND)
    await run_back(rig, own_redis, 30 * SECOND)
    assert sent(rig) == list(range(1, (rig.clock.now() - NOON) // SECOND + 1))
    assert rig.journal.counts() == {"enqueued": len(sent(rig)), "enqueued/Replayed": 30}


async def test_a_long_way_back_is_replayed_for_a_minute_and_counted_before(rigs: Rigs, own_redis: RedisServer) -> None:
    rig = rigs(own_redis.url)
    await rig.start(EVERY)
    await rig.pass_time(30 * SECOND)
    await run_back(rig, own_redis, 3 * MINUTE)
    counts, now = rig.journal.counts(), (rig.clock.now() - NOON) // SECOND
    replayed, lost = counts["enqueued/Replayed"], counts["lost/StoreRolledBack"]
    assert counts == {"enqueued": now, "enqueued/Replayed": replayed, "lost/StoreRolledBack": lost}
    assert replayed + lost == 180
    assert 57 <= replayed <= 60
    assert sent(rig) == [*range(1, 31), *range(31 + lost, now + 1)]


async def test_what_was_replayed_is_replayed_again_if_it_is_lost_again(rigs: Rigs, own_redis: RedisServer) -> None:
    rig = rigs(own_redis.url)
    await rig.start(EVERY)
    await rig.pass_time(5 * SECOND)
    snapshot = own_redis.snapshot()
    await rig.pass_time(5 * SECOND)
    for times in (1, 2, 3):
        own_redis.restore(snapshot)
        rig.clock.advance(SECOND)
        await rig.advance_until(lambda times=times: rig.journal.signs().count(Sign.ROLLED_BACK) == times)  # type: ignore[misc]
        await go_on(rig)
        now = (rig.clock.now() - NOON) // SECOND
        assert sent(rig) == list(range(1, now + 1))
    assert rig.journal.counts()["enqueued"] == now


async def test_each_event_is_replayed_from_where_it_stood(rigs: Rigs, own_redis: RedisServer) -> None:
    rig = rigs(own_redis.url)
    suspended = schedule({"every": "1s"}, name="never", suspend=True)
    slow, late = schedule({"every": "20s"}, name="slow", channel="slow"), schedule({"every": "1s"}, name="late", channel="late")
    await rig.start(EVERY, suspended, slow, schedule({"cron": "0 18 * * *"}, name="evening"))
    await rig.pass_time(15 * SECOND)
    snapshot = own_redis.snapshot()
    await rig.pass_time(15 * SECOND)
    rig.book.put(late)  # the snapshot knows nothing of it
    await rig.pass_time(2 * MINUTE)
    own_redis.restore(snapshot)
    rig.clock.advance(SECOND)
    await rig.advance_until(lambda: Sign.ROLLED_BACK in rig.journal.signs())
    await go_on(rig)
    now = (rig.clock.now() - NOON) // SECOND
    told = {name: rig.journal.counts(f"default/{name}") for name in ("t", "never", "slow", "late")}
    assert told["never"] == {"suspended": now}
    assert told["slow"] == {"enqueued": now // 20, "enqueued/Replayed": 3, "lost/StoreRolledBack": 4}
    assert [short(due) for due in rig.sent("slow")] == ["12:01:40", "12:02:00", "12:02:20", "12:02:40"][: now // 20 - 4]
    assert told["late"]["enqueued"] == now - 30
    assert told["late"]["enqueued/Replayed"] + told["late"]["lost/StoreRolledBack"] == 120
    assert told["t"]["enqueued/Replayed"] + told["t"]["lost/StoreRolledBack"] == 135


@either_way
async def test_what_was_unanswered_when_the_store_was_put_back_is_sent_as_ever(rigs: Rigs, own_redis: RedisServer, carried_out: bool) -> None:
    losses = Losses()
    rig = rigs(own_redis.url, wrap=losses.between)
    await rig.start(EVERY)
    await rig.pass_time(5 * SECOND)
    snapshot = own_redis.snapshot()
    await rig.pass_time(5 * SECOND)
    losses.lose(Send, carried_out=carried_out, then=lambda: own_redis.restore(snapshot))
    await rig.advance_until(lambda: losses.all_happened)
    await go_on(rig)
    now = (rig.clock.now() - NOON) // SECOND
    assert sent(rig) == list(range(1, now + 1))
    assert rig.journal.counts() == {"enqueued": now, "enqueued/Replayed": 5}


@either_way
async def test_a_replay_whose_reply_is_lost_is_told_once(rigs: Rigs, own_redis: RedisServer, carried_out: bool) -> None:
    losses = Losses()
    rig = rigs(own_redis.url, wrap=losses.between)
    await rig.start(EVERY)
    await rig.pass_time(5 * SECOND)
    snapshot = own_redis.snapshot()
    await rig.pass_time(5 * SECOND)
    own_redis.restore(snapshot)
    losses.lose(Adopt, carried_out=carried_out)  # which begins it
    await rig.advance_until(lambda: losses.all_happened)
    await go_on(rig)
    now = (rig.clock.now() - NOON) // SECOND
    assert sent(rig) == list(range(1, now + 1))
    assert rig.journal.counts() == {"enqueued": now, "enqueued/Replayed": 5}


async def test_a_wiped_store_is_given_nothing_again(rigs: Rigs, own_redis: RedisServer) -> None:
    rig = rigs(own_redis.url)
    await rig.start(EVERY, schedule({"at": "2025-06-02T12:00:03Z"}, name="once"))
    await rig.pass_time(5 * SECOND)
    own_redis.wipe()
    await rig.advance_until(lambda: Sign.WIPED in rig.journal.signs())
    await go_on(rig)
    now = (rig.clock.now() - NOON) // SECOND
    unknown = rig.journal.counts()["unknown/StoreWiped"]
    assert unknown <= 1  # what was on its way when the connection broke
    assert sent(rig) == list(range(6 + unknown, now + 1))
    assert rig.journal.counts() == {"enqueued": now + 1 - unknown} | ({"unknown/StoreWiped": 1} if unknown else {})


async def test_a_flushed_store_loses_what_waited_and_nothing_else(rigs: Rigs, redis: "Redis") -> None:
    rig = rigs()
    await rig.start(EVERY)
    await rig.pass_time(5 * SECOND)
    await redis.flushall()
    await rig.advance_until(lambda: Sign.WIPED in rig.journal.signs())
    await go_on(rig)
    now = (rig.clock.now() - NOON) // SECOND
    assert sent(rig) == list(range(6, now + 1))
    assert rig.journal.counts() == {"enqueued": now}


@either_way
async def test_what_was_unanswered_when_the_store_was_wiped_is_unknown(rigs: Rigs, own_redis: RedisServer, carried_out: bool) -> None:
    losses = Losses()
    rig = rigs(own_redis.url, wrap=losses.between)
    await rig.start(*[schedule({"every": "1s"}, name=f"t{number}") for number in range(10)])
    await rig.pass_time(2 * SECOND)
    losses.lose(Send, carried_out=carried_out, then=own_redis.wipe)
    await rig.advance_until(lambda: Sign.WIPED in rig.journal.signs())
    await go_on(rig)
    now = (rig.clock.now() - NOON) // SECOND
    assert sorted(set(sent(rig))) == list(range(4, now + 1))
    assert len(sent(rig)) == 10 * (now - 3)
    assert rig.journal.counts() == {"enqueued": 10 * (now - 1), "unknown/StoreWiped": 10}
    assert {o.due for o in rig.journal.outcomes if o.kind is Kind.UNKNOWN} == {NOON + 3 * SECOND}


async def test_a_wipe_is_noticed_while_nothing_is_due(rigs: Rigs, redis: "Redis") -> None:
    rig = rigs()
    await rig.start(schedule({"at": "2025-06-02T12:00:03Z"}, {"every": "1h"}))
    await rig.pass_time(5 * SECOND)
    await redis.flushall()
    await rig.pass_time(11 * SECOND)
    assert Sign.WIPED in rig.journal.signs()
    assert sent(rig) == []
    assert rig.journal.counts() == {"enqueued": 1}


@pytest.mark.parametrize("policy", ["Skip", "Latest", "All"])
async def test_a_fresh_process_on_a_wiped_store_sends_nothing_by_surprise(rigs: Rigs, own_redis: RedisServer, policy: str) -> None:
    missed = {"missed": {"policy": policy, "window": "24h"}}
    events = schedule({"every": "1m", **missed}, {"cron": "*/10 * * * *", **missed}, {"at": "2025-06-02T12:05:00Z", **missed})
    before = rigs(own_redis.url)
    await before.start(events)
    await before.pass_time(6 * MINUTE, step=MINUTE)
    await before.kill()
    own_redis.wipe()
    clock = ManualClock(NOON + HOUR + 30 * SECOND)
    after = rigs(own_redis.url, clock=clock)
    await after.start(events)
    assert (after.sent(), after.journal.counts()) == ([], {})
    await after.pass_time(30 * SECOND)
    assert [short(due) for due in after.sent()] == ["13:01:00"]
