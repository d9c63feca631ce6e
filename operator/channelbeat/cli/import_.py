"""`channelbeat import`"""

import contextlib
import runpy
import sys
from pathlib import Path
from typing import Any

import click

from channelbeat import documents
from channelbeat.errors import UsageError
from channelbeat.importers import beatserver as source


@click.group("import")
def command() -> None:
    """Turn another scheduler's configuration into manifests, on standard output."""


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def beatserver(file: Path) -> None:
    """FILE is a beatconfig.py with BEAT_SCHEDULE. It is run as Python.

    One BeatSchedule a channel; what cannot be carried over is said on standard error. Exits with 1 when an event was
    left out.
    """
    imported = source.convert(_run(file).get("BEAT_SCHEDULE"), str(file))
    for note in (*imported.left_out, *imported.notes):
        click.echo(note, err=True)
    click.echo(documents.write(imported.manifests), nl=False)
    sys.exit(1 if imported.left_out else 0)


def _run(file: Path) -> dict[str, Any]:
    """The names that the file defines. What it prints goes to standard error; it may import from its project."""
    folders = [str(folder) for folder in (file.resolve().parent, _project(file.resolve().parent))]
    sys.path[:0] = folders
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return runpy.run_path(str(file), run_name="beatconfig")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - somebody else's code
        raise UsageError(
            f"{file}{_line(error, file)}: {type(error).__name__}: {error}; it must run by itself, as `python {file}` does"
            " (set DJANGO_SETTINGS_MODULE if it needs Django's settings)"
        ) from None
    finally:
        del sys.path[: len(folders)]


def _project(folder: Path) -> Path:
    """The nearest folder with a manage.py, else the one above, where the package of `folder` would be found."""
    return next((above for above in (folder, *folder.parents) if (above / "manage.py").exists()), folder.parent)


def _line(error: BaseException, file: Path) -> str:
    """The line of the file at which it failed, as `:7`."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}" if error.lineno else ""
    line, trace = 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f":{line}" if line else ""
