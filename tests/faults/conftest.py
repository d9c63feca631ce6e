from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.core.instants import SECOND, Ms
from support.clock import ManualClock
from support.redis import RedisServer
from support.rig import Rig
from support.times import NOON
from support.waiting import eventually

LONG = 60.0


class PatientRig(Rig):
    """Some tests have tens of thousands of events, and the machine may be busy with other things."""

    async def idle(self) -> None:
        await eventually(self.is_idle, LONG, what="the lane to be idle")

    async def advance_until(self, condition: Callable[[], bool | Awaitable[bool]], step: Ms = SECOND // 2, within: float = LONG) -> None:
        await super().advance_until(condition, step, within)


@pytest.fixture
async def rigs(redis_server: RedisServer, redis: Redis) -> AsyncIterator[Callable[..., Rig]]:
    """Makes rigs on the session's Redis, or on another `url`, whose clocks say noon; they are stopped after the test."""
    made: list[Rig] = []

    def rig(url: str = redis_server.url, **options: Any) -> Rig:
        made.append(PatientRig(url, **{"clock": ManualClock(NOON), **options}))
        return made[-1]

    yield rig
    await redis.config_set("maxmemory", 0)
    for one in made:
        await one.stop()


@pytest.fixture
def rig(rigs: Callable[..., Rig]) -> Rig:
    return rigs()
