"""Events that go, and events that come back under the same name, or in another layer: with the dispatcher up and down, now and a week later."""

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from channelbeat.core.instants import DAY, HOUR
from channelbeat.core.outcomes import Kind
from channelbeat.core.schedule import BeatSchedule
from support.rig import Rig, schedule
from support.times import at, short

Rigs = Callable[..., Rig]
STATE = "channelbeat:asgi:state"
KEY = "default/t/e"
EVERY = schedule({"every": "20s", "missed": {"policy": "All"}})
OTHER = schedule({"at": "2029-01-01T00:00:00Z"}, name="other")
BEFORE, AFTER = ["12:00:20", "12:00:40"], ["12:02:00", "12:02:20"]


def enqueued(rig: Rig) -> list[str]:
    return [short(o.due) for o in rig.journal.outcomes if o.kind is Kind.ENQUEUED]


async def to(rig: Rig, moment: str) -> None:
    await rig.pass_time(at(moment) - rig.clock.now(), step=5_000)


async def restart(rig: Rig, moment: str, *schedules: BeatSchedule) -> None:
    """Nobody led until then."""
    await rig.kill()
    rig.clock.advance(at(moment) - rig.clock.now())
    await rig.start(*schedules)


async def test_made_again_under_the_same_name_it_makes_up_for_nothing(rig: Rig) -> None:
    await rig.start(EVERY)
    await to(rig, "12:00:50")
    rig.book.remove("default/t")
    await to(rig, "12:01:50")
    rig.book.put(EVERY)
    await to(rig, "12:02:20")
    assert enqueued(rig) == BEFORE + AFTER
    assert rig.journal.counts() == {"enqueued": 4}


async def test_made_again_at_once_it_is_the_same_but_starts_now(rig: Rig) -> None:
    await rig.start(EVERY)
    await to(rig, "12:00:50")
    rig.book.remove("default/t")
    rig.book.put(EVERY)
    await to(rig, "12:01:20")
    assert enqueued(rig) == [*BEFORE, "12:01:00", "12:01:20"]


async def test_an_event_taken_out_of_its_schedule_and_put_back(rig: Rig) -> None:
    rest = schedule({"every": "20s", "name": "e1"}, channel="rest")
    whole = schedule({"every": "20s", "missed": {"policy": "All"}}, {"every": "20s", "name": "e1"}, channel="rest")
    await rig.start(whole)
    await to(rig, "12:00:50")
    rig.book.put(rest)
    await to(rig, "12:01:50")
    rig.book.put(whole)
    await to(rig, "12:02:20")
    assert [short(o.due) for o in rig.journal.outcomes if o.event == "e"] == BEFORE + AFTER
    assert [short(o.due) for o in rig.journal.outcomes if o.event == "e1"] == [*BEFORE, "12:01:00", "12:01:20", "12:01:40", *AFTER]


async def test_removed_while_down_and_made_again_while_up(rig: Rig) -> None:
    await rig.start(EVERY, OTHER)
    await to(rig, "12:00:50")
    await restart(rig, "12:01:10", OTHER)
    await to(rig, "12:01:50")
    rig.book.put(EVERY)
    await to(rig, "12:02:20")
    assert enqueued(rig) == BEFORE + AFTER


async def test_removed_while_up_and_made_again_while_down(rig: Rig) -> None:
    await rig.start(EVERY, OTHER)
    await to(rig, "12:00:50")
    rig.book.remove("default/t")
    await to(rig, "12:01:10")
    await restart(rig, "12:01:50", EVERY, OTHER)
    await to(rig, "12:02:20")
    assert enqueued(rig) == BEFORE + AFTER


async def test_removed_and_made_again_while_down_nobody_saw_and_the_missed_policy_applies(rig: Rig) -> None:
    await rig.start(EVERY)
    await to(rig, "12:00:50")
    await restart(rig, "12:01:50", EVERY)
    await to(rig, "12:02:20")
    assert enqueued(rig) == [*BEFORE, "12:01:00", "12:01:20", "12:01:40", *AFTER]


async def test_unless_it_is_known_when_it_was_made(rig: Rig) -> None:
    await rig.start(EVERY)
    await to(rig, "12:00:50")
    await rig.kill()
    rig.clock.advance(60_000)
    await rig.start(EVERY, created=at("12:01:30"))
    await to(rig, "12:02:20")
    assert enqueued(rig) == [*BEFORE, "12:01:40", *AFTER]


async def test_what_is_held_when_it_is_removed_was_not_sent_because_of_that(rigs: Rigs) -> None:
    rig = rigs(capacity=1)
    await rig.start(EVERY)
    await to(rig, "12:01:10")
    rig.book.remove("default/t")
    await to(rig, "12:02:00")
    assert rig.journal.counts() == {"enqueued": 1, "held/ChannelFull": 2, "missed/Removed": 2}
    rig.take(1)
    await to(rig, "12:02:30")
    assert rig.sent() == []


