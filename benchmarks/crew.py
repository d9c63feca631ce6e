"""A crew of workers and what becomes of N events: how many of them are handled, how often, how fast, at what cost in CPU.

They start, and wait for work; then they stand still until all events are there, so that neither their start nor the sender is measured.
"""

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from redis import Redis

from benchmarks.machine import cpu_seconds, redis_cpu
from benchmarks.project.record import written
from benchmarks.sources import Source
from benchmarks.venvs import PEERS

START = 30.0
POLL = 0.01
SETTLED = 1.5
"""Seconds without another event, once all were handled: doubles would have come by then."""
PATIENCE = 5.0
"""Seconds without another event, when some are missing: these are lost."""


@dataclass(frozen=True, slots=True)
class Way:
    """How events are handled. `source` of the server's URL and the channel; `commands` of the channel and the number of processes.
    `peer` and `environment` are told to the workers; `patience`: after how many seconds of silence what is missing is lost."""

    name: str
    peer: str
    source: Callable[[str, str], Source]
    commands: Callable[[str, int], list[list[str]]]
    patience: float = PATIENCE
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """`handled` are different ones, `doubled` those beyond; `took`: seconds until the last was handled; CPU of all workers, and of Redis."""

    number: int
    handled: int
    doubled: int
    took: float
    cpu: float
    redis_cpu: float

    @property
    def lost(self) -> int:
        return self.number - self.handled

    @property
    def rate(self) -> float:
        return self.handled / self.took if self.handled else 0.0


class Tally:
    """What the workers have recorded so far."""

    def __init__(self, folder: Path) -> None:
        self.seen: Counter[int] = Counter()
        self.latest = time.perf_counter()
        self._folder, self._read = folder, Counter[str]()

    def look(self) -> None:
        for path in self._folder.iterdir():
            if numbers := written(path, self._read[path.name]):
                self._read[path.name] += len(numbers)
                self.seen.update(numbers)
                self.latest = time.perf_counter()

    def silent(self) -> float:
        """Seconds since it last saw something new."""
        return time.perf_counter() - self.latest


class Crew:
    """The processes, started; their own children count as theirs."""

    def __init__(self, commands: Sequence[Sequence[str]], environment: dict[str, str], output: Path) -> None:
        self._output = output
        with output.open("wb") as said:
            self.processes = [subprocess.Popen(command, cwd=PEERS, env=environment, stdout=said, stderr=said) for command in commands]

    def wait(self, client: "Redis") -> None:
        """Until each of them is in a blocking pop."""
        deadline = time.monotonic() + START
        while int(client.info("clients")["blocked_clients"]) < len(self.processes):
            if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes):
                raise SystemExit(f"a worker ended, or does not listen:\n{self._output.read_text(errors='replace')[-2_000:]}")
            time.sleep(POLL)

    def signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            for one in (psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)):
                one.send_signal(number)

    def cpu(self) -> float:
        return sum(cpu_seconds(process.pid) for process in self.processes)

    def end(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


@contextmanager
def _crew(way: Way, url: str, channel: str, processes: int, work: float, folder: Path) -> Iterator[Crew]:
    record = folder / "record"
    record.mkdir()
    told = {"REDIS": url, "RECORD": str(record), "WORK": str(work), "PEER": way.peer, "PYTHONPATH": str(PEERS.parents[1])}
    crew = Crew(way.commands(channel, processes), os.environ | told | dict(way.environment), folder / "output")
    try:
        yield crew
    finally:
        crew.end()


async def measured(way: Way, url: str, channel: str, processes: int, number: int, *, work: float = 0, incident: signal.Signals | None = None) -> Result:
    """Handlers take `work` seconds; `incident` befalls the first of the processes when half of the events are handled."""
    with Redis.from_url(url) as client, tempfile.TemporaryDirectory(prefix="cb-bench-", ignore_cleanup_errors=True) as directory:
        client.flushall()
        source = way.source(url, channel)
        await source.prepare(number)
        try:
            with _crew(way, url, channel, processes, work, Path(directory)) as crew:
                return await _measured(way, crew, source, client, Tally(Path(directory) / "record"), number, incident)
        finally:
            await source.close()


async def _measured(way: Way, crew: Crew, source: Source, client: "Redis", tally: Tally, number: int, incident: signal.Signals | None) -> Result:
    crew.wait(client)
    crew.signal(signal.SIGSTOP)
    await source.admit()
    cpu, redis_used = crew.cpu(), redis_cpu(client)
    start = tally.latest = time.perf_counter()
    crew.signal(signal.SIGCONT)
    kept = start
    while tally.silent() < (SETTLED if len(tally.seen) == number else way.patience):
        await asyncio.sleep(POLL)
        tally.look()
        if incident is not None and len(tally.seen) >= number / 2:
            crew.processes[0].send_signal(incident)
            incident = None
        if time.perf_counter() > kept + 1:
            kept = time.perf_counter()
            await source.keep()
    doubled = tally.seen.total() - len(tally.seen)
    return Result(number, len(tally.seen), doubled, tally.latest - start, crew.cpu() - cpu, redis_cpu(client) - redis_used)
