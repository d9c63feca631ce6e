"""Where the tests on a whole node run, what is said where they don't, and what is left behind: nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import cluster_programs, node_images, node_tools
from support.cluster_programs import KUBERNETES, NODE, Unavailable
from support.tree import ROOT
from support.waiting import until

HERE = os.environ | {"PYTHONPATH": str(ROOT / "tests")}


def outside(**variables: str) -> subprocess.CompletedProcess[str]:
    """pytest on them, in no room."""
    kept = {name: value for name, value in os.environ.items() if name not in ("CHANNELBEAT_ROOM", "REQUIRE", "PYTEST_ADDOPTS")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/e2e"]
    return subprocess.run(command, cwd=ROOT, env={**kept, **variables}, capture_output=True, text=True, check=False)


def test_they_are_left_out_with_a_closing_line() -> None:
    done = outside()
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
    assert [line for line in done.stdout.splitlines() if "tests on a whole node did not run: " in line]


def test_where_they_could_run_and_are_required_that_is_a_failure() -> None:
    done = outside(REQUIRE="cluster,e2e")
    if node_tools.hindrance():
        assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
    else:
        assert "REQUIRE=e2e, but this is no room of its own: `make e2e` makes one" in done.stderr + done.stdout
        assert done.returncode == pytest.ExitCode.USAGE_ERROR


def test_where_they_cannot_run_the_line_says_why(tmp_path: Path) -> None:
    done = outside(REQUIRE="cluster,e2e", PATH=str(tmp_path))
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
    assert [line for line in done.stdout.splitlines() if "did not run: nobody can make namespaces here" in line or "did not run: it takes" in line]


def test_what_is_not_installed_is_named_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(Unavailable, match=r"not installed: .*buildah.* Type: apt-get update && apt-get install .*buildah"):
        node_tools.provide(print)


def test_a_nodes_programs_are_of_its_control_planes_version_and_not_built_with_it() -> None:
    assert NODE.version == KUBERNETES.version
    assert f"{NODE.main} v{NODE.version} h1:" in (NODE.folder / "go.sum").read_text()
    assert all(package in (NODE.folder / "go.mod").read_text() for package in NODE.programs.values())
    assert NODE.programs.keys() & cluster_programs.SOURCES.keys() == set()


def test_the_operators_image_is_called_as_the_chart_calls_it() -> None:
    chart = (ROOT / "helm/channelbeat/Chart.yaml").read_text()
    assert f'appVersion: "{node_images.OPERATOR.rpartition(":")[2]}"' in chart or f"appVersion: {node_images.OPERATOR.rpartition(':')[2]}" in chart


def test_a_room_is_removed_when_its_owner_is_killed(tmp_path: Path) -> None:
    room = tmp_path / "room"
    (room / "tmp").mkdir(parents=True)
    owner = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-m', 'support.node_room', '--janitor', sys.argv[1]], stdin=subprocess.PIPE, start_new_session=True)\n"
        "print('here', flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", owner, str(room)], env=HERE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"here\n"
        assert room.exists()
        process.kill()
    until(lambda: not room.exists(), 30, what="the room removed", every=0.05)
