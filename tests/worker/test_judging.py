"""Which attempts are over time, which are stuck, and when the process has to end."""

from typing import NamedTuple

import pytest

from channelbeat.broker.claims import Claimed, Done, Plain
from channelbeat.core.instants import Ms
from channelbeat.worker.desk import Attempt
from channelbeat.worker.judging import LAST, TAIL, judge

GRACE, DRAIN, TIMEOUT = 5_000, 60_000, 10_000


def run(*, over: Ms | None = None, ended: bool = False) -> Attempt:
    attempt = Attempt(Claimed("r", "", "c", "t", 1, 3, 0, TIMEOUT, b""), 0)
    attempt.over = over
    attempt.done = Done("r", "t", "ok") if ended else None
    return attempt


def plain() -> Attempt:
    return Attempt(Plain("c", b"", b"0"), 0)


class Case(NamedTuple):
    attempts: list[Attempt]
    now: Ms
    over: int = 0
    stuck: int = 0
    ends: str = ""
    up_at: Ms | None = None
    stuck_since: Ms | None = None


CASES = {
    "nothing is under way": Case([], 99_999),
    "within its time": Case([run()], TIMEOUT - 1),
    "its time is up": Case([run()], TIMEOUT, over=1),
    "told once": Case([run(over=TIMEOUT)], TIMEOUT + 1),
    "it has ended, and is being settled": Case([run(ended=True)], 99_999),
    "it does not end": Case([run(over=TIMEOUT), plain()], TIMEOUT + GRACE, stuck=1, stuck_since=TIMEOUT + GRACE),
    "it ends after its grace": Case([run(over=TIMEOUT, ended=True)], TIMEOUT + GRACE),
    "a plain message has no time": Case([plain()], 99_999),
    "nothing but what is stuck": Case([run(over=TIMEOUT)], TIMEOUT + GRACE, stuck=1, ends="nothing else is under way"),
    "nothing but what is stuck and what is being settled": Case(
        [run(over=TIMEOUT), run(ended=True)], TIMEOUT + GRACE, stuck=1, ends="nothing else is under way"
    ),
    "the others have had their time": Case([run(over=TIMEOUT), plain()], 20_000 + DRAIN, stuck=1, stuck_since=20_000, ends="the time for the rest is up"),
    "stopping, within the time": Case([plain()], 9_999, up_at=10_000),
    "stopping, the last moment": Case([plain()], 10_000 + LAST - 1, up_at=10_000),
    "stopping, and it does not end": Case([plain()], 10_000 + LAST, up_at=10_000, ends="the time to finish is up"),
    "stopping, and it is not settled": Case([run(ended=True)], 10_000 + LAST, up_at=10_000, ends="the time to finish is up"),
    "stopping, nothing is under way": Case([], 10_000 + LAST, up_at=10_000),
    "stopping, nothing is under way, for long": Case([], 10_000 + LAST + TAIL, up_at=10_000, ends="does not end"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_judged(case: Case) -> None:
    found = judge(case.attempts, now=case.now, grace=GRACE, drain=DRAIN, up_at=case.up_at, stuck_since=case.stuck_since)
    assert (len(found.over), len(found.stuck)) == (case.over, case.stuck)
    assert case.ends in found.ends
    assert bool(found.ends) == bool(case.ends)
