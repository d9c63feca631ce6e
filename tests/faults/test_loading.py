"""Ten thousand schedules just loaded: what is due is sent before the last of them has been settled, or even put."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from channelbeat.core.batch import Answers, Item, Look, Send
from channelbeat.core.schedule import BeatSchedule
from channelbeat.engine.ports import Broker
from support.rig import Rig, schedule
from support.wire import Wire

MANY = 10_000
DUE = schedule({"every": "20s"}, name="due", channel="due")


def idle(count: int) -> list[BeatSchedule]:
    """Schedules with nothing due for years."""
    one = schedule({"at": "2029-01-01T00:00:00Z"})
    return [replace(one, name=f"t{i}") for i in range(count)]


class Order(Wire):
    """Notes what was asked: how many events were looked at before anything was sent, and in all."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.looked_at, self.before_sending = 0, [0]

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        answers = await super().enqueue(items)
        self.looked_at += sum(isinstance(item, Look) for item in items)
        self.before_sending += [self.looked_at for item in items if isinstance(item, Send)]
        return answers


async def test_a_due_one_is_sent_before_all_are_settled(rigs: Callable[..., Rig]) -> None:
    rig, many = rigs(wrap=Order), idle(MANY)
    await rig.start(DUE, complete=False)
    await rig.kill()
    rig.clock.advance(20_000)
    await rig.start(*many[: MANY // 2], DUE, *many[MANY // 2 :])
    assert rig.sent("due") == ["2025-06-02T12:00:20Z"]
    broker = rig.lane.broker
    assert isinstance(broker, Order)
    assert broker.looked_at == MANY + 1
    assert broker.before_sending[1] <= MANY // 2 + 1_000


async def test_one_that_comes_due_while_others_are_being_settled_does_not_wait_for_them(rigs: Callable[..., Rig]) -> None:
    rig = rigs(wrap=Order)
    await rig.start(DUE)
    broker = rig.lane.broker
    assert isinstance(broker, Order)
    for one in idle(MANY):
        rig.book.put(one)
    rig.clock.advance(20_000)
    await rig.idle()
    assert rig.sent("due") == ["2025-06-02T12:00:20Z"]
    assert broker.before_sending[1] <= 2_000 < broker.looked_at


async def test_a_due_one_is_sent_while_the_rest_is_still_being_read(rig: Rig) -> None:
    await rig.start(DUE, complete=False)
    await rig.pass_time(20_000)
    assert rig.sent("due") == ["2025-06-02T12:00:20Z"]
    for one in idle(10):
        rig.book.put(one)
    await rig.pass_time(20_000)
    assert len(rig.sent("due")) == 2
