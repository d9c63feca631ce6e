"""What follows for an event once its fence has been read: tables of what was known, what Redis says, and what is then told and done."""

from collections.abc import Sequence
from typing import Any

import pytest

from channelbeat.core.batch import TOMBSTONE, Adopt, Fence, Send, Verdict
from channelbeat.core.definition import Definition, compile_schedule
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Kind, Outcome, Reason
from channelbeat.core.planning import Enqueue, left_over
from channelbeat.core.settling import Settlement, Standing, settle
from channelbeat.core.steps import Step, enqueue, outcome, skip
from support.rig import schedule
from support.times import at, short


def definition(event: dict[str, Any], **spec: Any) -> Definition:
    return compile_schedule(schedule(event, **spec))[0]


EVERY = definition({"every": "10s"})
PAYLOAD = definition({"every": "10s", "fields": {"n": 1}})
CRON = definition({"cron": "* * * * *"})
JITTERED = definition({"cron": "* * * * *", "jitter": "59s"})  # 12:01:00 is to be sent at 12:01:27.706
SUSPENDED = definition({"every": "10s", "suspend": True})
GROUP = compile_schedule(schedule({"every": "10s"}, group="g"))[0]
TRACKED = definition({"every": "10s"}, delivery="AtLeastOnce")
ALONE = definition({"every": "10s", "overlap": "Skip"}, delivery="AtLeastOnce", pauseAfterFailures=3)
NAMES = {EVERY.hash: "every", CRON.hash: "cron", SUSPENDED.hash: "suspended", TOMBSTONE: "tombstone"}


def occurrence(due: str) -> Occurrence:
    return Occurrence(at(due), at(due))


def sent(due: str, under: Definition = EVERY) -> Step:
    return enqueue(under, occurrence(due))


def skipped(since: str, until: str) -> Step:
    return skip(EVERY, left_over(EVERY, at(since), at(until), Reason.POLICY_SKIP))


def fence(due: str, under: Definition | str = EVERY, word: str = "enqueued") -> Fence:
    return Fence(at(due), under if isinstance(under, str) else under.hash, word)


def known(
    current: Definition | None = EVERY,
    wanted: Definition | None = EVERY,
    *,
    acknowledged: str | None = "12:00:10",
    unanswered: Sequence[Step] = (),
    recent: Sequence[str] = (),
    since: str = "11:00:00",
    broken: Reason = Reason.NONE,
) -> Standing:
    at_ = at(acknowledged) if acknowledged else None
    return Standing(EVERY.key, current, wanted, at_, unanswered, [occurrence(due) for due in recent], at(since), broken)


def outcome_told(o: Outcome) -> str:
    return f"{o.kind}{'/' + o.reason if o.reason else ''} {o.count} to {short(o.due)}"


def told(settlement: Settlement) -> list[str]:
    """The outcomes, the steps (an adopted fence: its hash's name), and where the event goes on."""
    found = [outcome_told(o) for o in settlement.outcomes]
    for step in settlement.steps:
        item = step.item
        does = f"adopt {NAMES[item.hash]} at {short(item.due)}" if isinstance(item, Adopt) else f"send {short(item.due)}" if isinstance(item, Send) else "skip"
        said = outcome(step, at=0)
        found.append(f"{does}: {outcome_told(said)}" if said else does)
    return [*found, f"on from {short(settlement.cursor)}"]


def settled(standing: Standing, stored: Fence | None, verdict: Verdict = Verdict.SAME) -> list[str]:
    return told(settle(standing, stored, verdict, founded=at("10:00:00"), at=at("12:01:00")))


