"""A trigger whose process, reply or Redis is lost at the wrong moment: sent once, or not at all and said so."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from channelbeat.core.batch import Item, Trigger
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.core.outcomes import Sign
from support.clock import ManualClock
from support.redis import RedisServer
from support.rig import Rig, schedule
from support.times import NOON
from support.triggers import QUIET, SENT1, SENT2, T1, T2, ask, told
from support.waiting import eventually
from support.wire import Wire

Rigs = Callable[..., Rig]


def wire(rig: Rig) -> Wire:
    """The rig's, set to concern triggers only."""
    broker = rig.lane.broker
    assert isinstance(broker, Wire)
    broker.of = is_trigger
    return broker


def is_trigger(item: Item) -> bool:
    return isinstance(item, Trigger)


@pytest.mark.chaos
async def test_killed_between_sending_and_remembering_it_is_not_sent_again(rigs: Rigs) -> None:
    rig = rigs(wrap=Wire)
    await rig.start(QUIET)
    wire(rig).dead = True
    rig.lane.trigger(rig.definition(), T1)
    await rig.advance_until(lambda: bool(wire(rig).lost))
    await rig.kill()
    await rig.start(QUIET)
    assert await ask(rig) == "refused/Duplicate"
    assert rig.sent() == [SENT1]


@pytest.mark.parametrize(("target", "answer"), [({"channel": "c"}, "enqueued/Triggered"), ({"group": "g"}, "unknown/ReplyLost")], ids=["channel", "group"])
async def test_a_lost_reply(rigs: Rigs, target: dict[str, str], answer: str) -> None:
    rig = rigs(wrap=Wire)
    await rig.start(schedule({"at": "2029-01-01T00:00:00Z"}, **target))
    wire(rig).cut = True
    asked = rig.lane.trigger(rig.definition(), T1)
    await rig.advance_until(lambda: wire(rig).lost > 2)
    wire(rig).cut = False
    await rig.advance_until(asked.done)
    assert told(await asked) == answer
    assert rig.sent() == ([SENT1] if "channel" in target else [])
    assert await ask(rig) == "refused/Duplicate"


async def test_a_reply_lost_so_long_ago_that_its_token_is_forgotten(rigs: Rigs, redis: Redis) -> None:
    rig = rigs(wrap=Wire)
    await rig.start(QUIET)
    wire(rig).cut = True
    asked = rig.lane.trigger(rig.definition(), T1)
    await rig.advance_until(lambda: wire(rig).lost > 0)
    await redis.hdel("channelbeat:asgi:state", "default/t/e!")
    rig.clock.step(21 * MINUTE)
    wire(rig).cut = False
    await rig.advance_until(asked.done)
    assert told(await asked) == "unknown/ReplyLost"
    assert rig.sent() == [SENT1]


@pytest.fixture
async def own(own_redis: RedisServer) -> AsyncIterator[Rig]:
    """On a Redis of its own."""
    rig = Rig(own_redis.url, clock=ManualClock(NOON), wrap=Wire)
    await rig.start(QUIET)
    yield rig
    await rig.kill()


@pytest.mark.chaos
@pytest.mark.parametrize(("away", "answer"), [(MINUTE, "enqueued/Triggered"), (HOUR, "refused/Expired")])
async def test_asked_for_while_redis_is_away(own: Rig, own_redis: RedisServer, away: Ms, answer: str) -> None:
    own_redis.kill()
    await own.advance_until(lambda: Sign.AWAY in own.journal.signs(), step=5 * SECOND)
    asked = own.lane.trigger(own.definition(), own.clock.now())
    own.clock.advance(away)
    own_redis.start()
    await own.advance_until(asked.done)
    assert told(await asked) == answer


@pytest.mark.chaos
async def test_a_store_that_was_wiped_before_its_reply_arrived(own: Rig, own_redis: RedisServer) -> None:
    wire(own).cut = True
    asked = own.lane.trigger(own.definition(), T1)
    await own.advance_until(lambda: wire(own).lost > 0)
    own_redis.wipe()
    wire(own).cut = False
    await own.advance_until(asked.done)
    assert told(await asked) == "unknown/StoreWiped"
    assert await ask(own) == "refused/Duplicate"
    assert own.sent() == []


@pytest.mark.chaos
async def test_a_store_that_was_wiped_afterwards_does_not_make_it_new(own: Rig, own_redis: RedisServer) -> None:
    assert await ask(own) == "enqueued/Triggered"
    own_redis.wipe()
    await own.advance_until(lambda: Sign.WIPED in own.journal.signs())
    assert await ask(own) == "refused/Duplicate"
    assert await ask(own, T2) == "enqueued/Triggered"
    assert own.sent() == [SENT2]


async def test_a_trigger_that_is_withdrawn_before_it_was_asked_of_the_layer_is_not_sent(redis: Redis, rigs: Rigs) -> None:
    own = rigs(capacity=1)
    await own.start(schedule({"every": "1h"}))
    definition = own.definition()
    assert str((await own.lane.trigger(definition, own.clock.now())).kind) == "enqueued"
    second = own.lane.trigger(definition, own.clock.now() + 1)
    await own.pass_time(2_000)
    second.cancel()
    await redis.delete("asgic")
    await own.pass_time(3_000)
    assert own.sent() == []


async def test_a_trigger_expires_while_another_installation_leads(rigs: Rigs) -> None:
    other, own = rigs(owner="them"), rigs(owner="us")
    await other.start(schedule({"every": "1h"}))
    starting = asyncio.create_task(own.start(schedule({"every": "1h"})))
    await eventually(lambda: Sign.TAKEN in own.journal.signs())
    asked = own.lane.trigger(own.definition(), own.clock.now())
    await own.advance_until(asked.done, step=60_000)
    assert told(await asked) == "refused/Expired"
    starting.cancel()