async def test_what_has_vanished_leaves_a_tombstone_that_is_dropped_after_a_week(rig: Rig, redis: Redis) -> None:
    await rig.start(EVERY, OTHER)
    await to(rig, "12:00:50")
    await restart(rig, "12:01:10", OTHER)
    fence = await rig.lane.broker.fence(KEY)
    assert fence is not None
    assert (fence.due, fence.hash) == (at("12:01:10"), "-")
    await rig.pass_time(7 * DAY - HOUR, step=DAY // 2)
    assert await redis.hexists(STATE, KEY)
    await rig.pass_time(2 * DAY, step=DAY // 2)
    assert not await redis.hexists(STATE, KEY)
    assert await redis.hexists(STATE, "default/other/e")
    assert rig.journal.counts() == {"enqueued": 2}


async def test_coming_back_within_the_week_it_keeps_its_fence(rig: Rig, redis: Redis) -> None:
    await rig.start(EVERY, OTHER)
    await restart(rig, "12:00:50", OTHER)
    await rig.pass_time(6 * DAY, step=DAY)
    rig.book.put(EVERY)
    await rig.pass_time(6 * DAY, step=DAY)
    fence = await rig.lane.broker.fence(KEY)
    assert fence is not None
    assert fence.hash == rig.definition().hash
    assert short(rig.journal.outcomes[0].due) > "2025-06-08"


async def test_a_decision_log_goes_with_its_tombstone(rig: Rig, redis: Redis) -> None:
    await rig.start(EVERY, OTHER)
    await to(rig, "12:00:50")
    assert await redis.llen(f"channelbeat:asgi:log:{KEY}") == 2
    rig.book.remove("default/t")
    await rig.pass_time(9 * DAY, step=DAY)
    assert not await redis.exists(f"channelbeat:asgi:log:{KEY}")


async def test_nothing_vanishes_before_everything_has_been_put(rig: Rig, redis: Redis) -> None:
    await rig.start(EVERY, OTHER)
    await to(rig, "12:00:50")
    await rig.kill()
    rig.clock.advance(60_000)
    await rig.start(OTHER, complete=False)
    await to(rig, "12:02:00")
    rig.book.put(EVERY)
    rig.book.complete()
    await to(rig, "12:02:20")
    assert enqueued(rig) == [*BEFORE, "12:01:00", "12:01:20", "12:01:40", *AFTER]


def moved(layer: str) -> BeatSchedule:
    return schedule({"every": "20s", "missed": {"policy": "All"}}, channelLayer={"name": layer})


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
async def test_moved_to_another_layer_and_back_it_makes_up_for_nothing(rigs: Rigs, down: bool) -> None:
    rig, here, there = rigs(more_layers=["second"]), moved("default"), moved("second")
    await rig.start(here)
    for moment, to_ in (("12:00:50", there), ("12:01:50", here)):
        await to(rig, moment)
        if down:
            await rig.kill()
            await rig.start(to_)
        else:
            rig.book.put(to_)
    await to(rig, "12:02:20")
    assert [short(due) for due in rig.sent()] == BEFORE + AFTER
    assert [short(due) for due in rig.sent(prefix="second")] == ["12:01:00", "12:01:20", "12:01:40"]
    assert rig.journal.counts() == {"enqueued": 7}


async def test_moved_while_nobody_led_it_starts_when_somebody_does(rigs: Rigs) -> None:
    rig = rigs(more_layers=["second"])
    await rig.start(moved("default"))
    await to(rig, "12:00:50")
    await restart(rig, "12:01:50", moved("second"))
    await to(rig, "12:02:20")
    assert [short(due) for due in rig.sent()] == BEFORE
    assert [short(due) for due in rig.sent(prefix="second")] == AFTER


async def standing_by(rig: Rig, *schedules: BeatSchedule) -> None:
    rig.leadership.held = False
    rig.assemble()
    for one in schedules:
        rig.book.put(one)
    rig.book.complete()
    await rig.run()


async def known_are(rig: Rig, *events: str) -> None:
    await rig.advance_until(lambda: set(rig.lane._roster.entries) == set(events))


async def test_what_comes_and_goes_while_another_leads_is_forgotten(rig: Rig) -> None:
    await standing_by(rig, OTHER)
    rig.book.put(EVERY)
    await known_are(rig, KEY, "default/other/e")
    rig.book.remove("default/t")
    await known_are(rig, "default/other/e")


async def test_removed_while_another_led_it_has_a_tombstone_once_we_lead(rig: Rig) -> None:
    await rig.start(EVERY, OTHER)
    await to(rig, "12:00:50")
    await rig.kill()
    await standing_by(rig, EVERY, OTHER)
    await known_are(rig, KEY, "default/other/e")
    rig.book.remove("default/t")
    await known_are(rig, "default/other/e")
    rig.leadership.held = True
    await rig.advance_until(rig.is_idle)
    await to(rig, "12:01:50")
    fence = await rig.lane.broker.fence(KEY)
    assert fence is not None
    assert fence.hash == "-"
    rig.book.put(EVERY)
    await to(rig, "12:02:20")
    assert enqueued(rig) == [*BEFORE, *AFTER], "it makes up for nothing"
