"""Which layers can hold our queue, and the RedisChannelLayer that makes messages and sends to groups for us."""

from typing import Any
from urllib.parse import urlsplit

from channels_redis.core import RedisChannelLayer

from channelbeat.broker import connect, keys
from channelbeat.core.layer import LayerSettings
from channelbeat.errors import LayerRefused

SCHEMES = ("redis", "rediss", "unix")
WRITE = "write redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH/TO/SOCKET"


def check(settings: LayerSettings) -> str | None:
    """Why this layer cannot be used, with the cure, as far as can be told without a connection; None if it can."""
    return check_url(settings.url) or check_prefix(settings.prefix)


def check_url(url: str) -> str | None:
    """The URL itself is not shown: it may hold a password."""
    try:
        parts = urlsplit(url)
        hosts = parts.netloc.rpartition("@")[2]
        if "sentinel" in parts.scheme:
            return "Redis Sentinel is not supported yet: give the URL of the master, as redis://HOST:PORT/DB"
        if "," in hosts:
            return "its URL names several hosts: Channels spreads messages over them and misses some, so give a single one"
        if parts.scheme not in SCHEMES:
            return f"its URL has an unknown scheme: {WRITE}"
        if not (parts.path if parts.scheme == "unix" else parts.hostname) or parts.port == 0:
            return f"its URL is incomplete: {WRITE}"
    except ValueError:
        return f"its URL cannot be read: {WRITE}"
    return connect.option_fault(url)


def check_prefix(prefix: str) -> str | None:
    if keys.erased_by_flush(prefix):
        return f"its prefix {prefix!r} would let the layer's flush() erase channelbeat's own keys: choose another, such as 'asgi'"
    return None


def check_backend(backend: str, hosts: int) -> str | None:
    """Why a project's CHANNEL_LAYERS entry cannot hold a queue, from its class path and its number of hosts."""
    if backend.endswith("InMemoryChannelLayer"):
        return "the in-memory layer lives in one process, so nothing sent from outside arrives: use channels_redis.core.RedisChannelLayer"
    if "PubSub" in backend:
        return "the pub/sub layer keeps no queue: without a worker events are lost, with several they are doubled: use channels_redis.core.RedisChannelLayer"
    if not backend.endswith(".RedisChannelLayer"):
        return f"the layer {backend} is not known to keep a queue in Redis: use channels_redis.core.RedisChannelLayer"
    if hosts != 1:
        return f"it has {hosts} hosts: Channels spreads messages over them and misses some, so give a single one"
    return None


def channel_layer(settings: LayerSettings, *, timeout: float) -> Any:
    """The layer as a Django project would have it; LayerRefused when its options are not RedisChannelLayer's."""
    fault = check(settings)
    if fault is not None:
        raise LayerRefused(f"layer {settings.name!r}: {fault}")
    try:
        return RedisChannelLayer(
            hosts=[{"address": settings.url, **connect.options(timeout)}],
            prefix=settings.prefix,
            expiry=settings.expiry,
            capacity=settings.capacity,
            channel_capacity=dict(settings.channel_capacity),
            symmetric_encryption_keys=list(settings.encryption_keys) or None,
            random_prefix_length=settings.random_prefix_length,
            serializer_format=settings.serializer_format,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise LayerRefused(f"layer {settings.name!r}: RedisChannelLayer refuses its options: {error}") from None
