"""What people and programs read, and that a reader who stalls holds nothing up."""

import json
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console as Terminal

from channelbeat.core import instants
from channelbeat.core.outcomes import Kind, Notice, Outcome, Reason, Sign
from channelbeat.core.runs import Finished, State, Stats
from channelbeat.local.board import Board, Row
from channelbeat.local.console import Console, Last, Style, as_json, as_loss, as_text
from channelbeat.local.output import Output, Piece, Plain
from channelbeat.local.processes import State as Worker
from channelbeat.local.screen import table
from channelbeat.local.workers import Place
from support.waiting import until

ENDED = "channelbeat: layer 'default' could not be sent to at the end: what falls due there is decided when it can"
DUE = instants.parse("2026-11-21T01:30:00Z")
SENT = Outcome("shop/a", "tick", DUE, Kind.ENQUEUED, DUE + 4, lateness=4, run="shop/a/tick/2026-11-21T01:30:00Z")
MISSED = Outcome("shop/a", "tick", DUE, Kind.MISSED, DUE + 90_000_000, Reason.OUTSIDE_WINDOW, count=1000, at_least=True)

DEAD = Finished("shop/a/tick/x", "shop/a/tick", "c", State.DEAD, 4, DUE + 1_120, "ValueError: boom", paused=True)
FINE = Finished("shop/a/tick/y", "shop/a/tick", "c", State.SUCCEEDED, 2, DUE, "", paused=False)


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's, whatever the machine's."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    import time  # noqa: PLC0415

    time.tzset()


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.err: list[str] = []

    def write(self, pieces: Sequence[Piece]) -> None:
        for error, text in pieces:
            (self.err if error else self.out).extend((text() if callable(text) else text).splitlines())

    def close(self) -> None:
        pass


def told(style: Style) -> tuple[list[str], list[str]]:
    sink = Kept()
    output = Output(sink, gone=lambda: None)
    console = Console(output, style)
    console.record([SENT, MISSED])
    console.finished([FINE, DEAD, FINE])
    console.tell(Notice("default", Sign.AWAY, "its Redis does not answer", DUE))
    console.heard(Place("default", "prints"), "handled")
    console.summary(61_500)
    output.close()
    return sink.out, sink.err


NOTICE = "channelbeat: its Redis does not answer"
SUMMARY = "channelbeat: stopped after 1m1s: 1 enqueued, 1,000 missed (at most 4 ms late); of the runs that ended, 2 succeeded, 1 dead"
LOSS = "02:30:01.120 shop/a tick dead after 4 attempts: ValueError: boom (channelbeat run show shop/a/tick/x)"
LINES = [
    "02:30:00.004 shop/a tick enqueued, due 02:30:00, 4 ms late",
    "03:30:00 shop/a tick missed (OutsideWindow) at least 1,000 times, the last, due 2026-11-21 02:30:00",
]


@pytest.mark.parametrize(
    ("style", "out", "err"),
    [
        ("lines", [*LINES, LOSS, "[prints] handled"], [NOTICE, SUMMARY, ENDED]),
        ("json", [as_json(SENT), as_json(MISSED)], [LOSS, NOTICE, "[prints] handled", SUMMARY, ENDED]),
        ("table", [LINES[1], LOSS, "[prints] handled"], [NOTICE, SUMMARY, ENDED]),
    ],
)
def test_what_goes_where(style: Style, out: list[str], err: list[str]) -> None:
    assert told(style) == (out, err)


