"""A channel that is full for long: what waits for it, what the missed policy makes of that, and what it costs others."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis

from channelbeat.core.batch import Answers, Item, Send
from channelbeat.core.outcomes import Kind
from channelbeat.core.schedule import BeatSchedule
from channelbeat.engine.ports import Broker
from support.rig import Rig, schedule
from support.times import at, short
from support.wire import Wire

Rigs = Callable[..., Rig]


def dues(rig: Rig, kind: Kind) -> list[str]:
    return [short(due) for due in rig.journal.dues(kind)]


def once(*moments: str, **spec: Any) -> BeatSchedule:
    """Events e, e1, ... each due once."""
    return schedule(*({"at": f"2025-06-02T{moment}Z"} for moment in moments), **spec)


async def fill(redis: Redis, count: int, channel: str = "c") -> None:
    """Messages of somebody else's, which are taken first."""
    seconds, _ = await redis.time()
    others = [i.to_bytes(12) + msgpack.packb({"beat": {"run": f"somebody/{i}"}}) for i in range(count)]
    await redis.zadd(f"asgi{channel}", dict.fromkeys(others, float(seconds - 5)))


@pytest.mark.parametrize(
    ("policy", "sent_when_there_is_room", "counts"),
    [
        ("Skip", ["12:04:00"], {"enqueued": 3, "missed/PolicySkip": 9}),
        ("Latest", ["12:03:40", "12:04:00"], {"enqueued": 4, "missed/Superseded": 8}),
        ("All", ["12:01:00", "12:01:20"], {"enqueued": 4}),
    ],
)
async def test_when_there_is_room_again_the_missed_policy_says_what_is_sent(
    rigs: Rigs, policy: str, sent_when_there_is_room: list[str], counts: dict[str, int]
) -> None:
    rig = rigs(capacity=2)
    await rig.start(schedule({"every": "20s", "missed": {"policy": policy}}))
    await rig.pass_time(4 * 60_000)
    assert [short(due) for due in rig.take(2)] == ["12:00:20", "12:00:40"]
    await rig.pass_time(1000)
    assert [short(due) for due in rig.sent()] == sent_when_there_is_room
    assert {kind: count for kind, count in rig.journal.counts().items() if kind != "held/ChannelFull"} == counts


@pytest.mark.parametrize("policy", ["Skip", "Latest", "All"])
async def test_in_the_end_each_due_time_was_told_held_once_and_decided_once(rigs: Rigs, policy: str) -> None:
    rig, sent = rigs(capacity=3), list[str]()
    await rig.start(schedule({"every": "5s", "missed": {"policy": policy}}))
    for _ in range(6):
        await rig.pass_time(30_000)
        sent += rig.take(2)
    while taken := rig.take(3):
        sent += taken
        await rig.pass_time(1000)
    decided_until = await rig.lane.broker.fence("default/t/e")
    assert decided_until is not None
    assert sent == rig.journal.dues(Kind.ENQUEUED) == sorted(set(sent))
    assert rig.journal.decided() == (decided_until.due - at("12:00:00")) / 5000
    held = dues(rig, Kind.HELD)
    assert held == sorted(set(held))
    assert len(held) > 20


async def test_the_oldest_due_time_goes_first_whichever_event_it_belongs_to(rigs: Rigs, redis: Redis) -> None:
    rig = rigs(capacity=2)
    await fill(redis, 2)
    await rig.start(once("12:00:03", "12:00:01", "12:00:02", "12:00:04"))
    await rig.pass_time(5000)
    assert sorted(dues(rig, Kind.HELD)) == ["12:00:01", "12:00:02", "12:00:03", "12:00:04"]
    rig.take(1)
    await rig.pass_time(1000)
    assert dues(rig, Kind.ENQUEUED) == ["12:00:01"]
    rig.take(2)
    await rig.pass_time(1000)
    assert dues(rig, Kind.ENQUEUED) == ["12:00:01", "12:00:02", "12:00:03"]


async def test_of_two_long_queues_neither_goes_before_the_other_s_older_ones(rigs: Rigs, redis: Redis) -> None:
    rig, missed = rigs(capacity=3), {"missed": {"policy": "All"}}
    await fill(redis, 3)
    await rig.start(schedule({"every": "20s", **missed}, {"at": "2025-06-02T12:00:50Z", **missed}))
    await rig.pass_time(120_000)
    rig.take(3)
    await rig.pass_time(1000)
    assert dues(rig, Kind.ENQUEUED) == ["12:00:20", "12:00:40", "12:00:50"]


async def test_events_with_nothing_left_to_send_do_not_keep_a_channel_closed(rigs: Rigs, redis: Redis) -> None:
    rig = rigs(capacity=30)
    await fill(redis, 30)
    skipping = [{"at": "2025-06-02T12:00:01Z", "missed": {"policy": "Skip"}}] * 20
    await rig.start(schedule(*skipping, name="skipping"), schedule({"at": "2025-06-02T12:00:30Z"}))
    await rig.pass_time(20_000)
    rig.take(30)
    await rig.pass_time(11_000)
    assert dues(rig, Kind.ENQUEUED) == ["12:00:30"]


async def test_what_is_held_goes_before_what_comes_due(rigs: Rigs, redis: Redis) -> None:
    rig = rigs(capacity=1)
    await fill(redis, 1)
    await rig.start(once("12:00:01", "12:00:02", "12:00:10"))
    await rig.pass_time(9_500)
    rig.take(1)
    await rig.pass_time(1000)
    assert dues(rig, Kind.ENQUEUED) == ["12:00:01"]
    assert "12:00:10" in dues(rig, Kind.HELD)


