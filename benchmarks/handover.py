"""How long nothing is sent when the leader ends, by SIGTERM and by kill -9; and is anything lost or doubled?

The gap is the longest time between two arrivals in Redis, less the period. Default Lease: a standby may take it 3 s after it was renewed last.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.stage import Stage, progress
from benchmarks.tables import Table, aim
from channelbeat.core.instants import SECOND, Ms
from support.arrivals import Channel, audit, gap, now
from support.beats import Beats
from support.operators import Installation, Operator

EVERY: Final[Ms] = 100
EVENTS: Final = 2
INCIDENTS: Final = {"SIGTERM": (signal.SIGTERM, 0.1), "kill -9": (signal.SIGKILL, 3.5)}
"""Each with the seconds it may take."""
SOME: Final[Ms] = SECOND
"""Before and after, in which it must go on as ever."""


@dataclass(frozen=True, slots=True)
class Result:
    """`gap` beyond the period; `late`: the latest of the `runs`."""

    gap: Ms
    late: Ms
    runs: int
    lost: int
    doubled: int


def table(stage: Stage, us: Installation, rounds: int, timing: str) -> Table:
    beats = Beats(us.kube, us.namespace)
    keys = [beats.put({"every": f"{EVERY}ms"}, name=f"t{number}") for number in range(EVENTS)]
    rows, notes = [], []
    with stage.channel(us, "c") as channel:
        stage.start(us)
        for name, (number, within) in INCIDENTS.items():
            results = []
            for round_ in range(rounds):
                progress(f"{name}, {round_ + 1} of {rounds}")
                stage.start(us)
                results.append(_incident(us, channel, keys, number))
            rows.append(_row(name, results))
            worst = max(result.gap for result in results) / SECOND
            clean = not any(result.lost or result.doubled for result in results)
            notes.append(aim(f"{name}: {within:g} s, 0 lost, 0 doubled ({worst:.2f} s at worst)", reached=worst <= within and clean))
    rate = EVENTS * SECOND // EVERY
    title = f"{rate} events a second, the leader ends {rounds} times each way, Lease {timing.replace('/', ', renewed every ')}"
    return Table(title, ("", "gap ms: median", "worst", "latest run ms", "runs", "lost", "doubled"), rows, notes)


def _incident(us: Installation, channel: Channel, keys: list[str], number: signal.Signals) -> Result:
    for one in us.replicas:
        if one.process.poll() is None:
            one.wait()
    leader = us.leader()
    since = channel.flows(keys)
    channel.reaches(since + SOME, keys)
    with _ending(leader, number):
        us.leader(leader)
        through = channel.reaches(now() + SOME, keys)
    seen = [arrival for arrival in channel.arrivals() if since < (arrival.due or 0) <= through]
    found = audit(seen, keys, every=EVERY, since=since, through=through)
    late = max(arrival.at - (arrival.due or 0) for arrival in seen)
    return Result(max(gap(seen) - EVERY, 0), late, len(seen), len(found.lost), len(found.doubled))


@contextmanager
def _ending(leader: Operator, number: signal.Signals) -> Iterator[None]:
    leader.signal(number)
    yield
    leader.ends()


def _row(name: str, results: list[Result]) -> tuple[str, ...]:
    gaps = [result.gap for result in results]
    sums = (sum(result.runs for result in results), sum(result.lost for result in results), sum(result.doubled for result in results))
    return name, f"{median(gaps):,.0f}", f"{max(gaps):,}", f"{max(result.late for result in results):,}", *(f"{value:,}" for value in sums)
