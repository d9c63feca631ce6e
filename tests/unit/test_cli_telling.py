"""How runs are written."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from channelbeat.cli import telling
from channelbeat.core import instants
from channelbeat.core.instants import DAY, HOUR, MINUTE, SECOND, Ms
from channelbeat.core.runs import Attempt, Policy, Run, State

DUE = instants.parse("2026-11-21T01:30:00Z")
NOW = DUE + 65 * SECOND
ID = "shop/a/tick/2026-11-21T01:30:00Z"
FAILED = Attempt(1, "box:17", DUE + 100, DUE + 1_350, "failed", "ValueError: boom")
WORKS = Attempt(2, "box:18", DUE + 60 * SECOND, None, "", "")
RUN = Run(ID, "shop/a/tick", "c", State.QUEUED, DUE, DUE + 4, DUE + 4, 0, Policy(limit=3))

QUEUED = RUN
RUNNING = replace(RUN, state=State.RUNNING, at=NOW + 5 * SECOND, attempts=2, error="ValueError: boom", history=(FAILED, WORKS))
RETRYING = replace(RUN, state=State.RETRYING, at=NOW + 9 * SECOND, attempts=1, error="ValueError: boom", trace="Traceback\n  boom\n", history=(FAILED,))
DELAYED = replace(RUN, id="mine", event="", state=State.DELAYED, at=NOW + HOUR)
BUFFERED = replace(RUN, state=State.BUFFERED, at=NOW + 9 * SECOND)
DONE = replace(RUN, state=State.SUCCEEDED, at=None, attempts=1, finished=NOW - 2 * SECOND, result="42", history=(FAILED._replace(how="succeeded", error=""),))
DEAD = replace(RUN, state=State.DEAD, at=None, attempts=4, error="ValueError: " + "x" * 200, finished=NOW - 3 * HOUR)


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's, whatever the machine's."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (QUEUED, ["queued", "0/4", "for 1m4s"]),
        (RUNNING, ["running", "2/4", "for 5s", "box:18"]),
        (RETRYING, ["retrying", "1/4", "in 9s", "ValueError: boom"]),
        (DELAYED, ["delayed", "0/4", "in 1h"]),
        (BUFFERED, ["buffered", "0/4", "in 9s"]),
        (DONE, ["succeeded", "1/4", "2s ago"]),
        (DEAD, ["dead", "4/4", "3h ago", "ValueError: " + "x" * 87 + "…"]),
    ],
    ids=lambda value: value.state if isinstance(value, Run) else "",
)
def test_a_run_in_the_table(run: Run, words: Sequence[str]) -> None:
    _, line = telling.table([run], NOW)
    assert re.split(" {3,}", line) == [run.id, *words]


def test_columns_are_as_wide_as_their_widest() -> None:
    head, first, second = telling.table([DELAYED, RUNNING], NOW)
    assert head == "RUN                                STATE     ATTEMPTS   WHEN     WORKER OR ERROR"
    assert first == "mine                               delayed   0/4        in 1h"
    assert second == "shop/a/tick/2026-11-21T01:30:00Z   running   2/4        for 5s   box:18"


def test_no_runs_are_no_lines() -> None:
    assert [*telling.table([], NOW)] == []


def test_a_run_in_full() -> None:
    assert [*telling.full(RETRYING, NOW)] == [
        "Run:       shop/a/tick/2026-11-21T01:30:00Z",
        "Event:     shop/a tick",
        "Channel:   c",
        "State:     retrying, in 9s, at 02:31:14",
        "Due:       02:30:00 (1m5s ago)",
        "Enqueued:  02:30:00.004 (1m4s ago)",
        "Attempts:  1/4",
        "Policy:    3 retries, after 5s and doubling up to 10m; an attempt may take 10m",
        "Error:     ValueError: boom",
        "",
        "ATTEMPT   WORKER   STARTED        TOOK   ENDED    ERROR",
        "1         box:17   02:30:00.100   1.2s   failed   ValueError: boom",
        "",
        "Traceback",
        "  boom",
    ]


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (QUEUED, "State:     queued, for 1m4s: it waits for a worker of c"),
        (RUNNING, "State:     running, for 5s: by box:18, whose claim lasts until 02:31:10 unless renewed"),
        (RUNNING, "2         box:18   02:31:00       5.0s   runs"),
        (DELAYED, "State:     delayed, in 1h, at 03:31:05"),
        (DELAYED, "Event:     none: it was sent from code"),
        (BUFFERED, "State:     buffered, until the other run of its event has ended"),
        (DONE, "State:     succeeded, 2s ago, at 02:31:03"),
        (DONE, "Result:    42"),
        (DEAD, "Error:     ValueError: " + "x" * 200),
    ],
    ids=lambda value: value.state if isinstance(value, Run) else "",
)
def test_where_it_is(run: Run, line: str) -> None:
    assert line in [*telling.full(run, NOW)]


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (Policy(limit=0), "no retry; an attempt may take 10m"),
        (Policy(limit=1, backoff=SECOND, max_backoff=MINUTE), "1 retry, after 1s and doubling up to 1m; an attempt may take 10m"),
        (
            Policy(limit=0, start_deadline=HOUR, overlap="Skip", pause_after=5),
            "no retry; an attempt may take 10m; to be started within 1h of its due time; overlap Skip; 5 dead in a row pause the event",
        ),
    ],
)
def test_a_policy(policy: Policy, text: str) -> None:
    assert telling.policy(policy) == text


@pytest.mark.parametrize(
    ("of", "text"),
    [(-5, "0s"), (900, "0s"), (1_900, "1s"), (9 * MINUTE + 59_900, "9m59s"), (10 * MINUTE + 59_900, "10m"), (71 * HOUR, "71h"), (3 * DAY, "3d")],
)
def test_a_length_is_as_precise_as_people_want_it(of: Ms, text: str) -> None:
    assert telling.length(of) == text


def test_a_run_for_programs() -> None:
    assert telling.facts(RUNNING) == {
        "run": ID,
        "schedule": "shop/a",
        "event": "tick",
        "channel": "c",
        "state": "running",
        "due": "2026-11-21T01:30:00Z",
        "enqueued": "2026-11-21T01:30:00.004Z",
        "queuedSince": None,
        "claimedUntil": "2026-11-21T01:31:10Z",
        "next": None,
        "finished": None,
        "attempts": 2,
        "maxAttempts": 4,
        "worker": "box:18",
        "error": "ValueError: boom",
    }
    assert [telling.facts(DELAYED)[key] for key in ("schedule", "event", "next")] == [None, None, "2026-11-21T02:31:05Z"]
    assert telling.facts(QUEUED)["queuedSince"] == "2026-11-21T01:30:00.004Z"


def test_by_itself_it_has_its_policy_and_its_attempts() -> None:
    facts = telling.all_facts(RETRYING)
    assert telling.facts(RETRYING).items() <= facts.items()
    assert facts["trace"] == "Traceback\n  boom\n"
    assert facts["policy"] == {
        "retry": {"limit": 3, "backoff": "5s", "maxBackoff": "10m"},
        "attemptTimeout": "10m",
        "startDeadline": None,
        "overlap": "Allow",
        "pauseAfterFailures": None,
    }
    assert facts["history"] == [
        {
            "attempt": 1,
            "worker": "box:17",
            "started": "2026-11-21T01:30:00.100Z",
            "ended": "2026-11-21T01:30:01.350Z",
            "how": "failed",
            "error": "ValueError: boom",
        }
    ]
