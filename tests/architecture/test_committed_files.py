"""Nothing of the machine that made them is in the files, locks pin by hash, links lead somewhere, and the wheel is whole."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from support.tree import PACKAGE, ROOT, SCRIPTS, tracked

MACHINE = re.compile(r"(?<![\w.$}/-])/(?:root|work)/|\b(?:pypi\.org|pythonhosted\.org|crates\.io|npmjs\.\w+|proxy\.golang\.org|deb\.debian\.org|maven\.org)\b")
THIS = Path(__file__).resolve()
TEXTS = [file for file in tracked() if file.suffix not in {".jpg", ".png"} and file != THIS]
PAGES = [file for file in TEXTS if file.suffix == ".md"]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_no_file_names_a_registry_or_the_machine_it_was_made_on() -> None:
    assert {relative(file): found.group() for file in TEXTS if (found := MACHINE.search(file.read_text()))} == {}


@pytest.mark.parametrize("lock", LOCKS, ids=relative)
def test_a_lock_pins_everything_by_hash(lock: Path) -> None:
    pins = [line for line in lock.read_text().replace("\\\n", " ").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert pins
    assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_no_extra_installs_what_nothing_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {re.split(r"[^\w.-]", need)[0].lower() for extra in project["optional-dependencies"].values() for need in extra}
    modules = {"pyyaml": "yaml", "annotated-types": "annotated_types", "prometheus-client": "prometheus_client", "python-json-logger": "pythonjsonlogger"}
    found_by_name = {"channelbeat", "channels-redis", "tzdata"}  # our own extras, an extra of channels-redis, zoneinfo's data
    sources = "\n".join(file.read_text() for file in PACKAGE.rglob("*.py"))
    assert [name for name in sorted(named - found_by_name) if not re.search(rf"\b{modules.get(name, name)}\b", sources)] == []


def test_the_wheel_carries_the_scripts_and_the_licence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, capture_output=True, text=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    scripts = {str(script.relative_to(PACKAGE.parent)) for script in SCRIPTS}
    assert scripts | {"channelbeat/py.typed"} <= set(names)
    assert [name for name in names if name.endswith("LICENSE")]
