from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from support.fleet import Fleet, Nursery, nursing
from support.leading import Leader, leading
from support.redis import RedisServer


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Consumers may be in modules beside this one."""
    with nursing(tmp_path_factory.mktemp("nursery"), folders=[Path(__file__).parent]) as nursery:
        yield nursery


@pytest.fixture
def fleets(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Fleet]]:
    """Makes fleets on the Redis of a URL; what is left of them is killed after the test."""
    made: list[Fleet] = []

    def fleet(url: str) -> Fleet:
        made.append(Fleet(nursery, url, tmp_path_factory.mktemp("fleet")))
        return made[-1]

    yield fleet
    for one in made:
        one.close()


@pytest.fixture
def fleet(redis_server: RedisServer, redis: Redis, fleets: Callable[[str], Fleet]) -> Fleet:
    """On the session's Redis."""
    return fleets(redis_server.url)


@pytest.fixture
async def leader(redis_server: RedisServer, redis: Redis) -> AsyncIterator[Leader]:
    """Of the session's Redis, sweeping claims of a second."""
    async with leading(redis_server.url) as leader:
        yield leader
