"""A broker on a real Redis, led or not; and a bench, with workers too."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.broker.sending import RedisBroker
from channelbeat.core.instants import MINUTE, Ms
from channelbeat.core.layer import LayerSettings
from support import bench as benches
from support.bench import Bench
from support.brokers import Opened
from support.redis import RedisServer


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with AsyncExitStack() as stack:

        def open_(url: str, *, owner: str = "us", silence: Ms = 5 * MINUTE, timeout: float = 5.0, **settings: Any) -> RedisBroker:
            broker = RedisBroker(LayerSettings(**{"name": "default", "url": url, **settings}), owner=owner, silence=silence, timeout=timeout)
            stack.push_async_callback(broker.close)
            return broker

        yield open_


@pytest.fixture
async def broker(opened: Opened, redis_server: RedisServer, redis: "Redis") -> RedisBroker:
    """It leads the layer `default` of the session's server, which was empty."""
    broker = opened(redis_server.url)
    await broker.lead()
    return broker


@pytest.fixture
async def bench(redis_server: RedisServer, redis: "Redis") -> AsyncIterator[Bench]:
    """Brokers and workers on the session's server, which was empty."""
    async with benches.opened(redis_server.url, redis) as bench:
        yield bench
