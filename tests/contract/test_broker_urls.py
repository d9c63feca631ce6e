"""Which URLs and settings a layer may have, how the others are refused, and that no error shows a password."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.broker import layer
from channelbeat.core.batch import Verdict
from channelbeat.core.layer import LayerSettings
from channelbeat.core.masking import masked
from channelbeat.errors import LayerRefused, NoRedis, Unreachable
from support.brokers import Opened
from support.redis import running

WRITE = "write redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH/TO/SOCKET"
REFUSED = {
    "redis+sentinel://:s3cret@h:26379/mymaster/0": "Redis Sentinel is not supported yet: give the URL of the master, as redis://HOST:PORT/DB",
    "sentinel://:s3cret@h:26379": "Redis Sentinel is not supported yet",
    "redis://:s3cret@a:6379,b:6379/0": "its URL names several hosts: Channels spreads messages over them and misses some, so give a single one",
    "http://:s3cret@h": f"its URL has an unknown scheme: {WRITE}",
    "localhost:6379": f"its URL has an unknown scheme: {WRITE}",
    "": f"its URL has an unknown scheme: {WRITE}",
    "redis://": f"its URL is incomplete: {WRITE}",
    "rediss://:s3cret@:6379": f"its URL is incomplete: {WRITE}",
    "unix://": f"its URL is incomplete: {WRITE}",
    "redis://:s3cret@h:port": f"its URL cannot be read: {WRITE}",
    "redis://:s3cret@h:99999": f"its URL cannot be read: {WRITE}",
    "redis://:s3/cret@h": f"its URL is incomplete: {WRITE}",
    "redis://:s3cret@h/0?socket_timeout=soon": "its URL has options",
    "redis://:s3cret@h/0?colour=red": "its URL has options",
    "unix://:s3cret@/run/redis.sock?decode_responses=true": "its URL has options",
}


@pytest.mark.parametrize(("url", "sentence"), REFUSED.items())
def test_a_url_is_refused(opened: Opened, url: str, sentence: str) -> None:
    with pytest.raises(LayerRefused) as refused:
        opened(url)
    assert str(refused.value).startswith(f"layer 'default': {sentence}")
    assert "s3" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["redis://h", "redis://user:p%40ss@h:6379/3", "rediss://h:6380/0?ssl_cert_reqs=none", "unix:///run/redis.sock?db=2", "unix://:pw@/r.sock"]
)
def test_a_url_is_taken(url: str) -> None:
    assert layer.check_url(url) is None


@pytest.mark.parametrize("prefix", ["", "c", "channelbeat", "channelbeat:", "channelbeat:asgi"])
def test_a_prefix_whose_flush_would_erase_us_is_refused(opened: Opened, prefix: str) -> None:
    with pytest.raises(LayerRefused, match=r"flush\(\) erase channelbeat's own keys: choose another, such as 'asgi'"):
        opened("redis://h", prefix=prefix)


@pytest.mark.parametrize("prefix", ["asgi", "shop:channelbeat:", "channels", "beat"])
def test_a_prefix_is_taken(prefix: str) -> None:
    assert layer.check_prefix(prefix) is None


@pytest.mark.parametrize(
    "settings", [{"serializer_format": "pickle"}, {"channel_capacity": {3: "many"}}], ids=["a serializer nobody knows", "capacities that are none"]
)
def test_options_that_the_layer_refuses_are_refused(opened: Opened, settings: dict[str, Any]) -> None:
    with pytest.raises(LayerRefused, match="layer 'default': RedisChannelLayer refuses its options"):
        opened("redis://h", **settings)


@pytest.mark.parametrize(
    ("backend", "hosts", "sentence"),
    [
        ("channels_redis.core.RedisChannelLayer", 1, None),
        ("shop.layers.RedisChannelLayer", 1, None),
        ("channels_redis.core.RedisChannelLayer", 2, "2 hosts"),
        ("channels_redis.pubsub.RedisPubSubChannelLayer", 1, "keeps no queue"),
        ("channels.layers.InMemoryChannelLayer", 1, "lives in one process"),
        ("shop.layers.KafkaChannelLayer", 1, "not known to keep a queue"),
    ],
)
def test_a_backend_must_hold_a_queue(backend: str, hosts: int, sentence: str | None) -> None:
    fault = layer.check_backend(backend, hosts)
    assert fault is None if sentence is None else sentence in (fault or "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no password", "no password"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("at redis://user:s3cret@h:6379/0.", "at redis://***@h:6379/0."),
        ("redis://:p@ss@h and unix://u:p@/run/r.sock", "redis://***@h and unix://***@/run/r.sock"),
    ],
)
def test_user_information_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_settings_show_no_secret() -> None:
    settings = LayerSettings("default", "redis://:s3cret@h", encryption_keys=("s3cret",))
    assert "s3cret" not in repr(settings)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_redis_is_reached_by_tcp_and_by_socket_and_by_database(opened: Opened) -> None:
    port = free_port()
    with running("--port", str(port)) as server:
        async with Redis.from_url(server.url) as admin:
            await admin.config_set("requirepass", "p@ss")
        tcp, tcp_too = opened(f"redis://:p%40ss@127.0.0.1:{port}/1"), opened(f"redis://default:p%40ss@localhost:{port}/1")
        unix = opened(server.url.replace("unix://", "unix://:p%40ss@") + "?db=1")
        other = opened(f"redis://:p%40ss@127.0.0.1:{port}/2")
        assert [await broker.lead() for broker in (tcp, tcp_too, unix, other)] == [Verdict.NEW, Verdict.SAME, Verdict.SAME, Verdict.NEW]
        assert tcp.generation == unix.generation != other.generation


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """For localhost, signed by itself; its key lies beside it as `key`."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("there is no openssl to make a certificate")
    what = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([openssl, *what, "-keyout", tmp_path / "key", "-out", tmp_path / "cert"], capture_output=True, check=True)
    return tmp_path / "cert"


