"""What the live table shows, gathered anew a few times a second: only events that fit on the terminal are looked at."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from channelbeat.core.batch import queue_of
from channelbeat.core.instants import Ms
from channelbeat.core.runs import Stats
from channelbeat.core.schedule import BeatSchedule
from channelbeat.errors import LayerError
from channelbeat.local.console import Console, Last
from channelbeat.local.processes import State
from channelbeat.local.workers import Place
from channelbeat.runtime import Engine

REST: Final = 0.25  # seconds


@dataclass(frozen=True, slots=True)
class Row:
    """One event. `waiting` None: not known, or a group, where nothing waits; `runs` None: not known, or not tracked."""

    schedule: str
    event: str
    next: Ms | None
    last: Last | None
    waiting: int | None
    runs: Stats | None
    crew: Sequence[State]


@dataclass(frozen=True, slots=True)
class Board:
    """What there is to see at `now`; `more` events did not fit."""

    now: Ms
    rows: tuple[Row, ...] = ()
    more: int = 0


class _Load(NamedTuple):
    """Of the layers whose Redis answers: how many wait, by layer and target; and what became of runs, by event."""

    waiting: dict[tuple[str, str], int]
    runs: dict[str, Stats]


async def keep_up(
    engine: Engine,
    console: Console,
    crews: Callable[[], Mapping[Place, Sequence[State]]],
    *,
    room: Callable[[], int],
    now: Callable[[], Ms],
    show: Callable[[Board], None],
) -> None:
    """Until cancelled. `room` says how many rows fit."""
    while True:
        schedules = engine.book.schedules
        total = sum(len(schedule.spec.events) for schedule in schedules.values())
        shown = [*islice(_events(schedules), room())]
        load, working = await _load(engine, shown), crews()
        rows = tuple(_row(engine, console, working, load, schedule, event) for schedule, event in shown)
        show(Board(now(), rows, total - len(rows)))
        await asyncio.sleep(REST)


def _events(schedules: Mapping[str, BeatSchedule]) -> Iterator[tuple[BeatSchedule, str]]:
    for schedule in schedules.values():
        for event in schedule.spec.events:
            yield schedule, event.name


async def _load(engine: Engine, shown: Sequence[tuple[BeatSchedule, str]]) -> _Load:
    targets: dict[str, set[str]] = {}
    tracked: dict[str, list[str]] = {}
    for schedule, event in shown:
        layer, target = schedule.spec.channel_layer.name, _target(schedule)
        if target is not None:
            targets.setdefault(layer, set()).add(target)
        if _tracked(schedule):
            tracked.setdefault(layer, []).append(f"{schedule.key}/{event}")
    found = _Load({}, {})
    for layer, names in targets.items():
        try:
            found.waiting.update({(layer, target): waiting for target, waiting in (await engine.backlog(layer, sorted(names))).items()})
            if layer in tracked:
                found.runs.update(await engine.stats(layer, tracked[layer]))
        except LayerError:
            continue
    return found


def _row(engine: Engine, console: Console, crews: Mapping[Place, Sequence[State]], load: _Load, schedule: BeatSchedule, event: str) -> Row:
    due = engine.next_fire(schedule.key, event)
    layer = schedule.spec.channel_layer.name
    return Row(
        schedule=schedule.key,
        event=event,
        next=due.due if due else None,
        last=console.last.get((schedule.key, event)),
        waiting=load.waiting.get((layer, _target(schedule) or "")),
        runs=load.runs.get(f"{schedule.key}/{event}") if _tracked(schedule) else None,
        crew=crews.get(Place(layer, schedule.spec.channel or ""), ()),
    )


def _tracked(schedule: BeatSchedule) -> bool:
    return schedule.spec.delivery == "AtLeastOnce"


def _target(schedule: BeatSchedule) -> str | None:
    """Where its events wait."""
    channel = schedule.spec.channel
    return queue_of(channel) if channel is not None and _tracked(schedule) else channel
