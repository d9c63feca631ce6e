"""`channelbeat why`"""

import json
from pathlib import Path

import click

from channelbeat.cli.parameters import TIME
from channelbeat.core.instants import Ms
from channelbeat.running import control, instance


@click.command("why")
@click.argument("schedule")
@click.argument("event")
@click.argument("time", required=False, type=TIME)
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder of the running instance. Default: the nearest, or the only one."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(schedule: str, event: str, time: Ms | None, data: Path | None, output: str) -> None:
    """What became of EVENT of SCHEDULE due at TIME (without TIME: of its latest due times), from the channelbeat that runs here.

    SCHEDULE is NAMESPACE/NAME; NAME alone is default/NAME. TIME is like 2026-11-21T01:30:00Z.
    """
    answer = control.ask(instance.running(data, Path.cwd()), {"verb": "why", "schedule": schedule, "event": event, "due": time})
    click.echo(json.dumps({**answer["facts"], "sentences": answer["sentences"]}) if output == "json" else "\n".join(answer["sentences"]))
