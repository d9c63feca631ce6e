"""The status of a schedule: what is carried over, what is left out, and what of it cannot wait."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from channelbeat.core import instants, status
from channelbeat.core.finding import Finding
from channelbeat.core.instants import HOUR, MINUTE, SECOND
from channelbeat.core.news import news
from channelbeat.core.outcomes import Kind, Outcome, Reason
from channelbeat.core.reasons import OF_WORKERS, Why
from channelbeat.core.runs import Finished, State, Stats
from channelbeat.core.scaling import Decision
from channelbeat.core.scaling import Reason as Load
from channelbeat.core.schedule import Event
from channelbeat.core.status import Coming, EventFacts, Facts
from channelbeat.core.tally import Tally, counts
from channelbeat.core.timing import timetable
from channelbeat.core.verdicts import Case
from channelbeat.core.workers import Workers
from support.times import at
from support.tree import ROOT

NOW = at("2026-11-21T12:00:00")
SOON = at("2026-11-22T01:30:00")
PAUSABLE = EventFacts("a", coming=Coming(SOON), version="v", pause_after=5)


def make(*events: EventFacts, had: dict[str, Any] | None = None, case: Case | None = None, zone: str = "UTC", now: int = NOW) -> dict[str, Any]:
    return status.make(had or {}, Facts("shop/t", case or Case(1), events, zone), now)


def of(event: EventFacts, had: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Its entry."""
    before = {"eventStatuses": [{"name": event.name, **had}], "observedGeneration": 1} if had else {}
    found: dict[str, Any] = make(event, had=before, **options)["eventStatuses"][0]
    return found


def dead(run: str = "shop/t/a/1", error: str = "ValueError: no", *, at_: int = NOW, paused: bool = False) -> Finished:
    return Finished(run, "shop/t/a", "c", State.DEAD, 4, at_, error, paused)


def tally(*runs: Finished, **values: Any) -> Tally:
    found = Tally(**values)
    for run in runs:
        found.finished(run)
    return found


SUCCEEDED = dead()._replace(state=State.SUCCEEDED, at=NOW + SECOND)


def test_all_four_conditions_are_there_on_first_sight() -> None:
    found = make(EventFacts("a"), case=Case(7, settled=False))
    assert [(one["type"], one["status"], one["observedGeneration"]) for one in found["conditions"]] == [
        ("Ready", "Unknown", 7),
        ("Accepted", "True", 7),
        ("WorkersReady", "True", 7),
        ("Stalled", "False", 7),
    ]
    assert (found["observedGeneration"], found["eventStatuses"], found["eventCount"]) == (7, [{"name": "a"}], "1/1")


def test_the_same_facts_make_the_same_status() -> None:
    facts = [EventFacts("a", coming=Coming(SOON), tally=tally(dead(), last=NOW, not_sent=3)), replace(PAUSABLE, name="b", stats=Stats(paused=NOW, version="v"))]
    first = make(*facts)
    known = [replace(event, tally=Tally()) for event in facts]
    second = make(*known, had=first, now=NOW + HOUR)
    assert (second, status.patch(first, second), status.urgent(first, second)) == (first, {}, False)


