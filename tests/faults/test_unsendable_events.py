"""Events that cannot be sent: a message no serializer takes, a group that refuses. Each counts as failed once; others go on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from channels_redis.core import RedisChannelLayer
from redis.asyncio import Redis

from channelbeat.core.outcomes import Kind, Reason
from channelbeat.core.schedule import BeatSchedule
from channelbeat.core.why import decided
from support.rig import Rig, schedule
from support.times import short
from support.wire import Wire

Rigs = Callable[..., Rig]
TOO_LONG = 2**70


def with_fields(original: BeatSchedule, event: str, fields: dict[str, Any]) -> BeatSchedule:
    """With a payload that no manifest could carry."""
    events = tuple(replace(e, fields=fields) if e.name == event else e for e in original.spec.events)
    return replace(original, spec=replace(original.spec, events=events))


def failed(rig: Rig, event: str = "e") -> list[str]:
    return [short(o.due) for o in rig.journal.outcomes if o.kind is Kind.FAILED and o.event == event]


TWO = schedule({"every": "5s"}, {"every": "5s"})


@pytest.mark.parametrize(
    ("layer", "value", "says"),
    [
        ({}, TOO_LONG, "OverflowError"),
        ({}, object(), "TypeError"),
        ({"serializer_format": "json"}, b"bytes", "TypeError"),
        ({"serializer_format": "json"}, {1, 2}, "TypeError"),
    ],
)
async def test_a_message_no_serializer_takes_counts_as_failed_once_and_says_why(rigs: Rigs, layer: dict[str, Any], value: object, says: str) -> None:
    rig = rigs(**layer)
    await rig.start(with_fields(TWO, "e", {"n": value}))
    await rig.pass_time(15_000)
    assert failed(rig) == ["12:00:05", "12:00:10", "12:00:15"]
    assert all(o.reason is Reason.NOT_SERIALIZABLE and says in o.note and "change" in o.note for o in rig.journal.outcomes if o.event == "e")
    assert rig.journal.decided("e1") == 3
    assert rig.journal.counts() == {"failed/NotSerializable": 3, "enqueued": 3}


async def test_valid_again_it_goes_on_and_makes_up_for_nothing(rig: Rig) -> None:
    await rig.start(with_fields(TWO, "e", {"n": TOO_LONG}))
    await rig.pass_time(12_000)
    rig.book.put(TWO)
    await rig.pass_time(8_000)
    assert failed(rig) == ["12:00:05", "12:00:10"]
    assert [short(o.due) for o in rig.journal.outcomes if o.kind is Kind.ENQUEUED and o.event == "e"] == ["12:00:15", "12:00:20"]
    assert rig.journal.decided("e") == 4


@pytest.mark.parametrize("policy", ["Skip", "Latest", "All"])
async def test_a_long_backlog_of_it_is_worked_off_each_counted_once(rig: Rig, policy: str) -> None:
    every = schedule({"every": "1s", "missed": {"policy": policy}}, {"every": "1s"})
    await rig.start(every)
    await rig.kill()
    rig.clock.advance(60_000)
    await rig.start(with_fields(every, "e", {"n": TOO_LONG}))
    await rig.pass_time(1000)
    assert rig.journal.decided("e") == rig.journal.decided("e1") == 61
    assert failed(rig) == sorted(set(failed(rig)))
    assert [kind for kind in rig.journal.counts() if "enqueued" in kind] == ["enqueued"]
    assert len(rig.sent()) == 13  # all of those up to ten seconds late, the latest of the others, and the new one


async def test_a_restart_does_not_count_it_again(rig: Rig) -> None:
    await rig.start(with_fields(TWO, "e", {"n": TOO_LONG}))
    await rig.pass_time(5_000)
    await rig.kill()
    await rig.start(with_fields(TWO, "e", {"n": TOO_LONG}))
    await rig.pass_time(5_000)
    assert failed(rig) == ["12:00:05", "12:00:10"]


async def test_it_fails_even_where_nothing_could_be_sent(rigs: Rigs, redis: Redis) -> None:
    rig = rigs(capacity=1)
    await rig.start(with_fields(schedule({"every": "20s"}), "e", {"n": TOO_LONG}), schedule({"every": "20s"}, name="full"))
    await rig.pass_time(60_000)
    assert rig.journal.decided("e") == 4
    assert rig.journal.counts() == {"failed/NotSerializable": 3, "enqueued": 1, "held/ChannelFull": 2}


class NoGroups(Wire):
    """Its group_send fails while `refusing`."""

    refusing = False

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if self.refusing:
            raise ValueError("group_send says no")
        await self._broker.group_send(group, message)


async def test_a_group_send_that_fails_is_counted_and_not_tried_again(rigs: Rigs) -> None:
    rig = rigs(wrap=NoGroups)
    await rig.start(schedule({"every": "5s"}, group="g"), schedule({"every": "5s"}, name="other"))
    broker = rig.lane.broker
    assert isinstance(broker, NoGroups)
    broker.refusing = True
    await rig.pass_time(10_000)
    broker.refusing = False
    await rig.pass_time(5_000)
    grouped = [(short(o.due), str(o.kind), str(o.reason)) for o in rig.journal.outcomes if o.schedule == "default/t"]
    assert grouped == [("12:00:05", "failed", "GroupSendFailed"), ("12:00:10", "failed", "GroupSendFailed"), ("12:00:15", "enqueued", "")]
    assert "group_send says no" in rig.journal.outcomes[0].note + rig.journal.outcomes[1].note
    assert len(rig.sent()) == 3


async def test_the_decision_log_knows_that_a_group_send_failed(rigs: Rigs) -> None:
    rig = rigs(wrap=NoGroups)
    await rig.start(schedule({"every": "10s"}, group="g"))
    broker = rig.lane.broker
    assert isinstance(broker, NoGroups)
    broker.refusing = True
    await rig.pass_time(10_000)
    broker.refusing = False
    await rig.pass_time(10_000)
    log = [decided(entry) for entry in await broker.decisions("default/t/e")]
    assert [(short(d.due), d.code) for d in log] == [("12:00:10", "enqueued"), ("12:00:10", "failed/GroupSendFailed"), ("12:00:20", "enqueued")]


async def test_a_group_whose_key_is_no_group_fails_alone(rig: Rig, redis: Redis) -> None:
    await redis.set("asgi:group:g", "no group")
    await rig.start(schedule({"every": "5s"}, group="g"), schedule({"every": "5s"}, name="other"))
    await rig.pass_time(5_000)
    assert rig.journal.counts() == {"failed/GroupSendFailed": 1, "enqueued": 1}
    await redis.delete("asgi:group:g")
    await rig.pass_time(5_000)
    assert rig.journal.counts() == {"failed/GroupSendFailed": 1, "enqueued": 3}


async def test_the_members_of_a_group_get_each_occurrence_once(rig: Rig) -> None:
    layer = RedisChannelLayer(hosts=[rig.url])
    try:
        for member in ("one", "two"):
            await layer.group_add("g", member)
        await rig.start(schedule({"every": "1s"}, group="g"))
        await rig.pass_time(9_000, step=9_000)
        for member in ("one", "two"):
            sent = rig.sent(member)
            assert [short(due) for due in sent] == [f"12:00:0{second}" for second in range(1, 10)]
    finally:
        await layer.close_pools()


class OneAtATime(Wire):
    """Its group_send notes whether another was under way."""

    busy = overlapped = False

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.overlapped |= self.busy
        self.busy = True
        await self._broker.group_send(group, message)
        self.busy = False


async def test_the_occurrences_of_one_event_reach_its_group_one_after_another(rigs: Rigs) -> None:
    rig = rigs(wrap=OneAtATime)
    await rig.start(schedule({"every": "1s"}, group="g"))
    await rig.pass_time(9_000, step=9_000)
    broker = rig.lane.broker
    assert isinstance(broker, OneAtATime)
    assert not broker.overlapped
    assert rig.journal.counts() == {"enqueued": 9}


async def test_a_group_s_message_no_serializer_takes_counts_as_failed(rig: Rig) -> None:
    layer = RedisChannelLayer(hosts=[rig.url])
    try:
        await layer.group_add("g", "member")
        await rig.start(with_fields(schedule({"every": "5s"}, group="g"), "e", {"n": TOO_LONG}))
        await rig.pass_time(10_000)
        assert rig.journal.counts() == {"failed/GroupSendFailed": 2}
    finally:
        await layer.close_pools()
