"""How many events a second go into Redis, once they are decided: beside `redis-benchmark` and redis-py, which do the bare ZADD alone.

RedisBroker.enqueue as the engine calls it: batches of 1,000, three in flight, items made beforehand, over 100 channels. The others add
members of the same size and never the same one twice. All in turn, several rounds; the medians count.
"""

import asyncio
import csv
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

import msgpack
from redis import Redis

from benchmarks.arrivals import CHANNELS
from benchmarks.machine import redis
from benchmarks.tables import Table, aim
from channelbeat.broker.sending import RedisBroker
from channelbeat.core import envelope
from channelbeat.core.batch import Adopt, Answer, Send
from channelbeat.core.instants import HOUR, MINUTE, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.engine.submission import BATCH, IN_FLIGHT

T = TypeVar("T")

EVENTS = 50_000
ROUNDS = 5
TIMING = "0123456789ab"
PREFIX_BYTES = 12

LOGGED = "channelbeat, decisions logged (cron, at, every of 10 s or more)"
UNLOGGED = "channelbeat, decisions not logged (every under 10 s)"
PIPELINED = f"redis-py, bare ZADDs in pipelines of {BATCH:,}"
RAW = "redis-benchmark -P 100 ZADD"
OLD = "the same, 100,000 members again and again"
"""Most of its ZADDs find their member there and insert nothing."""


@dataclass(slots=True)
class Rates:
    """Events a second of each way, by round."""

    of: dict[str, list[float]] = field(default_factory=dict)

    def add(self, way: str, events: int, took: float) -> None:
        self.of.setdefault(way, []).append(events / took)

    def median(self, way: str) -> float:
        return median(self.of[way])


def tables(quick: bool) -> Iterator[Table]:
    with redis() as server:
        yield asyncio.run(_measure(server.url, *((2_000, 1) if quick else (EVENTS, ROUNDS))))


async def _measure(url: str, events: int, rounds: int) -> Table:
    layer = LayerSettings("default", url, capacity=10 * events, expiry=3_600)
    broker = RedisBroker(layer, owner="benchmark", timeout=30)
    await broker.lead()
    due = (broker.now() or 0) - HOUR
    rates, size = Rates(), 0
    with Redis.from_url(url) as client:
        for batch in _cut([Adopt(_key(number), due, TIMING, "new") for number in range(events)]):
            await broker.enqueue(batch)
        for _ in range(rounds):
            for way in (LOGGED, UNLOGGED):
                due += MINUTE
                sends = [_send(number, due, logged=way is LOGGED) for number in range(events)]
                rates.add(way, events, await _enqueued(broker, _cut(sends)))
            members = [(f"asgi{send.channel}", bytes(PREFIX_BYTES) + msgpack.packb(send.message)) for send in sends]
            size = len(members[0][1])
            client.delete(*(f"asgi{channel}" for channel in CHANNELS))
            rates.add(PIPELINED, events, _pipelined(client, _cut(members)))
            client.delete(*(f"asgi{channel}" for channel in CHANNELS))
            for way, members_to_draw in ((RAW, 10**9), (OLD, 100_000)):
                if (raw := _raw(url, client, events, size, members_to_draw)) is not None:
                    rates.add(way, 1, 1 / raw)
    await broker.close()
    return _table(rates, size)


def _key(number: int) -> str:
    return f"default/schedule-{number // 100}/event-{number}"


def _send(number: int, due: Ms, *, logged: bool) -> Send:
    key = _key(number)
    schedule, _, event = key.rpartition("/")
    message = envelope.message("test.print", {}, {"i": number}, schedule=schedule, event=event, run=envelope.run_id(key, due), due=due)
    return Send(key, due, TIMING, "enqueued", logged, CHANNELS[number // 100 % len(CHANNELS)], message)


def _cut(things: Sequence[T]) -> list[Sequence[T]]:
    return [things[start : start + BATCH] for start in range(0, len(things), BATCH)]


async def _enqueued(broker: RedisBroker, batches: Sequence[Sequence[Send]]) -> float:
    """Seconds."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one(batch: Sequence[Send]) -> None:
        async with slots:
            answers = await broker.enqueue(batch)
        if any(answer is not Answer.DONE for answer in answers.answers):
            raise RuntimeError("the layer did not take all")

    start = time.perf_counter()
    await asyncio.gather(*map(one, batches))
    return time.perf_counter() - start


def _pipelined(client: "Redis", batches: Sequence[Sequence[tuple[str, bytes]]]) -> float:
    start = time.perf_counter()
    for batch in batches:
        pipe = client.pipeline(transaction=False)
        for key, member in batch:
            pipe.zadd(key, {member: time.time()})
        pipe.execute()
    return time.perf_counter() - start


def _raw(url: str, client: "Redis", events: int, size: int, different: int) -> float | None:
    """ZADDs a second; None where the program is absent. `__rand_int__` stands for twelve digits, one of `different` numbers."""
    program = shutil.which("redis-benchmark")
    if program is None:
        return None
    member = "__rand_int__".ljust(size, "x")
    command = [program, "-s", url.removeprefix("unix://"), "-n", str(max(4 * events, 100_000)), "-P", "100", "-r", str(different), "--csv"]
    said = subprocess.run([*command, "zadd", "raw", "1", member], capture_output=True, text=True, check=True).stdout
    client.delete("raw")
    return float(list(csv.reader(said.splitlines()))[-1][1])


def _table(rates: Rates, size: int) -> Table:
    anchor = RAW if RAW in rates.of else PIPELINED
    rows = [(way, f"{rates.median(way):,.0f}", f"{min(rates.of[way]):,.0f}", f"{rates.median(way) / rates.median(anchor):.0%}") for way in rates.of]
    ours, bare = rates.median(LOGGED), rates.median(PIPELINED)
    notes = [f"Members of {size} bytes; median and least of {len(rates.of[LOGGED])} rounds."]
    if RAW in rates.of:
        share = ours / rates.median(RAW)
        notes.append(aim(f"a third of redis-benchmark's rate, decisions logged ({share:.0%})", reached=share >= 1 / 3))
    else:
        notes.append("There is no redis-benchmark here (Debian: apt-get install redis-tools), so redis-py is the only anchor.")
    notes.append(aim(f"no slower than redis-py pipelining bare ZADDs ({ours / bare:.1f} times as fast)", reached=ours >= bare))
    return Table("Enqueue rate", ("", "events/s", "least", f"share of {anchor}"), rows, notes)
