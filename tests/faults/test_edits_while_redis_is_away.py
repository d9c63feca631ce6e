"""Edits that cannot be written down at once: they count from when they were made, and what they leave undone counts once.

The story: from noon on; Redis is gone at 12:01:05, the edit comes at 12:01:45, Redis is back at 12:02:05; looked at at 12:02:30.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest

from channelbeat.core.outcomes import Kind, Sign
from channelbeat.core.schedule import BeatSchedule
from support.clock import ManualClock
from support.redis import RedisServer
from support.rig import Rig, schedule
from support.times import NOON, at, short

pytestmark = pytest.mark.chaos


def timed(every: str = "20s", **changes: Any) -> BeatSchedule:
    return schedule({"every": every, "missed": {"policy": "All"}, **changes})


EVERY = timed()
BEFORE = ["12:00:20", "12:00:40", "12:01:00"]
ON = ["12:01:20", "12:01:40", "12:02:00", "12:02:20"]


class Case(NamedTuple):
    edit: Callable[[Rig], None]
    sent: list[str]
    counted: dict[str, int]
    before: BeatSchedule = EVERY


def put(*edits: BeatSchedule) -> Callable[[Rig], None]:
    def edit(rig: Rig) -> None:
        for one in edits:
            rig.book.put(one)

    return edit


def remove(rig: Rig) -> None:
    rig.book.remove("default/t")


def remove_and_make_again(rig: Rig) -> None:
    rig.book.remove("default/t")
    rig.book.put(EVERY)


def park_and_repair(rig: Rig) -> None:
    rig.book.park("default/t")
    rig.book.put(EVERY)


CASES = {
    "nothing": Case(put(), BEFORE + ON, {}),
    "every": Case(put(timed("30s")), [*BEFORE, "12:02:00", "12:02:30"], {"missed/Edited": 2}),
    "every twice": Case(put(timed("7s"), timed("30s")), [*BEFORE, "12:02:00", "12:02:30"], {"missed/Edited": 2}),
    "cron": Case(put(schedule({"cron": "* * * * *"})), [*BEFORE, "12:02:00"], {"missed/Edited": 2}),
    "suspend": Case(put(timed(suspend=True)), BEFORE, {"missed/Edited": 2, "suspended": 2}),
    "resume": Case(put(EVERY), ON[2:], {"suspended": 5}, timed(suspend=True)),
    "fields": Case(put(timed(fields={"n": 1})), BEFORE + ON, {}),
    "edited and back": Case(put(timed("30s"), EVERY), BEFORE + ON, {}),
    "removed": Case(remove, BEFORE, {"missed/Removed": 2}),
    "removed and made again": Case(remove_and_make_again, BEFORE + ON[2:], {"missed/Removed": 2}),
    "parked and repaired": Case(park_and_repair, BEFORE + ON, {}),
}


@pytest.fixture
async def own(own_redis: RedisServer) -> AsyncIterator[Rig]:
    rig = Rig(own_redis.url, clock=ManualClock(NOON))
    yield rig
    await rig.kill()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_an_edit_while_redis_is_away_counts_from_when_it_was_made(own: Rig, own_redis: RedisServer, case: Case) -> None:
    await own.start(case.before)
    await own.pass_time(at("12:01:05") - NOON, step=5_000)
    own_redis.kill()
    await own.advance_until(lambda: own.clock.now() >= at("12:01:45"))
    assert Sign.AWAY in own.journal.signs()
    case.edit(own)
    await own.advance_until(lambda: own.clock.now() >= at("12:02:05"))
    own_redis.start()
    own_redis.wait()
    await own.advance_until(own.is_idle)
    await own.pass_time(at("12:02:30") - own.clock.now())
    assert [short(o.due) for o in own.journal.outcomes if o.kind is Kind.ENQUEUED] == case.sent == [short(due) for due in own.sent()]
    assert {kind: count for kind, count in own.journal.counts().items() if kind != "enqueued"} == case.counted