@pytest.mark.parametrize(
    ("had", "event", "has"),
    [
        ({}, EventFacts("a"), {}),
        ({}, EventFacts("a", coming=Coming(SOON)), {"nextScheduleTime": "2026-11-22T01:30:00Z"}),
        ({}, EventFacts("a", coming=Coming(SOON, 5 * SECOND, "every 5s")), {}),
        ({}, EventFacts("a", coming=Coming(SOON), runs=False), {}),
        ({"nextScheduleTime": "2026-11-21T01:30:00Z"}, EventFacts("a"), {}),
        ({"notSent": 2}, EventFacts("a", tally=tally(not_sent=3)), {"notSent": 5}),
        ({"notSent": 2}, EventFacts("a"), {"notSent": 2}),
        ({"lastScheduleTime": "2026-11-21T11:00:00Z"}, EventFacts("a", tally=tally(last=NOW)), {"lastScheduleTime": "2026-11-21T12:00:00Z"}),
        ({"lastScheduleTime": "2026-11-21T13:00:00Z"}, EventFacts("a", tally=tally(last=NOW)), {"lastScheduleTime": "2026-11-21T13:00:00Z"}),
        ({"lastScheduleTime": "no time"}, EventFacts("a"), {}),
        ({}, EventFacts("a", tally=tally(last=NOW + 250)), {"lastScheduleTime": "2026-11-21T12:00:00.250Z"}),
        ({}, EventFacts("a", stats=Stats(last_success=NOW)), {"lastSuccessfulTime": "2026-11-21T12:00:00Z"}),
        ({}, EventFacts("a", tally=tally(SUCCEEDED)), {"lastSuccessfulTime": "2026-11-21T12:00:01Z"}),
        ({"failures": 2}, EventFacts("a", tally=tally(SUCCEEDED)), {"lastSuccessfulTime": "2026-11-21T12:00:01Z"}),
        (
            {"failures": 2},
            EventFacts("a", tally=tally(dead())),
            {"failures": 3, "lastFailure": {"run": "shop/t/a/1", "time": "2026-11-21T12:00:00Z", "message": "ValueError: no"}},
        ),
        (
            {"failures": 2},
            EventFacts("a", tally=tally(SUCCEEDED, dead(at_=NOW + 2 * SECOND))),
            {
                "failures": 1,
                "lastSuccessfulTime": "2026-11-21T12:00:01Z",
                "lastFailure": {"run": "shop/t/a/1", "time": "2026-11-21T12:00:02Z", "message": "ValueError: no"},
            },
        ),
        (
            {"failures": 2, "lastFailure": {"run": "r", "time": "2026-11-21T11:00:00Z", "message": "m"}},
            EventFacts("a", stats=Stats(last_success=NOW)),
            {"lastSuccessfulTime": "2026-11-21T12:00:00Z", "lastFailure": {"run": "r", "time": "2026-11-21T11:00:00Z", "message": "m"}},
        ),
        ({"lastHandledTrigger": "old"}, EventFacts("a"), {"lastHandledTrigger": "old"}),
        ({"lastHandledTrigger": "old"}, EventFacts("a", tally=tally(answered="new")), {"lastHandledTrigger": "new"}),
        ({"fault": "old"}, EventFacts("a"), {}),
        ({}, EventFacts("a", "no cron", runs=False), {"fault": "no cron"}),
    ],
)
def test_an_event(had: dict[str, Any], event: EventFacts, has: dict[str, Any]) -> None:
    assert of(event, had) == {"name": "a", **has}


PAUSED = (
    "since 2026-11-21T12:00:00Z, after 5 dead runs in a row: mend it, then edit the event, or resume it: "
    'kubectl annotate -n shop beat t --overwrite resume.channelbeat.dev/a="$(date -u +%Y-%m-%dT%H:%M:%SZ)"'
)


@pytest.mark.parametrize(
    ("had", "event", "generation", "paused"),
    [
        ("", replace(PAUSABLE, stats=Stats(paused=NOW, version="v")), 1, PAUSED),
        ("", replace(PAUSABLE, stats=Stats(paused=NOW, version="before the edit")), 1, None),
        ("", replace(PAUSABLE, stats=Stats(paused=NOW, version="v"), version=""), 1, None),
        ("said", replace(PAUSABLE, stats=Stats()), 1, None),
        ("said", PAUSABLE, 1, "said"),
        ("said", PAUSABLE, 2, None),
        ("", replace(PAUSABLE, tally=tally(dead(paused=True))), 1, PAUSED),
        ("", replace(PAUSABLE, tally=tally(dead(paused=True), SUCCEEDED)), 1, PAUSED),
    ],
)
def test_a_pause_is_redis_s_to_know(had: str, event: EventFacts, generation: int, paused: str | None) -> None:
    found = make(event, had={"eventStatuses": [{"name": "a", "paused": had}], "observedGeneration": 1}, case=Case(generation))
    assert found["eventStatuses"][0].get("paused") == paused
    assert (found["eventCount"], "next" in found) == (("0/1", False) if paused else ("1/1", True))


