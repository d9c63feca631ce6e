"""Which layers are in trouble, for so long that their schedules' conditions are to say so?

A trouble counts once it has lasted over a minute, and so does its turning into another: a Redis that restarts rewrites no object.
That it is over counts at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.runtime import Layer

LASTS: Final[Ms] = MINUTE
STEADY: Final[Ms] = 5 * SECOND


@dataclass(slots=True)
class _Health:
    well: Ms | None = None  # since when
    ailing: Ms | None = None
    sign: Sign | None = None
    turned: Ms = 0  # when it became that sign
    told: Notice | None = None


class LayerTroubles:
    def __init__(self) -> None:
        self._layers: dict[str, _Health] = {}

    def look(self, layers: Sequence[Layer], now: Ms) -> set[str]:
        """Those of whose trouble something else is to be said than at the last look. To be called every second or so."""
        for gone in self._layers.keys() - {layer.name for layer in layers}:
            del self._layers[gone]
        return {layer.name for layer in layers if self._look(layer, now)}

    def trouble(self, layer: str) -> Notice | None:
        """What is to be said of it."""
        health = self._layers.get(layer)
        return health.told if health is not None else None

    def well(self, layer: str) -> bool:
        """We lead it, and nothing is wrong."""
        health = self._layers.get(layer)
        return health is not None and health.well is not None

    def steady(self, layer: str, now: Ms) -> bool:
        """It has been well for long enough that all its events are settled."""
        health = self._layers.get(layer)
        return health is not None and health.well is not None and now - health.well >= STEADY

    def _look(self, layer: Layer, now: Ms) -> bool:
        health = self._layers.setdefault(layer.name, _Health())
        before = health.told
        if layer.ailment is not None:
            health.well = None
            health.ailing = now if health.ailing is None else health.ailing
            if health.sign is not layer.ailment.sign:
                health.sign, health.turned = layer.ailment.sign, now
            since = health.ailing if health.told is None else health.turned
            if now - since > LASTS and (health.told is None or health.told.sign is not health.sign):
                health.told = layer.ailment
        elif layer.leading:
            health.well = now if health.well is None else health.well
            health.ailing = health.sign = health.told = None
        else:  # nobody can tell: what was said holds
            health.well = None
        return before is not health.told
