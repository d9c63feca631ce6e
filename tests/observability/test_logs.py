"""The operator's own log: what a line looks like, whom it never holds up, and what is never in it."""

import fcntl
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from channelbeat.observability import lines, logs
from channelbeat.observability.lines import Lines
from channelbeat.observability.repeats import AGAIN, NO_ANSWER, REFUSED, Repeats
from support.waiting import until

URL = "redis://ops:s3cret@redis:6379/0"


class Written:
    """The reading end of a log."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def all(self) -> str:
        """What is there now."""
        os.set_blocking(self.descriptor, False)
        found = b""
        while True:
            try:
                piece = os.read(self.descriptor, 1 << 20)
            except BlockingIOError:
                return found.decode()
            if not piece:
                return found.decode()
            found += piece

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.all().splitlines()]


@contextmanager
def piped() -> Iterator[tuple[Written, int]]:
    reading, writing = os.pipe()
    try:
        yield Written(reading), writing
    finally:
        os.close(reading)
        os.close(writing)


def said(style: logs.Style, *args: Any, level: int = logging.WARNING, name: str = "channelbeat.x", **options: Any) -> str:
    with piped() as (written, descriptor):
        with logs.set_up(style, "debug", descriptor=descriptor):
            logging.getLogger(name).log(level, *args, **options)
        return written.all()


def test_a_line_of_json_has_these_keys() -> None:
    extra = {"namespace": "shop", "schedule": "thumbnails", "event": "new", "run": None, "latenessMs": 0, "ref": "a library's own"}
    [line] = said("json", "late by %d ms", 7, extra=extra).splitlines()
    found = json.loads(line)
    assert found.pop("time")
    assert found == {
        "level": "warning",
        "logger": "channelbeat.x",
        "message": "late by 7 ms",
        "namespace": "shop",
        "schedule": "thumbnails",
        "event": "new",
        "latenessMs": 0,
    }


def test_a_line_of_text_is_for_people() -> None:
    line = said("text", "late by %d ms", 7, extra={"namespace": "shop"})
    assert line.endswith("Z warning channelbeat.x: late by 7 ms\n")


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize(("created", "shown"), [(1_795_221_402.007, "2026-11-21T00:36:42.007Z"), (1_795_221_402.0, "2026-11-21T00:36:42.000Z")])
def test_the_time_is_in_utc_with_milliseconds(style: logs.Style, created: float, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(*args: Any, **options: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **options)
        record.created = created
        return record

    monkeypatch.setattr(logging, "_logRecordFactory", make)
    assert shown in said(style, "x")


@pytest.mark.parametrize("style", ["json", "text"])
def test_no_password_is_written(style: logs.Style) -> None:
    try:
        raise OSError(f"cannot reach {URL}")
    except OSError:
        line = said(style, "trouble with %s and https://u:s3cret@api:6443?password=s3cret", URL, exc_info=True)
    assert "redis://***@redis:6379/0" in line
    assert "OSError: cannot reach redis://***@" in line
    assert "s3cret" not in line


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize("fault", [("%d words", "two"), ("%s and %s", "one")])
def test_a_line_that_cannot_be_written_harms_no_other(style: logs.Style, fault: tuple[Any, ...]) -> None:
    with piped() as (written, descriptor):
        log = logs.set_up(style, "info", descriptor=descriptor)
        logging.getLogger("channelbeat.x").warning(*fault)
        logging.getLogger("channelbeat.x").warning("\ud800 half a letter")
        logging.getLogger("channelbeat.x").warning("the next")
        log.close()
        first, _, last = written.all().splitlines()
    assert fault[0] in first
    assert "the next" in last


def test_a_line_is_a_line_whatever_is_in_it() -> None:
    [line] = said("json", "one\ntwo\u2028three").splitlines()
    assert json.loads(line)["message"] == "one\ntwo\u2028three"


def test_what_it_speaks_of_is_written_as_it_was() -> None:
    with piped() as (written, descriptor):
        log = logs.set_up("text", "info", descriptor=descriptor)
        things = ["before"]
        for _ in range(100):
            logging.getLogger("channelbeat.x").warning("%s", things)
        things[0] = "after"
        log.close()
        assert "after" not in written.all()


def test_only_the_level_and_above() -> None:
    with piped() as (written, descriptor):
        log = logs.set_up("json", "warning", descriptor=descriptor)
        logging.getLogger("channelbeat.x").info("no")
        logging.getLogger("channelbeat.x").error("yes")
        log.close()
        assert [line["level"] for line in written.objects()] == ["error"]


@pytest.mark.parametrize("name", ["kopf.objects", "kopf._core.reactor.queueing", "aiohttp.access", "asyncio"])
def test_libraries_are_heard_from_warnings_on(name: str) -> None:
    assert said("json", "chatter", level=logging.INFO, name=name) == ""
    assert "trouble" in said("json", "trouble", level=logging.WARNING, name=name)


def test_warnings_are_lines_too() -> None:
    with piped() as (written, descriptor), warnings.catch_warnings():
        warnings.simplefilter("always")
        log = logs.set_up("json", "info", descriptor=descriptor)
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
        log.close()
        [line] = written.objects()
    assert line["logger"] == "py.warnings"
    assert "old ways" in line["message"]


def test_closed_it_is_as_before() -> None:
    root, kopf = logging.getLogger(), logging.getLogger("kopf")
    kopf.setLevel(logging.INFO)
    before = (root.level, [*root.handlers], kopf.level, warnings.showwarning)
    logs.set_up("json", "error", descriptor=os.open(os.devnull, os.O_WRONLY)).close()
    assert (root.level, [*root.handlers], kopf.level, warnings.showwarning) == before


def test_a_reader_that_stalls_holds_up_nobody_and_is_told_what_it_missed() -> None:
    with piped() as (written, descriptor):
        pipe = fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 4_096)
        handler = Lines(logging.Formatter("%(message)s"), descriptor=descriptor, room=100)
        record = logging.LogRecord("x", logging.INFO, __file__, 1, "y" * 100, None, None)
        for _ in range(1_000):  # the pipe takes some forty, and the list a hundred
            handler.handle(record)
        found = ""

        def all_accounted_for() -> bool:
            nonlocal found
            found += written.all()
            missing = re.findall(r"^([0-9,]+) lines of the log were left out", found, re.MULTILINE)
            return found.count("y" * 100) + sum(int(number.replace(",", "")) for number in missing) == 1_000

        until(all_accounted_for)
        assert pipe // 100 <= found.count("y" * 100) < 400
        handler.handle(record)
        handler.close()
        assert written.all() == "y" * 100 + "\n"


def test_a_reader_that_stalls_does_not_keep_us_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LAST_WORD", 0.05)
    with piped() as (written, descriptor):
        handler = Lines(logging.Formatter("%(message)s"), descriptor=descriptor)
        for _ in range(2_000):
            handler.handle(logging.LogRecord("x", logging.INFO, __file__, 1, "y" * 100, None, None))
        handler.close()
        until(lambda: written.all() == "" or not handler._thread.is_alive())  # let it end before its pipe is closed


def test_a_reader_that_is_gone_harms_nobody() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    handler = Lines(logging.Formatter("%(message)s"), descriptor=writing)
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "y", None, None)
    handler.handle(record)
    until(lambda: not handler._thread.is_alive())
    handler.handle(record)
    handler.close()
    os.close(writing)


class Complaints:
    """A library's lines, as they pass at a time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._repeats = Repeats(lambda: self.now)

    def __call__(self, message: str, name: str = "kopf._cogs.clients.api", fault: type[Exception] | None = None) -> str | None:
        exc_info = (fault, fault(), None) if fault is not None else None
        record = logging.LogRecord(name, logging.ERROR, __file__, 1, message, None, exc_info)
        return record.getMessage() if self._repeats.filter(record) else None


