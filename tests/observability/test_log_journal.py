"""What the log says of outcomes, runs and layers, at which level, and in how many lines."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from channelbeat.core import instants
from channelbeat.core.outcomes import Kind, Notice, Outcome, Reason, Sign
from channelbeat.core.runs import Finished, State
from channelbeat.observability import log_journal
from channelbeat.observability.log_journal import LINES, LogJournal
from channelbeat.observability.logs import KEYS
from support.waiting import eventually

DUE = instants.parse("2026-11-21T01:30:00Z")
WARNING, INFO, DEBUG = logging.WARNING, logging.INFO, logging.DEBUG


def outcome(kind: Kind, reason: Reason = Reason.NONE, count: int = 1, event: str = "nightly") -> Outcome:
    return Outcome("shop/thumbnails", event, DUE, kind, DUE + 7, reason, count=count)


def finished(state: State, event: str = "shop/thumbnails/nightly", attempts: int = 4, error: str = "ValueError: boom") -> Finished:
    return Finished("the-run", event, "c", state, attempts, DUE, error, False)


class Second:
    """A `later` that is over when the test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def over(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


@pytest.fixture(autouse=True)
def all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(DEBUG, "channelbeat.journal")


@pytest.fixture
def second() -> Second:
    return Second()


@pytest.fixture
def journal(second: Second) -> LogJournal:
    return LogJournal(second)


LEVELS = {
    Kind.ENQUEUED: DEBUG,
    Kind.HELD: WARNING,
    Kind.MISSED: WARNING,
    Kind.SUSPENDED: INFO,
    Kind.SKIPPED: INFO,
    Kind.FAILED: WARNING,
    Kind.UNKNOWN: WARNING,
    Kind.LOST: WARNING,
    Kind.REFUSED: WARNING,
}


@pytest.mark.parametrize("kind", list(Kind))
def test_each_outcome_has_its_level(kind: Kind, journal: LogJournal, caplog: pytest.LogCaptureFixture) -> None:
    journal.record([outcome(kind)])
    assert [record.levelno for record in caplog.records] == [LEVELS[kind]]


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (Outcome("s/t", "e", DUE, Kind.ENQUEUED, DUE + 7, lateness=7, run="s/t/e/x"), "s/t e enqueued, due 2026-11-21T01:30:00Z, 7 ms late"),
        (Outcome("s/t", "e", DUE, Kind.MISSED, DUE, Reason.SUPERSEDED, count=3), "s/t e missed (Superseded) 3 times, the last due 2026-11-21T01:30:00Z"),
        (
            Outcome("s/t", "e", DUE, Kind.MISSED, DUE, Reason.TOO_MANY, count=1_000, at_least=True),
            "s/t e missed (TooMany) at least 1,000 times, the last due 2026-11-21T01:30:00Z",
        ),
        (Outcome("s/t", "e", DUE, Kind.FAILED, DUE, Reason.NOT_SERIALIZABLE, note="why"), "s/t e failed (NotSerializable), due 2026-11-21T01:30:00Z: why"),
        (
            Outcome("s/t", "e", DUE, Kind.REFUSED, DUE, Reason.EXPIRED, run="s/t/e/trigger-x"),
            "s/t e refused (Expired), asked for at 2026-11-21T01:30:00Z",
        ),
    ],
)
def test_an_outcome_is_a_sentence(told: Outcome, sentence: str, journal: LogJournal, caplog: pytest.LogCaptureFixture) -> None:
    journal.record([told])
    assert caplog.messages == [sentence]


def extras(record: logging.LogRecord) -> dict[str, object]:
    """What a line of JSON would have of it."""
    return {key: value for key in KEYS if (value := record.__dict__.get(key)) is not None}


def test_an_outcome_has_keys_for_programs(journal: LogJournal, caplog: pytest.LogCaptureFixture) -> None:
    journal.record([Outcome("shop/thumbnails", "nightly", DUE, Kind.ENQUEUED, DUE + 7, Reason.REPLAYED, lateness=7, run="the-run")])
    assert extras(caplog.records[0]) == {
        "namespace": "shop",
        "schedule": "thumbnails",
        "event": "nightly",
        "run": "the-run",
        "due": "2026-11-21T01:30:00Z",
        "outcome": "enqueued",
        "reason": "Replayed",
        "latenessMs": 7,
        "count": 1,
    }


@pytest.mark.parametrize("sign", list(Sign))
def test_a_notice_has_its_level_and_keys(sign: Sign, journal: LogJournal, caplog: pytest.LogCaptureFixture) -> None:
    journal.tell(Notice("default", sign, "layer 'default': so it is", DUE))
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (INFO if sign is Sign.LEADING else WARNING, "layer 'default': so it is")
    assert extras(record) == {"layer": "default", "sign": sign}


