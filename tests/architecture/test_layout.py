"""The tree itself."""

import ast
import subprocess
import sys
from collections import Counter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from support.tree import PACKAGE, ROOT, SCRIPTS, SOURCES

LONGEST = 250  # lines that can be read in one sitting
OURS = {"channelbeat", "__main__", "__init__"}


def test_the_folder_operator_is_no_package() -> None:
    assert not (ROOT / "operator/__init__.py").exists(), "operator is a stdlib module: operator/__init__.py would shadow it for anything run from here"


def test_the_standard_operator_is_imported_from_the_root() -> None:
    found = subprocess.run([sys.executable, "-c", "import operator; print(operator.itemgetter(0)('x'))"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "x\n"


def test_no_module_is_named_like_one_it_could_shadow() -> None:
    names = {source.stem for source in SOURCES} | {source.parent.name for source in SOURCES}
    assert names & (set(sys.stdlib_module_names) | packages_distributions().keys()) - OURS == set()


@pytest.mark.parametrize("file", SOURCES + SCRIPTS, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_reads_in_one_sitting(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(PACKAGE)))
def test_a_module_says_what_it_is_for(source: Path) -> None:
    tree = ast.parse(source.read_text())
    assert not tree.body or source.name == "__main__.py" or ast.get_docstring(tree)


def test_each_guard_of_the_scripts_has_a_name_of_its_own() -> None:
    guards = Counter(line.partition("-- guard:")[2].strip() for script in SCRIPTS for line in script.read_text().splitlines() if "-- guard:" in line)
    assert guards, "the scripts' protections are marked `-- guard: NAME`, so that a test can take each out"
    assert {name: times for name, times in guards.items() if times > 1 or not name} == {}
