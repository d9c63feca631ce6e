"""Where the time goes: 10,000 events due at once, once under a profiler, which makes all of it slower but keeps the proportions.

Python's share by file of ours, a library's time counted to the file of ours that called it; Redis's as it says itself.
"""

import asyncio
import cProfile
import pstats
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

import channelbeat
from benchmarks import manifests
from benchmarks.machine import redis
from benchmarks.tables import Table
from channelbeat.core import instants
from channelbeat.core.instants import SECOND
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Kind, Notice, Outcome
from channelbeat.core.parse import parse
from channelbeat.core.runs import Finished
from channelbeat.runtime import Alone, Engine, SystemClock

EVENTS = 10_000
OURS = str(Path(channelbeat.__file__).parent)
LEAST = 0.01
"""Files with a smaller share than this are summed up."""
LOADED_BY = 0.5
"""Seconds between loading and due, at least."""


class Counting:
    """A Journal that knows when all have been enqueued."""

    def __init__(self, wanted: int) -> None:
        self.left, self.done = wanted, asyncio.Event()

    def record(self, outcomes: Sequence[Outcome]) -> None:
        self.left -= sum(outcome.kind is Kind.ENQUEUED for outcome in outcomes)
        if self.left <= 0:
            self.done.set()

    def tell(self, notice: Notice) -> None: ...
    def finished(self, runs: Sequence[Finished]) -> None: ...


def tables(quick: bool) -> Iterator[Table]:
    with redis() as server:
        yield asyncio.run(_profiled(server.url, 100 if quick else EVENTS))


async def _profiled(url: str, events: int) -> Table:
    journal, clock = Counting(events), SystemClock()
    layer = LayerSettings("default", url, capacity=events)
    engine = Engine({"default": layer}, owner="benchmark", journal=journal, clock=clock, leadership=Alone())
    running = asyncio.create_task(engine.run())
    await engine.leading("default")
    due = (clock.now() // SECOND + 4) * SECOND
    for manifest in manifests.schedules(events, {"at": instants.text(due)}):
        if (schedule := parse(manifest).schedule) is not None:
            engine.book.put(schedule)
    async with Redis.from_url(url) as client:
        await clock.sleep_until(due - int(LOADED_BY * SECOND), asyncio.Event())
        before, profile = await client.info("commandstats"), cProfile.Profile()
        await clock.sleep_until(due - 5, asyncio.Event())
        profile.enable()
        await journal.done.wait()
        profile.disable()
        after = await client.info("commandstats")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return _table(_by_file(profile), _script(after) - _script(before), events)


def _script(stats: dict[str, Any]) -> float:
    """Seconds that scripts took."""
    return sum(float(stats[name]["usec"]) for name in ("cmdstat_evalsha", "cmdstat_eval") if name in stats) / 1e6


def _by_file(profile: cProfile.Profile) -> dict[str, float]:
    """Seconds of each of our files; what other code took is given to its callers, in proportion, until it is a file of ours."""
    calls: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    found = defaultdict[str, float](float)

    def give(function: tuple[str, int, str], seconds: float, depth: int) -> None:
        if function[0].startswith(OURS):
            found[str(Path(function[0]).relative_to(OURS))] += seconds
            return
        callers = {caller: times[2] for caller, times in calls[function][4].items() if caller != function}
        total = sum(callers.values())
        if "epoll" in function[2] or not total or depth > 20:
            found["waiting" if "epoll" in function[2] else "asyncio and redis-py"] += seconds
            return
        for caller, share in callers.items():
            give(caller, seconds * share / total, depth + 1)

    for function, (_, _, own, _, _) in calls.items():
        give(function, own, 0)
    return found


def _table(python: dict[str, float], script: float, events: int) -> Table:
    waiting = python.pop("waiting", 0.0)
    total = sum(python.values())
    small = sum(seconds for seconds in python.values() if seconds < LEAST * total)
    listed = [(name, seconds) for name, seconds in sorted(python.items(), key=lambda item: -item[1]) if seconds >= LEAST * total]
    rows = [(name, f"{seconds / total:.0%}", f"{seconds / events * 1e6:.1f}") for name, seconds in [*listed, ("the rest", small)]]
    rows.append(("Redis, in the script, at the same time", "", f"{script / events * 1e6:.1f}"))
    rows.append(("waiting for Redis", "", f"{waiting / events * 1e6:.1f}"))
    return Table(f"Where the time goes, {events:,} events due at once (profiled: all of it slower)", ("", "of Python", "us an event"), rows)
