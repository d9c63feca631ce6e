"""Brokers and workers on one Redis, and short words for what they are asked: for tests of the scripts, without an engine."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property
from typing import Any

from redis import Redis as SyncRedis
from redis.asyncio import Redis

from channelbeat.broker.claims import Claimed, Claims, Done, Handled, How, Kept, Renewals, Taken
from channelbeat.broker.keys import Keys
from channelbeat.broker.putting import AsyncOneOffs
from channelbeat.broker.runs import Runs
from channelbeat.broker.sending import RedisBroker
from channelbeat.core.batch import Adopt, Answer, Item, Send, Skip, Tracked, Trigger, queue_of
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.runs import Policy, State
from channelbeat.errors import LayerError

KEYS = Keys("asgi")
STATE = KEYS.state
ROOT = KEYS.root
T: Ms = 1_700_000_000_000  # long gone by, for Redis
CLAIM: Ms = 30 * SECOND


def adopt(due: Ms = T, hash_: str = "h", event: str = "e") -> Adopt:
    return Adopt(event, due, hash_, "new")


def skip(due: Ms = T + 1, hash_: str = "h", event: str = "e") -> Skip:
    return Skip(event, due, hash_, "missed", None, False)


def send(due: Ms = T + 1, hash_: str = "h", channel: str = "c") -> Send:
    return Send("e", due, hash_, "enqueued", False, channel, {"type": "x", "due": due})


def trigger(token: Ms = T, channel: str = "c") -> Trigger:
    return Trigger("e", token, 0, channel, {"type": "x", "token": token})


def run_id(due: Ms = T + 1, event: str = "e") -> str:
    return f"{event}/{due - T}"


def tracked(due: Ms = T + 1, hash_: str = "h", channel: str = "c", event: str = "e", **policy: Any) -> Send:
    """A send of the run `run_id`; `policy` as in core/runs.py."""
    run = Tracked(run_id(due, event), Policy(**policy).text())
    return Send(event, due, hash_, "enqueued", True, queue_of(channel), {"type": "x", "due": due}, run)


def tracked_trigger(token: Ms = T, channel: str = "c", **policy: Any) -> Trigger:
    return Trigger("e", token, 0, queue_of(channel), {"type": "x", "token": token}, Tracked(f"e/trigger-{token - T}", Policy(**policy).text()))


class Worker:
    """Takes and settles as a worker's slot does, each time with a token of its own."""

    def __init__(self, redis: Redis, sync: SyncRedis, name: str, claim: Ms) -> None:
        self.name, self._takes = name, 0
        self._claims = Claims(redis, "asgi", worker=name, host=f"{name}:1", claim=claim, name="default")
        self._renewals = Renewals(sync, "asgi", worker=name, host=f"{name}:1", claim=claim, name="default")
        self.leave, self.wait, self.give_back, self.ring = self._claims.leave, self._claims.wait, self._claims.give_back, self._claims.ring

    async def take(self, *channels: str, done: Done | Handled | None = None) -> Taken:
        self._takes += 1
        return await self.repeat(*channels, done=done)

    async def repeat(self, *channels: str, done: Done | Handled | None = None, back: int = 0) -> Taken:
        """The last take, or one `back` from it, as if its reply had been lost."""
        return await self._claims.take(0, f"{self.name}:0:{self._takes - back}", channels, done)

    async def claimed(self, channel: str = "c") -> Claimed:
        """The next run, which is there."""
        item = (await self.take(channel)).item
        assert isinstance(item, Claimed), f"no run, but {item}"
        return item

    async def settle(self, claimed: Claimed, how: How = "ok", error: str = "E: x", **more: Any) -> State | str | None:
        return (await self.take(done=self.done(claimed, how, error, **more))).settled

    def done(self, claimed: Claimed, how: How = "ok", error: str = "", **more: Any) -> Done:
        return Done(claimed.run, claimed.token, how, error if how not in ("ok", "back") else "", **more)

    async def handle(self, how: How = "ok", channel: str = "c", **more: Any) -> State | str | None:
        """Take the next run, and settle it."""
        return await self.settle(await self.claimed(channel), how, **more)

    def renew(self, *held: Claimed, channels: str = "c", **facts: str) -> list[Kept]:
        return list(self._renewals.renew({"channels": channels, **facts}, {claimed.token: claimed.run for claimed in held}).values())


