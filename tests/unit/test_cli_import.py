"""`channelbeat import`: beatserver's file becomes manifests, and what does not is said."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from channelbeat import documents
from channelbeat.cli.root import root
from channelbeat.core.parse import parse
from channelbeat.errors import UsageError
from channelbeat.importers import beatserver

DOCUMENTED = """
from datetime import timedelta

BEAT_SCHEDULE = {
    'testing-print': [
        {
            # will call test_print method of PrintConsumer
            'type': 'test.print',
            # message to pass to the consumer
            'message': {'testing': 'one'},
            # Every 5 seconds
            'schedule': timedelta(seconds=5)
        },
        {
            'type': 'test.print',
            'message': {'testing': 'two'},
            # Precisely at 3AM on Monday
            'schedule': '0 3 * * 1'
        },
    ]
}
"""


def imported(folder: Path, text: str) -> Result:
    (folder / "beatconfig.py").write_text(text)
    return CliRunner().invoke(root, ["import", "beatserver", str(folder / "beatconfig.py")])


def test_the_documented_example(tmp_path: Path) -> None:
    done = imported(tmp_path, DOCUMENTED)
    assert done.exit_code == 0
    (document,) = documents.read(done.stdout)
    assert document.value == {
        "apiVersion": "channelbeat.dev/v1alpha1",
        "kind": "BeatSchedule",
        "metadata": {"name": "testing-print"},
        "spec": {
            "channel": "testing-print",
            "events": [
                {"name": "test-print", "type": "test.print", "every": "5s", "message": {"testing": "one"}},
                {"name": "test-print-2", "type": "test.print", "cron": "0 3 * * 1", "message": {"testing": "two"}},
            ],
        },
    }
    assert done.stderr.startswith("beatserver sends each event once when it starts")


def test_the_file_may_import_from_its_project_and_what_it_prints_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "manage.py").touch()
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").touch()
    (tmp_path / "shop/names_of_channels.py").write_text("PRINT = 'testing-print'\n")
    done = imported(tmp_path / "shop", "from shop.names_of_channels import PRINT\nprint('hello')\n" + DOCUMENTED.replace("'testing-print'", "PRINT"))
    assert (done.exit_code, done.stdout.startswith("apiVersion:"), done.stderr.startswith("hello\n")) == (0, True, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("BEAT_SCHEDULE = {\n", ":1: SyntaxError: '{' was never closed"),
        ("import os\n1 / 0\n", ":2: ZeroDivisionError: division by zero; it must run by itself, as `python "),
        ("from nowhere import x\n", ":1: ModuleNotFoundError: No module named 'nowhere'"),
        ("raise SystemExit('no')\n", ":1: SystemExit: no"),
        ("", ": BEAT_SCHEDULE must be a dict of channels, it defines none; name the beatconfig.py that beatserver reads"),
        ("BEAT_SCHEDULE = []", ": BEAT_SCHEDULE must be a dict of channels, not a list"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, text: str, said: str) -> None:
    done = imported(tmp_path, text)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"beatconfig.py{said}" in done.stderr


def entry(**changes: object) -> dict[str, object]:
    return {"type": "test.print", "message": {"a": 1}, "schedule": timedelta(minutes=1)} | changes


def events(*entries: object) -> tuple[list[dict[str, Any]], list[str]]:
    found = beatserver.convert({"c": list(entries)}, "beatconfig.py")
    for manifest in found.manifests:
        assert parse(manifest).faults == ()
    return [event for manifest in found.manifests for event in manifest["spec"]["events"]], found.left_out


@pytest.mark.parametrize(
    ("what", "given", "event"),
    [
        ("an interval", entry(schedule=timedelta(days=1, milliseconds=250)), {"every": "24h250ms", "message": {"a": 1}}),
        ("a macro", entry(schedule="@hourly"), {"cron": "@hourly", "message": {"a": 1}}),
        ("a message that is no dict", entry(message="hello"), {"every": "1m", "fields": {"message": "hello"}}),
        ("none", entry(message=None), {"every": "1m", "fields": {"message": None}}),
        ("a tuple is a list on the wire", entry(message={"a": (1, (2,))}), {"every": "1m", "message": {"a": [1, [2]]}}),
        ("a key that `message` has no room for", entry(message={"true": 1}), {"every": "1m", "fields": {"message": {"true": 1}}}),
    ],
)
def test_what_is_carried_over(what: str, given: object, event: dict[str, Any]) -> None:
    assert events(given) == ([{"name": "test-print", "type": "test.print"} | event], []), what


LOOP: dict[str, object] = {}
LOOP["loop"] = LOOP


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (5, "must be a dict with type, message and schedule, not 5"),
        ({"channel_name": "c", "schedule": timedelta(1), "message": {}}, "type: is required"),
        (entry(type="_private"), "type: must be the name of a consumer's handler, such as generate or thumbnail.generate, not '_private'"),
        (entry(schedule=None), "schedule: must be a timedelta or a cron expression, not null"),
        (entry(schedule=60), "schedule: must be a timedelta or a cron expression, not 60"),
        (entry(schedule="0 3-3 * * *"), "schedule: a range must rise, such as 1-5; split one that wraps, such as 22-23,0-5 (the second field (hour) has 3-3)"),
        (entry(schedule=timedelta(milliseconds=1)), "schedule: must be a duration from 100ms to 8760h, such as 30s, 5m or 1h30m (a day is 24h), not '1ms'"),
        (entry(schedule=-timedelta(1)), "schedule: must be a duration from 100ms to 8760h, such as 30s, 5m or 1h30m (a day is 24h), not '-1 day, 0:00:00'"),
        (entry(message={"on": date(2026, 1, 1)}), "message: has a date at message.on; a message carries text, numbers, true, false, null, lists and objects"),
        (entry(message={1: 2}), "message: must have text as keys, not 1; quote the key"),
        (entry(message=LOOP), "message: contains itself, which no message can carry"),
    ],
)
def test_what_cannot_be_is_left_out_and_said(given: object, said: str) -> None:
    carried, left_out = events(entry(), given)
    assert len(carried) == 1
    assert left_out == [f"BEAT_SCHEDULE['c'][1]: {said}; left out"]


def test_a_channel_that_cannot_be_scheduled_to_is_left_out() -> None:
    found = beatserver.convert({"a!b": entry()}, "beatconfig.py")
    assert found.manifests == []
    assert found.left_out == [
        "BEAT_SCHEDULE['a!b']: channel: may contain letters, digits, '-', '_' and '.' only "
        "('!' marks a channel of one process, which cannot be scheduled to), not 'a!b'; left out"
    ]


def test_something_left_out_is_no_success(tmp_path: Path) -> None:
    done = imported(tmp_path, DOCUMENTED.replace("'0 3 * * 1'", "5"))
    assert (done.exit_code, len(list(documents.read(done.stdout)))) == (1, 1)


def test_names_are_made_of_theirs_each_once() -> None:
    found = beatserver.convert({"Thumbs.make": entry(), "thumbs_make": [entry()] * 101, "x" * 60: entry(type="T")}, "beatconfig.py")
    assert [manifest["metadata"]["name"] for manifest in found.manifests] == ["thumbs-make", "thumbs-make-2", "thumbs-make-3", "x" * 52]
    assert [len(manifest["spec"]["events"]) for manifest in found.manifests] == [1, 100, 1, 1]
    assert found.manifests[2]["spec"]["events"][0]["name"] == "test-print-101"


def test_a_key_that_beatserver_does_not_read_is_noted() -> None:
    found = beatserver.convert({"c": [entry(queue="x")]}, "beatconfig.py")
    assert found.notes[0] == "BEAT_SCHEDULE['c'][0]: 'queue' is nothing beatserver reads; left out"


def test_without_a_schedule_it_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        beatserver.convert(None, "beatconfig.py")
