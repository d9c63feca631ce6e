"""The Dockerfile, without building it: what goes in is copied, locked as it was tested, and runs as nobody."""

import re
import tomllib
from pathlib import Path
from typing import Final

from support.tree import ROOT

LINES: Final = [line for line in re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines() if line and not line.startswith("#")]
LET_IN: Final = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def words(instruction: str) -> list[list[str]]:
    return [line.split()[1:] for line in LINES if line.split()[0] == instruction]


def pins(lock: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / lock).read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def test_everything_it_copies_is_let_in_and_nothing_else() -> None:
    copied = {source for typed in words("COPY") if not typed[0].startswith("--from") for source in typed[:-1]}
    assert copied == set(LET_IN)
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_what_the_wheel_is_made_of_is_let_in() -> None:
    made_of = {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml", "operator"}
    assert made_of <= {Path(source).parts[0] for source in LET_IN}


def test_it_runs_as_nobody_and_calls_the_operator() -> None:
    assert words("USER") == [["65532:65532"]]
    assert words("STOPSIGNAL") == [["SIGTERM"]]
    assert words("ENTRYPOINT") == [['["channelbeat"]']]
    assert words("CMD")[0][0] == '["operator",'


def test_everything_is_installed_by_hash_or_from_here() -> None:
    installs = [part for line in LINES if line.startswith("RUN ") for part in line.split("&&") if "pip install" in part]
    assert len(installs) == 3
    assert [part for part in installs if "--require-hashes" not in part and "--no-index --no-deps" not in part] == []


def test_the_image_gets_the_versions_that_were_tested() -> None:
    tested = pins("dev.txt")
    for lock in ("operator.txt", "build.txt"):
        assert {name: versions for name, versions in pins(lock).items() if not versions <= tested.get(name, set())} == {}


def test_the_image_gets_all_that_the_operator_needs() -> None:
    extras = PROJECT["optional-dependencies"]
    needs = [*PROJECT["dependencies"], *extras["engine"], *extras["operator"], "cryptography"]  # layers may be encrypted
    named = {re.split(r"[\[<>=;, ]", need)[0] for need in needs} - {"channelbeat"}
    assert named <= pins("operator.txt").keys()
