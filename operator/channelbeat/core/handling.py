"""How long does one event of a channel take? Learned from two counters that only grow: how long handlers were at it in all, and how many times. Pure."""

from typing import Final, NamedTuple

from channelbeat.core.instants import Ms
from channelbeat.core.measures import ChannelLoad

REMEMBERED: Final = 100
"""So many of those before weigh as much as they did; older ones do no longer. A channel of a few events a day is told by days, one of thousands by
its last second, and a new version of the handler shows before long in either."""


class Handling(NamedTuple):
    """The counters as they were `last` seen, by how many `handled` has grown `since` the look before, and the `mean` so far in ms, which `weight`
    of them have made; None before the first."""

    busy: Ms
    handled: int
    since: int
    mean: float | None
    weight: int


def learned(known: Handling | None, load: ChannelLoad) -> Handling:
    """After one more look. What was counted before the first look teaches, too, but is nothing that was handled just now. Counters that went back
    are those of another store, or of an older copy of this one: they are counted from there."""
    if known is None:
        mean = load.busy / load.handled if load.handled > 0 else None
        return Handling(load.busy, load.handled, 0, mean, min(load.handled, REMEMBERED))
    more, took = load.handled - known.handled, load.busy - known.busy
    if more <= 0 or took < 0:
        return Handling(load.busy, load.handled, 0, known.mean, known.weight)
    mean = ((known.mean or 0.0) * known.weight + took) / (known.weight + more)
    return Handling(load.busy, load.handled, more, mean, min(known.weight + more, REMEMBERED))
