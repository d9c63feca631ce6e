"""A great many triggers at once, and one that has a fault: what is due, and the other triggers, go on."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.core.batch import Answers, Item, Send, Trigger
from channelbeat.core.instants import MINUTE, SECOND
from channelbeat.engine.ports import Broker
from channelbeat.engine.triggers import AT_ONCE
from support.rig import Rig, schedule
from support.times import NOON
from support.triggers import SENT1, T1, ask, told
from support.waiting import eventually

Rigs = Callable[..., Rig]
NEVER = {"at": "2029-01-01T00:00:00Z"}


class Noting:
    """Everything goes to `broker`. `items`: what was asked of it; before each, `then`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.items: list[Item] = []
        self.then: Callable[[Item], object] = lambda item: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        for item in items:
            self.then(item)
        self.items += items
        return await self._broker.enqueue(items)

    def tries(self) -> list[str]:
        """The events of which a trigger was tried; forgets them."""
        found = [item.event for item in self.items if isinstance(item, Trigger)]
        self.items.clear()
        return found


def noting(rig: Rig) -> Noting:
    broker = rig.lane.broker
    assert isinstance(broker, Noting)
    return broker


async def test_of_many_that_wait_for_one_channel_the_first_is_tried_each_second(rigs: Rigs, redis: Redis) -> None:
    rig = rigs(wrap=Noting)
    await rig.start(schedule(*[NEVER] * 50))
    await redis.set("asgic", "no channel")
    asked = [rig.lane.trigger(rig.definition(f"e{i}" if i else "e"), T1) for i in range(50)]
    await rig.idle()
    assert noting(rig).tries() == ["default/t/e"]
    for _ in range(5):
        await rig.pass_time(SECOND)
        assert noting(rig).tries() == ["default/t/e"]
    await redis.delete("asgic")
    await rig.pass_time(SECOND)
    assert [told(await one) for one in asked] == ["enqueued/Triggered"] * 50
    assert noting(rig).tries() == [f"default/t/e{i}" if i else "default/t/e" for i in range(50)]


async def test_one_that_is_asked_for_meanwhile_has_the_others_tried_no_sooner(rigs: Rigs, redis: Redis) -> None:
    rig = rigs(wrap=Noting)
    await rig.start(schedule(*[NEVER] * 5), schedule(NEVER, name="other", channel="d"))
    await redis.set("asgic", "no channel")
    rig.lane.trigger(rig.definition(), T1)
    await rig.idle()
    noting(rig).tries()
    for i in range(1, 5):
        rig.lane.trigger(rig.definition(f"e{i}"), T1)
    asked = rig.lane.trigger(rig.definition("e", "default/other"), T1)
    await rig.idle()
    assert (told(await asked), noting(rig).tries()) == ("enqueued/Triggered", ["default/other/e"])


async def test_of_many_channels_that_are_full_some_are_tried_each_second_and_all_in_turn(rigs: Rigs, redis: Redis) -> None:
    rig = rigs(wrap=Noting)
    channels = [f"c{i:03}" for i in range(250)]
    await rig.start(*[schedule(NEVER, name=channel, channel=channel) for channel in channels])
    await redis.mset({f"asgi{channel}": "no channel" for channel in channels})
    asked = [rig.lane.trigger(rig.definition("e", f"default/{channel}"), T1) for channel in channels]
    await rig.idle()
    tries = [noting(rig).tries()]
    for _ in range(5):
        await rig.pass_time(SECOND)
        tries.append(noting(rig).tries())
    assert [len(some) for some in tries] == [AT_ONCE] * 6
    tried = [event for some in tries for event in some]
    assert tried[:250] == [f"default/{channel}/e" for channel in channels]
    assert {*tried[250:]} == {*tried[:250]}
    await redis.delete(*[f"asgi{channel}" for channel in channels])
    await rig.pass_time(SECOND)
    assert {told(await one) for one in asked} == {"enqueued/Triggered"}


async def test_what_falls_due_while_many_are_sent_is_sent_in_between(rigs: Rigs) -> None:
    rig = rigs(wrap=Noting)
    await rig.start(schedule(*[NEVER] * 50), schedule({"every": "10s"}, name="due"))
    asked = [rig.lane.trigger(rig.definition(f"e{i}" if i else "e"), NOON + j) for j in range(6) for i in range(50)]
    tried = 0

    def passes(item: Item) -> None:
        nonlocal tried
        tried += isinstance(item, Trigger)
        if tried == 10 and isinstance(item, Trigger):
            rig.clock.advance(10 * SECOND)

    noting(rig).then = passes
    await eventually(lambda: all(one.done() for one in asked))
    items = noting(rig).items
    sent = next(i for i, item in enumerate(items) if isinstance(item, Send))
    assert sum(isinstance(item, Trigger) for item in items[:sent]) == AT_ONCE
    assert len(rig.sent()) == 301


@pytest.mark.parametrize("token", [-62_135_683_140_000, 253_402_387_139_000], ids=["before the year 1", "after the year 9999"])
async def test_a_token_that_no_calendar_has_ends_neither_the_lane_nor_the_others(rig: Rig, token: int) -> None:
    await rig.start(schedule({"every": "10s"}, NEVER))
    asked = rig.lane.trigger(rig.definition("e1"), token)
    await rig.advance_until(asked.done)
    assert isinstance(asked.exception(), OverflowError)
    assert await ask(rig, event="e1") == "enqueued/Triggered"
    await rig.pass_time(10 * SECOND)
    assert SENT1 in rig.sent()
    assert "2025-06-02T12:00:10Z" in rig.sent()
    assert not rig.lane.ailment


async def test_a_fault_of_ours_about_one_is_told_whoever_waits_for_it_and_the_others_go_on(rigs: Rigs) -> None:
    rig = rigs(wrap=Noting)
    await rig.start(schedule(NEVER, NEVER))

    def fails(item: Item) -> None:
        if isinstance(item, Trigger) and item.event == "default/t/e":
            raise ValueError("a fault of ours")

    noting(rig).then = fails
    faulty, good = (rig.lane.trigger(rig.definition(event), T1) for event in ("e", "e1"))
    await rig.pass_time(MINUTE)
    assert str(faulty.exception()) == "a fault of ours"
    assert told(await good) == "enqueued/Triggered"
