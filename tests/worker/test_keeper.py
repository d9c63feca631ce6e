"""How often does a worker say that it is there?"""

from typing import Any

import pytest

from channelbeat.broker.upkeep import SILENT
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.worker import keeper
from channelbeat.worker.desk import Desk
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


@pytest.mark.parametrize(("claim", "every"), [(30 * SECOND, 10 * SECOND), (10 * MINUTE, 15 * SECOND)])
async def test_it_is_seen_again_and_again_however_long_its_claim(monkeypatch: pytest.MonkeyPatch, claim: Ms, every: Ms) -> None:
    now = [0]
    monkeypatch.setattr(keeper, "now", lambda: now[0])
    nothing: Any = Nothing(now)
    one = Keeper(
        Desk(claim),
        nothing,
        nothing,
        nothing,
        token="w",
        interrupt=lambda *_: None,
        changed=lambda: None,
        facts=dict,
        claim=claim,
        drain=0,
        grace=0,
    )
    for now[0] in range(0, MINUTE, SECOND):
        one._look()
    assert nothing.renewed == [*range(0, MINUTE, every)]
    assert every < SILENT / 3