@pytest.mark.parametrize(
    ("events", "zone", "text"),
    [
        ([Coming(SOON)], "UTC", "2026-11-22T01:30:00Z"),
        ([Coming(SOON)], "Europe/Berlin", "2026-11-22T02:30:00+01:00"),
        ([Coming(SOON)], "America/St_Johns", "2026-11-21T22:00:00-03:30"),
        ([Coming(SOON + HOUR), Coming(SOON)], "UTC", "2026-11-22T01:30:00Z"),
        ([Coming(SOON), Coming(SOON, 5 * SECOND, "every 5s")], "UTC", "every 5s"),
        ([Coming(SOON, MINUTE, "* * * * *"), Coming(SOON, 5 * SECOND, "every 5s")], "UTC", "every 5s"),
        ([None], "UTC", None),
    ],
)
def test_next(events: list[Coming | None], zone: str, text: str | None) -> None:
    assert make(*(EventFacts(f"e{i}", coming=coming) for i, coming in enumerate(events)), zone=zone).get("next") == text


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "UTC"])
@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59", "0001-01-01T00:00:00"])
def test_next_at_either_end_of_the_calendar_is_told_in_utc_where_the_zone_has_no_time_for_it(zone: str, moment: str) -> None:
    told = make(EventFacts("e", coming=Coming(at(moment))), zone=zone)["next"]
    assert told == f"{moment}Z" or instants.parse(told) == at(moment)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"every": 5 * SECOND}, Coming(NOW + 5 * SECOND, 5 * SECOND, "often")),
        ({"every": 599 * SECOND}, Coming(at("2026-11-21T12:08:20"), 599 * SECOND, "often")),
        ({"every": 10 * MINUTE}, Coming(NOW + 10 * MINUTE)),
        ({"cron": "*/5 * * * *"}, Coming(NOW + 5 * MINUTE, 5 * MINUTE, "often")),
        ({"cron": "*/5 3 * * *"}, Coming(at("2026-11-22T03:00:00"))),  # often, but not now
        ({"cron": "5,59 * * * *"}, Coming(NOW + 5 * MINUTE)),
        ({"at": SOON}, Coming(SOON, last=True)),
        ({"at": NOW - 1}, None),
        ({"every": HOUR, "not_after": NOW + 90 * MINUTE}, Coming(NOW + HOUR, last=True)),
    ],
)
def test_how_what_comes_next_is_told(spec: dict[str, Any], expected: Coming | None) -> None:
    table = timetable.of(Event(name="a", type="x", **spec), zone="UTC", key="k")
    assert status.coming(table, "often", None, NOW) == expected


def test_who_knows_better_than_the_timetable_is_believed() -> None:
    table = timetable.of(Event(name="a", type="x", every=HOUR), zone="UTC", key="k")
    assert status.coming(table, "often", NOW - HOUR, NOW) == Coming(NOW - HOUR)  # held back


@pytest.mark.parametrize(
    ("event", "count"),
    [(EventFacts("a"), "2/2"), (EventFacts("a", runs=False), "1/2"), (replace(PAUSABLE, stats=Stats(paused=NOW, version="v")), "1/2")],
)
def test_events_that_run(event: EventFacts, count: str) -> None:
    assert make(event, EventFacts("b"))["eventCount"] == count


@pytest.mark.parametrize(
    ("kind", "reason", "run", "counted"),
    [
        (Kind.ENQUEUED, Reason.NONE, "s/t/a/2026", (NOW, 0)),
        (Kind.ENQUEUED, Reason.REPLAYED, "s/t/a/2026", (NOW, 0)),
        (Kind.ENQUEUED, Reason.TRIGGERED, "s/t/a/trigger-2026", None),
        (Kind.MISSED, Reason.SUPERSEDED, None, (0, 7)),
        (Kind.SKIPPED, Reason.PREVIOUS_RUN_ACTIVE, None, (0, 7)),
        (Kind.FAILED, Reason.NOT_SERIALIZABLE, "s/t/a/2026", (0, 7)),
        (Kind.FAILED, Reason.NOT_SERIALIZABLE, "s/t/a/trigger-2026", None),
        (Kind.UNKNOWN, Reason.STORE_WIPED, None, (0, 7)),
        (Kind.LOST, Reason.STORE_ROLLED_BACK, None, (0, 7)),
        (Kind.SUSPENDED, Reason.PAUSED, None, None),
        (Kind.REFUSED, Reason.DUPLICATE, "s/t/a/trigger-2026", None),
        (Kind.HELD, Reason.CHANNEL_FULL, None, None),
    ],
)
def test_what_counts(kind: Kind, reason: Reason, run: str | None, counted: tuple[int, int] | None) -> None:
    outcome = Outcome("s/t", "a", NOW, kind, NOW, reason, run=run, count=7)
    assert counts(outcome) is (counted is not None)
    if counted is not None:
        found = Tally()
        found.record(outcome)
        assert (found.last, found.not_sent) == counted