async def test_redis_is_reached_by_tls(opened: Opened, certificate: Path) -> None:
    port, given = str(free_port()), str(certificate)
    options = ("--tls-cert-file", given, "--tls-key-file", str(certificate.with_name("key")), "--tls-ca-cert-file", given, "--tls-auth-clients", "no")
    try:
        with running("--tls-port", port, *options):
            assert await opened(f"rediss://localhost:{port}?ssl_ca_certs={given}").lead() is Verdict.NEW
            with pytest.raises(Unreachable, match=r"layer 'default': Redis does not answer .*certificate"):
                await opened(f"rediss://localhost:{port}").lead()  # nobody vouches for it
    except NoRedis:
        pytest.skip("this Redis was built without TLS")


async def test_tls_to_a_server_that_speaks_none_is_no_answer(opened: Opened) -> None:
    port = free_port()
    with running("--port", str(port)), pytest.raises(Unreachable, match="layer 'default': Redis does not answer"):
        await opened(f"rediss://:s3cret@127.0.0.1:{port}", timeout=1).lead()


@pytest.mark.parametrize(
    "url",
    ["redis://user:s3cret@127.0.0.1:1", "rediss://user:s3cret@127.0.0.1:1", "unix://user:s3cret@/no/such.sock", "redis://user:s3cret@no.such.host.invalid"],
)
async def test_nobody_there_is_no_answer_and_shows_no_password(opened: Opened, url: str) -> None:
    broker = opened(url)
    for attempt in (broker.lead(), broker.peek(), broker.group_send("g", {"type": "x"})):
        with pytest.raises(Unreachable, match="layer 'default': Redis does not answer") as away:
            await attempt
        assert "s3cret" not in str(away.value)


async def test_a_redis_cluster_is_refused(opened: Opened) -> None:
    cluster = pytest.raises(LayerRefused, match="layer 'default': its Redis is a cluster, which RedisChannelLayer does not follow: use a single Redis")
    with running("--cluster-enabled", "yes", "--appendonly", "no") as server, cluster:
        await opened(server.url).lead()


@asynccontextmanager
async def pretending(path: Path, info: str) -> AsyncIterator[str]:
    """A server that answers INFO with `info`, and anything else with OK."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            words = []
            for _ in range(int(head[1:])):
                length = int((await reader.readline())[1:])
                words.append((await reader.readexactly(length + 2))[:-2].upper())
            body = info.encode()
            writer.write(b"$%d\r\n%s\r\n" % (len(body), body) if words[0] == b"INFO" else b"%1\r\n+proto\r\n:3\r\n" if words[0] == b"HELLO" else b"+OK\r\n")
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        yield f"unix://{path}"


async def test_an_old_redis_is_refused(opened: Opened, tmp_path: Path) -> None:
    async with pretending(tmp_path / "s", "redis_version:6.0.16\r\ncluster_enabled:0\r\n") as url:
        broker = opened(url)
        with pytest.raises(LayerRefused, match=r"layer 'default': its Redis is 6\.0\.16: 6\.2 or newer is needed"):
            await broker.lead()
        await broker.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://u:p@h", "redis://***@h"),
        ("redis://u:p//q@h/@x y", "redis://***@x y"),
        ("redis://u:p'q@h", "redis://***@h"),
        ("'redis://u:p@h','b//c:d@e'", "'redis://***@h','b//***@e'"),
        ("a@b //c", "a@b //c"),
        ("///@", "//***@"),
        ("no //url mail@host", "no //url mail@host"),
    ],
)
def test_what_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize("text", ["@" + "//" * 20_000, "@" + "//a'" * 20_000, "//" * 20_000 + "@", "@" + "//a b" * 20_000, "?password=" * 20_000])
def test_masking_takes_no_longer_than_the_text_does(text: str) -> None:
    begun = time.process_time()
    masked(text)
    assert time.process_time() - begun < 0.2
