"""How long one event takes, learned from two counters."""

from collections.abc import Sequence

import pytest

from channelbeat.core.handling import REMEMBERED, Handling, learned
from channelbeat.core.measures import ChannelLoad


def after(*looks: tuple[int, int]) -> Handling:
    """Looks at (busy, handled)."""
    known: Handling | None = None
    for busy, handled in looks:
        known = learned(known, ChannelLoad(0, 0, busy, handled, None))
    assert known is not None
    return known


@pytest.mark.parametrize(
    ("looks", "mean", "since"),
    [
        pytest.param([(0, 0)], None, 0, id="nothing was ever handled"),
        pytest.param([(0, 0), (0, 0)], None, 0, id="nothing yet"),
        pytest.param([(5_000, 100)], 50.0, 0, id="what was before the first look counts, but is not of this moment"),
        pytest.param([(0, 0), (200, 4)], 50.0, 4, id="the first four"),
        pytest.param([(0, 0), (200, 4), (200, 4)], 50.0, 0, id="and then none"),
        pytest.param([(0, 0), (0, 4)], 0.0, 4, id="they take no time"),
        pytest.param([(0, 0), (100, 1), (400, 4)], 100.0, 3, id="as long as before"),
        pytest.param([(5_000, 100), (65_000, 200)], 325.0, 100, id="of a hundred before and as many now, half each"),
        pytest.param([(50_000_000, 1_000_000), (50_060_000, 1_000_100)], 325.0, 100, id="however many there were before"),
        pytest.param([(5_000, 100), (0, 0)], 50.0, 0, id="a store that was wiped: what was learned stays"),
        pytest.param([(5_000, 100), (0, 0), (100, 2)], (50.0 * 100 + 100) / 102, 2, id="and goes on from there"),
        pytest.param([(5_000, 100), (4_000, 80), (4_100, 82)], (50.0 * 100 + 100) / 102, 2, id="an older copy of the store"),
        pytest.param([(5_000, 100), (10, 200)], 50.0, 0, id="another store, in which more were handled in less time"),
    ],
)
def test_how_long_one_takes(looks: Sequence[tuple[int, int]], mean: float | None, since: int) -> None:
    found = after(*looks)
    assert found.mean == (None if mean is None else pytest.approx(mean))
    assert found.since == since


def test_a_new_version_of_a_handler_shows_before_long() -> None:
    """Twenty times slower, a few at a time."""
    looks = [(1_000_000, 20_000)] + [(1_000_000 + 1_000 * number, 20_000 + number) for number in range(10, 5 * REMEMBERED, 10)]
    assert after(*looks).mean == pytest.approx(1_000, rel=0.05)
