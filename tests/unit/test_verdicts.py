"""What the conditions of a status say."""

import re
from dataclasses import replace
from typing import Any

import pytest

from channelbeat.core import reasons, verdicts
from channelbeat.core.finding import Finding
from channelbeat.core.hindrances import Hindrance
from channelbeat.core.instants import MINUTE
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.core.parse import Fault
from channelbeat.core.reasons import Type, Why
from channelbeat.core.scaling import Decision
from channelbeat.core.scaling import Reason as Load
from channelbeat.core.schedule import Event, Missed
from channelbeat.core.verdicts import Case, Verdict, judge
from channelbeat.core.workers import Workers
from support.times import at
from support.tree import PACKAGE

NOW = at("2026-11-21T12:00:00")
GOOD = Case(3)
FAULT = Fault("spec.events[0].cron", "there is no 31 April")
SAID = Verdict("True", "Scheduled", "what is due is sent")


def notice(sign: Sign) -> Notice:
    return Notice("default", sign, f"layer 'default': {sign}", NOW)


def hindrance(why: Why = Why.CHANNEL_FULL, *, lasts: bool = True) -> Hindrance:
    return Hindrance("default", "c", why, "channel c is full", lasts)


CASES: dict[str, tuple[Case, str, str, str]] = {
    "a good one is scheduled": (GOOD, "True/Scheduled", "True/Accepted", "False/NotStalled"),
    "a spec that cannot be read stalls": (replace(GOOD, invalid=True, faults=(FAULT,)), "False/InvalidSpec", "False/InvalidSpec", "True/InvalidSpec"),
    "a faulty event stalls": (replace(GOOD, faults=(FAULT,)), "False/EventFault", "False/EventFault", "True/EventFault"),
    "a layer that is not there stalls": (
        replace(GOOD, refusal=Finding("NoSuchLayer", "no layer")),
        "False/NoSuchLayer",
        "False/NoSuchLayer",
        "True/NoSuchLayer",
    ),
    "a namespace that is not let in stalls": (
        replace(GOOD, refusal=Finding("NamespaceNotAllowed", "not here")),
        "False/NamespaceNotAllowed",
        "False/NamespaceNotAllowed",
        "True/NamespaceNotAllowed",
    ),
    "one that cannot run here says so before its faults": (
        replace(GOOD, refusal=Finding("NoSuchLayer", "no layer"), faults=(FAULT,)),
        "False/NoSuchLayer",
        "False/NoSuchLayer",
        "True/NoSuchLayer",
    ),
    "a paused event stalls": (replace(GOOD, paused=["a"]), "False/EventPaused", "True/Accepted", "True/EventPaused"),
    "a pause outlives a suspension": (replace(GOOD, paused=["a"], suspended=True), "False/EventPaused", "True/Accepted", "True/EventPaused"),
    "suspended is ready": (replace(GOOD, suspended=True), "True/Suspended", "True/Accepted", "False/NotStalled"),
    "who is suspended needs no layer": (replace(GOOD, suspended=True, trouble=notice(Sign.AWAY)), "True/Suspended", "True/Accepted", "False/NotStalled"),
    "a layer may come back": (replace(GOOD, trouble=notice(Sign.AWAY)), "False/LayerAway", "True/Accepted", "False/NotStalled"),
    "a layer may take writes again": (replace(GOOD, trouble=notice(Sign.WRITES_REFUSED)), "False/WritesRefused", "True/Accepted", "False/NotStalled"),
    "a layer that is taken stalls": (replace(GOOD, trouble=notice(Sign.TAKEN)), "False/LayerTaken", "True/Accepted", "True/LayerTaken"),
    "a layer that is refused stalls": (replace(GOOD, trouble=notice(Sign.REFUSED)), "False/LayerRefused", "True/Accepted", "True/LayerRefused"),
    "a full channel may be the load": (replace(GOOD, hindrance=hindrance()), "False/ChannelFull", "True/Accepted", "False/NotStalled"),
    "a key of another type may be put away": (replace(GOOD, hindrance=hindrance(Why.WRONG_TYPE)), "False/WrongType", "True/Accepted", "False/NotStalled"),
    "somebody may listen yet": (replace(GOOD, hindrance=hindrance(Why.UNATTENDED)), "False/Unattended", "True/Accepted", "False/NotStalled"),
    "who is suspended needs no channel": (replace(GOOD, suspended=True, hindrance=hindrance()), "True/Suspended", "True/Accepted", "False/NotStalled"),
    "a layer's trouble goes before its channel's": (
        replace(GOOD, trouble=notice(Sign.AWAY), hindrance=hindrance()),
        "False/LayerAway",
        "True/Accepted",
        "False/NotStalled",
    ),
    "what waits for a channel is not settled, nor completed": (
        replace(GOOD, hindrance=hindrance(), settled=False, ahead=False),
        "False/ChannelFull",
        "True/Accepted",
        "False/NotStalled",
    ),
    "a full channel that was told stays for a new leader": (
        replace(GOOD, hindrance=hindrance(lasts=False), before=Verdict("False", "ChannelFull")),
        "False/ChannelFull",
        "True/Accepted",
        "False/NotStalled",
    ),
    "a full channel that was not told is not": (replace(GOOD, hindrance=hindrance(lasts=False)), "True/Scheduled", "True/Accepted", "False/NotStalled"),
    "on first sight nobody knows": (replace(GOOD, settled=False), "Unknown/Settling", "True/Accepted", "False/NotStalled"),
    "what was said stays until it is known better": (replace(GOOD, settled=False, before=SAID), "True/Scheduled", "True/Accepted", "False/NotStalled"),
    "a trouble that was told stays, too": (
        replace(GOOD, settled=False, before=Verdict("False", "LayerTaken")),
        "False/LayerTaken",
        "True/Accepted",
        "True/LayerTaken",
    ),
    "a fault that was mended does not stay": (
        replace(GOOD, settled=False, before=Verdict("False", "NoSuchLayer")),
        "Unknown/Settling",
        "True/Accepted",
        "False/NotStalled",
    ),
    "nothing due any more is completed": (replace(GOOD, ahead=False), "True/Completed", "True/Accepted", "False/NotStalled"),
    "nobody knows whether it is completed": (replace(GOOD, ahead=False, settled=False), "Unknown/Settling", "True/Accepted", "False/NotStalled"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_said(name: str) -> None:
    case, ready, accepted, stalled = CASES[name]
    found = {type_: f"{verdict.status}/{verdict.reason}" for type_, verdict in judge(case).items() if type_ is not Type.WORKERS_READY}
    assert found == {Type.READY: ready, Type.ACCEPTED: accepted, Type.STALLED: stalled}


LOAD = Decision(3, Load.LOAD, "12 waiting and 3 in flight call for 3")
NONE = Decision(0, Load.ZERO, "nothing waits, is in flight or is due soon")
NO_IMAGE = Finding(Why.IMAGE_CANNOT_BE_PULLED, "image shop:1.5 cannot be pulled: correct it")
MANAGED = replace(GOOD, managed=True)


def staffed(desired: int = 3, ready: int = 3, decision: Decision | None = LOAD, trouble: Finding | None = None, **case: Any) -> Case:
    return replace(MANAGED, workers=Workers("t-worker", desired, ready, decision, trouble), **case)


WORKERS: dict[str, tuple[Case, str, str]] = {
    "somebody else's": (GOOD, "True/NotManaged", "the workers are somebody else's: there is no spec.worker"),
    "nobody knows yet": (MANAGED, "Unknown/Settling", "it is being found out how many workers there are, and how many there should be"),
    "what was said stays until it is known": (replace(MANAGED, workers_before=Verdict("False", "CrashLoop", "it ended")), "False/CrashLoop", "it ended"),
    "what a version said that did nothing does not stay": (
        replace(MANAGED, workers_before=Verdict("Unknown", "NotManagedYet")),
        "Unknown/Settling",
        "it is being found out how many workers there are, and how many there should be",
    ),
    "nothing is done for a layer that is not there": (
        replace(MANAGED, refusal=Finding("NoSuchLayer", "no layer")),
        "Unknown/NotAccepted",
        "nothing is done about workers until the spec can be run: see the condition Accepted",
    ),
    "nothing is done for what cannot be read": (
        replace(GOOD, invalid=True, faults=(FAULT,)),
        "Unknown/NotAccepted",
        "nothing is done about workers until the spec can be run: see the condition Accepted",
    ),
    "those of an earlier spec go on": (replace(staffed(), invalid=True), "True/AllReady", "3 of 3 ready: 12 waiting and 3 in flight call for 3"),
    "all": (staffed(), "True/AllReady", "3 of 3 ready: 12 waiting and 3 in flight call for 3"),
    "more than all, which are ending": (staffed(ready=5), "True/AllReady", "3 of 3 ready: 12 waiting and 3 in flight call for 3"),
    "nobody decided yet": (staffed(decision=None), "True/AllReady", "3 of 3 ready"),
    "one is missing": (staffed(ready=2), "False/Starting", "2 of 3 ready, another is being started: 12 waiting and 3 in flight call for 3"),
    "some are missing": (staffed(ready=1), "False/Starting", "1 of 3 ready, the others are being started: 12 waiting and 3 in flight call for 3"),
    "none is there yet": (staffed(ready=0), "False/Starting", "0 of 3 ready, they are being started: 12 waiting and 3 in flight call for 3"),
    "none is wanted": (staffed(0, 0, NONE), "True/ScaledToZero", "no worker is called for: nothing waits, is in flight or is due soon"),
    "the last is ending": (staffed(0, 1, NONE), "True/ScaledToZero", "no worker is called for: nothing waits, is in flight or is due soon"),
    "trouble goes before what is missing": (staffed(ready=0, trouble=NO_IMAGE), "False/ImageCannotBePulled", NO_IMAGE.text),
    "there may be trouble though all are ready": (staffed(trouble=Finding("NobodyListens", "none is heard of")), "False/NobodyListens", "none is heard of"),
    "there may be trouble though none is wanted": (
        staffed(0, 0, NONE, Finding("ExpiryShorterThanStartUp", "they may expire")),
        "False/ExpiryShorterThanStartUp",
        "they may expire",
    ),
}


@pytest.mark.parametrize("name", WORKERS)
def test_what_is_said_of_workers(name: str) -> None:
    case, said, message = WORKERS[name]
    found = judge(case)[Type.WORKERS_READY]
    assert (f"{found.status}/{found.reason}", found.message) == (said, message)


@pytest.mark.parametrize("trouble", sorted(reasons.OF_WORKERS))
def test_trouble_with_workers_leaves_ready_as_it_is_and_is_pointed_at(trouble: Why) -> None:
    found = judge(staffed(ready=0, trouble=Finding(trouble, "so")))
    assert (found[Type.READY][:2], found[Type.WORKERS_READY][:2], found[Type.STALLED][:2]) == (SAID[:2], ("False", trouble), ("False", "NotStalled"))
    assert found[Type.READY].message == f"what is due is sent; for its workers see the condition WorkersReady ({trouble})"


@pytest.mark.parametrize("case", [staffed(), staffed(ready=0), staffed(0, 0, NONE), MANAGED])
def test_workers_that_are_well_or_on_their_way_are_not_pointed_at(case: Case) -> None:
    assert judge(case)[Type.READY] == SAID


UNATTENDED = hindrance(Why.UNATTENDED)


@pytest.mark.parametrize(
    ("case", "ready"),
    [
        (staffed(hindrance=UNATTENDED), ("False", "Unattended", "channel c is full")),
        (staffed(0, 0, NONE, hindrance=UNATTENDED), ("False", "Unattended", "channel c is full")),
        (staffed(ready=0, hindrance=UNATTENDED), SAID),
        (staffed(ready=0, hindrance=UNATTENDED, before=Verdict("False", "Unattended", "for long")), ("False", "Unattended", "for long")),
        (
            staffed(ready=0, trouble=NO_IMAGE, hindrance=UNATTENDED),
            ("False", "Unattended", f"its runs wait, and no worker takes them (ImageCannotBePulled): {NO_IMAGE.text}"),
        ),
        (staffed(ready=0, trouble=NO_IMAGE, hindrance=hindrance()), ("False", "ChannelFull", "channel c is full")),
        (staffed(ready=0, hindrance=hindrance()), ("False", "ChannelFull", "channel c is full")),
    ],
    ids=[
        "nobody of those listens",
        "nobody is called",
        "they are being started",
        "they are started anew",
        "they cannot start",
        "a full channel",
        "a full channel, and they start",
    ],
)
def test_a_channel_on_which_nobody_listens_is_told_with_why_there_are_no_workers(case: Case, ready: tuple[str, str, str]) -> None:
    assert judge(case)[Type.READY] == ready


def test_every_reason_can_be_said_and_is_explained() -> None:
    cases = [*(case for case, *_ in CASES.values()), *(case for case, *_ in WORKERS.values()), replace(GOOD, refusal=Finding("InternalFault", ""))]
    judged = [judge(case) for case in cases]
    said = {str(verdict.reason) for found in judged for verdict in found.values()}
    assert said | reasons.OF_WORKERS == {*Why}
    assert reasons.__doc__
    assert set(re.findall(r"^\| \w+ \| \w+ \| (\w+) \|", reasons.__doc__, re.MULTILINE)) - {"reason"} == {*Why}
    assert set(re.findall(r"^\| WorkersReady \| False \| (\w+) \|", reasons.__doc__, re.MULTILINE)) == {*reasons.OF_WORKERS, Why.STARTING}


def test_every_trouble_that_somebody_finds_is_a_reason_and_the_other_way_round() -> None:
    sources = "\n".join(file.read_text() for file in PACKAGE.rglob("*.py"))
    constants = dict(re.findall(r'^([A-Z_]+): Final = "(\w+)"$', sources, re.MULTILINE))
    found = re.findall(r'\bFinding\(\s*(?:"(\w+)"|([A-Z_]+)\b)', sources)
    passed_on = re.findall(r'\bApiRefused\(.+, "([A-Z]\w+)"\)', sources)
    words = {word or constants[name] for word, name in found} | {*passed_on}
    assert words - {"NoSuchLayer", "NamespaceNotAllowed"} == {*reasons.OF_WORKERS}


def test_reasons_are_words_the_api_server_takes() -> None:
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", reason) for reason in Why)


def test_a_redis_that_is_away_says_what_becomes_of_what_falls_due() -> None:
    message = judge(replace(GOOD, trouble=notice(Sign.AWAY), meanwhile="of what falls due meanwhile, nothing is sent later"))[Type.READY].message
    assert message == (
        "layer 'default': Away; nothing is sent until it does: see that it runs, and that the operator's pod reaches it. "
        "Of what falls due meanwhile, nothing is sent later"
    )


def event(name: str, **missed: Any) -> Event:
    return Event(name=name, type="x", every=MINUTE, missed=Missed(**missed))


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([event("a"), event("b")], "of what falls due meanwhile, the latest occurrence of each event is sent then, if at most 1h late"),
        ([event("a", policy="Skip")], "of what falls due meanwhile, nothing is sent later"),
        (
            [event("a", policy="All", window=5 * MINUTE), event("b", policy="Skip"), event("c", policy="Skip")],
            "of what falls due meanwhile: a: every occurrence is sent then, if at most 5m late; b and c: nothing is sent later",
        ),
    ],
)
def test_the_missed_policies_in_a_sentence(events: list[Event], sentence: str) -> None:
    assert verdicts.meanwhile(events) == sentence


