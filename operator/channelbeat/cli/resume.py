"""`channelbeat resume`"""

import sys
from pathlib import Path

import click

from channelbeat.running import control, instance


@click.command("resume")
@click.argument("schedule")
@click.argument("event")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder of the running instance. Default: the nearest, or the only one."
)
def command(schedule: str, event: str, data: Path | None) -> None:
    """End the pause of EVENT of SCHEDULE, which began after too many dead runs in a row, through the channelbeat that runs here.

    SCHEDULE is NAMESPACE/NAME; NAME alone is default/NAME. Exits with 1 when it is not paused.
    """
    answer = control.ask(instance.running(data, Path.cwd()), {"verb": "resume", "schedule": schedule, "event": event})
    click.echo(f"{control.key(schedule)} {event} {'resumed' if answer['resumed'] else 'is not paused'}")
    sys.exit(0 if answer["resumed"] else 1)
