"""Our own connections to the Redis of a project's channel layer, and why a layer cannot hold a queue.

Settings such as the layer's are made for the layer: its time-outs may end a blocking pop of ours, or never end a lost one.
"""

from typing import Any, Final

import redis
from channels_redis.utils import create_pool
from redis.backoff import NoBackoff
from redis.retry import Retry

from channelbeat.broker import connect
from channelbeat.broker.layer import check_backend, check_prefix, check_url
from channelbeat.broker.wire import Wire

TIMEOUT: Final = 5.0
"""Seconds, for connecting and for each reply: longer than any pop of ours blocks."""
BACKEND: Final = "channels_redis.core.RedisChannelLayer"
_KNOWN: Final = ("channels_redis.", "channels.layers.")


def kind(backend: type) -> str:
    """The class a layer is of, or comes from: its path."""
    kinds = [f"{base.__module__}.{base.__qualname__}" for base in backend.__mro__]
    return next((path for path in kinds if path.startswith(_KNOWN)), kinds[0])


def fault_of(backend: type, hosts: int) -> str | None:
    """The same, before there is a layer."""
    return check_backend(kind(backend), hosts)


def fault(layer: Any) -> str | None:
    """Why the layer cannot hold our queue, with the cure; None if it can, as far as can be told without a connection."""
    hosts = getattr(layer, "hosts", [])
    found = fault_of(type(layer), len(hosts))
    if found is not None:
        return found
    if "master_name" in hosts[0]:
        return 'Redis Sentinel is not supported yet: give the URL of the master, as {"address": "redis://HOST:PORT/DB"}'
    if "connection_class" in hosts[0]:
        return (
            'its host has a connection_class, which says too little to us: give a URL, as {"address": "unix:///PATH"} or {"address": "rediss://HOST:PORT/DB"}'
        )
    address = hosts[0].get("address")
    return (check_url(address) if isinstance(address, str) else None) or check_prefix(layer.prefix)


def channel_fault(layer: Any, channel: str) -> str | None:
    """Why workers cannot listen on it."""
    try:
        layer.require_valid_channel_name(channel)
    except TypeError:
        return f"{channel!r} is no channel: its name has fewer than {layer.MAX_NAME_LENGTH} letters, digits, hyphens, underscores and dots"
    if "!" in channel:
        return f"{channel!r} is a channel of one process's own: workers listen on names without !"
    return None


def opened(layer: Any, connections: int) -> Wire:
    """For the loop that uses it; nothing is connected yet."""
    pool = create_pool(layer.hosts[0])
    pool.connection_kwargs.update(connect.options(TIMEOUT), decode_responses=False)  # the address's own options would win
    pool.max_connections = connections
    return Wire(connection_pool=pool)


def opened_sync(layer: Any, timeout: float = TIMEOUT) -> redis.Redis:
    """For one process; nothing is connected yet."""
    host = {key: value for key, value in layer.hosts[0].items() if key not in ("connection_class", "retry")}
    address = host.pop("address", None)
    pool = redis.ConnectionPool(**host) if address is None else redis.ConnectionPool.from_url(address, **host)
    pool.connection_kwargs.update(connect.options(timeout), retry=Retry(NoBackoff(), 0), decode_responses=False)
    return redis.Redis(connection_pool=pool)
