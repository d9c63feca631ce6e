"""`channelbeat validate`"""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from channelbeat.cli.root import root

SCHEDULE = """
apiVersion: channelbeat.dev/v1alpha1
kind: BeatSchedule
metadata: {name: %s}
spec:
  channel: c
  events:
  - {name: a, type: t, every: %s}
  - {name: b, type: t, every: 1m}
"""
BAD_EVERY = "spec.events[0].every: must be a duration from 100ms to 8760h, such as 30s, 5m or 1h30m (a day is 24h), not '1d'"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(SCHEDULE % ("x", "1m") + "---" + SCHEDULE % ("w", "1m"))
    (tmp_path / "bad.yaml").write_text("kind: Deployment\n---" + SCHEDULE % ("z", "1d") + "---\na: [\n")
    return tmp_path


def validate(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(root, ["validate", *arguments], input=stdin)


def test_good_ones_are_one_line() -> None:
    done = validate("good.yaml")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "2 schedules with 4 events without a fault\n", "")


def test_every_fault_is_a_line_with_its_place() -> None:
    done = validate(".")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f"bad.yaml:2: {BAD_EVERY}",
        "bad.yaml:3: line 13: did not find expected node content; look at the indentation and the quotes there and above",
        "2 schedules with 4 events without a fault, 2 others",
    ]


def test_a_name_given_twice_is_told_with_both_places() -> None:
    done = validate("good.yaml", "-", stdin=SCHEDULE % ("w", "1m"))
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "-:1: metadata.name: default/w is also in good.yaml:2; rename one, or remove it",
        "2 schedules with 4 events without a fault, 1 other",
    ]


def test_json_says_the_same_to_programs() -> None:
    done = validate("bad.yaml", "good.yaml", "-o", "json")
    assert done.exit_code == 1
    facts = json.loads(done.stdout)
    assert facts["good"] == ["default/w", "default/x"]
    assert facts["faults"][0] == {"file": "bad.yaml", "document": 2, "line": 3, **dict(zip(("path", "fault"), BAD_EVERY.split(": ", 1), strict=True))}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.yaml"], "Error: nowhere.yaml: no such file or folder; name a manifest, or a folder with manifests\n"),
        (["-"], "Error: no BeatSchedule in -: a manifest has `kind: BeatSchedule`, in a file called *.yaml, *.yml or *.json\n"),
    ],
)
def test_nothing_to_look_at_is_no_success(arguments: list[str], said: str) -> None:
    done = validate(*arguments)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", said)
