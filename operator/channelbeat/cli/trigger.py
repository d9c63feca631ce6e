"""`channelbeat trigger`"""

import json
import sys
from pathlib import Path

import click

from channelbeat.cli.parameters import TIME
from channelbeat.core.instants import Ms
from channelbeat.core.outcomes import Kind
from channelbeat.running import control, instance


@click.command("trigger")
@click.argument("schedule")
@click.argument("event")
@click.option("--token", type=TIME, help="Names the trigger: the same token is carried out once, ever. Default: now.")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder of the running instance. Default: the nearest, or the only one."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(schedule: str, event: str, token: Ms | None, data: Path | None, output: str) -> None:
    """Send EVENT of SCHEDULE now, through the `channelbeat local` that runs, and say what became of it.

    SCHEDULE is NAMESPACE/NAME; NAME alone is default/NAME. Exits with 1 when the trigger is not carried out.
    """

    def slow() -> None:
        click.echo(f"It waits: the channel is full, or its Redis cannot be used now (channelbeat why {schedule} {event}). Ctrl-C withdraws it.", err=True)

    asked = {"verb": "trigger", "schedule": schedule, "event": event, "token": token}
    outcome = control.ask(instance.running(data, Path.cwd()), asked, slow=slow)
    if output == "json":
        click.echo(json.dumps(outcome))
    else:
        why = f" ({outcome['reason']})" if outcome["reason"] else ""
        said = outcome["note"] or outcome["run"]
        click.echo(f"{outcome['schedule']} {outcome['event']} {outcome['outcome']}{why}{f': {said}' if said else ''}")
    sys.exit(0 if outcome["outcome"] == Kind.ENQUEUED else 1)
