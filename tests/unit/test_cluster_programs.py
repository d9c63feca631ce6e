"""Where the tests' cluster comes from, and what is said where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import cluster_programs
from support.tree import ROOT


def test_each_program_is_of_the_version_that_its_module_pins() -> None:
    versions = {module.name: module.version for module in cluster_programs.SOURCES.values()}
    assert versions.keys() == {"etcd", "kubernetes", "helm"}
    assert all(version.count(".") == 2 and version.replace(".", "").isdigit() for version in versions.values())
    assert f"gitVersion=v{versions['kubernetes']} " in cluster_programs.KUBERNETES.flags


@pytest.mark.parametrize("module", {module.name: module for module in cluster_programs.SOURCES.values()}.values(), ids=lambda module: module.name)
def test_a_module_is_locked_with_hashes(module: cluster_programs.Module) -> None:
    assert f"{module.main} v{module.version} h1:" in (module.folder / "go.sum").read_text()
    assert all(package in (module.folder / "go.mod").read_text() for package in module.programs.values())


def test_programs_of_kubebuilder_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etcd").touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setattr(cluster_programs, "CACHE", tmp_path / "nothing")
    assert cluster_programs.find("etcd") == tmp_path / "etcd"
    assert cluster_programs.find("helm") is None


def bare(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """pytest on a machine with an empty cache, no Go, and no network."""
    missing = {name: value for name, value in os.environ.items() if name not in ("KUBEBUILDER_ASSETS", "REQUIRE", "PYTEST_ADDOPTS")}
    environment = missing | {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "UV_OFFLINE": "1", **variables}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/cluster/test_resource.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_without_go_and_network_one_closing_line_says_so(tmp_path: Path) -> None:
    done = bare(tmp_path)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "with a cluster" in line]
    assert "did not run (REQUIRE=cluster makes that a failure): no Go 1.26 or later is here, and its wheel cannot be had" in line
    assert line.endswith("install Go, or connect")


def test_where_a_cluster_is_required_that_is_a_failure(tmp_path: Path) -> None:
    done = bare(tmp_path, REQUIRE="cluster,e2e")
    assert done.returncode != 0
    assert "REQUIRE=cluster, but no Go 1.26 or later is here" in done.stderr + done.stdout
