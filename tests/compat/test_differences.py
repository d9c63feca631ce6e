"""Where ours differs from the stock command it does so on purpose: each line of the table in docs/workers.md, seen on both."""

import re
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgpack
import pytest

from support.redis import RedisServer
from support.runworker import Runworker, Shop
from support.tree import ROOT
from support.waiting import eventually


def wait(*numbers: int) -> list[dict[str, Any]]:
    """Each is under way until `let` lets it go on."""
    return [{"type": "wait", "n": n} for n in numbers]


def take(*numbers: int) -> list[dict[str, Any]]:
    return [{"type": "take", "n": n} for n in numbers]


def let(shop: Shop, count: int) -> None:
    shop.redis.rpush("gate", *range(count))


def took(shop: Shop, channel: str) -> list[int]:
    return [value["n"] for what, value in shop.records(channel) if what == "took"]


async def under_way(shop: Shop, channel: str, *argv: str) -> Runworker:
    """A worker that is at work on the first message of its channel."""
    before = len(shop.records(channel))
    worker = shop.start(channel, *argv)
    await shop.recorded(channel, before + 1)
    return worker


async def test_how_much_it_takes_from_redis(shop: Shop) -> None:
    await shop.send("sync-wait", *wait(*range(20)))
    worker = await under_way(shop, "sync-wait")
    if shop.flavour == "stock":
        await eventually(lambda: shop.waiting("sync-wait") == 0)
    let(shop, 9)
    await shop.recorded("sync-wait", 19)
    assert shop.waiting("sync-wait") == (0 if shop.flavour == "stock" else 10)
    worker.kill()


async def test_a_consumer_raises(shop: Shop) -> None:
    await shop.send("sync-fail", *wait(0), {"type": "fail", "text": "as it does"}, *take(*range(5)))
    worker = await under_way(shop, "sync-fail")
    if shop.flavour == "stock":
        await eventually(lambda: shop.waiting("sync-fail") == 0)
    let(shop, 1)
    await eventually(lambda: "Exception inside application: as it does" in worker.output)
    await shop.send("sync-fail", *take(99))
    await eventually(lambda: 99 in took(shop, "sync-fail"))
    assert took(shop, "sync-fail") == ([99] if shop.flavour == "stock" else [*range(5), 99])


async def test_sigterm(shop: Shop) -> None:
    await shop.send("sync-thread", *take(0), *wait(1), *take(2, 3, 4))
    worker = await under_way(shop, "sync-thread")
    await shop.recorded("sync-thread", 2)
    if shop.flavour == "stock":
        await eventually(lambda: shop.waiting("sync-thread") == 0)
    worker.signal(signal.SIGTERM)
    if shop.flavour == "ours":
        await eventually(lambda: "stopping: nothing more is taken, 1 under way" in worker.output)
        let(shop, 1)
    assert worker.ends() == (-signal.SIGTERM if shop.flavour == "stock" else 0)
    assert [what for what, _ in shop.records("sync-thread")] == (["took", "waits"] if shop.flavour == "stock" else ["took", "waits", "waited"])
    assert shop.waiting("sync-thread") == (0 if shop.flavour == "stock" else 3)


async def test_redis_restarts(shop: Shop, own_redis: RedisServer) -> None:
    layer = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [{"address": own_redis.url, "socket_timeout": None}]}}
    worker = shop.start("sync-take", CHANNEL_LAYERS={"default": layer})
    await shop.send("sync-take", *take(1), url=own_redis.url)
    await shop.recorded("sync-take", 1)
    own_redis.restart()
    await shop.send("sync-take", *take(2), url=own_redis.url)
    if shop.flavour == "stock":
        assert worker.ends() == 1
    else:
        await shop.recorded("sync-take", 2)
        await eventually(lambda: "Redis answers again" in worker.output)
        assert worker.output.count("Redis does not answer") == worker.output.count("Redis answers again") == 1


@pytest.mark.parametrize("unreadable", [b"rubbish", b"x" * 12 + msgpack.packb({"no": "type"})], ids=["rubbish", "no type"])
async def test_a_message_that_cannot_be_read(shop: Shop, unreadable: bytes) -> None:
    shop.redis.delete("asgisync-count")
    seen = {channel: len(shop.records(channel)) for channel in ("sync-count", "async-count")}
    worker = shop.start(*seen)
    await shop.send("sync-count", {"type": "count"})
    await shop.recorded("sync-count", seen["sync-count"] + 1)
    shop.redis.zadd("asgisync-count", {unreadable: 0})
    await eventually(lambda: shop.waiting("sync-count") == 0)
    said = worker.output
    await shop.send("sync-count", {"type": "count"})
    await shop.send("async-count", {"type": "count"})
    await shop.recorded("async-count", seen["async-count"] + 1)
    if shop.flavour == "stock":
        assert (shop.waiting("sync-count"), worker.output) == (1, said)
    else:
        await shop.recorded("sync-count", seen["sync-count"] + 2)
        assert "channel sync-count: a message cannot be read, and is dropped" in worker.output
    worker.kill()


async def test_several_processes_on_one_channel(shop: Shop) -> None:
    workers = [shop.start("raw") for _ in range(3)]
    sent = 0

    async def enough() -> bool:
        nonlocal sent
        if shop.waiting("raw") < 100 and sent < (100_000 if shop.flavour == "stock" else 1_000):
            await shop.send("raw", *take(*range(sent, sent + 200)))
            sent += 200
        if shop.flavour == "ours":
            return len(shop.records("raw")) >= sent == 1_000
        return len(set(took(shop, "raw"))) < len(took(shop, "raw"))

    await eventually(enough, 30)
    for worker in workers:
        worker.kill()
    if shop.flavour == "ours":
        assert Counter(took(shop, "raw")) == Counter(range(sent))


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_sys_exit_in_a_consumer(shop: Shop, kind: str) -> None:
    channel = f"{kind}-leave"
    worker = shop.start(channel)
    await shop.send(channel, *take(1), {"type": "leave"})
    if shop.flavour == "stock":
        assert worker.ends() == 3
    else:
        await eventually(lambda: "Exception inside application: 3" in worker.output)
        await shop.send(channel, *take(2))
        await shop.recorded(channel, 2)


LINES: dict[str, Callable[..., Any]] = {
    "how much it takes from Redis": test_how_much_it_takes_from_redis,
    "a consumer raises": test_a_consumer_raises,
    "SIGTERM": test_sigterm,
    "Redis restarts": test_redis_restarts,
    "a message that cannot be read": test_a_message_that_cannot_be_read,
    "several processes on one channel": test_several_processes_on_one_channel,
    "`sys.exit` in a consumer": test_sys_exit_in_a_consumer,
}


def test_each_line_of_the_documented_table_is_seen() -> None:
    table = (ROOT / "docs/workers.md").read_text().partition("| | stock | ours |")[2].partition("\n\n")[0]
    lines: Sequence[str] = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    assert list(LINES) == list(lines)
