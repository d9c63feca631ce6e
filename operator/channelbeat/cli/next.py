"""`channelbeat next`"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from channelbeat.cli.gathering import gather
from channelbeat.cli.parameters import TIME
from channelbeat.core import instants
from channelbeat.core.instants import Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.schedule import BeatSchedule, Event
from channelbeat.core.timing import durations, timetable, zones
from channelbeat.runtime import SystemClock


@dataclass(frozen=True, slots=True)
class Row:
    """One event and when it is due; `zone` is the one its times are shown in."""

    schedule: BeatSchedule
    event: Event
    zone: str
    occurrences: list[Occurrence]

    @property
    def suspended(self) -> bool:
        return self.schedule.spec.suspend or self.event.suspend


@click.command("next")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--after", type=TIME, help="Due times later than this moment, like 2026-11-21T02:30:00Z. Default: now.")
@click.option("--count", type=click.IntRange(1, 10_000), default=5, show_default=True, help="How many for each event.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(paths: tuple[Path, ...], after: Ms | None, count: int, output: str) -> None:
    """Say when the events of the manifests in PATH... (files, or folders; - is standard input) are due.

    json: a list of {"schedule": "shop/thumbnails", "event": "nightly", "due": ["2026-11-21T01:30:00Z", ...]}, with
    "suspended": true where nothing is sent. Exits with 1 when a manifest has a fault; what runs all the same is shown.
    """
    gathered = gather(paths)
    after = SystemClock().now() if after is None else after
    rows = [row for schedule in gathered.schedules for row in _rows(schedule, after, count)]
    if output == "json":
        click.echo(json.dumps([_facts(row) for row in rows], indent=2))
    else:
        click.echo("\n\n".join("\n".join(_lines(row)) for row in rows))
    for told in gathered.faults:
        click.echo(str(told), err=True)
    sys.exit(1 if gathered.faults else 0)


def _rows(schedule: BeatSchedule, after: Ms, count: int) -> Iterator[Row]:
    for event in schedule.spec.events:
        zone = event.time_zone or schedule.spec.time_zone
        times = timetable.of(event, zone=zone, key=f"{schedule.key}/{event.name}")
        occurrences: list[Occurrence] = []
        while len(occurrences) < count and (following := times.next(occurrences[-1].due if occurrences else after)):
            occurrences.append(following)
        yield Row(schedule, event, zone, occurrences)


def _facts(row: Row) -> dict[str, object]:
    facts: dict[str, object] = {"schedule": row.schedule.key, "event": row.event.name, "due": [instants.text(one.due) for one in row.occurrences]}
    return facts | {"suspended": True} if row.suspended else facts


def _lines(row: Row) -> Iterator[str]:
    yield f"{row.schedule.key} {row.event.name}: {_when(row.event)}{', suspended: nothing is sent' if row.suspended else ''}"
    for due, fires in row.occurrences:
        wall = instants.to_datetime(due).astimezone(zones.zone(row.zone))
        utc = "" if row.zone == "UTC" else f"   {instants.text(due)}"
        yield f"  {wall:%a %Y-%m-%d %H:%M:%S}{_fraction(due)} {_offset(wall.strftime('%z'))} {row.zone}{utc}" + _jitter(row.event, fires - due)
    if not row.occurrences:
        yield "  never again"


def _when(event: Event) -> str:
    if event.cron is not None:
        return f"cron {event.cron}"
    return f"every {durations.text(event.every)}" if event.every is not None else "once"


def _fraction(due: Ms) -> str:
    return f".{due % 1000:03d}" if due % 1000 else ""


def _offset(digits: str) -> str:
    return f"{digits[:3]}:{digits[3:5]}"


def _jitter(event: Event, delay: Ms) -> str:
    return f"   sent {durations.text(delay)} later (jitter)" if event.jitter else ""
