"""`channelbeat next`"""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from channelbeat.cli.root import root

MANIFEST = """
apiVersion: channelbeat.dev/v1alpha1
kind: BeatSchedule
metadata: {name: thumbnails, namespace: shop}
spec:
  channel: c
  timeZone: Europe/Berlin
  events:
  - {name: nightly, type: t, cron: "30 2 * * *"}
  - {name: half, type: t, every: 500ms, suspend: true}
  - {name: launch, type: t, at: 2026-11-21T02:30:00Z}
  - {name: spread, type: t, cron: "0 0 * * *", timeZone: UTC, jitter: 1h}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(MANIFEST)


def following(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["next", *arguments])


def test_a_table_in_the_schedules_zone_and_utc() -> None:
    done = following("a.yaml", "--after", "2026-10-24T12:00:00Z", "--count", "2")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "shop/thumbnails nightly: cron 30 2 * * *\n"
        "  Sun 2026-10-25 02:30:00 +02:00 Europe/Berlin   2026-10-25T00:30:00Z\n"
        "  Mon 2026-10-26 02:30:00 +01:00 Europe/Berlin   2026-10-26T01:30:00Z\n"
        "\n"
        "shop/thumbnails half: every 500ms, suspended: nothing is sent\n"
        "  Sat 2026-10-24 14:00:00.500 +02:00 Europe/Berlin   2026-10-24T12:00:00.500Z\n"
        "  Sat 2026-10-24 14:00:01 +02:00 Europe/Berlin   2026-10-24T12:00:01Z\n"
        "\n"
        "shop/thumbnails launch: once\n"
        "  Sat 2026-11-21 03:30:00 +01:00 Europe/Berlin   2026-11-21T02:30:00Z\n"
        "\n"
        "shop/thumbnails spread: cron 0 0 * * *\n"
        "  Sun 2026-10-25 00:00:00 +00:00 UTC   sent 35m34s597ms later (jitter)\n"
        "  Mon 2026-10-26 00:00:00 +00:00 UTC   sent 59m18s525ms later (jitter)\n"
    )


def test_json_for_programs() -> None:
    done = following("a.yaml", "--after", "2026-11-21T02:30:00Z", "--count", "1", "-o", "json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == [
        {"schedule": "shop/thumbnails", "event": "nightly", "due": ["2026-11-22T01:30:00Z"]},
        {"schedule": "shop/thumbnails", "event": "half", "due": ["2026-11-21T02:30:00.500Z"], "suspended": True},
        {"schedule": "shop/thumbnails", "event": "launch", "due": []},
        {"schedule": "shop/thumbnails", "event": "spread", "due": ["2026-11-22T00:00:00Z"]},
    ]


def test_what_will_not_come_again_is_said() -> None:
    assert "shop/thumbnails launch: once\n  never again\n" in following("a.yaml", "--after", "2027-01-01T00:00:00Z").stdout


def test_without_a_moment_it_is_from_now_on() -> None:
    shown = json.loads(following("a.yaml", "-o", "json").stdout)
    assert [len(event["due"]) for event in shown if event["event"] != "launch"] == [5, 5, 5]


def test_what_runs_is_shown_beside_the_faults_of_the_rest(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MANIFEST.replace("500ms", "5ms"))
    done = following("a.yaml", "--count", "1", "-o", "json")
    assert (done.exit_code, [event["event"] for event in json.loads(done.stdout)]) == (1, ["nightly", "launch", "spread"])
    assert done.stderr.startswith("a.yaml:1: spec.events[1].every: must be a duration from 100ms")


@pytest.mark.parametrize(("moment", "said"), [("2026-11-21", "is no moment: write it with its offset"), ("now", "is no moment")])
def test_a_moment_needs_its_offset(moment: str, said: str) -> None:
    done = following("a.yaml", "--after", moment)
    assert (done.exit_code, said in done.stderr) == (2, True)
