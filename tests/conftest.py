from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from support import repeats
from support.redis import RedisServer, running


@pytest.fixture(autouse=True, scope="session")
def messages_differ() -> Iterator[None]:
    with repeats.that_show():
        yield


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server a session; a test that stops, kills or wipes takes `own_redis`."""
    with running() as server:
        yield server


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator["Redis"]:
    """A client of the session's server, flushed and with its limits lifted."""
    async with Redis.from_url(redis_server.url) as client:
        await client.config_set("maxmemory", 0)
        await client.flushall()
        yield client


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server of the test's own."""
    with running() as server:
        yield server
