"""The operator on a real API server, with a real Redis: loading, rest, edits, hand-over, workers, and Kubernetes' own CronJobs
beside it.

Each part has a control plane of its own (`--quick`: one for all, and channelbeat alone).
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import at_rest, crews, cronjobs, edits, handover
from benchmarks.stage import Stage, staged
from benchmarks.tables import Table
from support import cluster_programs
from support.cluster_programs import Unavailable

LEAST = ("etcd", "kube-apiserver")


@dataclass(frozen=True, slots=True)
class Size:
    """`rest` in seconds; `rounds` of each incident; `timing`: the Lease's duration, and how often it is renewed."""

    schedules: int
    rest: float
    edits: int
    rounds: int
    timing: str
    at_once: int
    channels: int


FULL = Size(schedules=10_000, rest=60, edits=20, rounds=5, timing="3s/1s", at_once=1_000, channels=500)
QUICK = Size(schedules=20, rest=1, edits=2, rounds=1, timing="1s/300ms", at_once=0, channels=4)


def tables(quick: bool) -> Iterator[Table]:
    if why_not := _missing(quick):
        yield Table("In a cluster", ("not measured",), [(why_not,)])
    elif quick:
        with staged() as stage:
            for part in PARTS:
                yield from part(stage, QUICK)
    else:
        for part in PARTS:
            with staged() as stage:
                yield from part(stage, FULL)


def _missing(quick: bool) -> str:
    """Why there is no control plane; `--quick` builds none."""
    try:
        if not quick:
            cluster_programs.provide(lambda line: print(line, file=sys.stderr, flush=True))
    except Unavailable as why:
        if not all(map(cluster_programs.find, LEAST)):
            return str(why)
    missing = [name for name in LEAST if not cluster_programs.find(name)]
    return f"{' and '.join(missing)} not built yet: PYTHONPATH=tests .venv/bin/python -m support.cluster_programs" if missing else ""


def _large(stage: Stage, size: Size) -> Iterator[Table]:
    """Many schedules, nothing due; then edits of two others beside them."""
    with stage.installed() as us:
        yield from at_rest.tables(stage, us, size.schedules, size.rest)
        yield edits.table(stage, us, size.edits, beside=size.schedules)


def _handover(stage: Stage, size: Size) -> Iterator[Table]:
    with stage.installed(timing=size.timing) as us:
        yield handover.table(stage, us, size.rounds, size.timing)


def _cronjobs(stage: Stage, size: Size) -> Iterator[Table]:
    if size.at_once:
        yield from cronjobs.tables(stage, size.at_once)


def _crews(stage: Stage, size: Size) -> Iterator[Table]:
    with stage.installed() as us:
        yield from crews.tables(stage, us, size.channels, size.rest)


PARTS = (_large, _handover, _crews, _cronjobs)