class Bench:
    """A Redis, brokers and workers on it, and a view of what they did."""

    def __init__(self, url: str, redis: Redis) -> None:
        self._url, self.redis = url, redis
        self.sync = SyncRedis.from_url(url)
        self._brokers: list[RedisBroker] = []
        self._workers: dict[str, Worker] = {}

    @cached_property
    def runs(self) -> Runs:
        return Runs(self.redis, "asgi", name="default")

    @cached_property
    def one_offs(self) -> AsyncOneOffs:
        return AsyncOneOffs(self.redis, "asgi", name="default")

    async def broker(self, owner: str = "us", capacity: int = 100, claim: Ms = CLAIM, queue_limit: int = 100_000) -> RedisBroker:
        """One that has just taken the lead."""
        settings = LayerSettings("default", self._url, capacity=capacity)
        broker = RedisBroker(settings, owner=owner, claim=claim, queue_limit=queue_limit)
        self._brokers.append(broker)
        await broker.lead()
        return broker

    def worker(self, name: str = "w", claim: Ms = CLAIM) -> Worker:
        """Always the same one of a name: its tokens go on."""
        return self._workers.setdefault(name, Worker(self.redis, self.sync, name, claim))

    async def swept(self, *items: Item, **options: Any) -> RedisBroker:
        """A broker that has enqueued `items`, all of them done, and sweeps: claims that lapse from now on are lost."""
        broker = await self.broker(**options)
        assert set(await answers(broker, adopt(), *items)) == {Answer.DONE}
        await broker.sweep()
        return broker

    async def waiting(self, channel: str = "c") -> int:
        return int(await self.redis.zcard("asgi" + channel))

    async def queued(self, channel: str = "c") -> list[str]:
        members: list[bytes] = await self.redis.zrange(KEYS.queue(channel), 0, -1)  # type: ignore[assignment]
        return [run.decode() for run in members]

    async def state(self, run: str) -> State | None:
        found = await self.runs.get(run)
        return None if found is None else found.state

    async def lapse(self, run: str, channel: str = "c") -> None:
        """The claim of the run is over."""
        assert await self.redis.zadd(KEYS.claims(channel), {run: 1}, xx=True, ch=True), "it is not claimed"

    async def bring_forward(self, run: str) -> None:
        """The time of a run that waits for it has come."""
        assert await self.redis.zadd(f"{ROOT}delayed", {run: 1}, xx=True, ch=True), "it does not wait"

    async def now(self) -> Ms:
        second, micro = await self.redis.time()
        return int(second) * SECOND + int(micro) // 1_000

    async def snapshot(self) -> Callable[[], Awaitable[object]]:
        """To be called to put our memory, not the channels, back to what it holds now."""
        held = await self.redis.dump(STATE) or b""
        return lambda: self.redis.restore(STATE, 0, held, replace=True)

    async def close(self) -> None:
        self.sync.close()
        for broker in self._brokers:
            await broker.close()


@asynccontextmanager
async def opened(url: str, redis: Redis) -> AsyncIterator[Bench]:
    bench = Bench(url, redis)
    try:
        yield bench
    finally:
        await bench.close()


async def answers(broker: RedisBroker, *items: Item) -> list[Answer]:
    return list((await broker.enqueue(items)).answers)


@contextmanager
def refused(error: type[LayerError]) -> Iterator[None]:
    """What is done within raises `error`. Unlike that of pytest.raises, its complaint is an AssertionError."""
    try:
        yield
    except error:
        return
    raise AssertionError(f"it was not refused with {error.__name__}")
