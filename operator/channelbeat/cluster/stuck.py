"""Is this leader of no use where it is? Another may reach from its node what cannot be reached from ours."""

from collections.abc import Sequence
from typing import Final

from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.outcomes import Sign
from channelbeat.runtime import Layer

PATIENCE: Final[Ms] = 30 * SECOND


def stuck(layers: Sequence[Layer], now: Ms) -> bool:
    """No layer's Redis has answered for long. One that answers is reason enough to stay: who takes over would have to leave it."""
    ailments = [layer.ailment for layer in layers]
    return bool(ailments) and all(one is not None and one.sign is Sign.AWAY and now - one.at > PATIENCE for one in ailments)
