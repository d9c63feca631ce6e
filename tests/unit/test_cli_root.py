"""The command itself: its verbs, and how it ends."""

import subprocess
import sys
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from channelbeat.cli import root as module
from channelbeat.errors import ChannelbeatError, UsageError

HIDING = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = ["channelbeat", *{arguments!r}]
from channelbeat.cli import main
main()
"""


def run(*arguments: str, hidden: set[str] | None = None) -> subprocess.CompletedProcess[str]:
    code = HIDING.format(hidden=hidden or set(), arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_verbs_are_listed_without_their_libraries() -> None:
    listed = run("--help", hidden={"yaml", "pydantic", "rich", "watchfiles", "redis"})
    assert listed.returncode == 0
    verbs = [line.split()[0] for line in listed.stdout.partition("Commands:\n")[2].splitlines()]
    assert verbs == ["local", "operator", "validate", "next", "trigger", "why", "resume", "runs", "run", "import"]


@pytest.mark.parametrize("verb", module.VERBS)
def test_each_verb_is_there_and_has_help(verb: str) -> None:
    command = import_module(f"channelbeat.cli.{module.VERBS[verb].module}").command
    assert (command.name, bool(command.help)) == (verb, True)


@pytest.mark.parametrize(
    ("arguments", "hidden", "said"),
    [
        (["validate", "."], "yaml", "Error: `validate` needs yaml, which is not installed: pip install 'channelbeat[engine]'\n"),
        (["next", "."], "pydantic", "Error: `next` needs pydantic, which is not installed: pip install 'channelbeat[engine]'\n"),
        (["--help"], "click", "channelbeat: click is not installed: pip install 'channelbeat[local]'\n"),
    ],
)
def test_a_library_that_is_missing_is_answered_with_what_installs_it(arguments: list[str], hidden: str, said: str) -> None:
    done = run(*arguments, hidden={hidden})
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize(("error", "status"), [(ChannelbeatError("the fault and the cure"), 1), (UsageError("the fault and the cure"), 2)])
def test_an_error_of_ours_is_its_message_and_a_status(error: ChannelbeatError, status: int) -> None:
    @click.command()
    def failing() -> None:
        raise error

    group = module.Verbs()
    group.get_command = lambda ctx, cmd_name: failing  # type: ignore[method-assign]
    done = CliRunner().invoke(group, ["failing"])
    assert (done.exit_code, done.stderr) == (status, "Error: the fault and the cure\n")


@pytest.mark.parametrize("arguments", [["nonsense"], ["validate"], ["next", "--count", "0", "x"], ["validate", "--nonsense"]])
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(module.root, arguments).exit_code == 2
