"""Is this process of use? `/healthz`: restarting it would not help. `/readyz`: it knows what there is to be sent.

Alive means that each layer's loop goes round, whatever its Redis or the API server say: an outage of theirs must not restart us, because
who is restarted during it has forgotten what is due. Ready does not mean leading: a replica that waits is as ready.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from channelbeat.core.masking import masked
from channelbeat.observability.page import Ask, Page
from channelbeat.observability.sources import LayerState

PATIENCE: Final = 60.0
"""Seconds without a turn, of which there is one a second."""


class Health:
    """`now` is in seconds and never goes back: when a loop turned last by the machine's clock is only compared with what it was before."""

    def __init__(self, layers: Callable[[], Sequence[LayerState]], synced: Callable[[], bool], *, now: Callable[[], float] = time.monotonic) -> None:
        self._layers, self._synced, self._now = layers, synced, now
        self._turns: dict[str, tuple[int, float]] = {}  # by layer: what it said last, and when it was first heard to say so
        self._began = set[str]()  # layers whose loops have been seen to turn

    async def healthz(self, ask: Ask) -> Page:
        now, layers = self._now(), self._layers()
        ages = {layer.name: self._age(layer, now) for layer in layers}
        self._turns = {name: turn for name, turn in self._turns.items() if name in ages}
        self._began &= ages.keys()
        stuck = [name for name, age in ages.items() if age >= PATIENCE]
        body = [f"layer {name!r}: its loop has not turned for {ages[name]:.0f} s; this process hangs, and is to be restarted" for name in stuck] or ["ok"]
        if "verbose" in ask.query:
            body = [_leads(layers), *(_line(layer, ages[layer.name]) for layer in layers), *body]
        return Page("\n".join(body) + "\n", status=503 if stuck else 200)

    async def readyz(self, _: Ask) -> Page:
        if self._synced():
            return Page("ok\n")
        return Page("the schedules are still being read from the API server\n", status=503)

    def _age(self, layer: LayerState, now: float) -> float:
        """Seconds since it was last seen to have turned."""
        turned, since = self._turns.get(layer.name, (None, now))
        if turned is not None and turned != layer.turned:
            self._began.add(layer.name)
        if turned != layer.turned or not (layer.name in self._began or self._synced()):  # loops may begin when everything has been read
            since = now
        self._turns[layer.name] = (layer.turned, since)
        return now - since


def _leads(layers: Sequence[LayerState]) -> str:
    """A layer ails only where it is to be led, so who cannot reach one is not taken for somebody who waits."""
    leads = any(layer.leading or layer.ailment is not None for layer in layers)
    return "this replica leads" if leads else "this replica does not lead: it is ready to"


def _line(layer: LayerState, age: float) -> str:
    """`layer default: sends with epoch 3, was seen to turn 2 s ago`."""
    if layer.ailment is not None:
        how = f"cannot send: {layer.ailment.sign}: {masked(layer.ailment.text)}"
    else:
        how = f"sends with epoch {layer.epoch}" if layer.leading else "is not sent to from here"
    return f"layer {layer.name}: {how}; its loop was seen to turn {age:.0f} s ago"
