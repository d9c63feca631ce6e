"""What the live table shows, gathered anew a few times a second: only events that fit on the terminal are looked at."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from channelbeat.core.instants import Ms
from channelbeat.core.schedule import BeatSchedule
from channelbeat.errors import LayerError
from channelbeat.local.console import Console, Last
from channelbeat.local.processes import State
from channelbeat.local.workers import Place
from channelbeat.runtime import Engine

REST: Final = 0.25  # seconds


@dataclass(frozen=True, slots=True)
class Row:
    """One event. `backlog` None: not known, or a group, which has none."""

    schedule: str
    event: str
    next: Ms | None
    last: Last | None
    backlog: int | None
    worker: str


@dataclass(frozen=True, slots=True)
class Board:
    """What there is to see at `now`; `more` events did not fit."""

    now: Ms
    rows: tuple[Row, ...] = ()
    more: int = 0


async def keep_up(
    engine: Engine, console: Console, states: Mapping[Place, State], *, room: Callable[[], int], now: Callable[[], Ms], show: Callable[[Board], None]
) -> None:
    """Until cancelled. `room` says how many rows fit."""
    while True:
        schedules = engine.book.schedules
        total = sum(len(schedule.spec.events) for schedule in schedules.values())
        shown = [*islice(_events(schedules), room())]
        backlogs = await _backlogs(engine, [schedule for schedule, _ in shown])
        rows = tuple(_row(engine, console, states, backlogs, schedule, event) for schedule, event in shown)
        show(Board(now(), rows, total - len(rows)))
        await asyncio.sleep(REST)


def _events(schedules: Mapping[str, BeatSchedule]) -> Iterator[tuple[BeatSchedule, str]]:
    for schedule in schedules.values():
        for event in schedule.spec.events:
            yield schedule, event.name


async def _backlogs(engine: Engine, schedules: list[BeatSchedule]) -> dict[Place, int]:
    """Of the layers whose Redis answers."""
    channels: dict[str, set[str]] = {}
    for schedule in schedules:
        if schedule.spec.channel is not None:
            channels.setdefault(schedule.spec.channel_layer.name, set()).add(schedule.spec.channel)
    found: dict[Place, int] = {}
    for layer, names in channels.items():
        try:
            found |= {Place(layer, channel): waiting for channel, waiting in (await engine.backlog(layer, sorted(names))).items()}
        except LayerError:
            continue
    return found


def _row(engine: Engine, console: Console, states: Mapping[Place, State], backlogs: Mapping[Place, int], schedule: BeatSchedule, event: str) -> Row:
    due = engine.next_fire(schedule.key, event)
    place = Place(schedule.spec.channel_layer.name, schedule.spec.channel or "")
    return Row(
        schedule=schedule.key,
        event=event,
        next=due.due if due else None,
        last=console.last.get((schedule.key, event)),
        backlog=backlogs.get(place),
        worker=states.get(place, "-"),
    )
