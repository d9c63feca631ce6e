"""Looking at the runs of a layer, and changing what becomes of one: for people at a command line, so nothing here is fast."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from channelbeat.broker import connect, scripts
from channelbeat.broker.keys import Keys
from channelbeat.core.instants import Ms
from channelbeat.core.runs import Attempt, Policy, Run, State

AT_ONCE: Final = 500
KEPT_ATTEMPTS: Final = 128
_FINISHED: Final = (State.SUCCEEDED, State.EXPIRED, State.CANCELLED)
_WAITING: Final = (State.RETRYING, State.DELAYED, State.BUFFERED)
_NEEDED: Final = frozenset({"state", "channel", "due", "enqueued", "policy"})


class Runs:
    """Of one layer; `redis` is closed with it. Every call raises LayerError."""

    def __init__(self, redis: Redis, prefix: str, *, name: str) -> None:
        self._redis, self._keys, self._name = redis, Keys(prefix), name
        self._cancel, self._retry = (redis.register_script(scripts.source(script)) for script in ("cancel", "retry"))

    async def get(self, id_: str) -> Run | None:
        with connect.errors(self._name):
            found = await self._read([id_])
        return found[0] if found else None

    async def each(self, states: Collection[State], within: str = "") -> AsyncIterator[Run]:
        """Runs in one of `states`, state by state, the newest of each first; of the schedule or event `within` (NAMESPACE/NAME or
        NAMESPACE/NAME/EVENT), if given."""
        with connect.errors(self._name):
            for place, wanted in await self._places(states):
                async for ids in self._ids(place):
                    for run in await self._read([id_ for id_ in ids if not within or id_.startswith(f"{within}/")]):
                        if run.state in wanted:
                            yield run

    async def count(self, states: Collection[State]) -> dict[State, int]:
        """How many are in each state, as far as that is known without looking at each: none of retrying, delayed and buffered apart."""
        with connect.errors(self._name):
            found = dict.fromkeys(states, 0)
            for place, wanted in await self._places(states):
                size: int = await (self._redis.xlen(place) if place.endswith(":results") else self._redis.zcard(place))
                found[next(iter(wanted))] += size
        return found

    async def retry(self, ids: Sequence[str]) -> list[State | None]:
        """Queue those that are dead again, with all their attempts before them; the state each was in, None for one that is not known."""
        states: list[State | None] = []
        with connect.errors(self._name):
            for start in range(0, len(ids), AT_ONCE):
                answered: Any = await self._retry(keys=[self._keys.state], args=list(ids[start : start + AT_ONCE]))
                states += [_state(word) for word in answered]
        return states

    async def cancel(self, id_: str) -> State | None:
        """The state it was in, None when it is not known: one that waited is cancelled now, the worker of one that runs is asked."""
        with connect.errors(self._name):
            return _state(await self._cancel(keys=[self._keys.state], args=[id_]))

    async def close(self) -> None:
        await self._redis.aclose()

    async def _places(self, states: Collection[State]) -> list[tuple[str, frozenset[State]]]:
        """The keys that have runs in one of the states."""
        root, wanted = self._keys.root, frozenset(states)
        channels = sorted(name.decode() for name in await self._members(f"{root}channels"))
        places = [
            *((self._keys.claims(channel), wanted & {State.RUNNING}) for channel in channels),
            (f"{root}delayed", wanted.intersection(_WAITING)),
            *((self._keys.queue(channel), wanted & {State.QUEUED}) for channel in channels),
            (f"{root}dead", wanted & {State.DEAD}),
            (f"{root}results", wanted.intersection(_FINISHED)),
        ]
        return [(place, some) for place, some in places if some]

    async def _ids(self, place: str) -> AsyncIterator[list[str]]:
        if place.endswith(":results"):
            until, seen = "+", set[str]()  # one that died and was retried has ended twice
            while entries := await self._entries(place, until):
                ids = dict.fromkeys(fields[b"run"].decode() for _, fields in entries)
                yield [id_ for id_ in ids if id_ not in seen]
                seen.update(ids)
                until = f"({entries[-1][0].decode()}"
            return
        start = 0
        while members := await self._members_from(place, start):
            yield [member.decode() for member in members]
            start += AT_ONCE

    async def _members_from(self, place: str, start: int) -> Any:
        return await self._redis.zrevrange(place, start, start + AT_ONCE - 1)

    async def _entries(self, stream: str, until: str) -> Any:
        return await self._redis.xrevrange(stream, max=until, count=AT_ONCE)

    async def _read(self, ids: Sequence[str]) -> list[Run]:
        """Those that are still known, in order."""
        pipe = self._redis.pipeline(transaction=False)
        for id_ in ids:
            pipe.hgetall(self._keys.run(id_))
        records = [_text(record) if isinstance(record, dict) else {} for record in await pipe.execute(raise_on_error=False)]
        known = [(id_, record) for id_, record in zip(ids, records, strict=True) if record.keys() >= _NEEDED]
        for id_, record in known:
            pipe.zscore(self._place(record), id_)
        moments = await pipe.execute(raise_on_error=False)
        return [_run(id_, record, int(at) if isinstance(at, float) else None) for (id_, record), at in zip(known, moments, strict=True)]

    def _place(self, record: dict[str, str]) -> str:
        match record["state"]:
            case State.QUEUED:
                return self._keys.queue(record["channel"])
            case State.RUNNING:
                return self._keys.claims(record["channel"])
            case _:
                return f"{self._keys.root}delayed"

    async def _members(self, key: str) -> set[Any]:
        return await self._redis.smembers(key)


def _state(word: bytes) -> State | None:
    return State(word.decode()) if word else None


def _text(record: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode(errors="replace") for name, value in record.items()}


def _moment(text: str | None) -> Ms | None:
    return int(text) if text else None


def _run(id_: str, record: dict[str, str], at: Ms | None) -> Run:
    tries = int(record.get("tries") or 0)
    history = sorted(_attempt(name, value, tries) for name, value in record.items() if name[0] == "a" and name[1:].isdigit())
    return Run(
        id=id_,
        event=record.get("event", ""),
        channel=record["channel"],
        state=State(record["state"]),
        due=int(record["due"]),
        enqueued=int(record["enqueued"]),
        at=at,
        attempts=int(record.get("attempts", 0)),
        policy=Policy.read(record["policy"]),
        error=record.get("error"),
        trace=record.get("trace") or None,
        result=record.get("result") or None,
        finished=_moment(record.get("finished")),
        history=tuple(history),
    )


def _attempt(field: str, text: str, tries: int) -> Attempt:
    """The field has what is left of its number; the youngest is `tries`."""
    worker, started, length, how, *error = text.split(" ", 4)
    number, running = tries - (tries - int(field[1:])) % KEPT_ATTEMPTS, how == "-"
    ended = None if running else int(started) + int(length)
    return Attempt(number, worker, int(started), ended, "" if running else how.replace("-", " "), error[0] if error else "")
