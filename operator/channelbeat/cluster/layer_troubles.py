"""Which layers and channels are in trouble, for so long that their schedules' conditions are to say so?

A trouble counts once it has lasted over a minute, and so does its turning into another: a Redis that restarts rewrites no object.
That it is over counts at once. Of a channel nothing new is known while its layer is not well, nor in the first seconds after.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from channelbeat.core.hindrances import Hindrance
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.core.reasons import Why
from channelbeat.runtime import Layer

LASTS: Final[Ms] = MINUTE
STEADY: Final[Ms] = 5 * SECOND


class Place(NamedTuple):
    """A layer, or one of its targets."""

    layer: str
    target: str = ""


@dataclass(slots=True)
class _Health:
    well: Ms | None = None  # since when
    ailing: Ms | None = None
    sign: Sign | None = None
    turned: Ms = 0  # when it became that sign
    told: Notice | None = None


@dataclass(slots=True)
class _Channel:
    since: Ms
    why: Why | None = None
    told: Hindrance | None = None


class LayerTroubles:
    def __init__(self) -> None:
        self._layers: dict[str, _Health] = {}
        self._channels: dict[Place, _Channel] = {}
        self._looked: Ms = -SECOND  # at the channels, of which there may be thousands

    def look(self, layers: Sequence[Layer], hindrances: Callable[[], Sequence[Hindrance]], now: Ms) -> set[Place]:
        """Those of whose trouble something else is to be said than at the last look. To be called every second or so."""
        for gone in self._layers.keys() - {layer.name for layer in layers}:
            del self._layers[gone]
        changed = {Place(layer.name) for layer in layers if self._look(layer, now)}
        if self._looked <= now < self._looked + SECOND:
            return changed
        self._looked = now
        found = {Place(one.layer, one.target): one for one in hindrances()}
        return changed | {place for place in self._channels.keys() | found.keys() if self._look_at(place, found.get(place), now)}

    def trouble(self, layer: str) -> Notice | None:
        """What is to be said of it."""
        health = self._layers.get(layer)
        return health.told if health is not None else None

    def hindrance(self, place: Place) -> Hindrance | None:
        """What is to be said of the target."""
        channel = self._channels.get(place)
        return channel.told if channel is not None else None

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

    def _look_at(self, place: Place, found: Hindrance | None, now: Ms) -> bool:
        channel = self._channels.setdefault(place, _Channel(now))
        before, steady = channel.told, self.steady(place.layer, now)
        if place.layer not in self._layers or (found is None and (steady or before is None)):
            del self._channels[place]
            return before is not None
        if not self.well(place.layer) or found is None:  # what was said holds
            channel.since = now
            channel.told = before._replace(lasts=False) if before is not None else None
            return False
        if channel.why is not found.why:
            channel.why, channel.since = found.why, now
        if now - channel.since > LASTS:
            channel.told = before if before is not None and before.lasts and before.why is found.why else found
        elif before is None and not steady:
            channel.told = found._replace(lasts=False)
        return before is not channel.told
