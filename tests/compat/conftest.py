from collections.abc import Iterator

import pytest

from support.redis import RedisServer, running
from support.runworker import Flavour, Shop, opened

FLAVOURS: list[Flavour] = ["stock", "ours"]


@pytest.fixture(scope="session")
def compat_redis() -> Iterator[RedisServer]:
    """One that nobody else flushes while workers live on it."""
    with running() as server:
        yield server


@pytest.fixture(scope="module", params=FLAVOURS)
def shop(request: pytest.FixtureRequest, compat_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The project with the stock command, then with ours; each begins on an empty Redis."""
    with opened(request.param, compat_redis.url, tmp_path_factory.mktemp(request.param)) as shop:
        shop.redis.flushall()
        yield shop
