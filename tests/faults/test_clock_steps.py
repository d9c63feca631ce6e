"""The machine's clock is set an hour forward or back, while running and between runs: no surprise run, nothing lost or counted twice."""

from collections.abc import Callable

import pytest

from channelbeat.core.instants import HOUR, MINUTE
from channelbeat.core.outcomes import Kind
from support.clock import ManualClock
from support.rig import Rig, schedule
from support.times import NOON, at, short

Rigs = Callable[..., Rig]
EVENTS = ({"every": "10s"}, {"cron": "*/5 * * * *", "jitter": "2m"}, {"at": "2025-06-02T12:30:00Z"})


def assert_each_once(rig: Rig, since: int, until: int) -> None:
    """What was sent was sent once; what was due in (since, until] was decided once."""
    runs = [o.run for o in rig.journal.outcomes if o.kind is Kind.ENQUEUED]
    assert len(runs) == len(set(runs)) == len(rig.sent())
    for name in ("e", "e1", "e2"):
        timetable = rig.definition(name).timetable
        last = timetable.latest(since, until)
        assert rig.journal.decided(name) == (timetable.count(since, last.due)[0] if last else 0), name


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "at a restart"])
@pytest.mark.parametrize("policy", ["Skip", "Latest", "All"])
async def test_an_hour_forward_is_an_hour_missed(rig: Rig, policy: str, restarted: bool) -> None:
    events = schedule(*({**event, "missed": {"policy": policy, "window": "2h"}} for event in EVENTS))
    await rig.start(events)
    await rig.pass_time(10 * MINUTE, step=10_000)
    await step(rig, HOUR, events if restarted else None)
    await rig.pass_time(10 * MINUTE, step=10_000)
    assert_each_once(rig, NOON, at("13:20:00"))
    sent = [short(o.due) for o in rig.journal.outcomes if o.event == "e2" and o.kind is Kind.ENQUEUED]
    assert sent == ([] if policy == "Skip" else ["12:30:00"])


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "at a restart"])
@pytest.mark.parametrize("policy", ["Skip", "Latest", "All"])
async def test_an_hour_back_sends_nothing_again(rig: Rig, policy: str, restarted: bool) -> None:
    rig.clock.step(HOUR)
    events = schedule(*({**event, "missed": {"policy": policy}} for event in EVENTS))
    await rig.start(events)
    await rig.pass_time(10 * MINUTE, step=10_000)
    before = rig.sent()
    await step(rig, -HOUR, events if restarted else None)
    await rig.pass_time(30 * MINUTE, step=10_000)
    assert rig.sent() == before
    await rig.pass_time(40 * MINUTE, step=10_000)
    assert_each_once(rig, at("13:00:00"), at("13:20:00"))


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "at a restart"])
async def test_forward_and_back_again_is_no_second_hour(rig: Rig, restarted: bool) -> None:
    events = schedule(*EVENTS)
    await rig.start(events)
    await rig.pass_time(5 * MINUTE, step=10_000)
    for by in (HOUR, -HOUR):
        await step(rig, by, events if restarted else None)
        await rig.pass_time(10_000)
    await rig.pass_time(70 * MINUTE, step=10_000)
    assert_each_once(rig, NOON, rig.clock.now())


async def step(rig: Rig, by: int, restart: object) -> None:
    if restart is None:
        rig.clock.step(by)
        await rig.pass_time(1000)  # within a second it is seen
        return
    await rig.kill()
    rig.clock.step(by)
    await rig.start(restart)  # type: ignore[arg-type]


async def test_a_step_is_seen_within_a_second(rig: Rig) -> None:
    await rig.start(schedule({"at": "2025-06-02T12:30:00Z"}))
    await rig.pass_time(10_000)
    rig.clock.step(HOUR // 2)
    await rig.pass_time(1000)
    assert [short(due) for due in rig.sent()] == ["12:30:00"]


async def test_a_clock_ahead_of_redis_sends_nothing_early_and_calls_nothing_missed(rigs: Rigs) -> None:
    rig = rigs(clock=ManualClock())  # an hour behind Redis
    await rig.start(schedule({"every": "10s"}))
    await rig.pass_time(20_000)
    before = rig.journal.counts()
    rig.clock.step(3 * HOUR)
    await rig.pass_time(1000)
    moved = rig.journal.counts() - before
    assert sum(moved.values()) - moved["missed/Superseded"] <= 3
    assert moved["missed/Superseded"] <= HOUR // 10_000  # the hour to Redis's clock, not the two beyond it
    fence = await rig.lane.broker.fence("default/t/e")
    assert fence is not None
    assert fence.due < rig.clock.now() - HOUR


async def test_an_edit_while_the_clock_is_an_hour_back_repeats_nothing(rig: Rig) -> None:
    rig.clock.step(HOUR)
    await rig.start(schedule({"every": "10s"}))
    await rig.pass_time(30_000)
    rig.clock.step(-HOUR)
    await rig.pass_time(5_000)
    rig.book.put(schedule({"every": "15s"}))
    await rig.pass_time(HOUR, step=15_000)
    sent = [short(due) for due in rig.sent()]
    assert sent == ["13:00:10", "13:00:20", "13:00:30"]
    await rig.pass_time(15_000)
    assert [short(due) for due in rig.sent()[3:]] == ["13:00:45"]


async def test_what_is_held_when_the_clock_goes_back_is_sent_when_there_is_room(rigs: Rigs) -> None:
    rig = rigs(capacity=1)
    rig.clock.step(HOUR)
    await rig.start(schedule({"every": "20s", "missed": {"policy": "All"}}))
    await rig.pass_time(60_000)
    rig.clock.step(-HOUR)
    await rig.pass_time(1000)
    assert rig.take(1) == ["2025-06-02T13:00:20Z"]
    await rig.pass_time(HOUR, step=10_000)
    await rig.pass_time(2000)
    assert [short(due) for due in rig.sent()] == ["13:00:40"]
    assert rig.journal.counts()["held/ChannelFull"] == 2


async def test_a_trigger_that_waits_when_the_clock_goes_back_is_not_forgotten(rigs: Rigs) -> None:
    rig = rigs(capacity=1)
    await rig.start(schedule({"every": "10s"}))
    await rig.pass_time(10_000)
    asked = rig.lane.trigger(rig.definition(), rig.clock.now())
    await rig.pass_time(1000)
    rig.clock.step(-2 * MINUTE)
    await rig.pass_time(1000)
    rig.take(1)
    await rig.pass_time(3000)
    assert asked.done()
    assert rig.sent() == ["trigger-2025-06-02T12:00:10Z"]
