"""The example's Dockerfile, without building it: what goes in is copied, locked as it was tested, and runs as nobody."""

import re
from typing import Final

from support.tree import ROOT

FILE: Final = ROOT / "examples/thumbnails/Dockerfile"
LINES: Final = [line for line in re.sub(r"\\\n\s*", "", FILE.read_text()).splitlines() if line and not line.startswith("#")]
LET_IN: Final = {line[1:] for line in FILE.with_name("Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}


def pins(lock: str) -> set[tuple[str, str]]:
    return set(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / lock).read_text(), re.MULTILINE))


def test_everything_it_copies_is_let_in_and_nothing_else() -> None:
    copied = {source for line in LINES if line.startswith("COPY ") and "--from" not in line for source in line.split()[1:-1]}
    assert copied == LET_IN
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_everything_is_installed_by_hash_or_from_here() -> None:
    installs = [part for line in LINES if line.startswith("RUN ") for part in line.split("&&") if "pip install" in part]
    assert len(installs) == 3
    assert [part for part in installs if "--require-hashes" not in part and "--no-index --no-deps" not in part] == []


def test_it_gets_the_versions_that_were_tested() -> None:
    assert pins("thumbnails.txt") <= pins("dev.txt")


def test_it_runs_as_nobody() -> None:
    assert [line for line in LINES if line.startswith("USER")] == ["USER 65532:65532"]
