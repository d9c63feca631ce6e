"""Each guard of a script, shown to be needed: what it protects holds with it, and breaks in a script without its line."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

import support.demonstrations.leading
import support.demonstrations.putting
import support.demonstrations.sending
import support.demonstrations.taking
import support.demonstrations.tracking
import support.demonstrations.upkeep  # noqa: F401 - each notes what it shows
from channelbeat.broker import scripts
from channelbeat.errors import LayerError
from support.bench import Bench, opened
from support.demonstrations import DEMONSTRATIONS
from support.guards import GUARD, without
from support.redis import RedisServer
from support.tree import SCRIPTS


@pytest.fixture
async def bench(redis_server: RedisServer, redis: Redis) -> AsyncIterator[Bench]:
    async with opened(redis_server.url, redis) as bench:
        yield bench


@pytest.mark.parametrize("guard", DEMONSTRATIONS)
async def test_with_its_guard_it_holds(guard: str, bench: Bench) -> None:
    await DEMONSTRATIONS[guard](bench)


@pytest.mark.parametrize("guard", DEMONSTRATIONS)
async def test_without_its_guard_it_breaks(guard: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "source", without(guard))
    with pytest.raises((AssertionError, LayerError)):
        await DEMONSTRATIONS[guard](bench)


def test_every_guard_has_its_demonstration() -> None:
    written = [guard for script in SCRIPTS for guard in GUARD.findall(script.read_text())]
    assert sorted(written) == sorted(DEMONSTRATIONS)
