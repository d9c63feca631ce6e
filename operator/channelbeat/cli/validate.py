"""`channelbeat validate`"""

import json
import sys
from pathlib import Path

import click

from channelbeat.cli.gathering import Gathered, gather
from channelbeat.core.schedule import BeatSchedule


@click.command("validate")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(paths: tuple[Path, ...], output: str) -> None:
    """Check the manifests in PATH... (files, or folders; - is standard input), as file:document: path: sentence.

    Exits with 1 when there is a fault.
    """
    gathered = gather(paths)
    if output == "json":
        click.echo(json.dumps(_facts(gathered), indent=2))
    else:
        for told in gathered.faults:
            click.echo(str(told))
        click.echo(_summary(gathered))
    sys.exit(1 if gathered.faults else 0)


def _facts(gathered: Gathered) -> dict[str, object]:
    return {
        "good": sorted(one.key for one in _good(gathered)),
        "faults": [
            {"file": told.found.file, "document": told.found.document, "line": told.found.line, "path": told.fault.path, "fault": told.fault.what}
            for told in gathered.faults
        ],
    }


def _summary(gathered: Gathered) -> str:
    good = _good(gathered)
    events = sum(len(schedule.spec.events) for schedule in good)
    faulty = len(gathered.found) - len(good)
    return f"{_number(len(good), 'schedule')} with {_number(events, 'event')} without a fault" + (f", {_number(faulty, 'other')}" if faulty else "")


def _good(gathered: Gathered) -> list[BeatSchedule]:
    faulty = {id(told.found) for told in gathered.faults}
    return [one.parsed.schedule for one in gathered.found if one.parsed.schedule and id(one) not in faulty]


def _number(number: int, of: str) -> str:
    return f"{number} {of}{'' if number == 1 else 's'}"