@pytest.mark.parametrize(
    ("standing", "stored", "expected"),
    [
        pytest.param(known(current=None, acknowledged=None), fence("11:59:50"), ["on from 11:59:50"], id="a restart goes on from the fence"),
        pytest.param(
            known(current=None, acknowledged=None, since="12:00:30"), None, ["adopt every at 12:00:30", "on from 12:00:30"], id="a new event makes its fence"
        ),
        pytest.param(
            known(current=None, acknowledged=None, since="12:00:30"),
            fence("11:59:50", CRON),
            ["adopt every at 12:00:30", "on from 12:00:30"],
            id="edited while nobody led: nothing is made up for, and nothing is known to count",
        ),
        pytest.param(known(), fence("12:00:10"), ["on from 12:00:10"], id="nothing changed"),
        pytest.param(known(wanted=PAYLOAD, since="12:00:55"), fence("12:00:10"), ["on from 12:00:10"], id="another payload: the same due times"),
        pytest.param(
            known(wanted=CRON, since="12:00:35"),
            fence("12:00:10"),
            ["adopt cron at 12:00:35: missed/Edited 2 to 12:00:30", "on from 12:00:35"],
            id="what an edit leaves undone is counted, up to the edit",
        ),
        pytest.param(known(wanted=CRON, since="12:00:15"), fence("12:00:10"), ["adopt cron at 12:00:15", "on from 12:00:15"], id="usually that is nothing"),
        pytest.param(
            known(JITTERED, since="12:01:10"),
            fence("12:00:00", JITTERED),
            ["adopt every at 12:01:10: missed/Edited 1 to 12:01:00", "on from 12:01:10"],
            id="what was due, but not sent yet because of its jitter, as well",
        ),
        pytest.param(
            known(current=SUSPENDED, since="12:00:35"),
            fence("12:00:10", SUSPENDED),
            ["adopt every at 12:00:35: suspended 2 to 12:00:30", "on from 12:00:35"],
            id="a resume makes up for nothing: it was suspended until then",
        ),
        pytest.param(
            known(wanted=CRON, since="12:00:35"), fence("12:00:40"), ["adopt cron at 12:00:40", "on from 12:00:40"], id="an edit never goes behind the fence"
        ),
        pytest.param(
            known(wanted=None, since="12:00:35"),
            fence("12:00:10"),
            ["adopt tombstone at 12:00:35: missed/Removed 2 to 12:00:30", "on from 12:00:35"],
            id="what a removal leaves undone is counted",
        ),
        pytest.param(
            known(current=None, wanted=None, acknowledged=None, since="12:00:35"),
            fence("12:00:10"),
            ["adopt tombstone at 12:00:35", "on from 12:00:35"],
            id="of what vanished while nobody led only the tombstone is left",
        ),
        pytest.param(known(wanted=None, since="12:00:35"), fence("12:00:30", TOMBSTONE), ["on from 12:00:35"], id="a tombstone stays as it is"),
        pytest.param(
            known(since="12:00:35", broken=Reason.REMOVED),
            fence("12:00:10"),
            ["adopt every at 12:00:35: missed/Removed 2 to 12:00:30", "on from 12:00:35"],
            id="gone and back: a removal, and a new start",
        ),
    ],
)
def test_a_store_that_is_the_same(standing: Standing, stored: Fence | None, expected: list[str]) -> None:
    assert settled(standing, stored) == expected


@pytest.mark.parametrize(
    ("standing", "stored", "expected"),
    [
        pytest.param(
            known(unanswered=[sent("12:00:20")]), fence("12:00:20"), ["enqueued 1 to 12:00:20", "on from 12:00:20"], id="carried out: told, not sent again"
        ),
        pytest.param(known(unanswered=[sent("12:00:20")]), fence("12:00:10"), ["on from 12:00:10"], id="not carried out: nothing to tell, it is planned again"),
        pytest.param(
            known(unanswered=[sent("12:00:20"), sent("12:00:30")]),
            fence("12:00:20"),
            ["enqueued 1 to 12:00:20", "on from 12:00:20"],
            id="half of a batch, because the channel filled up",
        ),
        pytest.param(
            known(unanswered=[skipped("12:00:10", "12:00:40"), sent("12:00:50")]),
            fence("12:00:50"),
            ["missed/PolicySkip 3 to 12:00:40", "enqueued 1 to 12:00:50", "on from 12:00:50"],
            id="skips are told as well",
        ),
        pytest.param(
            known(GROUP, GROUP, unanswered=[sent("12:00:20", GROUP)]),
            fence("12:00:20"),
            ["unknown/ReplyLost 1 to 12:00:20", "on from 12:00:20"],
            id="a group's fence without its group_send may not have been sent",
        ),
        pytest.param(
            known(wanted=CRON, unanswered=[sent("12:00:20")], since="12:00:35"),
            fence("12:00:20"),
            ["enqueued 1 to 12:00:20", "adopt cron at 12:00:35: missed/Edited 1 to 12:00:30", "on from 12:00:35"],
            id="an edit meanwhile leaves undone only what comes after",
        ),
    ],
)
def test_a_reply_that_was_lost(standing: Standing, stored: Fence | None, expected: list[str]) -> None:
    assert settled(standing, stored) == expected


