"""How fast events are handled, and how many are lost: our runworker beside the stock one and Celery's, with consumers that do nothing.

20,000 events are there before the workers look. What is beyond 1 process is shared by processes on the same channel.
"""

import asyncio
import signal
import sys
from collections.abc import Iterator

from benchmarks.crew import Result, Way, measured
from benchmarks.machine import redis
from benchmarks.tables import Table, aim, ratio, seconds
from benchmarks.venvs import there
from benchmarks.ways import CELERY, CELERY_APART, CLAIM, PLAIN, STOCK, TRACKED, TRACKED_FOUR

EVENTS = 20_000
PROCESSES = (1, 2, 4)
ROUNDS = 3
KINDS = {"sync": "a SyncConsumer", "async": "an AsyncConsumer"}
COLUMNS = ("", "processes", "handled", "lost", "doubled", "events/s", "CPU us an event", "Redis CPU us", "of stock's rate")
AIM = 1.5
INTERRUPTED = 5_000
WORK = 0.002
"""Seconds that a handler takes when its worker is interrupted, so that there is a middle."""
INCIDENTS = {"SIGTERM": signal.SIGTERM, "kill -9": signal.SIGKILL}


def tables(quick: bool) -> Iterator[Table]:
    with redis() as server:
        for kind in KINDS:
            yield _beside(server.url, kind, *((200, (1,), 1) if quick else (EVENTS, PROCESSES, ROUNDS)), quick=quick)
        yield _interrupted(server.url, 200 if quick else INTERRUPTED, quick=quick)


def _beside(url: str, kind: str, number: int, processes: tuple[int, ...], rounds: int, *, quick: bool) -> Table:
    ways = [STOCK, PLAIN, TRACKED, TRACKED_FOUR]
    if kind == "sync" and there("celery") and not quick:
        ways.append(CELERY)
    found: dict[tuple[Way, int], list[Result]] = {}
    for _ in range(rounds):
        for many in processes:
            for way in ways:
                found.setdefault((way, many), []).append(_run(way, url, kind, many, number))
    middle = {case: sorted(results, key=lambda result: result.rate)[rounds // 2] for case, results in found.items()}
    rows = [_row(way, many, middle[way, many], middle[STOCK, many]) for many in processes for way in ways]
    one = processes[0]
    gain = middle[TRACKED, one].rate / middle[STOCK, one].rate
    whole = all(not result.lost and not result.doubled for (way, _), results in found.items() if way in (TRACKED, TRACKED_FOUR) for result in results)
    notes = [aim(f"tracked, {one} process: {AIM} times the stock worker's rate ({gain:.1f}), none lost, none doubled", reached=gain >= AIM and whole)]
    return Table(f"{number:,} events, {KINDS[kind]} that does nothing", COLUMNS, rows, notes)


def _run(way: Way, url: str, kind: str, processes: int, number: int) -> Result:
    print(f"... {way.name}, {kind}, {processes} at work, {number:,} events", file=sys.stderr, flush=True)
    return asyncio.run(measured(way, url, kind, processes, number))


def _row(way: Way, processes: int, result: Result, stock: Result) -> tuple[str, ...]:
    counts = (f"{count:,}" for count in (result.handled, result.lost, result.doubled))
    costs = (f"{cpu / max(result.handled, 1) * 1e6:,.0f}" for cpu in (result.cpu, result.redis_cpu))
    return way.name, str(processes), *counts, f"{result.rate:,.0f}", *costs, ratio(result.rate / stock.rate)


def _interrupted(url: str, number: int, *, quick: bool) -> Table:
    rows = []
    for name, incident in list(INCIDENTS.items())[: 1 if quick else None]:  # a worker that is killed keeps what it holds for CLAIM seconds
        for way in (STOCK, PLAIN, TRACKED, *([CELERY_APART] if there("celery") and not quick else [])):
            print(f"... {way.name}, {name}", file=sys.stderr, flush=True)
            result = asyncio.run(measured(way, url, "async", 2, number, work=WORK, incident=incident))
            rows.append((f"{name}: {way.name}", *(f"{count:,}" for count in (result.handled, result.lost, result.doubled)), seconds(result.took)))
    title = f"One of 2 workers ends in the middle of {number:,} events of {WORK * 1_000:.0f} ms"
    return Table(title, ("", "handled", "lost", "handled again", "last s"), rows, [f"Claims, and Celery's visibility timeout, are {CLAIM} s."])
