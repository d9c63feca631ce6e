"""The command itself: its verbs, each imported when it is called, and how errors leave it.

Exit status: 0 done; 1 not done, or faults were found; 2 the command line or an input file cannot be used.
"""

import importlib
from typing import Final, NamedTuple

import click

from channelbeat import __version__
from channelbeat.errors import ChannelbeatError, UsageError


class Verb(NamedTuple):
    module: str
    extra: str
    help: str


VERBS: Final = {
    "local": Verb("local", "local", "Run schedules on this machine, with their workers."),
    "operator": Verb("operator_", "operator", "Run the schedules of a Kubernetes cluster."),
    "validate": Verb("validate", "engine", "Check manifests: every fault, with its place and its cure."),
    "next": Verb("next", "engine", "Say when events are due."),
    "trigger": Verb("trigger", "local", "Send an event now, through a running `channelbeat local`."),
    "why": Verb("why", "engine", "Say what became of a due time, and why."),
    "resume": Verb("resume", "engine", "End the pause of an event."),
    "runs": Verb("runs", "engine", "List runs of AtLeastOnce schedules, and what became of them."),
    "run": Verb("run", "engine", "Show one run, try a dead one again, or cancel one."),
    "import": Verb("import_", "engine", "Turn another scheduler's configuration into manifests."),
}


class Unusable(click.ClickException):
    """The command line or an input file cannot be used."""

    exit_code = 2


class Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        verb = VERBS[cmd_name]
        try:
            command: click.Command = importlib.import_module(f"channelbeat.cli.{verb.module}").command
        except ModuleNotFoundError as missing:
            if missing.name is None or missing.name.startswith("channelbeat"):
                raise
            raise click.ClickException(f"`{cmd_name}` needs {missing.name}, which is not installed: pip install 'channelbeat[{verb.extra}]'") from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ChannelbeatError as error:
            raise (Unusable if isinstance(error, UsageError) else click.ClickException)(str(error)) from None


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="channelbeat")
def root() -> None:
    """Typed events for Django Channels, on time, each enqueued exactly once."""
