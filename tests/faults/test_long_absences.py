"""Nobody led for a minute, or for a year: what was due meanwhile is sent or counted by the missed policy, at once."""

from collections.abc import Callable, Sequence

import pytest

from channelbeat.core import instants
from channelbeat.core.batch import Answers, Item, Send
from channelbeat.core.instants import DAY, MINUTE, SECOND
from channelbeat.core.outcomes import Kind
from channelbeat.core.planning import ALL_AT_MOST
from channelbeat.engine.ports import Broker
from channelbeat.engine.sender import AT_ONCE
from channelbeat.engine.submission import BATCH
from support.rig import Rig, schedule
from support.times import NOON, at, short
from support.wire import Wire

YEAR = 365 * DAY
GRACE = 10 * SECOND


@pytest.mark.parametrize(
    ("policy", "enqueued", "reason"),
    [("Skip", GRACE // 100 + 1, "PolicySkip"), ("Latest", GRACE // 100 + 2, "Superseded"), ("All", GRACE // 100 + 1 + ALL_AT_MOST, "TooMany")],
)
async def test_a_fence_a_year_old_on_every_100ms_is_counted_by_arithmetic(rig: Rig, policy: str, enqueued: int, reason: str) -> None:
    events = schedule({"every": "100ms", "missed": {"policy": policy, "window": "8760h"}})
    rig.clock.step(-YEAR)
    await rig.start(events)
    await rig.kill()
    rig.clock.step(YEAR)
    await rig.start(events)
    assert rig.journal.counts() == {"enqueued": enqueued, f"missed/{reason}": YEAR // 100 - enqueued}
    dues = [o.due for o in rig.journal.outcomes if o.kind is Kind.ENQUEUED]
    assert dues == sorted(set(dues))
    assert rig.sent() == [instants.text(due) for due in dues]
    assert dues[-1] == NOON
    missed = [o for o in rig.journal.outcomes if o.kind is Kind.MISSED]
    assert len(missed) == 1  # one outcome for all of them
    assert not missed[0].at_least


async def test_a_year_of_a_suspended_event_was_suspended(rig: Rig) -> None:
    events = schedule({"every": "100ms", "suspend": True})
    rig.clock.step(-YEAR)
    await rig.start(events)
    await rig.kill()
    rig.clock.step(YEAR)
    await rig.start(events)
    assert rig.journal.counts() == {"suspended": YEAR // 100}


async def test_of_a_year_of_cron_a_thousand_are_counted_and_the_outcome_says_at_least(rig: Rig) -> None:
    events = schedule({"cron": "* * * * *"})
    rig.clock.step(-YEAR)
    await rig.start(events)
    await rig.kill()
    rig.clock.step(YEAR)
    await rig.start(events)
    told = [(str(o.kind), o.count, o.at_least, short(o.due)) for o in rig.journal.outcomes]
    assert told == [("missed", 1000, True, "11:58:00"), ("enqueued", 1, False, "11:59:00"), ("enqueued", 1, False, "12:00:00")]


@pytest.mark.parametrize("jitter", ["61s", "10m", "24h"])
async def test_cron_with_jitter_longer_than_its_gaps_sends_each_due_time_once_and_in_order(rig: Rig, jitter: str) -> None:
    """Gaps of one minute and of five."""
    events = schedule({"cron": "0,1,2,3,8,13 * * * *", "jitter": jitter})
    await rig.start(events)
    for minutes in (3, 7, 20, 30):  # and a restart now and then
        await rig.pass_time(minutes * MINUTE, step=5_000)
        await rig.kill()
        await rig.start(events)
    await rig.pass_time(10 * MINUTE, step=5_000)
    assert [short(due)[:5] for due in rig.sent()] == ["12:01", "12:02", "12:03", "12:08", "12:13", "13:00", "13:01", "13:02", "13:03", "13:08"]
    assert rig.journal.dues(Kind.ENQUEUED) == rig.sent()
    assert rig.journal.counts() == {"enqueued": 10}
    for o in rig.journal.outcomes:
        following = rig.definition().timetable.next(o.due)
        assert following is not None
        assert o.due <= o.at < following.due + 5_000


async def test_jitter_does_not_wait_for_what_is_missed(rig: Rig) -> None:
    events = schedule({"cron": "* * * * *", "jitter": "24h", "missed": {"policy": "All"}})
    await rig.start(events)
    await rig.kill()
    rig.clock.advance(10 * MINUTE)
    await rig.start(events)
    assert [short(due) for due in rig.sent()] == [f"12:{minute:02}:00" for minute in range(1, 10)]


class Order(Wire):
    """Notes which events were sent, in the order of the batches."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.sent: list[str] = []

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        self.sent += [item.channel for item in items if isinstance(item, Send)]
        return await super().enqueue(items)


async def test_long_backlogs_of_many_do_not_keep_the_others_waiting(rigs: Callable[..., Rig]) -> None:
    rig, many, length = rigs(wrap=Order), 40, 300
    backlog = schedule(*[{"every": "1s", "missed": {"policy": "All"}}] * many, name="backlog")
    punctual = schedule({"at": "2025-06-02T12:05:00Z"}, {"at": "2025-06-02T12:05:20Z"}, name="punctual", channel="punctual")
    await rig.start(backlog, punctual)
    await rig.kill()
    rig.clock.advance(length * SECOND)
    await rig.start(backlog, punctual)
    broker = rig.lane.broker
    assert isinstance(broker, Order)
    assert len(broker.sent) == many * length + 1
    assert broker.sent.index("punctual") < many * AT_ONCE + BATCH
    await rig.pass_time(20_000, step=20_000)
    assert rig.sent("punctual") == ["2025-06-02T12:05:00Z", "2025-06-02T12:05:20Z"]
    assert len(rig.sent()) == len({m["beat"]["run"] for m in rig.messages()}) == many * (length + 20)


async def test_latest_within_its_window_and_not_beyond(rig: Rig) -> None:
    daily = schedule({"cron": "0 12 * * *", "missed": {"policy": "Latest", "window": "30m"}}, {"cron": "30 12 * * *"})
    await rig.start(daily)
    await rig.kill()
    rig.clock.advance(at("12:45:00") - NOON)
    await rig.start(daily)
    assert [short(due) for due in rig.sent()] == ["12:30:00"]
