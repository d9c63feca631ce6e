from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import django
import pytest
from channels.layers import channel_layers
from channels_redis.core import RedisChannelLayer
from django.conf import settings
from redis import Redis

from support.redis import RedisServer
from support.shop import Launcher, Shop, launched, layers

if not settings.configured:
    settings.configure(INSTALLED_APPS=["channelbeat.worker", "channels"], CHANNEL_LAYERS={"default": {}}, USE_TZ=True, LOGGING_CONFIG=None, DATABASES={})
    django.setup()

Started: TypeAlias = Callable[..., Shop]


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator["Redis"]:
    """A client of the session's server, emptied."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def layer(redis_server: RedisServer, store: "Redis") -> Iterator[Any]:
    """This process's default layer; settings know no more of it than its name."""
    made: Any = RedisChannelLayer(hosts=[{"address": redis_server.url, "socket_timeout": None}])
    channel_layers.set("default", made)
    yield made
    channel_layers.backends.clear()


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with launched(tmp_path_factory.mktemp("shop")) as found:
        yield found


@pytest.fixture
def started(launcher: Launcher, redis_server: RedisServer, layer: Any) -> Iterator[Started]:
    """`started("async", "--concurrency", "2", command=..., url=...)`: a worker that listens, killed after the test."""
    with ExitStack() as stack:

        def start(*arguments: str, command: str = "runworker", url: str = redis_server.url) -> Shop:
            shop = launcher.start(command, *arguments, CHANNEL_LAYERS=layers(url))
            stack.callback(shop.kill)
            return shop

        yield start
