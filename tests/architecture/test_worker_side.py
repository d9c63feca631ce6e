"""What a worker's image gets: Channels, channels-redis, redis and msgpack. The broker, and what it shares with the engine, need no more."""

import subprocess
import sys

import pytest

from support.tree import PACKAGE

EXTRAS = ["pydantic", "annotated_types", "click", "rich", "yaml", "tzdata", "cryptography", "prometheus_client", "kopf", "kubernetes"]


def without(*absent: str) -> str:
    """Code after which these packages are not installed."""
    return f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


LEAVES = ["core.instants", "core.occurrence", "core.outcomes", "core.envelope", "core.layer", "errors"]
BROKER = [f"broker.{source.stem}" for source in sorted((PACKAGE / "broker").glob("*.py")) if source.stem != "__init__"]


@pytest.mark.parametrize("module", LEAVES + BROKER)
def test_imports_without_the_extras(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"{without(*EXTRAS)}import channelbeat.{module}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import channelbeat; print(sorted(set(sys.modules) - before))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "['channelbeat']\n"


@pytest.mark.parametrize(
    ("absent", "verb", "cure"),
    [
        ("click", "--help", "pip install 'channelbeat[local]'"),
        ("pydantic", "validate", "pip install 'channelbeat[engine]'"),
        ("yaml", "next", "pip install 'channelbeat[engine]'"),
        ("rich", "local", "pip install 'channelbeat[local]'"),
    ],
)
def test_a_verb_says_what_to_install(absent: str, verb: str, cure: str) -> None:
    code = f"{without(absent)}sys.argv[1:] = [{verb!r}, '.']\nfrom channelbeat.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f"{absent}, which is not installed: {cure}") or done.stderr.endswith(f"{absent} is not installed: {cure}\n")
