"""One-off runs from a project's own code: put into a channel's queue now or for later, and cancelled."""

from typing import Any, Final, NamedTuple

from redis import Redis as SyncRedis
from redis.asyncio import Redis

from channelbeat.broker import connect, scripts
from channelbeat.broker.keys import Keys
from channelbeat.broker.sending import QUEUE_LIMIT
from channelbeat.core.instants import Ms
from channelbeat.core.runs import Policy, State

_POLICY: Final = Policy().text()


class Put(NamedTuple):
    """The `state` the run is in; `new` unless one of this id is remembered. `silent`: how long no leader was seen, None for never."""

    state: State
    new: bool
    silent: Ms | None


class OneOffs:
    """On a client that blocks."""

    def __init__(self, redis: SyncRedis, prefix: str, *, name: str) -> None:
        self._keys, self._name = Keys(prefix), name
        self._put, self._cancel = (redis.register_script(scripts.source(script)) for script in ("put", "cancel"))

    def put(self, run: str, channel: str, body: bytes, *, at: Ms | None = None, delay: Ms | None = None) -> Put:
        """At `at`, or `delay` from now by Redis's clock. Raises LayerError; after Unreachable it may have been put: the same `run` again is safe."""
        with connect.errors(self._name):
            return _put(self._put(keys=[self._keys.state], args=_args(run, channel, body, at, delay)))

    def cancel(self, run: str) -> State | None:
        """The state it was in, None when it is not known; the worker of one that runs is asked."""
        with connect.errors(self._name):
            return _state(self._cancel(keys=[self._keys.state], args=[run]))


class AsyncOneOffs:
    """The same on an asyncio client."""

    def __init__(self, redis: Redis, prefix: str, *, name: str) -> None:
        self._keys, self._name = Keys(prefix), name
        self._put, self._cancel = (redis.register_script(scripts.source(script)) for script in ("put", "cancel"))

    async def put(self, run: str, channel: str, body: bytes, *, at: Ms | None = None, delay: Ms | None = None) -> Put:
        with connect.errors(self._name):
            return _put(await self._put(keys=[self._keys.state], args=_args(run, channel, body, at, delay)))

    async def cancel(self, run: str) -> State | None:
        with connect.errors(self._name):
            return _state(await self._cancel(keys=[self._keys.state], args=[run]))


def _args(run: str, channel: str, body: bytes, at: Ms | None, delay: Ms | None) -> list[Any]:
    return [run, channel, body, _POLICY, "" if at is None else at, "" if delay is None else delay, QUEUE_LIMIT]


def _put(answer: Any) -> Put:
    state, new, silent = answer
    return Put(State(state.decode()), bool(new), int(silent) if silent else None)


def _state(word: bytes) -> State | None:
    return State(word.decode()) if word else None
