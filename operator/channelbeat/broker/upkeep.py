"""What the leader does for the runs of a layer, and sees of them: it sweeps, reads what has ended, and counts."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgpack
from redis.asyncio import Redis

from channelbeat.broker import connect, scripts
from channelbeat.broker.keys import Keys
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.measures import ChannelLoad, Listener
from channelbeat.core.runs import Finished, State, Stats, Sweep

AT_ONCE: Final = 500
RESULTS: Final = 1_000
CHANNELS: Final = 500
"""Whose load is asked for in one step of Redis, which takes it a few milliseconds."""
WAITS_LONG: Final[Ms] = 30 * SECOND
SILENT: Final[Ms] = MINUTE
_COUNTS: Final = ("ok", "failed", "dead", "expired", "cancelled", "retrying")
_MOMENTS: Final = ("lastSuccess", "lastFailure", "paused")


class Upkeep:
    """`expiry`: how long the layer's messages last, in seconds; `claim`: how long workers' claims do."""

    def __init__(self, redis: Redis, keys: Keys, *, expiry: int, name: str, claim: Ms) -> None:
        self.name, self._claim = name, claim
        self._turn_to(redis, keys, expiry)

    def _turn_to(self, redis: Redis, keys: Keys, expiry: int) -> None:
        """Redis is reached by this client from now on, our part of it by these keys."""
        self._redis, self._keys, self._expiry = redis, keys, expiry
        self._sweep = redis.register_script(scripts.source("sweep"))
        self._resume = redis.register_script(scripts.source("resume"))
        self._loads = redis.register_script(scripts.source("loads"))
        self._listeners = redis.register_script(scripts.source("listeners"))

    async def sweep(self) -> Sweep:
        with connect.errors(self.name):
            queued, lost, dead, first, more = await self._sweep(keys=[self._keys.state], args=[self._claim, AT_ONCE])
        return Sweep(queued, lost, dead, int(float(first)) if first else None, bool(more))

    async def results(self, after: str) -> tuple[str, list[Finished]]:
        stream = f"{self._keys.root}results"
        with connect.errors(self.name):
            if not after:
                newest: Any = await self._redis.xrevrange(stream, count=1)
                return (newest[0][0].decode() if newest else "0-0"), []
            entries: Any = await self._redis.xrange(stream, f"({after}", count=RESULTS)
        return (entries[-1][0].decode() if entries else after), [finished for _, fields in entries if (finished := _finished(fields)) is not None]

    async def unattended(self) -> dict[str, int]:
        with connect.errors(self.name):
            now = await self._now()
            channels = sorted(name.decode() for name in await self._members(f"{self._keys.root}channels"))
            waiting = {channel: count for channel, (count, oldest) in (await self._queued(channels)).items() if now - oldest > WAITS_LONG}
        if not waiting:
            return {}
        attended = {channel for listener in await self.listeners() for channel in listener.channels}
        return {channel: count for channel, count in waiting.items() if channel not in attended}

    async def _queued(self, channels: Sequence[str]) -> dict[str, tuple[int, float]]:
        """Number and oldest of those that have any."""
        pipe = self._redis.pipeline(transaction=False)
        for channel in channels:
            pipe.zcard(self._keys.queue(channel))
            pipe.zrange(self._keys.queue(channel), 0, 0, withscores=True)
        found = await pipe.execute(raise_on_error=False)
        pairs = zip(channels, found[::2], found[1::2], strict=True)
        return {channel: (count, oldest[0][1]) for channel, count, oldest in pairs if isinstance(oldest, list) and oldest}

    async def stats(self, events: Sequence[str]) -> dict[str, Stats]:
        """Of each event, zeros for one of which nothing is known."""
        if not events:
            return {}
        names = (*_COUNTS, *_MOMENTS)
        with connect.errors(self.name):
            found: Any = await self._redis.hmget(f"{self._keys.root}stats", [f"{event} {what}" for event in events for what in names])
            running = await self._running()
        rows = (found[start : start + len(names)] for start in range(0, len(found), len(names)))
        return {event: _stats(row, running[event]) for event, row in zip(events, rows, strict=True)}

    async def _running(self) -> Counter[str]:
        """Runs in flight by event; they are never many."""
        pipe = self._redis.pipeline(transaction=False)
        for channel in await self._members(f"{self._keys.root}channels"):
            pipe.zrange(self._keys.claims(channel.decode()), 0, -1)
        claimed = await pipe.execute(raise_on_error=False)
        return Counter(run.decode().rpartition("/")[0] for runs in claimed if isinstance(runs, list) for run in runs)

    async def loads(self, channels: Sequence[str]) -> dict[str, ChannelLoad]:
        found: dict[str, ChannelLoad] = {}
        for start in range(0, len(channels), CHANNELS):
            some = channels[start : start + CHANNELS]
            with connect.errors(self.name):
                reply = await self._loads(keys=[self._keys.state], args=[self._keys.prefix, self._expiry, msgpack.packb(some, use_bin_type=False)])
            values = iter(msgpack.unpackb(reply))
            for channel, (waiting, in_flight, busy, handled, oldest) in zip(some, zip(*[values] * 5, strict=True), strict=True):
                if waiting is not False:
                    found[channel] = ChannelLoad(waiting, in_flight, busy, handled, oldest or None)
        return found

    async def listeners(self) -> list[Listener]:
        """Those that were seen in the last minute."""
        with connect.errors(self.name):
            reply = await self._listeners(keys=[self._keys.state], args=[SILENT])
        values = iter(msgpack.unpackb(reply, unicode_errors="replace"))
        return [Listener(id_, pod, tuple(channels.split()), *numbers) for id_, pod, channels, *numbers in zip(*[values] * 7, strict=True)]

    async def resume(self, event: str) -> bool:
        with connect.errors(self.name):
            return bool(await self._resume(keys=[f"{self._keys.root}stats"], args=[event]))

    async def _now(self) -> Ms:
        second, micro = await self._redis.time()
        return int(second) * SECOND + int(micro) // 1_000

    async def _members(self, key: str) -> set[Any]:
        return await self._redis.smembers(key)


def _finished(fields: Any) -> Finished | None:
    """None for an entry that is none of ours."""
    try:
        text = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
        state, attempts, at, paused = State(text["state"]), int(text["attempts"]), int(text["at"]), bool(text["paused"])
        return Finished(text["run"], text["event"], text["channel"], state, attempts, at, text["error"], paused)
    except (KeyError, ValueError):
        return None


def _stats(row: Sequence[bytes | None], running: int) -> Stats:
    counts = {what: int(value or 0) for what, value in zip(_COUNTS, row, strict=False)}
    success, failure, paused = (int(moment.split()[-1]) if moment else None for moment in row[len(_COUNTS) :])
    version = (row[-1] or b"").decode().partition(" ")[0]
    return Stats(**counts, running=running, last_success=success, last_failure=failure, paused=paused, version=version)
