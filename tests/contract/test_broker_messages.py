"""What lies in a channel: the layer's own messages, in its own keys, for as long and as many as the layer says."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest
from channels_redis.core import RedisChannelLayer
from redis.asyncio import Redis

from channelbeat.broker.sending import RedisBroker
from channelbeat.core import envelope
from channelbeat.core.batch import Answer, Item
from support.brokers import Opened, adopt, send, skip, trigger
from support.redis import RedisServer

Layers: TypeAlias = Callable[..., Any]

MESSAGE = envelope.message(
    "thumbnail.generate",
    {"width": 640, "ratio": 1.5, "name": "Käse 🧀", "tags": ["a", None, True]},
    {"text": "hello"},
    schedule="shop/thumbnails",
    event="nightly",
    run="shop/thumbnails/nightly/2026-11-21T01:30:00Z",
    due=1_795_224_600_000,
)
LAYERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # what a layer may be: our settings, and RedisChannelLayer's options in a project
    "as it comes": ({}, {}),
    "another prefix": ({"prefix": "shop:"}, {"prefix": "shop:"}),
    "json": ({"serializer_format": "json"}, {"serializer_format": "json"}),
    "encrypted": ({"encryption_keys": ("secret",)}, {"symmetric_encryption_keys": ["secret"]}),
    "encrypted with a key that is being changed": ({"encryption_keys": ("new", "old")}, {"symmetric_encryption_keys": ["old", "new"]}),
    "encrypted json": (
        {"serializer_format": "json", "encryption_keys": ("secret",)},
        {"serializer_format": "json", "symmetric_encryption_keys": ["secret"]},
    ),
    "no random prefix": ({"random_prefix_length": 0}, {"random_prefix_length": 0}),
}
every_layer = pytest.mark.parametrize(("settings", "options"), LAYERS.values(), ids=LAYERS.keys())


@pytest.fixture
async def project(redis_server: RedisServer, redis: "Redis") -> AsyncIterator[Layers]:
    """Makes the RedisChannelLayer that a project would have."""
    async with AsyncExitStack() as stack:

        def make(**options: Any) -> Any:
            layer = RedisChannelLayer(hosts=[redis_server.url], **options)
            stack.push_async_callback(layer.close_pools)
            return layer

        yield make


@every_layer
async def test_what_a_worker_receives_is_what_was_sent(
    opened: Opened, project: Layers, redis_server: RedisServer, settings: dict[str, Any], options: dict[str, Any]
) -> None:
    broker, layer = opened(redis_server.url, **settings), project(**options)
    await broker.lead()
    await broker.enqueue([adopt(1), send(2, message=MESSAGE), trigger(3, message={"type": "x"})])
    assert await layer.receive("c") == MESSAGE
    assert await layer.receive("c") == {"type": "x"}


@every_layer
async def test_what_a_group_gets_is_what_was_sent(
    opened: Opened, project: Layers, redis_server: RedisServer, settings: dict[str, Any], options: dict[str, Any]
) -> None:
    broker, layer = opened(redis_server.url, **settings), project(**options)
    await broker.lead()
    await layer.group_add("g", "c")
    await broker.group_send("g", MESSAGE)
    assert await layer.receive("c") == MESSAGE


async def test_an_encrypted_message_shows_nothing(opened: Opened, redis_server: RedisServer, redis: "Redis") -> None:
    broker = opened(redis_server.url, encryption_keys=("secret",))
    await broker.lead()
    await broker.enqueue([adopt(1), send(2, message={"type": "x", "word": "treasure"})])
    (member,) = await redis.zrange("asgic", 0, -1)
    assert b"treasure" not in member


async def test_two_equal_messages_are_two(broker: RedisBroker, redis: "Redis") -> None:
    await broker.enqueue([adopt(1), *(send(due, message=MESSAGE) for due in range(2, 10))])
    assert await redis.zcard("asgic") == 8


async def test_a_channel_key_lives_as_long_as_the_layer_says(opened: Opened, redis_server: RedisServer, redis: "Redis") -> None:
    broker = opened(redis_server.url, expiry=77)
    await broker.lead()
    await broker.enqueue([adopt(1), send(2)])
    assert 70 < await redis.ttl("asgic") <= 77


async def test_our_own_keys_live_for_ever(broker: RedisBroker, redis: "Redis") -> None:
    await broker.enqueue([adopt(1), skip(2, logged=True), trigger(3)])
    assert {key: await redis.ttl(key) for key in await redis.keys("channelbeat:*")} == {b"channelbeat:asgi:state": -1, b"channelbeat:asgi:log:e": -1}


async def test_the_layers_flush_leaves_ours_alone(broker: RedisBroker, project: Layers, redis: "Redis") -> None:
    await broker.enqueue([adopt(1), send(2)])
    await project().flush()
    assert await redis.keys() == [b"channelbeat:asgi:state"]


async def test_expired_messages_make_room_and_are_told(opened: Opened, redis_server: RedisServer, redis: "Redis") -> None:
    broker = opened(redis_server.url, capacity=4)
    await broker.lead()
    now = (broker.now() or 0) / 1000
    await redis.zadd("asgic", {"old": now - 61, "older": now - 3_600, "young": now - 50})
    answers = await broker.enqueue([adopt(1), send(2)])
    assert (answers.expired, answers.room) == ({"c": 2}, {"c": 2})
    assert b"young" in await redis.zrange("asgic", 0, -1)
    assert (await broker.enqueue([send(3)])).expired == {"c": 0}


async def test_other_peoples_messages_count_towards_the_capacity(broker: RedisBroker, project: Layers) -> None:
    layer = project()
    for _ in range(98):
        await layer.send("c", {"type": "theirs"})
    answers = await broker.enqueue([adopt(1), send(2), send(3), send(4)])
    assert answers.answers[1:] == (Answer.DONE, Answer.DONE, Answer.FULL)
    assert answers.room == {"c": 0}


async def test_capacity_is_per_channel_by_the_layers_patterns(opened: Opened, redis_server: RedisServer, redis: "Redis") -> None:
    broker = opened(redis_server.url, capacity=3, channel_capacity={"thumb*": 1, "exact": 2})
    await broker.lead()
    sent: list[Item] = [adopt(0), *(send(due, channel=name) for due, name in enumerate(("thumb-a", "exact", "exact", "other", "other", "other"), start=1))]
    answers = await broker.enqueue(sent)
    assert set(answers.answers) == {Answer.DONE}
    assert answers.room == {"thumb-a": 0, "exact": 0, "other": 0}
    assert (await broker.enqueue([send(9, channel="thumb-a")])).answers == (Answer.FULL,)


async def test_decisions_are_logged_as_why_reads_them(broker: RedisBroker) -> None:
    await broker.enqueue([adopt(1), send(2, logged=True), skip(9, since=2, logged=True), skip(10), trigger(5)])
    entries = [entry.rsplit(" ", 1) for entry in await broker.decisions("e")]
    assert [entry for entry, _ in entries] == ["2 - enqueued", "9 2 missed/PolicySkip", "5 - triggered"]
    assert all(broker.founded <= int(at) <= (broker.now() or 0) for _, at in entries)


async def test_the_log_keeps_about_the_last_hundred(broker: RedisBroker) -> None:
    for start in range(1, 1_001, 7):
        await broker.enqueue([adopt(0), *(skip(due, logged=True) for due in range(start, start + 7))])
        assert len(await broker.decisions("e")) <= 120
    kept = [int(entry.split(" ")[0]) for entry in await broker.decisions("e")]
    assert len(kept) >= 100
    assert kept == list(range(kept[-1] - len(kept) + 1, kept[-1] + 1))


async def test_a_log_that_somebody_overwrote_costs_itself_alone(broker: RedisBroker, redis: "Redis") -> None:
    await redis.set("channelbeat:asgi:log:e", "mine")
    assert set((await broker.enqueue([adopt(1), skip(2, logged=True), send(3)])).answers) == {Answer.DONE}


async def test_the_backlog_is_what_waits(broker: RedisBroker, redis: "Redis") -> None:
    await redis.set("asgiwrong", "no channel")
    await broker.enqueue([adopt(1), send(2), send(3), send(4, channel="d")])
    assert await broker.backlog(["c", "d", "none", "wrong"]) == {"c": 2, "d": 1, "none": 0}