def failed(attempt: int) -> str:
    return f"Request attempt #{attempt}/9 failed; will retry: GET https://10.0.0.1/apis/x?resourceVersion={attempt} -> ClientConnectorError({attempt})"


def test_a_complaint_passes_when_it_begins_and_then_once_a_minute() -> None:
    complaints, passed = Complaints(), []
    for attempt in range(130):  # one a second
        passed.append(complaints(failed(attempt)))
        complaints.now += 1
    assert [second for second, line in enumerate(passed) if line is not None] == [0, AGAIN, 2 * AGAIN]
    assert passed[0] == NO_ANSWER
    assert passed[60] == f"{NO_ANSWER} (and 59 more like it since this was last said)"


def test_complaints_of_another_kind_pass() -> None:
    complaints = Complaints()
    assert complaints(failed(1))
    assert complaints("Watching is broken: x")
    assert complaints(failed(1), name="kopf.other")
    assert complaints("Task exception was never retrieved", name="asyncio", fault=ValueError)
    assert complaints("Task exception was never retrieved", name="asyncio", fault=KeyError)
    assert complaints("Task exception was never retrieved", name="asyncio", fault=KeyError) is None


def test_a_watch_without_an_answer_is_a_warning_without_its_address() -> None:
    found = json.loads(said("json", failed(1), level=logging.ERROR, name="kopf._cogs.clients.api"))
    assert (found["level"], found["message"]) == ("warning", NO_ANSWER)
    refused = json.loads(said("json", "Request attempt #2 failed; will retry: GET https://x -> APIForbiddenError(1)", name="kopf._cogs.clients.api"))
    assert refused["message"] == REFUSED


def test_our_own_lines_all_pass() -> None:
    complaints = Complaints()
    assert complaints("the same", name="channelbeat.leader")
    assert complaints("the same", name="channelbeat.leader")


def test_the_log_has_that_filter() -> None:
    with piped() as (written, descriptor):
        log = logs.set_up("json", "info", descriptor=descriptor)
        for attempt in range(10):
            logging.getLogger("kopf._cogs.clients.api").error(failed(attempt))
        log.close()
        assert len(written.objects()) == 1
