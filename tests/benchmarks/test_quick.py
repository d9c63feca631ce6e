"""Each benchmark runs, with a few events and without the peers; what it measures then is not looked at."""

import subprocess
import sys

import pytest
from benchmarks.__main__ import BENCHMARKS

from support.tree import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_it_runs_and_prints_a_table(name: str) -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks", "--quick", name], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\n## " in done.stdout
    assert "nan" not in done.stdout
    assert "inf" not in done.stdout
