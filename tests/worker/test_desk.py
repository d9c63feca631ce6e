"""May a worker take messages? Only what it can keep."""

import pytest

from channelbeat.worker.desk import Desk, now

CLAIM = 30_000


@pytest.mark.parametrize(("ago", "opened"), [(None, False), (0, True), (CLAIM // 2, True), (CLAIM * 3 // 4, False), (CLAIM, False)])
def test_nothing_is_taken_unless_claims_were_renewed_lately(ago: int | None, opened: bool) -> None:
    desk = Desk(CLAIM)
    desk.renewed = None if ago is None else now() - ago
    assert desk.open is opened


def test_nothing_is_taken_while_it_stops_or_something_is_stuck() -> None:
    for what in ("deadline", "stuck"):
        desk = Desk(CLAIM)
        desk.renewed = now()
        setattr(desk, what, 1)
        assert not desk.open