OVERLAP, PAUSED = "skipped/PreviousRunActive", "suspended/Paused"


@pytest.mark.parametrize(
    ("under", "unanswered", "stored", "expected"),
    [
        pytest.param(ALONE, ["12:00:20"], fence("12:00:20"), ["enqueued 1 to 12:00:20", "on from 12:00:20"], id="its code says that it became a run"),
        pytest.param(ALONE, ["12:00:20"], fence("12:00:20", word=OVERLAP), [f"{OVERLAP} 1 to 12:00:20", "on from 12:00:20"], id="or that another was active"),
        pytest.param(ALONE, ["12:00:20"], fence("12:00:20", word=PAUSED), [f"{PAUSED} 1 to 12:00:20", "on from 12:00:20"], id="or that it was paused"),
        pytest.param(ALONE, ["12:00:20"], fence("12:00:10"), ["on from 12:00:10"], id="it stands before it: nothing became of it yet"),
        pytest.param(
            ALONE,
            ["12:00:20"],
            fence("12:00:30", word=OVERLAP),
            ["unknown/ReplyLost 1 to 12:00:20", "on from 12:00:30"],
            id="another leader has moved it on: what became of it is not known",
        ),
        pytest.param(
            ALONE,
            ["12:00:20", "12:00:30"],
            fence("12:00:30", word=OVERLAP),
            ["unknown/ReplyLost 1 to 12:00:20", f"{OVERLAP} 1 to 12:00:30", "on from 12:00:30"],
            id="of several, as a replay sends them, it tells of the last",
        ),
        pytest.param(TRACKED, ["12:00:20"], fence("12:00:30"), ["enqueued 1 to 12:00:20", "on from 12:00:30"], id="a run that nothing stands in the way of"),
    ],
)
def test_what_the_fence_says_of_a_run_whose_reply_was_lost(under: Definition, unanswered: list[str], stored: Fence, expected: list[str]) -> None:
    assert settled(known(under, under, unanswered=[sent(due, under) for due in unanswered]), stored) == expected


@pytest.mark.parametrize(("word", "remembered"), [("enqueued", ["12:00:20"]), (OVERLAP, []), (PAUSED, [])])
def test_only_what_became_a_run_is_given_again_to_a_store_that_lost_it(word: str, remembered: list[str]) -> None:
    standing = known(ALONE, ALONE, unanswered=[sent("12:00:20", ALONE)])
    settlement = settle(standing, fence("12:00:20", word=word), Verdict.SAME, founded=at("10:00:00"), at=at("12:01:00"))
    assert [short(o.due) for o in settlement.enqueued] == remembered