async def test_as_many_are_sent_as_there_is_room_for(rigs: Rigs, redis: Redis) -> None:
    rig = rigs(capacity=50)
    await fill(redis, 50)
    await rig.start(once(*["12:00:01"] * 40))
    await rig.pass_time(20_000)
    assert dues(rig, Kind.ENQUEUED) == []
    rig.take(30)
    await rig.pass_time(1000)
    assert len(rig.sent()) == 50
    assert rig.journal.counts() == {"held/ChannelFull": 40, "enqueued": 30}


async def test_other_channels_do_not_notice(rigs: Rigs) -> None:
    rig = rigs(capacity=1, channel_capacity={"free": 1000})
    await rig.start(schedule({"every": "1s"}, name="full"), schedule({"every": "1s"}, name="free", channel="free"))
    for second in range(1, 31):
        await rig.pass_time(1000)
        assert len(rig.sent("free")) == second


async def test_a_group_has_no_channel_to_be_full(rigs: Rigs) -> None:
    rig = rigs(capacity=1)
    await rig.start(schedule({"every": "1s"}, name="full"), schedule({"every": "1s"}, name="grouped", group="g"))
    await rig.pass_time(5000)
    assert sum(o.schedule == "default/grouped" and o.kind is Kind.ENQUEUED for o in rig.journal.outcomes) == 5


async def test_what_is_suspended_meanwhile_is_passed_over_and_needs_no_room(rigs: Rigs) -> None:
    rig = rigs(capacity=1)
    await rig.start(schedule({"every": "1s"}, {"every": "1s"}, name="full"), schedule({"every": "1s", "suspend": True}, name="resting"))
    await rig.pass_time(5000)
    assert rig.journal.counts()["suspended"] == 5


async def test_a_process_that_takes_over_holds_back_what_the_last_one_did(rigs: Rigs) -> None:
    rig = rigs(capacity=1)
    await rig.start(schedule({"every": "20s", "missed": {"policy": "All"}}))
    await rig.pass_time(80_000)
    await rig.kill()
    await rig.start(schedule({"every": "20s", "missed": {"policy": "All"}}))
    sent = list[str]()
    while taken := rig.take(1):
        sent += taken
        await rig.pass_time(1000)
    assert [short(due) for due in sent] == ["12:00:20", "12:00:40", "12:01:00", "12:01:20"]
    assert rig.journal.counts()["enqueued"] == 4


class Counting(Wire):
    """What is asked of the layer."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.asked: list[Item] = []

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        self.asked += items
        return await super().enqueue(items)


@pytest.mark.parametrize("policy", ["Latest", "All"])
async def test_a_thousand_held_events_cost_little(rigs: Rigs, redis: Redis, policy: str) -> None:
    rig = rigs(capacity=1, wrap=Counting)
    await fill(redis, 1)
    many = [schedule(*[{"every": "30s", "missed": {"policy": policy}}] * 100, name=f"t{i}") for i in range(10)]
    await rig.start(*many)
    await rig.pass_time(30_000)
    broker = rig.lane.broker
    assert isinstance(broker, Counting)
    broker.asked.clear()
    await rig.pass_time(25_000)
    assert 0 < sum(isinstance(item, Send) for item in broker.asked) <= 30  # one a second, and that is all
    assert rig.journal.counts() == {"held/ChannelFull": 1000}


class Read(Mapping[str, Any]):
    """Fields that count how often a message was made of them."""

    def __init__(self) -> None:
        self.times = 0

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[str]:
        self.times += 1
        return iter(())


async def test_what_waits_long_is_not_planned_again_and_again(rigs: Rigs, redis: Redis) -> None:
    rig, fields = rigs(capacity=1), Read()
    await fill(redis, 1)
    many = schedule(*[{"every": "1s", "missed": {"policy": "All"}}] * 50)
    await rig.start(replace(many, spec=replace(many.spec, events=tuple(replace(event, fields=fields) for event in many.spec.events))))
    await rig.pass_time(100_000, step=10_000)
    assert rig.journal.counts() == {"held/ChannelFull": 50 * 100}
    before = fields.times
    await rig.pass_time(4_000)
    assert fields.times - before < 4 * (50 + 2 * 100)  # what came due, and the one that is tried each second


@pytest.mark.parametrize("spec", [{}, {"missed": {"policy": "All"}}], ids=["Latest", "All"])
async def test_what_is_held_is_the_first_that_is_not_decided(rigs: Callable[..., Rig], spec: dict[str, Any]) -> None:
    rig = rigs(capacity=2)
    await rig.start(schedule({"every": "20s", **spec}))
    await rig.pass_time(60_000)
    first = rig.lane.undecided("default/t/e")
    assert first is not None
    assert first.due == at("12:01:00")
    await rig.pass_time(60_000)
    second = rig.lane.undecided("default/t/e")
    assert second is not None
    assert second == first if spec else first.due < second.due < rig.clock.now()  # with Latest a younger one waits in its place
    assert len(rig.take(2)) == 2
    await rig.pass_time(1000)
    later = rig.lane.undecided("default/t/e")
    assert later is not None
    assert later.due > second.due
    assert rig.lane.undecided("default/t/unknown") is None
