"""N events due at the same instant: when is each in Redis? channelbeat and its peers in turn, never two at once, on one server.

All are due by `* * * * *`, the one rule that all of them know, so a run waits for a full minute; what starts before it is not measured.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks import arrivals, manifests
from benchmarks.arrivals import Arrivals
from benchmarks.machine import cpu_seconds, redis, redis_cpu
from benchmarks.tables import Table, aim, ratio, seconds
from benchmarks.venvs import PEERS, program, there

CAPACITY = 1_000_000
LIMIT = 40.0
MINUTE = 60
START = 6
"""Seconds that a program takes to start, at most."""
QUICK, QUICK_PERIOD = 200, 5


@dataclass(frozen=True, slots=True)
class Sender:
    """`command` of the number of events, the server's URL and a folder to write to; `queue` as benchmarks.arrivals calls it.
    `loads`: events a second, at least, that it takes in before they are due. `period`: seconds between two due times."""

    name: str
    queue: str
    loads: float
    command: Callable[[int, str, Path], list[str]]
    period: int = MINUTE


@dataclass(frozen=True, slots=True)
class Result:
    arrivals: Arrivals
    cpu: float
    redis_cpu: float


def _channelbeat(when: dict[str, Any]) -> Callable[[int, str, Path], list[str]]:
    return lambda number, url, folder: [sys.executable, "-m", "channelbeat", *manifests.write(folder, url, manifests.schedules(number, when), CAPACITY)]


def _script(peer: str) -> Callable[[int, str, Path], list[str]]:
    return lambda *_: [program(peer, "python"), f"{peer}_run.py"]


def _celery(peer: str, *options: str) -> Callable[[int, str, Path], list[str]]:
    def command(_number: int, _url: str, folder: Path) -> list[str]:
        return [program(peer, "celery"), "-A", "celery_run", "beat", "-l", "ERROR", *(option.format(folder=folder) for option in options)]

    return command


CHANNELBEAT = Sender("channelbeat", "zset", 2_500, _channelbeat({"cron": "* * * * *"}))
QUICKLY = replace(CHANNELBEAT, command=_channelbeat({"every": f"{QUICK_PERIOD}s"}), period=QUICK_PERIOD)
OTHERS = {  # in the order that waits least for full minutes; beatserver sends everything once before it is ready
    "apscheduler": Sender("APScheduler + layer.send", "zset", 400, _script("apscheduler")),
    "redbeat": Sender("RedBeat", "list", 350, _celery("redbeat", "-S", "redbeat.RedBeatScheduler")),
    "celery": Sender("Celery beat", "list", 400, _celery("celery", "-s", "{folder}/beat.db")),
    "beatserver": Sender("beatserver", "zset", 150, _script("beatserver")),
}


def tables(quick: bool) -> Iterator[Table]:
    with redis() as server:
        for number in (QUICK,) if quick else (1_000, 10_000):
            yield _beside_peers(server.url, number, quick)
        if not quick:
            yield _many(server.url, 100_000)


def _beside_peers(url: str, number: int, quick: bool) -> Table:
    ours = measure(QUICKLY if quick else CHANNELBEAT, number, url)
    rows = [_row(CHANNELBEAT, ours, ours)]
    notes = []
    for peer, sender in OTHERS.items() if not quick else ():
        if there(peer):
            rows.append(_row(sender, measure(sender, number, url), ours))
        else:
            notes.append(f"{sender.name} is not measured: `make bench` sets up what it needs.")
    found = ours.arrivals
    reached = found.arrived == number and not found.doubled and found.last <= 0.3
    what = f"all of {number:,} within 0.3 s, each once ({found.arrived:,} arrived, {found.doubled:,} doubled, the last {seconds(found.last)} s late)"
    return Table(f"{number:,} events due at the same instant", COLUMNS, rows, [*notes, aim(what, reached=reached)])


COLUMNS = ("", "arrived", "p50 s", "p99 s", "last s", "CPU s", "Redis CPU s", "last: ratio", "CPU: ratio")


def _row(sender: Sender, result: Result, ours: Result) -> tuple[str, ...]:
    found = result.arrivals
    every = f"{found.arrived:,}{f' (+{found.doubled:,} doubled)' if found.doubled else ''}"
    late = [seconds(value) for value in (found.p50, found.p99, found.last)] if found.arrived else ["-"] * 3
    ratios = [ratio(found.last / ours.arrivals.last) if found.arrived else "-", ratio(result.cpu / ours.cpu)]
    return sender.name, every, *late, seconds(result.cpu), seconds(result.redis_cpu), *ratios


def _many(url: str, number: int) -> Table:
    result = measure(CHANNELBEAT, number, url)
    found = result.arrivals
    reached = found.arrived == number and not found.doubled and found.last <= 3
    return Table(f"{number:,} events due at the same instant", COLUMNS, [_row(CHANNELBEAT, result, result)], [aim("all within 3 s", reached=reached)])


def measure(sender: Sender, number: int, url: str) -> Result:
    """Start it, let it load, and see what it does at the next full minute."""
    print(f"... {sender.name}, {number:,} events", file=sys.stderr, flush=True)
    with Redis.from_url(url) as client, tempfile.TemporaryDirectory(prefix="cb-bench-", ignore_cleanup_errors=True) as folder:
        client.flushall()
        command = sender.command(number, url, Path(folder))
        due = math.ceil((time.time() + START + number / sender.loads) / sender.period) * sender.period
        environment = os.environ | {"REDIS": url, "N": str(number), "PEER": sender.name, "PYTHONPATH": str(PEERS)}
        with (Path(folder) / "output").open("wb") as output:
            process = subprocess.Popen(command, cwd=PEERS, env=environment, stdout=output, stderr=output)
            try:
                reader = arrivals.watching(url, sender.queue, number, due, LIMIT)
                time.sleep(max(0.0, due - 0.5 - time.time()))
                cpu, redis_used = cpu_seconds(process.pid), redis_cpu(client)
                found = arrivals.answer(reader)
                result = Result(found, cpu_seconds(process.pid) - cpu, redis_cpu(client) - redis_used)
                if process.poll() is not None:
                    raise SystemExit(f"{sender.name} ended:\n{(Path(folder) / 'output').read_text(errors='replace')[-2_000:]}")
            finally:
                _end(process)
    return result


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    process.kill()
    process.wait()