@pytest.mark.parametrize(
    ("verdict", "standing", "stored", "expected"),
    [
        pytest.param(Verdict.WIPED, known(), None, ["adopt every at 12:00:10", "on from 12:00:10"], id="wiped: the fence is raised to where it stood"),
        pytest.param(
            Verdict.WIPED,
            known(unanswered=[sent("12:00:20")]),
            None,
            ["unknown/StoreWiped 1 to 12:00:20", "adopt every at 12:00:20", "on from 12:00:20"],
            id="wiped: what may have been sent is not sent again",
        ),
        pytest.param(
            Verdict.WIPED,
            known(wanted=CRON, since="12:00:35"),
            None,
            ["adopt every at 12:00:10", "adopt cron at 12:00:35: missed/Edited 2 to 12:00:30", "on from 12:00:35"],
            id="wiped, and edited meanwhile",
        ),
        pytest.param(
            Verdict.WIPED,
            known(current=None, acknowledged=None, since="12:00:35"),
            None,
            ["adopt every at 12:00:35", "on from 12:00:35"],
            id="wiped before its fence was known",
        ),
        pytest.param(Verdict.ROLLED_BACK, known(recent=["12:00:10"]), fence("12:00:10"), ["on from 12:00:10"], id="rolled back, but not this event"),
        pytest.param(
            Verdict.ROLLED_BACK,
            known(acknowledged="12:00:30", recent=["12:00:20", "12:00:30"]),
            fence("12:00:10"),
            [
                "adopt every at 12:00:19.999",
                "send 12:00:20: enqueued/Replayed 1 to 12:00:20",
                "send 12:00:30: enqueued/Replayed 1 to 12:00:30",
                "on from 12:00:30",
            ],
            id="rolled back: the last minute is sent again",
        ),
        pytest.param(
            Verdict.ROLLED_BACK,
            known(acknowledged="12:00:30", recent=["12:00:30"]),
            fence("12:00:00"),
            ["adopt every at 12:00:29.999: lost/StoreRolledBack 2 to 12:00:20", "send 12:00:30: enqueued/Replayed 1 to 12:00:30", "on from 12:00:30"],
            id="rolled back: what is older is lost",
        ),
        pytest.param(
            Verdict.ROLLED_BACK,
            known(acknowledged="12:00:30", recent=[]),
            fence("12:00:00"),
            ["adopt every at 12:00:30: lost/StoreRolledBack 3 to 12:00:30", "on from 12:00:30"],
            id="rolled back far: all of it is lost",
        ),
        pytest.param(
            Verdict.ROLLED_BACK,
            known(acknowledged="12:00:40", recent=["12:00:20"]),
            fence("12:00:10"),
            ["adopt every at 12:00:19.999", "send 12:00:20: enqueued/Replayed 1 to 12:00:20", "adopt every at 12:00:40", "on from 12:00:40"],
            id="rolled back: what had been passed over stays so",
        ),
        pytest.param(
            Verdict.ROLLED_BACK,
            known(SUSPENDED, SUSPENDED, acknowledged="12:00:40"),
            fence("12:00:10", SUSPENDED),
            ["adopt suspended at 12:00:40", "on from 12:00:40"],
            id="rolled back: what was suspended has been told, and was never there to lose",
        ),
    ],
)
def test_a_store_that_lost_something(verdict: Verdict, standing: Standing, stored: Fence | None, expected: list[str]) -> None:
    assert settled(standing, stored, verdict) == expected


@pytest.mark.parametrize(
    ("created", "stored", "expected"),
    [
        pytest.param("12:00:25", None, ["adopt every at 12:00:25", "on from 12:00:25"], id="made while nobody led"),
        pytest.param("12:00:25", fence("12:00:10", TOMBSTONE), ["adopt every at 12:00:25", "on from 12:00:25"], id="made again while nobody led"),
        pytest.param("12:00:05", fence("12:00:10", TOMBSTONE), ["adopt every at 12:00:40", "on from 12:00:40"], id="only out of sight for a while"),
        pytest.param("12:00:25", fence("12:00:10"), ["on from 12:00:25"], id="made again, and its removal was not seen"),
    ],
)
def test_a_creation(created: str, stored: Fence | None, expected: list[str]) -> None:
    made = compile_schedule(schedule({"every": "10s"}), created=at(created))[0]
    assert settled(known(None, made, acknowledged=None, since="12:00:40"), stored) == expected


def test_what_a_removal_leaves_undone_is_not_sent_by_its_successor_as_well() -> None:
    made = compile_schedule(schedule({"every": "10s"}), created=at("12:00:25"))[0]
    settlement = settle(known(EVERY, made, since="12:00:40", broken=Reason.REMOVED), fence("12:00:10"), Verdict.SAME, founded=at("10:00:00"), at=at("12:01:00"))
    assert told(settlement) == ["adopt every at 12:00:25: missed/Removed 1 to 12:00:20", "on from 12:00:25"]


def test_a_tracked_step_carries_its_run_and_how_to_handle_it() -> None:
    item = sent("12:00:20", ALONE).item
    assert isinstance(item, Send)
    assert item.channel == "queue:c"
    assert item.tracked == ALONE.tracked("default/t/e/2025-06-02T12:00:20Z")
    assert item.message["beat"]["run"] == "default/t/e/2025-06-02T12:00:20Z"
    plain = sent("12:00:20").item
    assert isinstance(plain, Send)
    assert (plain.channel, plain.tracked) == ("c", None)


def test_each_kind_of_step_says_what_it_carries() -> None:
    assert isinstance(sent("12:00:20").told, Enqueue)
    said = outcome(sent("12:00:20"), at=at("12:00:21"), fate=(Kind.HELD, Reason.CHANNEL_FULL))
    assert said is not None
    assert (said.kind, said.reason, said.lateness) == (Kind.HELD, Reason.CHANNEL_FULL, None)
    done = outcome(sent("12:00:20"), at=at("12:00:21"))
    assert done is not None
    assert (done.run, done.lateness) == ("default/t/e/2025-06-02T12:00:20Z", 1000)
