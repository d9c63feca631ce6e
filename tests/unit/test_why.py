"""What `why` says: a sentence for each way an occurrence can go, and what can still be said beyond it."""

from typing import Any

import pytest

from channelbeat.core.batch import Fence
from channelbeat.core.definition import Definition, compile_schedule
from channelbeat.core.outcomes import Reason
from channelbeat.core.why import Decided, Explanation, decided, explain
from support.rig import schedule
from support.times import at


def definition(event: dict[str, Any], **spec: Any) -> Definition:
    return compile_schedule(schedule(event, **spec))[0]


MINUTELY = definition({"cron": "* * * * *"})
OFTEN = definition({"every": "5s"})
GROUPED = definition({"cron": "* * * * *"}, group="g")
TRACKED = definition({"cron": "* * * * *"}, delivery="AtLeastOnce")
NOW = at("12:10:30")


def entry(due: str, code: str, since: str | None = None) -> Decided:
    return Decided(at(due), at(since) if since else None, code, at(due) + 250)


def fence(due: str, code: str = "enqueued") -> Fence:
    return Fence(at(due), "h", code)


def asked(
    due: str | None, *log: Decided, of: Definition = MINUTELY, stands: Fence | None = None, waiting: Reason | None = None, backlog: int | None = 3
) -> Explanation:
    return explain(of, stands or fence("12:10:00"), log, at(due) if due else None, now=NOW, waiting=waiting, backlog=backlog)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("enqueued", "it was enqueued"),
        ("enqueued/Replayed", "it was enqueued, and once more after Redis had lost its newest writes"),
        ("missed/PolicySkip", "nobody could send it in time, and missed.policy is Skip"),
        ("missed/Superseded", "nobody could send it in time; missed.policy is Latest, so a younger one was sent instead"),
        ("missed/OutsideWindow", "nobody could send it in time, and it was older than missed.window when somebody could"),
        ("missed/TooMany", "nobody could send it in time, and missed.policy All sends at most 1,000"),
        ("missed/Edited", "it had not been sent when the event was edited, and an edit makes up for nothing before it"),
        ("missed/Removed", "it had not been sent when the event was removed"),
        ("suspended", "the event was suspended then"),
        ("suspended/Paused", "the event was paused then, after too many dead runs in a row"),
        ("skipped/PreviousRunActive", "an earlier run was not finished, and overlap is Skip, or is BufferOne and another run waited already"),
        ("failed/NotSerializable", "the layer's serializer refuses its message"),
        ("unknown/ReplyLost", "Redis's reply was lost between its fence and its group_send, so it may not have been sent; it is not sent again"),
        ("lost/StoreRolledBack", "it had been enqueued when Redis lost its newest writes, longer ago than a minute, so it was not sent again"),
    ],
)
def test_each_decision_has_its_sentence_with_the_time_it_was_made(code: str, says: str) -> None:
    explained = asked("12:05:00", entry("12:05:00", code))
    assert explained.sentences[0] == f"2025-06-02T12:05:00Z: {says} (decided at 2025-06-02T12:05:00.250Z by Redis's clock)."
    kind, _, reason = code.partition("/")
    assert explained.facts.items() >= {"outcome": kind, "reason": reason, "at": "2025-06-02T12:05:00.250Z", "due": "2025-06-02T12:05:00Z"}.items()


@pytest.mark.parametrize(
    ("explained", "outcome", "says"),
    [
        pytest.param(asked("12:05:00", entry("12:07:00", "missed/Superseded", since="12:01:00")), "missed", "a younger one was sent", id="one of several"),
        pytest.param(asked("12:01:00", entry("12:07:00", "missed/Superseded", since="12:01:00")), "forgotten", "here back to", id="since is not one of them"),
        pytest.param(asked("12:10:00"), "enqueued", "12:10:00Z: it was enqueued.", id="the last one is known from the fence, though no log is kept"),
        pytest.param(asked("12:05:00"), "forgotten", "the log keeps an event's last 100 decisions", id="older than the log"),
        pytest.param(asked("12:05:00", of=OFTEN), "forgotten", "the log keeps decisions of events rarer than every 10 s only", id="no log at all"),
        pytest.param(asked("12:10:00", stands=fence("12:10:00", "edited")), "forgotten", "was before the event's time", id="a fence that stands at an edit"),
        pytest.param(asked("12:10:00", stands=fence("12:08:00")), "undecided", "the event's last decision is at 2025-06-02T12:08:00Z", id="not decided yet"),
        pytest.param(asked("12:30:00"), None, "12:30:00Z has not come yet.", id="to come"),
        pytest.param(asked("12:05:01"), None, "12:05:01Z is no due time of this event as it is now.", id="no due time"),
    ],
)
def test_what_is_said_of_a_due_time(explained: Explanation, outcome: str | None, says: str) -> None:
    assert explained.facts.get("outcome") == outcome
    assert says in explained.sentences[0]


def test_the_latest_entry_of_a_due_time_counts() -> None:
    assert asked("12:05:00", entry("12:05:00", "enqueued"), entry("12:05:00", "enqueued/Replayed")).facts["reason"] == "Replayed"


