from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from support.clock import ManualClock
from support.redis import RedisServer
from support.rig import Rig
from support.times import NOON


@pytest.fixture
async def rigs(redis_server: RedisServer, redis: Redis) -> AsyncIterator[Callable[..., Rig]]:
    """Makes rigs on the session's Redis, or on another `url`, whose clocks say noon; they are stopped after the test."""
    made: list[Rig] = []

    def rig(url: str = redis_server.url, **options: Any) -> Rig:
        made.append(Rig(url, **{"clock": ManualClock(NOON), **options}))
        return made[-1]

    yield rig
    await redis.config_set("maxmemory", 0)
    for one in made:
        await one.stop()


@pytest.fixture
def rig(rigs: Callable[..., Rig]) -> Rig:
    return rigs()