def test_what_could_not_be_written_is_counted_with_what_came_after() -> None:
    older, newer = tally(dead("1"), last=9, not_sent=2, answered="old"), tally(dead("2"), last=7, not_sent=3)
    newer.after(older)
    assert newer == Tally(last=9, not_sent=5, dead=2, failure=dead("2"), answered="old")
    again = tally(SUCCEEDED)
    again.after(older)
    assert (again.dead, again.success, again.failure) == (0, SUCCEEDED.at, dead("1"))


@pytest.mark.parametrize(
    ("had", "has", "patch"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {}, {"a": None}),
        ({"a": [1, 2]}, {"a": [1, 3]}, {"a": [1, 3]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "d": 3}}, {"a": {"c": None, "d": 3}}),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, {}),
    ],
)
def test_a_merge_patch(had: dict[str, Any], has: dict[str, Any], patch: dict[str, Any]) -> None:
    assert status.patch(had, has) == patch


@pytest.mark.parametrize(
    ("event", "case", "is_urgent"),
    [
        (EventFacts("a", tally=tally(last=NOW)), Case(1), False),
        (EventFacts("a", tally=tally(not_sent=1)), Case(1), False),
        (EventFacts("a", tally=tally(dead())), Case(1), False),
        (EventFacts("a", coming=Coming(SOON + HOUR)), Case(1), False),
        (EventFacts("a", tally=tally(answered="done")), Case(1), True),
        (replace(PAUSABLE, stats=Stats(paused=NOW, version="v")), Case(1), True),
        (EventFacts("a", coming=Coming(SOON)), Case(2), True),
        (EventFacts("a", coming=Coming(SOON)), Case(1, suspended=True), True),
    ],
)
def test_what_people_wait_for_is_urgent(event: EventFacts, case: Case, is_urgent: bool) -> None:
    had = make(EventFacts("a", coming=Coming(SOON)), case=Case(1))
    has = make(replace(event, coming=event.coming or Coming(SOON)), case=case, had=had)
    assert status.patch(had, has) != {}
    assert status.urgent(had, has) is is_urgent


def test_what_is_not_ours_stays() -> None:
    assert make(EventFacts("a"), had={"blessed": {"by": "them"}})["blessed"] == {"by": "them"}


STARTS = Decision(2, Load.LOAD, "150 waiting and 0 in flight call for 2")
MORE = STARTS._replace(sentence="180 waiting and 9 in flight call for 2")
NO_IMAGE, CRASHES = Finding("ImageCannotBePulled", "no image"), Finding("CrashLoop", "it ends")
ANOTHERS = Finding("ScaledByAnother", "kubectl scale scales it")


def staffed(ready: int = 0, decision: Decision = STARTS, trouble: Finding | None = None) -> Case:
    return Case(1, managed=True, workers=Workers("t-worker", decision.desired, ready, decision, trouble))


def with_workers(case: Case, had: dict[str, Any] | None = None) -> dict[str, Any]:
    return make(EventFacts("a", coming=Coming(SOON)), case=case, had=had)


def undecided(deployment: str) -> Case:
    return Case(1, managed=True, workers=Workers(deployment, 0, 0, trouble=CRASHES))


IDLE = staffed(0, Decision(0, Load.ZERO, "nothing waits"))