def test_of_a_moment_that_is_no_due_time_its_neighbours_are_named() -> None:
    assert asked("12:05:01").sentences[1] == "Of its due times the one before is 2025-06-02T12:05:00Z and the next is 2025-06-02T12:06:00Z."
    once = definition({"at": "2025-06-02T12:00:00Z"})
    assert asked("12:05:00", of=once).sentences[1] == "Of its due times the one before is 2025-06-02T12:00:00Z and there will be no more."
    assert asked("12:05:01", of=definition({"cron": "* * * * *", "suspend": True})).sentences[1].endswith("It is suspended.")


@pytest.mark.parametrize(
    ("explained", "says"),
    [
        (asked("12:10:00"), "look for run default/t/e/2025-06-02T12:10:00Z in the worker's log; 3 messages wait in channel c now."),
        (asked("12:10:00", backlog=None), "an unknown number of messages wait in channel c now."),
        (asked("12:10:00", of=TRACKED), "`channelbeat run show default/t/e/2025-06-02T12:10:00Z`. Runs that wait in channelbeat's queue of channel c now: 3."),
        (asked("12:10:00", of=TRACKED, backlog=None), "Runs that wait in channelbeat's queue of channel c now: not known."),
        (asked("12:10:00", of=GROUPED, backlog=None), "It went to the consumers that were in group g at that moment; a group keeps no queue."),
    ],
)
def test_beyond_the_queue_it_says_where_to_look(explained: Explanation, says: str) -> None:
    assert explained.sentences[1].endswith(says)
    assert explained.facts["run"] == "default/t/e/2025-06-02T12:10:00Z"


@pytest.mark.parametrize(
    ("of", "reason", "says"),
    [
        (MINUTELY, Reason.CHANNEL_FULL, "It is held back now: channel c is full; start or add workers, or raise the layer's capacity."),
        (MINUTELY, Reason.WRONG_TYPE, "It is held back now: the key of channel c holds something that is no channel; delete or rename that key."),
        (TRACKED, Reason.CHANNEL_FULL, "It is held back now: the queue of channel c is full; start or add workers."),
        (TRACKED, Reason.WRONG_TYPE, "It is held back now: the key of the queue of channel c holds something that is no queue; delete or rename that key."),
    ],
)
def test_what_is_held_back_says_why(of: Definition, reason: Reason, says: str) -> None:
    explained = asked("12:10:00", of=of, stands=fence("12:08:00"), waiting=reason)
    assert explained.sentences[-1] == says
    assert explained.facts["held"] == reason


def test_an_event_with_nothing_due_is_not_held_back_by_its_channel() -> None:
    assert "held" not in asked("12:10:00", waiting=Reason.CHANNEL_FULL).facts


def test_without_a_time_the_latest_decisions_are_listed() -> None:
    log = [entry(f"12:{minute:02}:00", "enqueued") for minute in range(1, 11)] + [
        entry("12:05:00", "triggered"),
        entry("12:10:00", "missed/Edited", "12:08:00"),
    ]
    explained = asked(None, *log)
    assert explained.sentences[-3:] == (
        "2025-06-02T12:05:00Z: it was triggered, and enqueued (at 2025-06-02T12:05:00.250Z).",
        "2025-06-02T12:10:00Z: it had not been sent when the event was edited, and an edit makes up for nothing before it (at 2025-06-02T12:10:00.250Z).",
        "Of its due times the one before is 2025-06-02T12:10:00Z and the next is 2025-06-02T12:11:00Z.",
    )
    assert len(explained.sentences) == 11
    assert explained.facts["decisions"][-1] == {
        "due": "2025-06-02T12:10:00Z",
        "since": "2025-06-02T12:08:00Z",
        "code": "missed/Edited",
        "at": "2025-06-02T12:10:00.250Z",
    }


@pytest.mark.parametrize(
    ("of", "stands", "first"),
    [
        (OFTEN, fence("12:10:00"), "2025-06-02T12:10:00Z: it was enqueued."),
        (MINUTELY, fence("12:10:00", "new"), "Nothing has been due since 2025-06-02T12:10:00Z."),
    ],
)
def test_without_a_log_the_fence_says_what_it_can(of: Definition, stands: Fence, first: str) -> None:
    explained = asked(None, of=of, stands=stands)
    assert explained.sentences[0] == first
    assert ("Earlier ones are not kept: the event is due more often than every 10 s." in explained.sentences) == (of is OFTEN)


def test_an_event_that_was_never_settled_has_no_decisions() -> None:
    explained = explain(MINUTELY, None, [], None, now=NOW, waiting=None, backlog=0)
    assert explained.sentences[0] == "Nothing has been decided yet."
    assert explained.facts == {"schedule": "default/t", "event": "e", "decidedUntil": None, "backlog": 0, "decisions": []}
    assert (
        explain(MINUTELY, None, [], at("12:10:00"), now=NOW, waiting=None, backlog=0).sentences[0].endswith("the event's last decision is at no time at all.")
    )


def test_an_entry_of_the_log_is_read() -> None:
    assert decided("1000 - enqueued 1250") == Decided(1000, None, "enqueued", 1250)
    assert decided("1000 500 missed/Edited 1250") == Decided(1000, 500, "missed/Edited", 1250)


def test_a_trigger_decides_no_due_time() -> None:
    assert not entry("12:05:00", "triggered").covers(at("12:05:00"))
