"""From one dispatcher to the next: nothing is lost between them, and two installations do not share a layer."""

from collections.abc import Callable
from typing import TypeAlias

import pytest
from redis.asyncio import Redis

from channelbeat.core.instants import MINUTE, SECOND
from channelbeat.core.outcomes import Sign
from support.clock import ManualClock
from support.rig import Rig, schedule
from support.times import NOON, short

Rigs: TypeAlias = Callable[..., Rig]

EVERY = schedule({"every": "1s"})


async def begin(rig: Rig) -> None:
    """Start it, whether it may lead or not."""
    rig.assemble()
    rig.book.put(EVERY)
    await rig.run()


def pair(rigs: Rigs, *, owner: str = "us") -> tuple[Rig, Rig]:
    """Two with one clock; `owner` of the second."""
    clock = ManualClock(NOON)
    return rigs(clock=clock), rigs(clock=clock, owner=owner)


@pytest.mark.parametrize("ends", ["killed", "stopped"])
async def test_a_hand_over_of_three_seconds_loses_nothing(rigs: Rigs, ends: str) -> None:
    one, two = pair(rigs)
    await one.start(EVERY)
    await one.pass_time(5 * SECOND)
    await (one.kill() if ends == "killed" else one.stop())
    one.clock.advance(3 * SECOND)
    await two.start(EVERY)
    await two.pass_time(2 * SECOND)
    assert [short(due) for due in two.sent()] == [f"12:00:{second:02}" for second in range(1, 11)]
    assert (one.journal.counts(), two.journal.counts()) == ({"enqueued": 5}, {"enqueued": 5})


async def test_a_hand_over_in_the_middle_of_a_burst_loses_nothing(rigs: Rigs, redis: "Redis") -> None:
    clock = ManualClock(NOON)
    schedules = [schedule(*[{"every": "1s"}] * 100, name=f"s{number}") for number in range(20)]
    line = [rigs(clock=clock) for _ in range(6)]
    for rig in line[:-1]:
        await rig.start(*schedules)
        before = await redis.zcard("asgic")
        clock.advance(5 * SECOND)

        async def under_way(before: int = before) -> bool:
            return await redis.zcard("asgic") > before

        await rig.advance_until(under_way, step=0)
        await rig.kill()
    await line[-1].start(*schedules)
    runs = [message["beat"]["run"] for message in line[-1].messages()]
    assert len(runs) == len(set(runs)) == 2_000 * 25


async def test_another_installation_waits_until_ours_stops(rigs: Rigs, redis: "Redis") -> None:
    ours, theirs = pair(rigs, owner="them")
    await ours.start(EVERY)
    await begin(theirs)
    await theirs.advance_until(lambda: Sign.TAKEN in theirs.journal.signs())
    assert "another installation (us) drives it" in theirs.journal.notices[-1].text
    await ours.pass_time(5 * SECOND)
    assert not theirs.lane.led.is_set()
    await ours.stop()
    seconds = (ours.clock.now() - NOON) // SECOND
    assert len(ours.sent()) == seconds
    await theirs.advance_until(theirs.lane.led.is_set)
    await theirs.idle()
    assert theirs.journal.signs()[-1] is Sign.LEADING
    assert theirs.journal.signs().count(Sign.TAKEN) == 1  # told once, not per try
    await theirs.pass_time(5 * SECOND)
    assert len(set(theirs.sent())) == len(theirs.sent()) == (theirs.clock.now() - NOON) // SECOND


async def test_another_installation_waits_until_a_killed_one_has_been_silent(rigs: Rigs, redis: "Redis") -> None:
    ours, theirs = pair(rigs, owner="them")
    await ours.start(EVERY)
    await ours.kill()
    await begin(theirs)
    await theirs.advance_until(lambda: Sign.TAKEN in theirs.journal.signs())
    theirs.clock.advance(MINUTE)
    assert not theirs.lane.led.is_set()
    seen = int(await redis.hget("channelbeat:asgi:state", ":leaderSeen") or 0)
    await redis.hset("channelbeat:asgi:state", ":leaderSeen", seen - 5 * MINUTE)
    await theirs.advance_until(theirs.lane.led.is_set)


async def test_the_first_is_refused_once_another_has_taken_over(rigs: Rigs, redis: "Redis") -> None:
    ours, theirs = pair(rigs, owner="them")
    await ours.start(EVERY)
    await redis.hdel("channelbeat:asgi:state", ":leaderSeen")  # as if it had been silent
    await theirs.start(EVERY)
    await ours.advance_until(lambda: Sign.TAKEN in ours.journal.signs())
    await theirs.advance_until(theirs.is_idle)
    await theirs.pass_time(5 * SECOND)
    seconds = (theirs.clock.now() - NOON) // SECOND
    assert len(set(theirs.sent())) == len(theirs.sent()) == seconds
    assert ours.journal.signs().count(Sign.TAKEN) == 1
    await ours.stop()
    assert (ours.journal.counts() + theirs.journal.counts()) == {"enqueued": seconds}
    await theirs.pass_time(SECOND)  # the first's leaving took nothing from it