@pytest.mark.parametrize(
    ("state", "level"), [(State.DEAD, WARNING), (State.EXPIRED, WARNING), (State.CANCELLED, INFO), (State.SUCCEEDED, DEBUG)], ids=lambda value: str(value)
)
def test_a_run_that_ended_has_its_level_and_keys(state: State, level: int, journal: LogJournal, caplog: pytest.LogCaptureFixture) -> None:
    journal.finished([finished(state)])
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (level, f"shop/thumbnails nightly {state} after 4 attempts: ValueError: boom")
    assert extras(record) == {"namespace": "shop", "schedule": "thumbnails", "event": "nightly", "run": "the-run", "outcome": state}


def test_a_run_of_no_event_is_told_by_its_channel(journal: LogJournal, caplog: pytest.LogCaptureFixture) -> None:
    journal.finished([finished(State.EXPIRED, event="", attempts=0, error="")])
    assert caplog.messages == ["a run for channel c expired"]
    assert extras(caplog.records[0]) == {"run": "the-run", "outcome": "expired"}


def test_a_mass_that_shares_a_fate_has_one_line_more(journal: LogJournal, second: Second, caplog: pytest.LogCaptureFixture) -> None:
    for start in range(0, 10_000, 1_000):
        journal.record([outcome(Kind.MISSED, Reason.SUPERSEDED, count=2, event=f"e{start + n}") for n in range(1_000)])
    journal.record([outcome(Kind.MISSED, Reason.TOO_MANY)])
    assert len(caplog.records) == LINES + 1  # one of another kind is not lost in it
    caplog.clear()
    second.over()
    [record] = caplog.records
    assert record.getMessage() == "9,950 lines more within a second: 19,900 times missed (Superseded); the metrics count each"
    assert record.levelno == WARNING
    assert extras(record) == {"outcome": "missed", "reason": "Superseded", "count": 19_900}


def test_the_next_second_is_another(journal: LogJournal, second: Second, caplog: pytest.LogCaptureFixture) -> None:
    mass = [outcome(Kind.HELD)] * (LINES + 1)
    for _ in range(2):
        caplog.clear()
        journal.record(mass)
        second.over()
        assert len(caplog.records) == LINES + 1
        assert caplog.messages[-1] == "1 lines more within a second: 1 times held; the metrics count each"


@pytest.mark.parametrize("kind", [Kind.SUSPENDED, Kind.SKIPPED])
def test_what_was_asked_for_is_told_once_a_minute(kind: Kind, second: Second, caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    journal = LogJournal(second, lambda: now)
    for _ in range(121):
        journal.record([outcome(kind)])
        now += 1
    assert [record.__dict__["count"] for record in caplog.records] == [1, 60, 60]
    assert "60 times" in caplog.messages[1]
    journal.record([outcome(kind, event="other"), outcome(kind, Reason.PAUSED)])
    assert len(caplog.records) == 5


def test_a_warning_is_told_each_time(journal: LogJournal, caplog: pytest.LogCaptureFixture) -> None:
    journal.record([outcome(Kind.MISSED), outcome(Kind.MISSED)])
    assert len(caplog.records) == 2


def test_masses_of_notices_and_runs_are_summed_up_as_well(journal: LogJournal, second: Second, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(LINES + 2):
        journal.tell(Notice("default", Sign.PAUSED, "x", DUE))
    journal.finished([finished(State.DEAD)] * (LINES + 3))
    caplog.clear()
    second.over()
    assert caplog.messages == [
        "2 lines more within a second: notices Paused; the metrics count each",
        "3 lines more within a second: runs dead; the metrics count each",
    ]


def test_what_nobody_wants_to_see_costs_nothing(journal: LogJournal, second: Second, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(INFO, "channelbeat.journal")
    journal.record([outcome(Kind.ENQUEUED)] * 5_000)
    assert second.calls == []
    assert caplog.records == []


async def test_in_a_loop_the_second_ends_by_itself(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_journal, "SECOND", 0.01)
    journal = LogJournal()
    journal.record([outcome(Kind.MISSED)] * (LINES + 1))
    await asyncio.sleep(0)
    await eventually(lambda: any("lines more" in message for message in caplog.messages))


def test_a_notice_of_an_event_has_its_keys(journal: LogJournal, caplog: pytest.LogCaptureFixture) -> None:
    journal.tell(Notice("default", Sign.PAUSED, "x", DUE, "shop/thumbnails/nightly"))
    journal.tell(Notice("default", Sign.AWAY, "x", DUE))
    said = [tuple(record.__dict__.get(key) for key in ("layer", "sign", "namespace", "schedule", "event")) for record in caplog.records]
    assert said == [("default", "Paused", "shop", "thumbnails", "nightly"), ("default", "Away", None, None, None)]