def test_many_faults_are_cut_to_three() -> None:
    message = judge(replace(GOOD, faults=[Fault(f"spec.events[{i}].cron", "bad") for i in range(9)]))[Type.ACCEPTED].message
    assert message.endswith("spec.events[2].cron: bad; and 6 more: see status.eventStatuses")


def test_a_message_is_bounded() -> None:
    found = verdicts.conditions(judge(replace(GOOD, invalid=True, faults=[Fault("spec", "x" * 50_000)])), [], generation=1, now=NOW)
    assert max(len(one["message"]) for one in found) == verdicts.MESSAGE


def test_a_time_changes_with_its_status_only() -> None:
    before = verdicts.conditions(judge(GOOD), [], generation=3, now=NOW)
    after = verdicts.conditions(judge(replace(GOOD, suspended=True, paused=[])), before, generation=4, now=NOW + MINUTE)
    assert {(one["lastTransitionTime"], one["observedGeneration"]) for one in after} == {("2026-11-21T12:00:00Z", 4)}
    turned = verdicts.conditions(judge(replace(GOOD, trouble=notice(Sign.AWAY))), after, generation=4, now=NOW + MINUTE + 345)
    assert {one["type"]: one["lastTransitionTime"] for one in turned} == {
        "Ready": "2026-11-21T12:01:00Z",
        "Accepted": "2026-11-21T12:00:00Z",
        "WorkersReady": "2026-11-21T12:00:00Z",
        "Stalled": "2026-11-21T12:00:00Z",
    }


def test_conditions_of_others_stay() -> None:
    theirs = {"type": "Blessed", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "So", "message": ""}
    assert verdicts.conditions(judge(GOOD), [theirs], generation=3, now=NOW)[4:] == [theirs]


def test_what_was_said_of_another_generation_does_not_count() -> None:
    before = verdicts.conditions(judge(GOOD), [], generation=3, now=NOW)
    assert verdicts.said(before, Type.READY, generation=3) == SAID
    assert verdicts.said(before, Type.READY, generation=4) is None
