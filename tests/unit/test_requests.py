"""What annotations ask for, and what is answered: as tables."""

import pytest

from channelbeat.core import instants, requests
from channelbeat.core.instants import MINUTE, SECOND
from channelbeat.core.outcomes import Kind, Outcome, Reason
from channelbeat.core.requests import ANSWER, Refused, Requests, Resume, Trigger

NOON = "2025-06-02T12:00:00Z"
T = instants.parse(NOON)
NAMES = ("nightly", "hourly", "broken")
TRIGGER, RESUME = "trigger.channelbeat.dev/", "resume.channelbeat.dev/"


def asked(annotations: dict[str, str], said: dict[str, str] | None = None, refusal: str | None = None) -> Requests:
    return requests.requests(annotations, said or {}, names=NAMES, parked={"broken"}, refusal=refusal)


def refused(annotations: dict[str, str], said: dict[str, str] | None = None, refusal: str | None = None) -> list[str]:
    return [one.text for one in asked(annotations, said, refusal).refused]


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (NOON, T),
        ("2025-06-02T14:00:00+02:00", T),
        ("2025-06-02 12:00:00Z", T),
        ("2025-06-02t12:00:00z", T),
        ("2025-06-02T12:00:00.0019Z", T + 1),
    ],
)
def test_a_trigger_names_its_token(value: str, token: int) -> None:
    assert asked({f"{TRIGGER}nightly": value}) == Requests((Trigger("nightly", value, token),), (), (), ())


def test_several_are_asked_for_at_once() -> None:
    found = asked({f"{TRIGGER}nightly": NOON, f"{TRIGGER}hourly": NOON, f"{RESUME}nightly": NOON})
    assert [trigger.event for trigger in found.triggers] == ["nightly", "hourly"]
    assert found.resumes == (Resume("nightly", T),)


@pytest.mark.parametrize(
    ("said", "is_asked"),
    [
        (None, True),
        (f"{NOON} enqueued", False),
        (f"{NOON} Duplicate: it was carried out before", False),
        (f"{NOON} NoSuchEvent: the schedule has none of that name", False),
        ("2025-06-02T11:59:59Z enqueued", True),
        (f"{NOON[:-1]}.5Z enqueued", True),
        (f"{NOON}", True),
        ("2025-06-02T14:00:00+02:00 enqueued", True),  # its own spelling is to be answered; that it is the same token, Redis knows
    ],
)
def test_a_token_that_the_status_answers_is_not_asked_again(said: str | None, is_asked: bool) -> None:
    assert bool(asked({f"{TRIGGER}nightly": NOON}, {"nightly": said} if said else {}).triggers) is is_asked


@pytest.mark.parametrize("event", ["nightly", "broken", "nigthly"])
def test_an_answer_stays_whatever_becomes_of_the_schedule_later(event: str) -> None:
    assert asked({f"{TRIGGER}{event}": NOON}, {event: f"{NOON} enqueued"}, "NoSuchLayer") == Requests((), (), (), ())


@pytest.mark.parametrize(
    ("event", "value", "refusal", "text"),
    [
        ("nightly", "now", None, "now NotATime: write it with its offset, like 2026-11-21T02:30:00Z"),
        ("nightly", "2025-06-02T12:00:00", None, "2025-06-02T12:00:00 NotATime: write it with its offset, like 2026-11-21T02:30:00Z"),
        ("nightly", "", None, "'' NotATime: write it with its offset, like 2026-11-21T02:30:00Z"),
        ("nightly", "a\nb", None, "'a\\nb' NotATime: write it with its offset, like 2026-11-21T02:30:00Z"),
        ("nigthly", NOON, None, f"{NOON} NoSuchEvent: the schedule has none of that name: did you mean nightly?"),
        ("zzz", NOON, None, f"{NOON} NoSuchEvent: the schedule has none of that name"),
        ("broken", NOON, None, f"{NOON} NotSent: the event has a fault, which the status tells; mend it, then annotate anew"),
        ("nightly", NOON, "Invalid", f"{NOON} NotSent: the schedule does not run (Invalid): see its condition Accepted; mend it, then annotate anew"),
        ("nightly", "now", "Invalid", "now NotATime: write it with its offset, like 2026-11-21T02:30:00Z"),
    ],
)
def test_what_cannot_be_is_refused_with_its_cure_once(event: str, value: str, refusal: str | None, text: str) -> None:
    annotations = {f"{TRIGGER}{event}": value}
    assert asked(annotations, refusal=refusal) == Requests((), (Refused(event, value, text),), (), ())
    assert refused(annotations, {event: text}, refusal) == []
    assert [one.text for one in asked({f"{RESUME}{event}": value}, refusal=refusal).misread] == [text]


def test_what_begins_like_an_answered_one_is_not_answered() -> None:
    text = refused({f"{TRIGGER}nightly": "now please"})[0]
    assert refused({f"{TRIGGER}nightly": "now"}, {"nightly": text}) != []


