"""How late events are while 1,000 a second come due, spread evenly: `every: 1s` with a jitter of as much.

Late is the score that the message has in its ZSET, which is Redis's own time, less the jittered due time.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
from redis import Redis

from benchmarks import manifests
from benchmarks.arrivals import CHANNELS
from benchmarks.machine import cpu_seconds, redis
from benchmarks.tables import Table, aim, quantile
from channelbeat.core import instants
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.timing.jitter import jitter

EVENTS = 1_000
JITTER = SECOND - 1
"""Has to be shorter than the interval."""
SECONDS = 60
SETTLING = 5
"""Seconds that are left out at the beginning."""
DRAIN = 0.25
START = 30


def tables(quick: bool) -> Iterator[Table]:
    events, lasts, settling = (20, 1, 1) if quick else (EVENTS, SECONDS, SETTLING)
    with redis() as server, tempfile.TemporaryDirectory(prefix="cb-bench-", ignore_cleanup_errors=True) as directory:
        folder = Path(directory)
        each_second = manifests.schedules(events, {"every": "1s", "jitter": f"{JITTER}ms", "missed": {"policy": "All"}})
        command = [sys.executable, "-m", "channelbeat", *manifests.write(folder, server.url, each_second, capacity=100_000)]
        with Redis.from_url(server.url) as client, (folder / "output").open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
            try:
                yield _table(*_measured(client, process.pid, lasts, settling), events * lasts, lasts)
            finally:
                process.terminate()
                process.wait()


def _measured(client: "Redis", pid: int, lasts: int, settling: int) -> tuple[list[float], float]:
    """How late each run of the time measured was, in milliseconds, sorted; and the CPU seconds it took."""
    deadline = time.monotonic() + START
    while not _drained(client):
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing is sent within {START} s")
        time.sleep(DRAIN)
    start = (int(time.time()) + settling) * SECOND
    end = start + lasts * SECOND
    late: dict[str, float] = {}
    cpu = None
    while time.time() * SECOND < end + 2 * SECOND:  # those of the last second come within the next
        if cpu is None and time.time() * SECOND >= start:
            cpu = cpu_seconds(pid)
        late |= {run: by for run, due, by in _drained(client) if start <= due < end}
        time.sleep(DRAIN)
    used = (cpu_seconds(pid) - (cpu or 0)) * lasts / (lasts + 2)
    return sorted(late.values()), used


def _drained(client: "Redis") -> list[tuple[str, Ms, float]]:
    """Runs taken out of all channels: id, due time, milliseconds late."""
    pipe = client.pipeline(transaction=False)
    for channel in CHANNELS:
        pipe.zpopmin(f"asgi{channel}", 10_000)
    popped: list[list[tuple[bytes, float]]] = pipe.execute()
    return [_late(msgpack.unpackb(member[12:]), score) for found in popped for member, score in found]


def _late(message: dict[str, Any], score: float) -> tuple[str, Ms, float]:
    run, due = message["beat"]["run"], instants.parse(message["beat"]["due"])
    key = run.rpartition("/")[0]
    return run, due, score * SECOND - due - jitter(key, due, JITTER, SECOND)


def _table(late: list[float], cpu: float, expected: int, lasts: int) -> Table:
    worst = [quantile(late, 0.5), quantile(late, 0.99), late[-1]] if late else [float("inf")] * 3
    row = (f"{len(late):,} of {expected:,}", *(f"{value:.1f}" for value in worst), f"{cpu / lasts:.0%}")
    notes = [aim(f"p99 under 5 ms ({worst[1]:.1f} ms)", reached=worst[1] < 5 and len(late) == expected)]
    return Table(f"{expected // lasts:,} events a second, for {lasts} s", ("runs", "p50 ms", "p99 ms", "max ms", "of a core"), [row], notes)
