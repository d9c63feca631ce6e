"""One-off runs from a project's own code: sent now or later, handled like those of a schedule, and cancelled by their id."""

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from channels.layers import channel_layers

from channelbeat.broker.putting import AsyncOneOffs, OneOffs, Put
from channelbeat.core import instants
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.errors import LayerRefused
from channelbeat.worker import link

DEFAULT: Final = "default"
LONGEST_KEY: Final = 200
AT_ONCE: Final = 50
LONGEST_DELAY: Final = timedelta(days=3653)

logger: Final = logging.getLogger("channelbeat.worker")


class _Request(NamedTuple):
    run: str
    channel: str
    body: bytes
    at: Ms | None
    delay: Ms | None


def send(
    channel: str,
    event: Mapping[str, Any],
    *,
    delay: float | timedelta | None = None,
    at: datetime | None = None,
    key: str | None = None,
    layer: str = DEFAULT,
) -> str:
    """Have `event`, a dict with a `type`, handled by a worker of `channel`: now, after a `delay` (in seconds, or a timedelta) or `at` a moment
    with a time zone. It is tried again when it fails, like a run of a schedule. Answers the run's id.

    With a `key` it happens once: while a run of that key is known (for an hour after its end, a week if it is dead), another is not made.
    Raises TypeError and ValueError for what cannot be sent, errors.LayerError when Redis does not take it; after errors.Unreachable it may have
    been taken: send it again with the same key.
    """
    request = _request(channel, event, delay, at, key, layer)
    _heed(_one_offs(layer).put(request.run, channel, request.body, at=request.at, delay=request.delay), layer)
    return request.run


async def asend(
    channel: str,
    event: Mapping[str, Any],
    *,
    delay: float | timedelta | None = None,
    at: datetime | None = None,
    key: str | None = None,
    layer: str = DEFAULT,
) -> str:
    """`send` for async code."""
    request = _request(channel, event, delay, at, key, layer)
    async with _turn():
        put = await _async_one_offs(layer).put(request.run, channel, request.body, at=request.at, delay=request.delay)
    _heed(put, layer)
    return request.run


def cancel(run_id: str, layer: str = DEFAULT) -> str | None:
    """The state the run was in, None if it is not known. One that waited is cancelled now; the worker of a running one is asked to end it."""
    return _one_offs(layer).cancel(run_id)


async def acancel(run_id: str, layer: str = DEFAULT) -> str | None:
    """`cancel` for async code."""
    async with _turn():
        return await _async_one_offs(layer).cancel(run_id)


def _request(channel: str, event: Mapping[str, Any], delay: float | timedelta | None, at: datetime | None, key: str | None, alias: str) -> _Request:
    found = _layer(alias)
    if (fault := link.channel_fault(found, channel)) is not None:
        raise ValueError(fault)
    if not isinstance(event, Mapping):
        raise TypeError(f"an event is a dict with a 'type', not {event!r}")
    if not isinstance(event.get("type"), str) or not event["type"]:
        raise ValueError("the event has no 'type': it names the consumer's handler")
    if "beat" in event:
        raise ValueError("the event's 'beat' is channelbeat's own: call yours something else")
    run = f"once/{channel}/{_key(key)}"
    try:
        body = found.serialize({**event, "beat": {"v": 1, "run": run}})
        found.deserialize(body)  # what can be written cannot always be read
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TypeError(f"the event {event['type']!r} cannot be sent: {error}") from error
    return _Request(run, channel, body, *_when(delay, at))


def _key(key: str | None) -> str:
    if key is None:
        return uuid.uuid4().hex
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise ValueError(f"the key {key[:50]!r} cannot be used: give 1 to {LONGEST_KEY} printable characters")
    return key


def _when(delay: float | timedelta | None, at: datetime | None) -> tuple[Ms | None, Ms | None]:
    if delay is not None and at is not None:
        raise ValueError("both delay and at are given: which of them?")
    if at is not None:
        if not isinstance(at, datetime):
            raise TypeError(f"at is a datetime, not {at!r}")
        if at.tzinfo is None or at.utcoffset() is None:
            raise ValueError(f"at={at} has no time zone: give it one, or use django.utils.timezone")
        return instants.from_datetime(at), None
    if delay is None:
        return None, None
    if isinstance(delay, bool) or not isinstance(delay, int | float | timedelta):
        raise TypeError(f"delay is seconds or a timedelta, not {delay!r}")
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    if not 0 <= seconds <= LONGEST_DELAY.total_seconds():  # nor NaN
        raise ValueError(f"delay={delay} is no length of time that is kept: give seconds from 0 up, or a timedelta, of at most ten years")
    return None, round(seconds * SECOND)


def _layer(alias: str) -> Any:
    if alias not in channel_layers:
        known = ", ".join(map(repr, sorted(channel_layers.configs))) or "nothing"
        raise ValueError(f"CHANNEL_LAYERS has no {alias!r}: it has {known}")
    layer: Any = channel_layers[alias]
    if (fault := link.fault(layer)) is not None:
        raise LayerRefused(f"layer {alias!r}: {fault}")
    return layer


_opened: dict[tuple[int, str], tuple[Any, OneOffs]] = {}


def _one_offs(alias: str) -> OneOffs:
    """One connection pool for each layer and process; a forked one must not use its parent's."""
    layer, place = _layer(alias), (os.getpid(), alias)
    if place not in _opened or _opened[place][0] is not layer:  # tests change settings
        _opened[place] = (layer, OneOffs(link.opened_sync(layer), layer.prefix, name=alias))
    return _opened[place][1]


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turn() -> asyncio.Semaphore:
    """The layer's pool raises when all its connections are taken, a hundred unless set."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))


def _async_one_offs(alias: str) -> AsyncOneOffs:
    layer = _layer(alias)
    return AsyncOneOffs(layer.connection(0), layer.prefix, name=alias)


_warned: dict[str, Ms] = {}


def _heed(put: Put, alias: str) -> None:
    """What is queued is handled; what waits, or fails, needs the leader."""
    if put.silent is not None and put.silent <= MINUTE:
        return
    now = time.monotonic_ns() // 1_000_000
    if now >= _warned.get(alias, now):
        _warned[alias] = now + MINUTE
        since = "" if put.silent is None else f", it was last seen {put.silent // SECOND} s ago"
        logger.warning("layer %r: there is no leader%s: delayed runs and retries wait until channelbeat runs", alias, since)
