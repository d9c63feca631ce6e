"""What becomes of due times that passed while Redis was away, under each missed policy: exact counts, on return."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import pytest

from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.core.outcomes import Sign
from support.redis import RedisServer
from support.rig import Rig, schedule
from support.times import short

pytestmark = pytest.mark.chaos

Rigs: TypeAlias = Callable[..., Rig]


class Away(NamedTuple):
    """From 12:00:00, an event that was up to date then."""

    when: dict[str, Any]
    policy: str
    back: Ms
    sent: list[str]
    told: dict[str, int]
    window: str = "1h"


EVERY, CRON = {"every": "5s"}, {"cron": "*/5 * * * *"}
SHORT = ["12:00:05", "12:00:10"]
MINUTES = [f"12:{minute:02}:00" for minute in range(5, 60, 5)]
AWAY: dict[str, Away] = {
    # up to 10 s late is late, and sent, whatever the policy
    "every, short, Skip": Away(EVERY, "Skip", 12 * SECOND, SHORT, {"enqueued": 2}),
    "every, short, Latest": Away(EVERY, "Latest", 12 * SECOND, SHORT, {"enqueued": 2}),
    "every, short, All": Away(EVERY, "All", 12 * SECOND, SHORT, {"enqueued": 2}),
    "cron, short, Skip": Away(CRON, "Skip", 5 * MINUTE + 9 * SECOND, ["12:05:00"], {"enqueued": 1}),
    "cron, short, Latest": Away(CRON, "Latest", 5 * MINUTE + 9 * SECOND, ["12:05:00"], {"enqueued": 1}),
    "cron, short, All": Away(CRON, "All", 5 * MINUTE + 9 * SECOND, ["12:05:00"], {"enqueued": 1}),
    # of 13:02:01 at cron, 13:00 is 2 min late; of 12:01:01 at every 5s, 12:00:55 and 12:01:00 are only late
    "every, long, Skip": Away(EVERY, "Skip", 61 * SECOND, ["12:00:55", "12:01:00"], {"enqueued": 2, "missed/PolicySkip": 10}),
    "every, long, Latest": Away(EVERY, "Latest", 61 * SECOND, ["12:00:50", "12:00:55", "12:01:00"], {"enqueued": 3, "missed/Superseded": 9}),
    "every, long, All": Away(EVERY, "All", 61 * SECOND, [f"12:00:{s:02}" for s in range(5, 60, 5)] + ["12:01:00"], {"enqueued": 12}),
    "cron, long, Skip": Away(CRON, "Skip", HOUR + 2 * MINUTE, [], {"missed/PolicySkip": 12}),
    "cron, long, Latest": Away(CRON, "Latest", HOUR + 2 * MINUTE, ["13:00:00"], {"enqueued": 1, "missed/Superseded": 11}),
    "cron, long, All": Away(CRON, "All", HOUR + 2 * MINUTE, [*MINUTES, "13:00:00"], {"enqueued": 12}),
    # longer than the window
    "every, too long, Skip": Away(EVERY, "Skip", 2 * MINUTE, ["12:01:50", "12:01:55", "12:02:00"], {"enqueued": 3, "missed/PolicySkip": 21}, "30s"),
    "every, too long, Latest": Away(EVERY, "Latest", 2 * MINUTE + 1, ["12:01:50", "12:01:55", "12:02:00"], {"enqueued": 3, "missed/Superseded": 21}, "30s"),
    "every, too long, All": Away(
        EVERY,
        "All",
        2 * MINUTE,
        ["12:01:30", "12:01:35", "12:01:40", "12:01:45", "12:01:50", "12:01:55", "12:02:00"],
        {"enqueued": 7, "missed/OutsideWindow": 17},
        "30s",
    ),
    "cron, too long, Latest": Away(CRON, "Latest", HOUR + 2 * MINUTE, [], {"missed/OutsideWindow": 12}, "1m"),
    "cron, too long, All": Away(CRON, "All", HOUR + 2 * MINUTE, ["12:55:00", "13:00:00"], {"enqueued": 2, "missed/OutsideWindow": 10}, "10m"),
    "every, days, All": Away({"every": "1s"}, "All", 48 * HOUR, [], {"enqueued": 1_011, "missed/TooMany": 171_789}, "100h"),
    "cron, days, Latest": Away({"cron": "* * * * *"}, "Latest", 48 * HOUR, [], {"enqueued": 2, "missed/Superseded": 1_000}, "100h"),
}


@pytest.mark.parametrize("away", AWAY.values(), ids=AWAY.keys())
async def test_away(rigs: Rigs, own_redis: RedisServer, away: Away) -> None:
    rig = rigs(own_redis.url)
    await rig.start(schedule({**away.when, "missed": {"policy": away.policy, "window": away.window}}))
    own_redis.kill()
    period = 5 * MINUTE if "cron" in away.when else 5 * SECOND
    rig.clock.advance(period)  # the first is tried in vain
    await rig.advance_until(lambda: rig.journal.signs()[-1] is Sign.AWAY, step=0)
    rig.clock.advance(away.back - period - SECOND // 2)
    own_redis.start()
    own_redis.wait()
    rig.clock.advance(SECOND // 2)
    await rig.advance_until(rig.is_idle, step=0)
    assert rig.journal.counts() == away.told
    if away.sent:
        assert [short(due) for due in rig.sent()] == away.sent
