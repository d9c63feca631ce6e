"""How long schedules take to load, and how much memory each takes: parsed, in the book, their fences written.

`python -m benchmarks.loading URL SCHEDULES EACH` measures one case, in a process that has done nothing else, and prints a Load as JSON.
"""

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import psutil
from redis import Redis

from benchmarks import manifests
from benchmarks.machine import redis
from benchmarks.tables import Table, aim
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Notice, Outcome
from channelbeat.core.parse import parse
from channelbeat.core.runs import Finished
from channelbeat.runtime import Alone, Engine, SystemClock

CASES = ((10_000, 1), (10_000, 3), (100_000, 1))
KILOBYTES = 3


@dataclass(frozen=True, slots=True)
class Load:
    """Seconds to parse and to put, seconds until all fences are written, bytes of memory all of it takes."""

    parsed: float
    settled: float
    memory: int


class Silent:
    """A Journal."""

    def record(self, outcomes: Sequence[Outcome]) -> None: ...
    def tell(self, notice: Notice) -> None: ...
    def finished(self, runs: Sequence[Finished]) -> None: ...


def tables(quick: bool) -> Iterator[Table]:
    rows, sizes = [], {}
    with redis() as server, Redis.from_url(server.url) as client:
        for schedules, each in ((50, 2),) if quick else CASES:
            client.flushall()
            load = _measured(server.url, schedules, each)
            sizes[schedules, each] = load.memory / schedules
            rows.append(
                (f"{schedules:,}", str(each), f"{load.parsed:.1f}", f"{load.settled:.1f}", f"{load.memory / 2**20:,.0f}", f"{load.memory / schedules:,.0f}")
            )
    single = max(size for (_, each), size in sizes.items() if each == 1 or quick)
    notes = [aim(f"{KILOBYTES} KB a schedule (of one event: {single / 1_000:.1f} KB)", reached=single <= KILOBYTES * 1_000)]
    yield Table("Loading", ("schedules", "events each", "parsed s", "settled s", "MB", "bytes a schedule"), rows, notes)


def _measured(url: str, schedules: int, each: int) -> Load:
    command = [sys.executable, "-m", "benchmarks.loading", url, str(schedules), str(each)]
    return Load(**json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))


async def load(url: str, schedules: int, each: int) -> Load:
    engine = Engine({"default": LayerSettings("default", url)}, owner="benchmark", journal=Silent(), clock=SystemClock(), leadership=Alone())
    running = asyncio.create_task(engine.run())
    await engine.leading("default")
    before, start = _memory(), time.perf_counter()
    for manifest in manifests.schedules(schedules * each, {"cron": "30 2 * * *"}, each):
        if (schedule := parse(manifest).schedule) is not None:
            engine.book.put(schedule)
    parsed = time.perf_counter() - start
    *_, last = engine.book.schedules.values()  # fences are written in the order of the book
    while engine.next_fire(last.key, last.spec.events[-1].name) is None:  # noqa: ASYNC110 - the engine has no event for it
        await asyncio.sleep(0.01)
    settled = time.perf_counter() - start
    after = _memory()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return Load(parsed, settled, after - before)


def _memory() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(load(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))))
