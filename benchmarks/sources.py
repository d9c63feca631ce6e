"""Where the events of a run come from: the channel's plain messages, our queue, or Celery's. The same few fields in all."""

import os
import subprocess
from collections.abc import Sequence
from typing import Protocol, TypeVar

from redis import Redis

from benchmarks.venvs import PEERS, program
from channelbeat.broker.sending import RedisBroker
from channelbeat.core import envelope
from channelbeat.core.batch import Adopt, Answer, Send, Tracked, queue_of
from channelbeat.core.instants import DAY, SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.runs import Policy
from channelbeat.engine.submission import BATCH

T = TypeVar("T")

TIMING = "0123456789ab"
"""Of every event: the hash that fences carry."""
CAPACITY = 1_000_000


class Source(Protocol):
    """`prepare` as much as can be before there are workers; `admit` all at once; `keep` it going, each second."""

    async def prepare(self, number: int) -> None: ...
    async def admit(self) -> None: ...
    async def keep(self) -> None: ...
    async def close(self) -> None: ...


class Channel:
    """What channelbeat puts there: messages in the layer's ZSET or, when `tracked`, runs in our queue. Of so many `events`, in turn."""

    def __init__(self, url: str, channel: str, *, tracked: bool, events: int = 100) -> None:
        self._broker = RedisBroker(LayerSettings("default", url, capacity=CAPACITY, expiry=3_600), owner="benchmark", timeout=30)
        self._channel, self._tracked, self._events = channel, tracked, events
        self._batches: list[Sequence[Send]] = []

    async def prepare(self, number: int) -> None:
        await self._broker.lead()
        first = (self._broker.now() or 0) - 2 * DAY
        fences = [Adopt(_key(event), first - SECOND, TIMING, "new") for event in range(self._events)]
        for batch in _cut(fences):
            await self._broker.enqueue(batch)
        self._batches = _cut([self._send(one, first + one // self._events * SECOND) for one in range(number)])

    def _send(self, number: int, due: Ms) -> Send:
        key = _key(number % self._events)
        target, tracked = (queue_of(self._channel), Tracked(envelope.run_id(key, due), Policy().text())) if self._tracked else (self._channel, None)
        return Send(key, due, TIMING, "enqueued", False, target, message(number, key, due), tracked)

    async def admit(self) -> None:
        for batch in self._batches:
            if any(answer is not Answer.DONE for answer in (await self._broker.enqueue(batch)).answers):
                raise RuntimeError("the layer did not take all")

    async def keep(self) -> None:
        """What the leader does beside: lost claims are found, runs whose time has come are queued."""
        if self._tracked:
            await self._broker.sweep()

    async def close(self) -> None:
        await self._broker.close()


class Tasks:
    """Celery's own messages, published by Celery; put aside until they are to be seen."""

    def __init__(self, url: str) -> None:
        self._url, self._redis = url, Redis.from_url(url)

    async def prepare(self, number: int) -> None:
        self.publish(number)
        self._redis.rename("celery", "aside")

    def publish(self, number: int) -> None:
        environment = os.environ | {"REDIS": self._url, "PYTHONPATH": str(PEERS.parents[1])}
        subprocess.run([program("celery", "python"), "celery_worker.py", str(number)], cwd=PEERS, env=environment, check=True)

    async def admit(self) -> None:
        self._redis.rename("aside", "celery")

    async def keep(self) -> None: ...

    async def close(self) -> None:
        self._redis.close()


def message(number: int, key: str, due: Ms) -> dict[str, object]:
    """With the fields that a Celery task gets in benchmarks/peers/celery_worker.py."""
    fields = {"i": number, "image": f"originals/2026/11/{number}.jpeg", "width": 640, "height": 480}
    schedule, _, event = key.rpartition("/")
    return envelope.message("bench.handle", fields, None, schedule=schedule, event=event, run=envelope.run_id(key, due), due=due)


def _key(number: int) -> str:
    return f"default/schedule-{number // 100}/event-{number}"


def _cut(things: Sequence[T]) -> list[Sequence[T]]:
    return [things[start : start + BATCH] for start in range(0, len(things), BATCH)]
