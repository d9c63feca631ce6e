from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest
from redis.asyncio import Redis

from channelbeat.running import soundings
from support import bench as benches
from support.bench import Bench
from support.redis import RedisServer
from support.scaler import Scaler, scaling


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn has its answers, however busy the machine: one that is late counts at the next."""
    monkeypatch.setattr(soundings, "PATIENCE", 5.0)


@pytest.fixture
async def bench(redis_server: RedisServer, redis: Redis) -> AsyncIterator[Bench]:
    """Workers on the session's server, which was empty and is led now."""
    async with benches.opened(redis_server.url, redis) as bench:
        await bench.broker()
        yield bench


@pytest.fixture
def scaled(redis_server: RedisServer, bench: Bench) -> Callable[..., AbstractAsyncContextManager[Scaler]]:
    """An Autoscaler of some schedules on that server."""
    return partial(scaling, redis_server.url)
