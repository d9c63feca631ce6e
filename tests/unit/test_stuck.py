"""When a leader is of no use where it is."""

import pytest

from channelbeat.cluster.stuck import PATIENCE, stuck
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.runtime import Layer

NOW = 1_700_000_000_000


def layer(sign: Sign | None, since: int = PATIENCE + 1) -> Layer:
    return Layer("default", True, 1, None if sign is None else Notice("default", sign, "", NOW - since), NOW)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([layer(Sign.AWAY)], True),
        ([layer(Sign.AWAY), layer(Sign.AWAY)], True),
        ([layer(Sign.AWAY, PATIENCE)], False),
        ([layer(Sign.AWAY), layer(None)], False),
        ([layer(Sign.AWAY), layer(Sign.TAKEN)], False),
        ([layer(None)], False),
        ([], False),
    ],
)
def test_it_steps_aside_when_it_has_reached_no_layer_for_long(layers: list[Layer], expected: bool) -> None:
    assert stuck(layers, NOW) is expected
