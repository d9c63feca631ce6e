"""Brokers on one Redis, and short words for what they are asked: for tests of the scripts, without an engine."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from redis.asyncio import Redis

from channelbeat.broker.keys import Keys
from channelbeat.broker.sending import RedisBroker
from channelbeat.core.batch import Adopt, Answer, Item, Send, Skip, Trigger
from channelbeat.core.instants import Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.errors import LayerError

STATE = Keys("asgi").state
T: Ms = 1_700_000_000_000  # long gone by, for Redis


def adopt(due: Ms = T, hash_: str = "h") -> Adopt:
    return Adopt("e", due, hash_, "new")


def skip(due: Ms = T + 1, hash_: str = "h", event: str = "e") -> Skip:
    return Skip(event, due, hash_, "missed", None, False)


def send(due: Ms = T + 1, hash_: str = "h", channel: str = "c") -> Send:
    return Send("e", due, hash_, "enqueued", False, channel, {"type": "x", "due": due})


def trigger(token: Ms = T, channel: str = "c") -> Trigger:
    return Trigger("e", token, 0, channel, {"type": "x", "token": token})


class Bench:
    """A Redis, brokers on it, and a view of what they did."""

    def __init__(self, url: str, redis: Redis) -> None:
        self._url, self.redis = url, redis
        self._brokers: list[RedisBroker] = []

    async def broker(self, owner: str = "us", capacity: int = 100) -> RedisBroker:
        """One that has just taken the lead."""
        broker = RedisBroker(LayerSettings("default", self._url, capacity=capacity), owner=owner)
        self._brokers.append(broker)
        await broker.lead()
        return broker

    async def waiting(self, channel: str = "c") -> int:
        return int(await self.redis.zcard("asgi" + channel))

    async def snapshot(self) -> Callable[[], Awaitable[object]]:
        """To be called to put our memory, not the channels, back to what it holds now."""
        held = await self.redis.dump(STATE) or b""
        return lambda: self.redis.restore(STATE, 0, held, replace=True)

    async def close(self) -> None:
        for broker in self._brokers:
            await broker.close()


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
