"""Redis that refuses: out of memory and back, or a channel's key that is no channel; nothing is lost, doubled or told twice."""

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from channelbeat.core.outcomes import Kind, Reason, Sign
from support.rig import Rig, schedule
from support.times import at, short

Rigs = Callable[..., Rig]


async def out_of_memory(redis: Redis) -> None:
    await redis.config_set("maxmemory", 1)


async def enough_memory(redis: Redis) -> None:
    await redis.config_set("maxmemory", 0)


@pytest.mark.parametrize("policy", ["Skip", "Latest", "All"])
async def test_out_of_memory_and_back_loses_and_doubles_nothing(rig: Rig, redis: Redis, policy: str) -> None:
    await rig.start(schedule({"every": "2s", "missed": {"policy": policy}}, {"cron": "* * * * *"}))
    await rig.pass_time(10_000)
    await out_of_memory(redis)
    await rig.advance_until(lambda: rig.clock.now() >= at("12:01:00"))
    assert len(rig.sent()) == 5
    await enough_memory(redis)
    await rig.advance_until(rig.is_idle)
    await rig.pass_time(10_000)
    fence = await rig.lane.broker.fence("default/t/e")
    assert fence is not None
    assert rig.journal.decided("e") == (fence.due - at("12:00:00")) / 2000
    assert rig.journal.decided("e1") == 1
    enqueued = [o.run for o in rig.journal.outcomes if o.kind is Kind.ENQUEUED]
    assert len(enqueued) == len(set(enqueued)) == len(rig.sent())
    if policy == "All":
        assert rig.journal.counts()["enqueued"] == rig.journal.decided("e") + 1


async def test_out_of_memory_is_told_once_and_each_held_occurrence_once(rig: Rig, redis: Redis) -> None:
    await rig.start(schedule({"every": "5s", "missed": {"policy": "All"}}))
    await out_of_memory(redis)
    await rig.advance_until(lambda: rig.clock.now() >= at("12:02:00"))
    assert rig.journal.signs().count(Sign.WRITES_REFUSED) == 1
    held = [o for o in rig.journal.outcomes if o.kind is Kind.HELD]
    assert {o.reason for o in held} == {Reason.WRITES_REFUSED}
    assert [short(o.due) for o in held[:3]] == ["12:00:05", "12:00:10", "12:00:15"]
    assert len({o.due for o in held}) == len(held) > 20
    await enough_memory(redis)
    await rig.advance_until(lambda: rig.journal.signs()[-1] is Sign.LEADING)
    assert rig.journal.signs().count(Sign.LEADING) == 2


async def test_a_start_without_memory_waits_for_it(rig: Rig, redis: Redis) -> None:
    await rig.start(schedule({"every": "5s"}))
    await rig.pass_time(5_000)
    await rig.stop()
    await out_of_memory(redis)
    rig.assemble()
    rig.book.put(schedule({"every": "5s"}))
    await rig.run()
    await rig.advance_until(lambda: Sign.WRITES_REFUSED in rig.journal.signs())
    await enough_memory(redis)
    await rig.advance_until(rig.is_idle)
    await rig.pass_time(10_000)
    sent = rig.sent()
    assert sent == sorted(set(sent))
    assert rig.journal.decided() == len(sent) == (rig.clock.now() - at("12:00:00")) // 5_000


async def test_a_group_s_occurrence_is_held_back_as_well(rig: Rig, redis: Redis) -> None:
    await rig.start(schedule({"every": "5s", "missed": {"policy": "All"}}, group="g"))
    await out_of_memory(redis)
    await rig.advance_until(lambda: rig.clock.now() >= at("12:00:30"))
    assert rig.journal.counts()["enqueued"] == 0
    await enough_memory(redis)
    await rig.advance_until(lambda: rig.journal.counts()["enqueued"] >= 6)
    assert rig.journal.dues(Kind.ENQUEUED) == sorted(set(rig.journal.dues(Kind.ENQUEUED)))


async def test_a_trigger_waits_for_memory(rig: Rig, redis: Redis) -> None:
    await rig.start(schedule({"at": "2025-06-02T18:00:00Z"}))
    await out_of_memory(redis)
    asked = rig.lane.trigger(rig.definition(), at("12:00:00"))
    await rig.advance_until(lambda: Sign.WRITES_REFUSED in rig.journal.signs())
    await enough_memory(redis)
    await rig.advance_until(asked.done)
    assert rig.sent() == ["trigger-2025-06-02T12:00:00Z"]
    assert (await asked).kind is Kind.ENQUEUED


async def test_a_key_of_the_wrong_type_holds_back_its_own_channel_only_until_it_is_repaired(rig: Rig, redis: Redis) -> None:
    await redis.set("asgic", "no channel")
    await rig.start(schedule({"every": "20s", "missed": {"policy": "All"}}), schedule({"every": "20s"}, name="other", channel="other"))
    await rig.pass_time(60_000)
    assert rig.journal.counts() == {"held/WrongType": 3, "enqueued": 3}
    assert len(rig.sent("other")) == 3
    assert await redis.get("asgic") == b"no channel"
    await redis.delete("asgic")
    await rig.pass_time(2000)
    assert [short(due) for due in rig.sent()] == ["12:00:20", "12:00:40", "12:01:00"]
    assert rig.journal.counts() == {"held/WrongType": 3, "enqueued": 6}


@pytest.mark.parametrize(("policy", "sent"), [("Skip", ["12:01:00"]), ("Latest", ["12:00:40", "12:01:00"])])
async def test_the_missed_policy_is_asked_when_the_key_is_repaired(rig: Rig, redis: Redis, policy: str, sent: list[str]) -> None:
    await redis.lpush("asgic", "no channel")
    await rig.start(schedule({"every": "20s", "missed": {"policy": policy}}))
    await rig.pass_time(60_000)
    await redis.delete("asgic")
    await rig.pass_time(2000)
    assert [short(due) for due in rig.sent()] == sent
    assert rig.journal.decided() == 3


async def test_a_decision_log_of_the_wrong_type_costs_itself_alone(rig: Rig, redis: Redis) -> None:
    await redis.set("channelbeat:asgi:log:default/t/e", "no log")
    await rig.start(schedule({"every": "20s"}))
    await rig.pass_time(40_000)
    assert rig.journal.counts() == {"enqueued": 2}
