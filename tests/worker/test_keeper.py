"""How often does a worker say that it is there, and when does it end what is under way?"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from channelbeat.broker.claims import Plain
from channelbeat.broker.upkeep import SILENT
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.worker import keeper
from channelbeat.worker.desk import Attempt, Desk
from channelbeat.worker.judging import LAST
from channelbeat.worker.keeper import Keeper


class Nothing:
    """Does whatever it is asked to, and says when."""

    def __init__(self, now: list[Ms]) -> None:
        self.now, self.renewed = now, list[Ms]()

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None

    def renew(self, facts: dict[str, str], held: dict[str, str]) -> dict[str, str]:
        self.renewed.append(self.now[0])
        return {}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[Ms]:
    """Now, as its first and only item."""
    now = [0]
    monkeypatch.setattr(keeper, "now", lambda: now[0])
    return now


def keeping(desk: Desk, nothing: Any, *, claim: Ms, interrupt: Callable[[int, Attempt, str], None] = lambda *_: None) -> Keeper:
    return Keeper(desk, nothing, nothing, nothing, token="w", interrupt=interrupt, changed=lambda: None, facts=dict, claim=claim, drain=0, grace=0)


@pytest.mark.parametrize(("claim", "every"), [(30 * SECOND, 10 * SECOND), (10 * MINUTE, 15 * SECOND)])
async def test_it_is_seen_again_and_again_however_long_its_claim(clock: list[Ms], claim: Ms, every: Ms) -> None:
    nothing = Nothing(clock)
    one = keeping(Desk(claim), nothing, claim=claim)
    for clock[0] in range(0, MINUTE, SECOND):
        one._look()
    assert nothing.renewed == [*range(0, MINUTE, every)]
    assert every < SILENT / 3


async def test_a_process_that_stood_still_asks_what_is_under_way_to_end_before_it_ends(clock: list[Ms], monkeypatch: pytest.MonkeyPatch) -> None:
    """However long after the time to finish was up."""
    told = list[str]()
    monkeypatch.setattr(Keeper, "_end_process", lambda *_: told.append("the process ends"))
    desk = Desk(MINUTE)
    desk.attempts[0], desk.deadline = Attempt(Plain("c", b"", b"0"), 0), SECOND
    one = keeping(desk, Nothing(clock), claim=MINUTE, interrupt=lambda slot, attempt, reason: told.append(reason))
    for clock[0] in (0, HOUR, HOUR + LAST - 1, HOUR + LAST):
        one._look()
        await asyncio.sleep(0)
        told.append(str(clock[0] - HOUR))
    assert told == [str(-HOUR), "back", "0", str(LAST - 1), "the process ends", str(LAST)]
