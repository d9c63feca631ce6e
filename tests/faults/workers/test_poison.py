"""Messages that nobody can read, among good ones: the good are handled, once each; the others are told, and kept where they are runs."""

import os
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
import pytest
from channels_redis.core import RedisChannelLayer
from redis.asyncio import Redis

from channelbeat.core.runs import Policy, State
from support.fleet import AMPLE, Fleet
from support.leading import Leader
from support.waiting import eventually

NUMBER = 1_000
ONCE = Policy(limit=0, backoff=1)
RANDOM = random.Random(4)
KEY, OTHER_KEY = "a key", "another key"


def nested(depth: int) -> bytes:
    return b"\x91" * depth + b"\xc0"


def packed(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


GOOD = {"type": "work", "name": "a good one"}
KINDS: dict[str, bytes] = {
    "nothing": b"",
    "a byte": b"\xc1",
    "random bytes": RANDOM.randbytes(100),
    "a megabyte of them": RANDOM.randbytes(1_000_000),
    "text": b"hello, is anybody there?",
    "JSON": b'{"type": "work"}',
    "a good one, cut short": packed(GOOD)[:-3],
    "a good one, and more": packed(GOOD) + b"more",
    "a number": packed(1),
    "a list": packed(["work"]),
    "None": packed(None),
    "a string": packed("work"),
    "an empty dict": packed({}),
    "no type": packed({"name": "x" * 1_000_000}),
    "an empty type": packed({"type": ""}),
    "a number for a type": packed({"type": 5}),
    "a list for a type": packed({"type": ["work"]}),
    "bytes for a type": packed({"type": b"work"}),
    "None for a type": packed({"type": None}),
    "numbers for keys": packed({"type": "work", 1: 2}),
    "a list for a key": b"\x81\x91\x01\x01",
    "no UTF-8": b"\x81\xa4type\xa4\xff\xfe\xfd\xfc",
    "a type of no kind": b"\x81\xa4type\xc7\x01\x05x",
    "deep": nested(200_000),
    "too long a length": b"\xdf\xff\xff\xff\xff",
}
REFUSED = {
    "a leading underscore": packed({"type": "_work", "name": "x"}),
    "dots, then none": packed({"type": "....", "name": "x"}),
    "no handler": packed({"type": "sleep", "name": "x"}),
    "an attribute": packed({"type": "scope", "name": "x"}),
    "half a surrogate": packed({"type": "w\u00f6rk", "name": "x"}),
}
"""What can be read, and consumers refuse: an exception of theirs as any other."""


def prefixed(body: bytes) -> bytes:
    return os.urandom(12) + body


def bodies() -> list[bytes]:
    """Each kind many times, in any order."""
    kinds = [*KINDS.values(), *REFUSED.values()]
    small = [kind for kind in kinds if len(kind) < 10_000]
    found = kinds + RANDOM.choices(small, k=NUMBER - len(kinds))
    RANDOM.shuffle(found)
    return found


async def test_among_good_messages(redis: Redis, fleet: Fleet) -> None:
    poison, good = bodies(), [f"good-{number}" for number in range(NUMBER)]
    await redis.zadd("asgic", {prefixed(packed({"type": "work", "name": name})): number for number, name in enumerate(good)})
    await redis.zadd("asgic", {prefixed(body): number + 0.5 for number, body in enumerate(poison)})
    worker = fleet.worker("c", concurrency=2)
    await fleet.diary.reaches(NUMBER, "ok", 30)
    assert fleet.diary.audit().handled == dict.fromkeys(good, 1)
    unreadable = sum(body in KINDS.values() for body in poison)
    await eventually(lambda: worker.log.count("channel c: a message cannot be read, and is dropped") == unreadable)
    await eventually(lambda: worker.log.count("ERROR channelbeat.worker: Exception inside application") == NUMBER - unreadable)
    assert worker.status is None


async def test_among_good_runs(redis: Redis, fleet: Fleet, leader: Leader) -> None:
    poison, good = dict[str, bytes](), set[str]()
    unread = bodies()
    for start in range(0, NUMBER, 50):
        some = unread[start : start + 50]
        good |= await leader.put(len(some))
        poison |= zip(await leader.put(len(some), policy=ONCE), some, strict=True)
    for run, body in poison.items():
        await redis.set(f"channelbeat:asgi:body:{run}", prefixed(body) if body else b"")
    worker = fleet.worker("c", concurrency=2, claim=AMPLE)

    async def ended() -> bool:
        stats = (await leader.broker.stats(["default/t/e"]))["default/t/e"]
        return (stats.ok, stats.dead) == (NUMBER, NUMBER)

    await eventually(ended, 60)
    assert fleet.diary.audit().handled == dict.fromkeys(good, 1)
    records = {record.id: record async for record in leader.runs.each([State.DEAD])}
    assert records.keys() == poison.keys()
    for run, record in records.items():
        how, begins = ("dead", "cannot be read: ") if poison[run] in KINDS.values() else ("failed", "")
        assert record.state is State.DEAD
        assert [attempt.how for attempt in record.history] == [how]
        assert record.error is not None
        assert record.error.startswith(begins)
        assert 5 < len(record.error) <= 500
        assert run in worker.log
    assert worker.status is None


async def test_a_run_that_cannot_be_read_is_not_tried_again(redis: Redis, fleet: Fleet, leader: Leader) -> None:
    """Whatever its policy says. Queued again by hand, it is looked at again."""
    (run,) = await leader.put(1)
    await redis.set(f"channelbeat:asgi:body:{run}", b"rubbish")
    fleet.worker("c", claim=AMPLE)
    for turns in (1, 2):

        async def dead(turns: int = turns) -> bool:
            record = (await leader.records([run]))[run]
            return record.state is State.DEAD and len(record.history) == turns

        await eventually(dead)
        assert await leader.runs.retry([run]) == [State.DEAD]


@pytest.mark.parametrize("body", KINDS.values(), ids=KINDS.keys())
def test_each_kind_is_one_that_the_layer_cannot_read_or_a_message_without_a_type(body: bytes) -> None:
    layer = RedisChannelLayer()
    try:
        message = layer.deserialize(prefixed(body))
    except Exception:  # noqa: BLE001 - whatever it says
        return
    assert not isinstance(message, dict) or not isinstance(message.get("type"), str) or not message["type"]


def encrypted(key: str, message: dict[str, Any], age: int) -> bytes:
    """As a layer of that key would have written it so many seconds ago."""
    fernet = RedisChannelLayer(symmetric_encryption_keys=[key])._serializer.make_fernet(key)
    return prefixed(fernet.encrypt_at_time(packed(message), time.time_ns() // 1_000_000_000 - age))


async def test_an_encrypted_layer(redis: Redis, fleet: Fleet, leader: Leader) -> None:
    """Its messages cannot be read any more when they are older than its expiry. Runs can."""
    written: dict[str, Callable[[dict[str, Any]], bytes]] = {
        "fresh": lambda message: encrypted(KEY, message, 0),
        "400 s old": lambda message: encrypted(KEY, message, 400),
        "of another key": lambda message: encrypted(OTHER_KEY, message, 0),
        "open": lambda message: prefixed(packed(message)),
    }
    runs = {name: (await leader.put(1, policy=ONCE)).pop() for name in written}
    for name, write in written.items():
        await redis.set(f"channelbeat:asgi:body:{runs[name]}", write({"type": "work", "beat": {"run": runs[name]}}))
        await redis.zadd("asgic", {write({"type": "work", "name": f"a message {name}"}): 1})
    worker = fleet.worker("c", claim=AMPLE, layer={"symmetric_encryption_keys": [KEY]})
    await eventually(lambda: worker.log.count("channel c: a message cannot be read, and is dropped: InvalidToken") == 3)

    async def states() -> dict[str, State]:
        found = await leader.states(runs.values())
        return {name: found[run] for name, run in runs.items()}

    dead = dict.fromkeys(("of another key", "open"), State.DEAD)
    await eventually(lambda: _equal(states, {**dict.fromkeys(("fresh", "400 s old"), State.SUCCEEDED), **dead}))
    assert fleet.diary.handled() == {runs["fresh"], runs["400 s old"], "a message fresh"}


@pytest.mark.parametrize("key", ["asgic", "channelbeat:asgi:bell:c", "channelbeat:asgi:queue:c", "channelbeat:asgi:claims:c"])
async def test_a_key_that_somebody_overwrote_holds_up_no_other_channel(redis: Redis, fleet: Fleet, leader: Leader, key: str) -> None:
    worker = fleet.worker("c", "a")
    first = await leader.put(3, channel="a")
    await eventually(lambda: fleet.diary.handled() == first)
    await redis.set(key, "somebody's")
    second = await leader.put(3, channel="a")
    await leader.broker._layer.send("a", {"type": "work", "name": "plain"})
    await eventually(lambda: fleet.diary.handled() == {*first, *second, "plain"})
    assert worker.log.count("WRONGTYPE") <= 1
    await redis.delete(key)
    third = await leader.put(3)
    await leader.broker._layer.send("c", {"type": "work", "name": "plain, too"})
    await eventually(lambda: fleet.diary.handled() == {*first, *second, *third, "plain", "plain, too"})
    assert worker.status is None


async def _equal(ask: Callable[[], Awaitable[Any]], expected: Any) -> bool:
    return bool(await ask() == expected)
