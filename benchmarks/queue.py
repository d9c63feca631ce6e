"""What queued runs cost: bytes of Redis's memory each, the time to enqueue them, and how long our workers take to drain them."""

import asyncio
import sys
import time
from collections.abc import Iterator

import msgpack
from redis import Redis

from benchmarks.crew import measured
from benchmarks.machine import redis
from benchmarks.sources import Channel, Tasks, message
from benchmarks.tables import Table
from benchmarks.venvs import there
from benchmarks.ways import TRACKED

RUNS = 100_000
PROCESSES = (1, 2, 4)
CHANNEL = "async"


def tables(quick: bool) -> Iterator[Table]:
    number = 300 if quick else RUNS
    with redis() as server, Redis.from_url(server.url) as client:
        filled = {
            "channelbeat, AtLeastOnce, of one event": _filled(Channel(server.url, CHANNEL, tracked=True, events=1), client, number),
            f"channelbeat, AtLeastOnce, of {number:,} events": _filled(Channel(server.url, CHANNEL, tracked=True, events=number), client, number),
            "channelbeat, plain messages": _filled(Channel(server.url, CHANNEL, tracked=False), client, number),
        }
        if there("celery") and not quick:
            filled["Celery"] = _published(server.url, client, number)
        size = len(msgpack.packb(message(number // 2, "default/schedule-1/event-100", 0)))
        rows = [(name, f"{each:,.0f}", f"{took:.1f}") for name, (each, took) in filled.items()]
        yield Table(f"{number:,} queued", ("", "bytes of memory each", "enqueued in s"), rows, [f"The message itself: {size} bytes."])
        yield _drained(server.url, client, number, (1,) if quick else PROCESSES)


def _filled(source: Channel, client: "Redis", number: int) -> tuple[float, float]:
    """Bytes each, and the seconds it took; fences, which are there all the time, do not count."""

    async def fill() -> tuple[float, float]:
        await source.prepare(number)
        before, start = _used(client), time.perf_counter()
        await source.admit()
        took = time.perf_counter() - start
        await source.close()
        return (_used(client) - before) / number, took

    client.flushall()
    return asyncio.run(fill())


def _published(url: str, client: "Redis", number: int) -> tuple[float, float]:
    client.flushall()
    before, start = _used(client), time.perf_counter()
    Tasks(url).publish(number)
    return (_used(client) - before) / number, time.perf_counter() - start


def _drained(url: str, client: "Redis", number: int, processes: tuple[int, ...]) -> Table:
    client.flushall()
    empty = _used(client)
    rows = []
    for many in processes:
        print(f"... {many} workers drain {number:,} runs", file=sys.stderr, flush=True)
        result = asyncio.run(measured(TRACKED, url, CHANNEL, many, number))
        rows.append((str(many), f"{result.took:.1f}", f"{result.rate:,.0f}", f"{result.lost:,}", f"{result.doubled:,}"))
    kept = (_used(client) - empty) / number
    title = f"{number:,} queued runs, drained by an AsyncConsumer that does nothing"
    return Table(title, ("workers", "s", "runs/s", "lost", "doubled"), rows, [f"A run that has ended takes {kept:,.0f} bytes, for an hour."])


def _used(client: "Redis") -> int:
    """Without what stands in buffers."""
    memory = client.info("memory")
    return int(memory["used_memory"]) - int(memory["mem_clients_normal"]) - int(memory["mem_aof_buffer"])