def test_an_outcome_for_programs() -> None:
    assert json.loads(as_json(SENT)) == {
        "at": "2026-11-21T01:30:00.004Z",
        "schedule": "shop/a",
        "event": "tick",
        "due": "2026-11-21T01:30:00Z",
        "run": "shop/a/tick/2026-11-21T01:30:00Z",
        "outcome": "enqueued",
        "reason": "",
        "latenessMs": 4,
        "count": 1,
        "atLeast": False,
        "note": "",
    }


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (Outcome("d/a", "e", DUE, Kind.HELD, DUE, Reason.CHANNEL_FULL, note="100 wait"), "02:30:00 d/a e held (ChannelFull), due 02:30:00: 100 wait"),
        (Outcome("d/a", "e", DUE, Kind.ENQUEUED, DUE, Reason.TRIGGERED, run="r"), "02:30:00 d/a e enqueued (Triggered)"),
        (Outcome("d/a", "e", DUE, Kind.SUSPENDED, DUE, count=3), "02:30:00 d/a e suspended 3 times, the last, due 02:30:00"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_outcome_for_people(outcome: Outcome, line: str) -> None:
    assert as_text(outcome) == line


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (DEAD._replace(attempts=1, error=""), "02:30:01.120 shop/a tick dead after 1 attempt (channelbeat run show shop/a/tick/x)"),
        (DEAD._replace(state=State.EXPIRED, attempts=0, error=""), "02:30:01.120 shop/a tick expired (channelbeat run show shop/a/tick/x)"),
        (DEAD._replace(event="", run="my own"), "02:30:01.120 a run for channel c dead after 4 attempts: ValueError: boom (channelbeat run show 'my own')"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_that_is_lost(run: Finished, line: str) -> None:
    assert as_loss(run) == line


PLAIN = Row("shop/a", "tick", DUE + 90_000, Last(DUE - 1_500, 12), 3, None, [Worker.RUNNING])
GROUP = Row("shop/b", "tock", None, None, None, None, [])
FAR = Row("shop/b", "far", DUE + 86_400_000, None, 0, None, [Worker.WAITING])
TRACKED = Row("shop/c", "tick", DUE + 500, Last(DUE - 500, 2), 1_200, Stats(ok=31_000, dead=3, running=2, retrying=1), [Worker.RUNNING, Worker.WAITING])
PAUSED = Row("shop/c", "tock", DUE + 500, None, 0, Stats(paused=DUE), [Worker.RUNNING, Worker.RUNNING])


def drawn(width: int, *rows: Row, more: int = 0) -> list[str]:
    with open(os.devnull, "w") as nowhere:
        terminal = Terminal(width=width, record=True, file=nowhere)
        terminal.print(table(Board(DUE, rows, more), width))
        return [line.rstrip() for line in terminal.export_text().splitlines()]


def test_the_table() -> None:
    lines = [re.sub(" +", " ", line.strip()) for line in drawn(120, PLAIN, GROUP, FAR, more=1_234)]
    assert lines == [
        "SCHEDULE EVENT NEXT LAST WAIT WORKER",
        "shop/a tick in 1m30s 02:29:58 +12ms 3 running",
        "shop/b tock - - - -",
        "shop/b far 2026-11-22 02:30:00 - 0 waiting",
        "and 1,234 more events",
    ]


def test_the_table_counts_runs_once_there_are_tracked_ones() -> None:
    lines = [re.sub(" +", " ", line) for line in drawn(120, PLAIN, TRACKED, PAUSED)]
    assert lines == [
        "SCHEDULE EVENT NEXT LAST WAIT RUN RETRY OK DEAD WORKER",
        "shop/a tick in 1m30s 02:29:58 +12ms 3 - - - - running",
        "shop/c tick in 0s 02:29:59 +2ms 1,200 2 1 31,000 3 1/2 running",
        "shop/c tock paused - 0 0 0 0 0 2 running",
    ]


@pytest.mark.parametrize("width", [100, 80])
def test_a_narrow_table_keeps_its_numbers_whole_and_cuts_names(width: int) -> None:
    named = [replace(row, schedule="shop/thumbnails-of-all-sizes") for row in (TRACKED, PAUSED)]
    _, first, second = drawn(width, *named)
    last = r"02:29:59 \+2ms +" if width == 100 else ""
    assert re.fullmatch(rf"shop/thumb\S*… +tick +in 0s +{last}1,200 +2 +1 +31,000 +3 +1/2 running", first), first
    assert second.endswith("  2 running")


def test_a_reader_that_stalls_holds_nothing_up_and_is_told_what_it_missed() -> None:
    read, write = os.pipe()
    output = Output(Plain(out=write, err=write), gone=lambda: None, room=10)
    for _ in range(40):
        output.put("x" * 65_536 + "\n")
    heard: list[bytes] = []

    def reader() -> None:
        while data := os.read(read, 65_536):
            heard.append(data)

    thread = threading.Thread(target=reader)
    thread.start()
    output.close()
    os.close(write)
    thread.join()
    os.close(read)
    *texts, last = b"".join(heard).decode().splitlines()
    assert len(texts) >= 10
    assert last.endswith("were left out: they were not read fast enough")
    assert len(texts) + int(last.split()[1]) == 40


def test_a_reader_that_has_gone_is_noticed() -> None:
    read, write = os.pipe()
    os.close(read)
    gone: list[bool] = []
    output = Output(Plain(out=write, err=write), gone=lambda: gone.append(True))
    output.put("hello\n")
    until(lambda: gone)
    output.close()
    os.close(write)


def test_what_was_put_before_the_end_is_written() -> None:
    sink = Kept()
    output = Output(sink, gone=lambda: None)
    for number in range(1000):
        output.put(f"{number}\n")
    output.close()
    assert sink.out == [str(number) for number in range(1000)]


def test_nothing_was_due_is_not_said_when_nothing_could_be_sent() -> None:
    sink = Kept()
    output = Output(sink, gone=lambda: None)
    console = Console(output, "lines")
    console.tell(Notice("default", Sign.AWAY, "its Redis does not answer", DUE))
    console.summary(1_000)
    output.close()
    assert sink.err == [NOTICE, "channelbeat: stopped after 1s: nothing was decided", ENDED]
