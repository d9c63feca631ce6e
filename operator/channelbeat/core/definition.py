"""One event as the engine runs it: what to send where, and when, taken out of its schedule."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from channelbeat.core import envelope
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.schedule import BeatSchedule, Event
from channelbeat.core.timing import timetable
from channelbeat.core.timing.timetable import Timetable

RARE = 10 * SECOND
"""Events with at least this period have each decision logged."""


@dataclass(frozen=True, slots=True)
class Definition:
    """`created` is when the object was made, where that is known. `hash` changes with whatever changes the due times or
    whether they count; a fence of another hash belongs to an earlier life of the event. `logged`: each decision is."""

    key: str
    schedule: str
    event: Event
    layer: str
    channel: str | None
    group: str | None
    suspended: bool
    timetable: Timetable
    hash: str
    logged: bool
    created: Ms | None

    def message(self, run: str, due: Ms) -> dict[str, Any]:
        event = self.event
        return envelope.message(event.type, event.fields, event.message, schedule=self.schedule, event=event.name, run=run, due=due)


def compile_schedule(schedule: BeatSchedule, *, created: Ms | None = None, without: Collection[str] = ()) -> tuple[Definition, ...]:
    """The definitions of a schedule's events, those named in `without` left out."""
    return tuple(_compile(schedule, event, created) for event in schedule.spec.events if event.name not in without)


def _compile(schedule: BeatSchedule, event: Event, created: Ms | None) -> Definition:
    spec, key = schedule.spec, f"{schedule.key}/{event.name}"
    times = timetable.of(event, zone=spec.time_zone, key=key)
    suspended = spec.suspend or event.suspend
    return Definition(
        key=key,
        schedule=schedule.key,
        event=event,
        layer=spec.channel_layer.name,
        channel=spec.channel,
        group=spec.group,
        suspended=suspended,
        timetable=times,
        hash=f"{times.hash}s" if suspended else times.hash,
        logged=times.period is None or times.period >= RARE,
        created=created,
    )
