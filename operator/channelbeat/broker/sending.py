"""The leader's side of one layer: take the lead, and send batches of decisions that Redis remembers as it carries them out."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgpack
from redis.asyncio import Redis
from redis.exceptions import RedisError

from channelbeat.broker import connect, scripts
from channelbeat.broker.keys import Keys
from channelbeat.broker.layer import channel_layer
from channelbeat.broker.rows import Rows, fence
from channelbeat.broker.upkeep import Upkeep
from channelbeat.core.batch import Answers, Fence, Item, Verdict
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.errors import LayerRefused

KEPT_DECISIONS: Final = 100
QUEUE_LIMIT: Final = 1_000_000
"""Runs that one channel's queue may have, beyond which new ones are held back."""
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while the machine is suspended


class RedisBroker(Upkeep):
    """One layer. Not led until `lead` has been called; after Stale or StoreChanged it must be called again.

    `silence`: how long another owner must not have been seen before its layer is taken. `ahead`: how much later than
    Redis's clock a due time may be. `claim`: how long workers' claims last. `timeout`, in seconds, bounds each reply.
    """

    def __init__(
        self,
        settings: LayerSettings,
        *,
        owner: str,
        silence: Ms = 5 * MINUTE,
        ahead: Ms = 5 * SECOND,
        claim: Ms = 30 * SECOND,
        queue_limit: int = QUEUE_LIMIT,
        timeout: float = 5.0,
    ) -> None:
        self._layer = channel_layer(settings, timeout=timeout)
        redis = connect.client(settings.url, timeout=timeout)
        super().__init__(redis, Keys(settings.prefix), expiry=int(self._layer.expiry), name=settings.name, claim=claim)
        self._owner, self._silence, self._ahead, self._queue_limit, self._timeout = owner, silence, ahead, queue_limit, timeout
        self._generation, self._epoch, self._seq = "", "0", 0
        self._offset: Ms | None = None
        self._left: list[asyncio.Task[None]] = []
        self.evicting: str | None = None
        """The name of Redis's eviction policy, seen when taking the lead, if it may drop our keys."""

    def _turn_to(self, redis: Redis, keys: Keys, expiry: int) -> None:
        super()._turn_to(redis, keys, expiry)
        self._lead = redis.register_script(scripts.source("lead"))
        self._enqueue = redis.register_script(scripts.source("enqueue"))
        self._resign = redis.register_script(scripts.source("resign"))

    async def use(self, settings: LayerSettings) -> None:
        """Reach the layer by these settings from now on. It has to be led anew: should they lead to another Redis, `lead` says so."""
        layer, redis = channel_layer(settings, timeout=self._timeout), connect.client(settings.url, timeout=self._timeout)
        self._left.append(asyncio.create_task(_leave(self._redis, self._layer, after=2 * self._timeout)))
        self._left = [leaving for leaving in self._left if not leaving.done()]
        self._layer = layer
        self._turn_to(redis, Keys(settings.prefix), int(layer.expiry))
        await asyncio.sleep(0)  # so that it has begun, should it be cancelled at once

    @property
    def epoch(self) -> int:
        """Of our latest lead."""
        return int(self._epoch)

    @property
    def generation(self) -> str:
        """The store's name, which begins with its founding time; empty while it has none."""
        return self._generation

    @property
    def founded(self) -> Ms:
        """When the store's generation began, by Redis's clock; 0 while it has none."""
        return int(self._generation.partition("-")[0] or 0)

    def now(self) -> Ms | None:
        """Redis's time, carried on from its latest answer; None before the first."""
        return None if self._offset is None else _steady() + self._offset

    async def peek(self) -> str:
        """The generation of the store, without taking the lead."""
        with connect.errors(self.name):
            found = await self._redis.hget(self._keys.state, ":gen")
        return _text(found) if found else ""

    async def lead(self) -> Verdict:
        """Take the lead, and say what the store is to us. Wiped leaves it without a generation until `found`."""
        await self._inspect()
        return await self._take(self._generation, self._seq)

    async def found(self) -> None:
        """Begin the wiped store's generation, once its fences are raised."""
        await self._take("", 0)

    async def _take(self, known: str, seq: int) -> Verdict:
        start = _steady()
        with connect.errors(self.name):
            answer = await self._lead(keys=[self._keys.state], args=[self._owner, self._silence, os.urandom(6).hex(), known, seq])
        verdict, epoch, generation, stored, now = (_text(part) for part in answer)
        self._epoch, self._generation, self._seq = epoch, generation, int(stored)
        self._offset = int(now) + 1 - start
        return Verdict(verdict)

    async def _inspect(self) -> None:
        with connect.errors(self.name):
            info: Mapping[str, Any] = await self._redis.info()
        if info.get("cluster_enabled"):
            raise LayerRefused(f"layer {self.name!r}: its Redis is a cluster, which RedisChannelLayer does not follow: use a single Redis")
        if tuple(int(part) for part in str(info["redis_version"]).split(".")[:2]) < (6, 2):
            raise LayerRefused(f"layer {self.name!r}: its Redis is {info['redis_version']}: 6.2 or newer is needed")
        policy = str(info.get("maxmemory_policy", "noeviction"))
        self.evicting = None if policy == "noeviction" else policy

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        """Carry out a batch (up to about 1,000 items), all or as the answers say.

        Raises Unreachable (it may have been carried out), WritesRefused, Stale, StoreChanged (it was not), LayerRefused.
        """
        rows = Rows(self._layer, items, queue_limit=self._queue_limit)
        keys = [self._keys.state, *(self._keys.target(name) for name in rows.channels)]
        args: list[str | int | bytes] = [self._generation, self._epoch, self._seq, self._ahead, self._keys.logs, KEPT_DECISIONS, rows.packed()]
        start = _steady()
        with connect.errors(self.name):
            reply = await self._enqueue(keys=keys, args=args)
        letters, extra, room, expired, now, seq = msgpack.unpackb(reply, strict_map_key=False)
        self._seq = max(self._seq, seq)
        self._offset = int(now) + 1 - start
        return rows.answers(letters, extra, room, expired)

    async def group_send(self, group: str, message: Mapping[str, Any]) -> None:
        """The layer's own group_send; at most once."""
        with connect.errors(self.name):
            await self._layer.group_send(group, dict(message))

    async def resign(self) -> None:
        """Give up the lead, so that the next leader need not wait."""
        with connect.errors(self.name):
            await self._resign(keys=[self._keys.state], args=[self._epoch])

    async def backlog(self, channels: Sequence[str]) -> dict[str, int]:
        """Messages waiting in each channel, those past their expiry included, or runs in each queue (core/batch.py, queue_of)."""
        with connect.errors(self.name):
            pipe = self._redis.pipeline(transaction=False)
            for name in channels:
                pipe.zcard(self._keys.target(name))
            counts = await pipe.execute(raise_on_error=False)
        return {name: count for name, count in zip(channels, counts, strict=True) if isinstance(count, int)}

    async def fence(self, event: str) -> Fence | None:
        """The event's fence as it stands, whoever leads."""
        with connect.errors(self.name):
            found = await self._redis.hget(self._keys.state, event)
        return fence(_text(found)) if found is not None else None

    async def decisions(self, event: str) -> list[str]:
        """The event's last decisions, oldest first: "due since code at", `since` being - for a single due time."""
        with connect.errors(self.name):
            entries = await self._redis.lrange(self._keys.logs + event, 0, -1)
        return [_text(entry) for entry in entries]

    async def remembered(self) -> AsyncIterator[tuple[str, Fence]]:
        """Every event the store has a fence for, tombstones included."""
        with connect.errors(self.name):
            async for field, value in self._redis.hscan_iter(self._keys.state, count=1000):
                name, found = _text(field), fence(_text(value))
                if found is not None and not name.startswith(":") and not name.endswith("!"):
                    yield name, found

    async def close(self) -> None:
        for leaving in self._left:
            leaving.cancel()
        await asyncio.gather(*self._left, return_exceptions=True)
        await _close(self._redis, self._layer)


async def _leave(redis: Redis, layer: Any, *, after: float) -> None:
    """Whoever asked it something before, beside the lane, has had an answer `after` so many seconds."""
    try:
        await asyncio.sleep(after)
    finally:
        await _close(redis, layer)


async def _close(redis: Redis, layer: Any) -> None:
    """A server that hangs cannot keep us."""
    with suppress(RedisError, OSError):
        await redis.aclose()
    with suppress(RedisError, OSError):
        await layer.close_pools()


def _steady() -> Ms:
    return time.clock_gettime_ns(_CLOCK) // 1_000_000


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