@pytest.mark.parametrize("value", ["x" * 10_000, "\u00e9" * 200, "2025-06-02T12:00:00." + "1" * 200 + "Z"])
def test_an_answer_fits_into_the_status_whatever_the_value(value: str) -> None:
    annotations, outcome = {f"{TRIGGER}nightly": value}, Outcome("shop/t", "nightly", T, Kind.FAILED, T, Reason.NOT_SERIALIZABLE, note="can't\n" * 100)
    said = requests.answer(value, outcome)
    for text in [*refused(annotations), *refused({f"{TRIGGER}{'e' * 63}": value}), *refused(annotations, refusal="NamespaceNotAllowed"), said]:
        assert len(text) <= ANSWER
        assert "\n" not in text
    if not refused(annotations):
        assert asked(annotations, {"nightly": said}).triggers == ()


@pytest.mark.parametrize(
    ("kind", "reason", "note", "said"),
    [
        (Kind.ENQUEUED, Reason.TRIGGERED, "", "enqueued"),
        (Kind.REFUSED, Reason.DUPLICATE, "", "Duplicate: it was carried out before"),
        (Kind.REFUSED, Reason.EXPIRED, "", "Expired: more than 10 minutes old; annotate with the present time"),
        (Kind.REFUSED, Reason.FROM_THE_FUTURE, "", "FromTheFuture: more than 5 minutes ahead of the operator's clock; annotate with the present time"),
        (Kind.REFUSED, Reason.PREVIOUS_RUN_ACTIVE, "", "PreviousRunActive: its overlap policy wants the earlier run done first"),
        (Kind.FAILED, Reason.NOT_SERIALIZABLE, "can not serialize 'set'", "NotSerializable: can not serialize 'set'"),
        (Kind.FAILED, Reason.GROUP_SEND_FAILED, "", "GroupSendFailed: failed"),
        (Kind.UNKNOWN, Reason.STORE_WIPED, "", "StoreWiped: it may have been sent before its Redis was wiped, or not"),
        (Kind.UNKNOWN, Reason.REPLY_LOST, "", "ReplyLost: it may have been sent, or not: Redis's reply was lost"),
    ],
)
def test_what_is_said_of_an_outcome(kind: Kind, reason: Reason, note: str, said: str) -> None:
    assert requests.answer(NOON, Outcome("shop/t", "nightly", T, kind, T, reason, note=note)) == f"{NOON} {said}"
    assert ("enqueued" in said or "triggered" in said.lower()) is (kind is Kind.ENQUEUED)  # by these words it is known (core/news.py)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, {}),
        ({"eventStatuses": None}, {}),
        ({"eventStatuses": [{"name": "a"}, {"name": "b", "lastHandledTrigger": f"{NOON} enqueued"}]}, {"b": f"{NOON} enqueued"}),
    ],
)
def test_what_a_status_says(status: dict[str, object], said: dict[str, str]) -> None:
    assert requests.handled(status) == said


@pytest.mark.parametrize(
    ("token", "paused", "ends"),
    [
        (T, None, False),
        (T, T - 1, True),
        (T, T, True),
        (T, T + 999, True),  # `date` writes whole seconds
        (T, T + 1_000, False),
        (T + 1, T + 1, True),
        (T + 1, T + 2, False),
    ],
)
def test_a_resume_ends_a_pause_that_began_before_it(token: int, paused: int | None, ends: bool) -> None:
    assert requests.ends(token, paused) is ends


@pytest.mark.parametrize(
    ("ahead", "acts", "again"),
    [
        (-MINUTE, True, None),
        (-5 * SECOND, True, None),
        (-4 * SECOND, True, 5 * SECOND),
        (0, True, 5 * SECOND),
        (3 * MINUTE, True, 5 * SECOND),
        (5 * MINUTE, True, 5 * SECOND),
        (5 * MINUTE + 1, False, 5 * SECOND),
    ],
)
def test_a_resume_ahead_of_our_clock_is_looked_at_again_when_its_time_has_come(ahead: int, acts: bool, again: int | None) -> None:
    now = T - ahead
    assert (requests.may_act(T, now), requests.next_look(T, now)) == (acts, None if again is None else T + again)


def test_of_a_great_many_annotations_few_are_looked_at_and_those_of_known_events_first(monkeypatch: pytest.MonkeyPatch) -> None:
    likened = list[str]()

    def nothing_near(word: str, *_: object, **__: object) -> list[str]:
        likened.append(word)
        return []

    monkeypatch.setattr(requests, "get_close_matches", nothing_near)
    annotations = {f"{TRIGGER}e{i:04}": NOON for i in range(1_500)} | {f"{TRIGGER}nightly": NOON, f"{RESUME}hourly": NOON}
    found = asked(annotations)
    assert (found.triggers, found.resumes) == ((Trigger("nightly", NOON, T),), (Resume("hourly", T),))
    assert [one.event for one in found.refused] == [f"e{i:04}" for i in range(requests.AT_MOST - 1)]
    assert {one.text for one in found.refused[:-1]} == {f"{NOON} NoSuchEvent: the schedule has none of that name"}
    assert found.refused[-1].text == f"{NOON} TooMany: 200 annotations of a schedule are looked at, not this one nor the rest: remove old ones"
    assert likened == ["e0000"]


def test_only_the_first_unknown_event_of_an_object_is_likened_to_those_it_has() -> None:
    said = refused({f"{TRIGGER}nigthly": NOON, f"{TRIGGER}nihgtly": NOON})
    assert ["did you mean nightly?" in text for text in said] == [True, False]
