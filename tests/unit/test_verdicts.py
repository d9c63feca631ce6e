"""What the conditions of a status say."""

import re
from dataclasses import replace
from typing import Any

import pytest

from channelbeat.core import reasons, verdicts
from channelbeat.core.hindrances import Hindrance
from channelbeat.core.instants import MINUTE
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.core.parse import Fault
from channelbeat.core.reasons import Type, Why
from channelbeat.core.refusal import Refusal
from channelbeat.core.schedule import Event, Missed
from channelbeat.core.verdicts import Case, Verdict, judge
from support.times import at

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
        replace(GOOD, refusal=Refusal("NoSuchLayer", "no layer")),
        "False/NoSuchLayer",
        "False/NoSuchLayer",
        "True/NoSuchLayer",
    ),
    "a namespace that is not let in stalls": (
        replace(GOOD, refusal=Refusal("NamespaceNotAllowed", "not here")),
        "False/NamespaceNotAllowed",
        "False/NamespaceNotAllowed",
        "True/NamespaceNotAllowed",
    ),
    "one that cannot run here says so before its faults": (
        replace(GOOD, refusal=Refusal("NoSuchLayer", "no layer"), faults=(FAULT,)),
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
    found = {type_: f"{verdict.status}/{verdict.reason}" for type_, verdict in judge(case).items()}
    assert found == {Type.READY: ready, Type.ACCEPTED: accepted, Type.STALLED: stalled, Type.WORKERS_READY: "True/NotManaged"}


def test_workers_of_ours_are_not_there_yet() -> None:
    assert judge(replace(GOOD, managed=True))[Type.WORKERS_READY][:2] == ("Unknown", "NotManagedYet")


def test_every_reason_can_be_said_and_is_explained() -> None:
    judged = [judge(case) for case, *_ in CASES.values()] + [judge(replace(GOOD, managed=True)), judge(replace(GOOD, refusal=Refusal("InternalFault", "")))]
    assert {verdict.reason for found in judged for verdict in found.values()} == {*Why}
    assert reasons.__doc__
    assert set(re.findall(r"^\| \w+ \| \w+ \| (\w+) \|", reasons.__doc__, re.MULTILINE)) - {"reason"} == {*Why}


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