@pytest.mark.parametrize(
    ("had", "case", "workers"),
    [
        (None, staffed(), {"summary": "0/2", "reason": "Load", "ready": 0, "desired": 2}),
        (None, IDLE, {"summary": "0/0", "reason": "Zero", "ready": 0, "desired": 0}),
        (None, undecided("t-worker"), None),
        (staffed(), undecided("t-worker"), {"summary": "0/2", "reason": "Load", "ready": 0, "desired": 2}),
        (staffed(), undecided(""), None),
        (None, staffed(5), {"summary": "2/2", "reason": "Load", "ready": 2, "desired": 2}),
        (None, Case(1, managed=True), None),
        (staffed(), Case(1, managed=True), {"summary": "0/2", "reason": "Load", "ready": 0, "desired": 2}),
        (staffed(), Case(1, invalid=True), {"summary": "0/2", "reason": "Load", "ready": 0, "desired": 2}),
        (staffed(), Case(1), None),
    ],
    ids=[
        "starting",
        "none",
        "not decided yet",
        "not decided any more",
        "another's from now on",
        "some are ending",
        "not known",
        "not known any more",
        "what cannot be read",
        "somebody else's from now on",
    ],
)
def test_workers(had: Case | None, case: Case, workers: dict[str, Any] | None) -> None:
    assert with_workers(case, with_workers(had) if had is not None else None).get("workers") == workers


@pytest.mark.parametrize(
    ("was", "case", "is_urgent"),
    [
        (staffed(), staffed(decision=MORE), False),
        (staffed(2), staffed(2, STARTS._replace(reason=Load.SCALE_DOWN_DELAY)), False),
        (staffed(), staffed(1), True),
        (staffed(2), staffed(2, STARTS._replace(desired=1)), True),
        (staffed(), staffed(decision=STARTS._replace(desired=3)), True),
        (staffed(), staffed(trouble=NO_IMAGE), True),
        (staffed(trouble=NO_IMAGE), staffed(trouble=NO_IMAGE._replace(text="no such image")), False),
        (staffed(trouble=NO_IMAGE), staffed(trouble=CRASHES), True),
        (staffed(trouble=CRASHES), staffed(), False),
        (staffed(trouble=NO_IMAGE), staffed(), True),
        (staffed(trouble=ANOTHERS), staffed(), True),
        (staffed(trouble=CRASHES), staffed(1, trouble=CRASHES), False),
        (staffed(1, trouble=CRASHES), staffed(trouble=CRASHES), True),
        (staffed(trouble=NO_IMAGE), staffed(1, trouble=NO_IMAGE), True),
        (staffed(trouble=CRASHES), staffed(2), True),
        (staffed(trouble=CRASHES), IDLE, True),
        (staffed(trouble=CRASHES), Case(1, managed=True), None),
        (Case(1, managed=True), staffed(), True),
    ],
    ids=[
        "only the load",
        "only the reason",
        "one more is ready",
        "one less is wanted",
        "one more is wanted",
        "trouble",
        "the same in other words",
        "another trouble",
        "it crashed, and starts once more",
        "there is an image now",
        "who scaled it has put that right",
        "it crashes, and is ready for a moment",
        "it crashes, and less are ready",
        "another trouble, and one more is ready",
        "it is over",
        "nobody is wanted any more",
        "nobody knows any more",
        "it is known",
    ],
)
def test_what_of_workers_is_urgent(was: Case, case: Case, is_urgent: bool | None) -> None:
    had = with_workers(was)
    has = with_workers(case, had)
    assert (bool(status.patch(had, has)), status.urgent(had, has)) == (is_urgent is not None, bool(is_urgent))


@pytest.mark.parametrize("why", sorted(OF_WORKERS))
def test_that_a_trouble_has_gone_is_urgent_unless_it_comes_again_by_itself(why: Why) -> None:
    had = with_workers(staffed(trouble=Finding(why, "so it is")))
    by_itself = ("CrashLoop", "OOMKilled", "StockWorker", "CannotStart", "NotReady", "Evicted")
    assert status.urgent(had, with_workers(staffed(), had)) == (why not in by_itself)


