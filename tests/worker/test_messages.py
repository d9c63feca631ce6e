"""What a consumer gets of what lay in Redis, and what cannot be read."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from channels_redis.core import RedisChannelLayer

from channelbeat.broker.claims import Claimed, Plain
from channelbeat.worker.messages import Poison, Reader

LAYERS: dict[str, Callable[[], Any]] = {
    "msgpack": RedisChannelLayer,
    "json": lambda: RedisChannelLayer(serializer_format="json"),
    "encrypted": lambda: RedisChannelLayer(symmetric_encryption_keys=["secret"]),
    "no random prefix": lambda: RedisChannelLayer(random_prefix_length=0),
}
PREFIX = 12 * b"-"


def claimed(body: bytes) -> Claimed:
    return Claimed("shop/a/b/1970-01-01T00:00:01Z", "shop/a/b", "c", "t", 2, 3, 1_000, 60_000, body)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
class TestEveryLayer:
    def test_a_plain_message_is_as_it_was_sent(self, make: Callable[[], Any]) -> None:
        layer = make()
        sent = {"type": "x", "deep": {"list": [1, "ü", None]}}
        assert Reader(layer).plain(Plain("c", layer.serialize(sent), b"1")) == sent

    def test_a_run_is_told_its_attempt(self, make: Callable[[], Any]) -> None:
        layer = make()
        beat = {"v": 1, "schedule": "shop/a", "event": "b", "run": "shop/a/b/1970-01-01T00:00:01Z", "due": "1970-01-01T00:00:01Z"}
        found = Reader(layer).run(claimed(layer.serialize({"type": "x", "beat": beat})))
        assert found == {"type": "x", "beat": {**beat, "attempt": 2}}


def test_the_channel_names_that_group_send_adds_are_taken_away() -> None:
    layer = RedisChannelLayer()
    assert Reader(layer).plain(Plain("c", layer.serialize({"type": "x", "__asgi_channel__": ["c"]}), b"1")) == {"type": "x"}


def old(layer: Any) -> bytes:
    """Encrypted 400 s ago."""
    fernet: Any = layer._serializer.crypter._fernets[0]
    found: bytes = fernet.encrypt_at_time(layer._serializer.as_bytes({"type": "x"}), int(time.time()) - 400)  # noqa: TID251 - Fernet's own clock
    return PREFIX + found


def test_a_run_may_be_older_than_an_encrypted_message_may() -> None:
    layer = RedisChannelLayer(symmetric_encryption_keys=["secret"])
    reader = Reader(layer)
    assert reader.run(claimed(old(layer)))["type"] == "x"
    with pytest.raises(Poison, match="InvalidToken"):
        reader.plain(Plain("c", old(layer), b"1"))
    assert layer._serializer.expiry == 60


BAD = {
    b"": "",
    PREFIX: "",
    PREFIX + b"\xc1": "",
    PREFIX + b"\x01": "it is no dict but int",
    PREFIX + b"\x90": "it is no dict but list",
    PREFIX + b"\xc0": "it is no dict but NoneType",
    PREFIX + b"\x80": "it has no type",
    PREFIX + b"\x81\xa4type\xa0": "it has no type",
    PREFIX + b"\x81\xa4type\x07": "it has no type",
    PREFIX + b"\x81\xa4type\xa1": "ValueError",
    PREFIX + b"\x91" * 5_000: "",
    PREFIX + b'{"type": "x"}': "ExtraData",
}


@pytest.mark.parametrize("body", BAD)
def test_cannot_be_read(body: bytes) -> None:
    reader = Reader(RedisChannelLayer())
    for read in (partial(reader.plain, Plain("c", body, b"1")), partial(reader.run, claimed(body))):
        with pytest.raises(Poison) as raised:
            read()
        assert BAD[body] in str(raised.value)
        assert str(raised.value)
