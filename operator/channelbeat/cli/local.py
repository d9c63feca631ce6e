"""`channelbeat local`"""

from pathlib import Path
from typing import Literal

import click

from channelbeat.cli.parameters import DURATION
from channelbeat.core.instants import Ms
from channelbeat.local import app

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("local")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--app",
    "project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The Django project. Default: the nearest folder at or above PATH that has a manage.py.",
)
@click.option("--redis", metavar="URL", help="A Redis to use. Default: one that is started here and keeps its data in the data folder.")
@click.option("--layers", type=FILE, help="A YAML map of layer names to their settings. Default: one layer, called default.")
@click.option("--data", type=FOLDER, help="The data folder. Default: .channelbeat beside PATH.")
@click.option("--no-workers", is_flag=True, help="Send events only.")
@click.option("--for", "lasts", type=DURATION, help="Stop after this time, as in 30s.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="json: an object for each outcome.")
def command(
    paths: tuple[Path, ...],
    project: Path | None,
    redis: str | None,
    layers: Path | None,
    data: Path | None,
    no_workers: bool,
    lasts: Ms | None,
    output: Literal["text", "json"],
) -> None:
    """Run the schedules in PATH... (files, or folders with manifests) on this machine, with their workers.

    Changed files are taken up while running. Ctrl-C stops; a second one hurries.
    """
    app.run(app.Config(paths=paths, app=project, redis=redis, layers=layers, data=data, workers=not no_workers, lasts=lasts, output=output))