@pytest.mark.parametrize(
    ("was", "case", "told"),
    [
        (IDLE, staffed(), [("Normal", "Scaled", "from 0 to 2 workers: because")]),
        (staffed(2), IDLE, [("Normal", "Scaled", "from 2 to 0 workers: because")]),
        (IDLE, staffed(1, STARTS._replace(desired=1)), [("Normal", "Scaled", "from 0 to 1 worker: because")]),
        (Case(1, managed=True), staffed(), []),
        (staffed(), staffed(2), []),
        (staffed(), staffed(decision=MORE), []),
        (staffed(), staffed(trouble=NO_IMAGE), [("Warning", "ImageCannotBePulled", "no image")]),
        (staffed(trouble=NO_IMAGE), staffed(trouble=NO_IMAGE._replace(text="no such image")), []),
        (staffed(trouble=NO_IMAGE), staffed(trouble=CRASHES), [("Warning", "CrashLoop", "it ends")]),
        (staffed(trouble=NO_IMAGE), staffed(2), [("Normal", "AllReady", "2 of 2 ready: 150 waiting and 0 in flight call for 2")]),
        (staffed(trouble=NO_IMAGE), staffed(1), [("Normal", "Starting", "1 of 2 ready, another is being started: 150 waiting and 0 in flight call for 2")]),
        (
            staffed(trouble=NO_IMAGE),
            IDLE,
            [("Normal", "Scaled", "from 2 to 0 workers: because"), ("Normal", "ScaledToZero", "no worker is called for: nothing waits")],
        ),
        (staffed(trouble=NO_IMAGE), Case(1, managed=True, refusal=Finding("NoSuchLayer", "none")), [("Warning", "NoSuchLayer", "none")]),
    ],
)
def test_what_is_told_of_workers(was: Case, case: Case, told: list[tuple[str, str, str]]) -> None:
    had = with_workers(was)
    assert [*news(had, with_workers(case, had), "because")] == told


def test_an_event_that_is_gone_is_gone() -> None:
    assert [one["name"] for one in make(EventFacts("b"), had=make(EventFacts("a")))["eventStatuses"]] == ["b"]


def test_every_text_fits() -> None:
    long = "x" * 40_000
    events = [
        EventFacts(
            f"{'n' * 60}{i}",
            long,
            runs=False,
            tally=tally(dead(long, long), answered=long, not_sent=1, last=NOW),
            version="v",
            stats=Stats(paused=NOW, version="v"),
        )
        for i in range(100)
    ]
    crd = yaml.safe_load((ROOT / "crds/beatschedules.channelbeat.dev.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    most = Workers("t-worker", 9_999_999, 9_999_999, Decision(9_999_999, Load.SCALE_DOWN_DELAY, long), Finding("CrashLoop", long))
    _fits(make(*events, case=Case(1, workers=most)), schema, "status")


def _fits(value: Any, schema: dict[str, Any], path: str) -> None:
    if isinstance(value, dict):
        assert value.keys() <= schema["properties"].keys(), path
        for name, inner in value.items():
            _fits(inner, schema["properties"][name], f"{path}.{name}")
    elif isinstance(value, list):
        assert len(value) <= schema["maxItems"], path
        for inner in value:
            _fits(inner, schema["items"], path)
    elif isinstance(value, str):
        assert len(value) <= schema.get("maxLength", 64), path


@pytest.mark.parametrize(
    ("had", "has", "told"),
    [
        ({}, make(EventFacts("a"), case=Case(1, settled=False)), []),
        ({}, make(EventFacts("a"), case=Case(1, invalid=True)), [("Warning", "InvalidSpec")]),
        (make(PAUSABLE), make(PAUSABLE), []),
        (make(PAUSABLE), make(PAUSABLE, case=Case(2)), []),
        (make(PAUSABLE), make(replace(PAUSABLE, tally=tally(last=NOW, not_sent=4))), []),
        (make(PAUSABLE), make(PAUSABLE, case=Case(2, suspended=True)), [("Normal", "Suspended")]),
        (make(PAUSABLE), make(replace(PAUSABLE, stats=Stats(paused=NOW, version="v"))), [("Warning", "EventPaused")]),
        (make(replace(PAUSABLE, stats=Stats(paused=NOW, version="v"))), make(PAUSABLE), [("Normal", "Scheduled"), ("Normal", "EventResumed")]),
        (make(PAUSABLE), make(replace(PAUSABLE, tally=tally(answered="2026 enqueued"))), [("Normal", "Triggered")]),
        (make(PAUSABLE), make(replace(PAUSABLE, tally=tally(answered="2026 Duplicate: it was enqueued before"))), [("Warning", "TriggerRefused")]),
    ],
)
def test_what_is_told(had: dict[str, Any], has: dict[str, Any], told: list[tuple[str, str]]) -> None:
    assert [one[:2] for one in news(had, has)] == told
