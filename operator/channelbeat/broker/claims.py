"""A worker's side of one layer: runs and plain messages are taken, claims kept, and what became of an attempt is settled.

Every call raises LayerError. After Unreachable it may have been carried out: `take` asked again with the same token answers the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

import msgpack
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from channelbeat.broker import connect, scripts
from channelbeat.broker.keys import Keys
from channelbeat.core.instants import Ms
from channelbeat.core.runs import State

How: TypeAlias = Literal["ok", "failed", "timeout", "dead", "back", "cancelled"]
Kept: TypeAlias = Literal["kept", "cancel", "lost"]


class Claimed(NamedTuple):
    """A run that is this worker's as long as it renews the claim of `token`. `body` is as the layer serialized it; `timeout` for this attempt."""

    run: str
    event: str
    channel: str
    token: str
    attempt: int
    limit: int
    due: Ms
    timeout: Ms
    body: bytes


class Plain(NamedTuple):
    """A message of the layer's own; nobody else has it, and nobody is told what becomes of it."""

    channel: str
    member: bytes
    score: bytes


class Done(NamedTuple):
    """What became of an attempt. `dead`: it is no use to try again; `back`: as if it had not been taken. `error` is a line, `trace` the end of a
    traceback; it is not tried again before `after` ms."""

    run: str
    token: str
    how: How
    error: str = ""
    trace: str = ""
    result: str = ""
    after: Ms = 0

    def args(self) -> tuple[str, ...]:
        return (self.run, self.token, self.how, self.error, self.trace, self.result, str(self.after))


class Handled(NamedTuple):
    """A plain message that a handler is done with, whatever became of it, after `busy`: it is counted, no more."""

    channel: str
    busy: Ms

    def args(self) -> tuple[str, ...]:
        return ("", "", "plain", self.channel, "", "", str(self.busy))


NOTHING_DONE: Final = ("", "", "", "", "", "", "0")


class Taken(NamedTuple):
    """`settled`: the state the settled run is in now, None when it was another's by then, "" when there was nothing to settle; `next_at`: when
    it is tried again. `again`: nothing was found so far, ask at once."""

    settled: State | Literal[""] | None
    next_at: Ms | None
    item: Claimed | Plain | None
    again: bool


class Claims:
    """`worker` is unique to the process, `host` (HOST:PID) is for people; a claim lasts `claim`; `name` is the layer's, for errors."""

    def __init__(self, redis: Redis, prefix: str, *, worker: str, host: str, claim: Ms, name: str) -> None:
        self._redis, self._keys, self._name = redis, Keys(prefix), name
        self._worker, self._host, self._claim = worker, host, str(claim)
        self._take = redis.register_script(scripts.source("take"))

    async def take(self, slot: int, token: str, channels: Sequence[str], done: Done | Handled | None = None) -> Taken:
        """Settle `done`, and take the next of `channels`, the most important first; without channels only settle."""
        keys = [self._keys.state, self._keys.worker(self._worker), *map(self._keys.channel, channels)]
        args: list[Any] = [token, slot, self._claim, self._host, *(done.args() if done is not None else NOTHING_DONE), *channels]
        with connect.errors(self._name):
            reply = await self._take(keys=keys, args=args)
        settled, next_at, kind, *rest = _told(reply)
        return Taken(_settled(settled), int(float(next_at)) if next_at else None, _item(kind, rest, token), again=kind == b"again")

    async def wait(self, channels: Sequence[str], seconds: float) -> Plain | str | None:
        """Until something is there, at most that long: a plain message, which is taken, or the channel whose bell rang: ask for it.

        Not to be cancelled: what is popped by then would be lost.
        """
        keys = [key for name in channels for key in (self._keys.bell(name), self._keys.channel(name))]
        with connect.errors(self._name):
            popped = cast("tuple[bytes, bytes, float] | None", await self._redis.bzpopmin(keys, seconds))
        if popped is None:
            return None
        key, member, score = popped
        place = keys.index(key.decode())
        channel = channels[place // 2]
        return Plain(channel, member, repr(score).encode()) if place % 2 else channel

    async def give_back(self, plain: Plain, expiry: int) -> None:
        """Into its channel, where it was; `expiry` is the layer's, in seconds."""
        key = self._keys.channel(plain.channel)
        with connect.errors(self._name):
            async with self._redis.pipeline() as pipe:
                pipe.zadd(key, {plain.member: float(plain.score)})
                pipe.expire(key, expiry)
                await pipe.execute()

    async def ring(self, channel: str) -> None:
        """A bell that was taken and not followed: somebody else may."""
        with connect.errors(self._name):
            await self._redis.zadd(self._keys.bell(channel), {"!": 0})

    async def leave(self) -> None:
        """This worker is no more."""
        with connect.errors(self._name):
            async with self._redis.pipeline() as pipe:
                pipe.zrem(f"{self._keys.root}workers", self._worker)
                pipe.delete(self._keys.worker(self._worker))
                await pipe.execute()


class Renewals:
    """Keeps claims, from a thread of its own with a client of its own."""

    def __init__(self, redis: SyncRedis, prefix: str, *, worker: str, host: str, claim: Ms, name: str) -> None:
        self._keys, self._name = Keys(prefix), name
        self._worker, self._host, self._claim = worker, host, str(claim)
        self._renew, self._take = (redis.register_script(scripts.source(script)) for script in ("renew", "take"))

    def renew(self, facts: Mapping[str, str], held: Mapping[str, str]) -> dict[str, Kept]:
        """The claims of `held`, token to run, last anew; `facts` are seen with the worker. What is known of each claim, by token: a worker
        that stalled may have one run twice."""
        flat = [*(part for pair in facts.items() for part in pair), *(part for token, run in held.items() for part in (run, token))]
        with connect.errors(self._name):
            words = self._renew(keys=[self._keys.state, self._keys.worker(self._worker)], args=[self._worker, self._claim, len(facts), *flat])
        return {token: word.decode() for token, word in zip(held, words, strict=True)}

    def settle(self, slot: int, token: str, done: Done) -> State | None:
        """As `take` does, when the event loop cannot; None when the run was another's by then."""
        with connect.errors(self._name):
            reply: Any = self._take(keys=[self._keys.state, self._keys.worker(self._worker)], args=[token, slot, self._claim, self._host, *done.args()])
        return _settled(_told(reply)[0]) or None


def _told(reply: Sequence[bytes]) -> list[Any]:
    """One text, as a client in Python takes as long for each part of a reply as for all of these; and the body, which may be large."""
    return [*msgpack.unpackb(reply[0], raw=True), *reply[1:]]


def _settled(word: bytes) -> State | Literal[""] | None:
    if word == b"lost":
        return None
    return State(word.decode()) if word else ""


def _item(kind: bytes, rest: Sequence[Any], token: str) -> Claimed | Plain | None:
    if kind == b"run":
        run, event, channel, attempt, limit, due, timeout, body = rest
        return Claimed(run.decode(), event.decode(), channel.decode(), token, attempt, limit, int(due), int(timeout), body or b"")
    if kind == b"plain":
        channel, member, score = rest
        return Plain(channel.decode(), member, score)
    return None
