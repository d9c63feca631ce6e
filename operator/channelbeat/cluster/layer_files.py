"""The layers file, and those it names, read at the start and followed: what is in them now is what counts.

Kubernetes writes a mounted Secret anew by swapping a symlink, some of it may be missing for a moment, and several Secrets never change at
once: so all of it is read again every two seconds, and only a state without a fault counts. No secret is told, and no value at all.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from channelbeat import layers
from channelbeat.broker.layer import channel_layer, check
from channelbeat.core.layer import LayerSettings
from channelbeat.errors import LayerRefused, UsageError

log: Final = logging.getLogger("channelbeat.layers")

EVERY: Final = 2.0
"""Seconds. A changed Secret takes the kubelet up to a minute."""
FAULTY_FOR: Final = 2
"""How often a fault is seen before it is told: between two swaps is no fault."""


class LayerFiles:
    """`changed` is given all layers, each time one of them is another; it is called in the event loop. Should it raise LayerRefused, that is
    told as a fault is, and the former layers stay."""

    def __init__(self, path: Path, *, changed: Callable[[Mapping[str, LayerSettings]], None], every: float = EVERY) -> None:
        self._path, self._changed, self._every = path, changed, every
        self._layers: Mapping[str, LayerSettings] = {}
        self._fault, self._faulty = "", 0

    def read(self) -> Mapping[str, LayerSettings]:
        """The layers now; those that are followed from here on. UsageError with every fault, a line each."""
        self._layers = self._read()
        return self._layers

    async def run(self) -> None:
        """Follow, until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            await self.look()

    async def look(self) -> None:
        """Once."""
        try:
            found = await asyncio.to_thread(self._read_settled)
            if found != self._layers:
                self._use(found)
        except (UsageError, LayerRefused) as error:
            self._tell_fault(str(error))
        else:
            self._tell_well()

    def _read(self) -> Mapping[str, LayerSettings]:
        return layers.read(self._path, refuse=_refusal)

    def _read_settled(self) -> Mapping[str, LayerSettings]:
        """Not what is half of one state and half of the next, because a swap came in between: what is new is so twice in a row."""
        try:
            found = self._read()
            return found if found == self._layers or found == self._read() else self._layers
        except UsageError:
            raise
        except Exception as fault:  # noqa: BLE001 - another state may be read again
            raise UsageError(f"{self._path}: channelbeat stumbles over it ({type(fault).__name__}), which is a fault of its own: please report it") from None

    def _use(self, found: Mapping[str, LayerSettings]) -> None:
        before = self._layers
        self._changed(found)
        self._layers = found
        log.info("the layers have changed: %s", "; ".join(_changes(before, found)))

    def _tell_fault(self, fault: str) -> None:
        """Once, until it is another one or over."""
        self._faulty = self._faulty + 1 if fault == self._fault else 1
        self._fault = fault
        if self._faulty == FAULTY_FOR:
            log.error("the layers stay as they were, because what their files say now cannot be used:\n%s", fault)

    def _tell_well(self) -> None:
        if self._faulty >= FAULTY_FOR:
            log.info("the layers' files can be used again")
        self._fault, self._faulty = "", 0


def _refusal(settings: LayerSettings) -> str | None:
    """All that can be said without a connection, RedisChannelLayer's own objections included."""
    if (fault := check(settings)) is not None:
        return fault
    try:
        channel_layer(settings, timeout=1)
    except LayerRefused as error:
        return str(error).removeprefix(f"layer {settings.name!r}: ")
    return None


def _changes(before: Mapping[str, LayerSettings], after: Mapping[str, LayerSettings]) -> list[str]:
    """With names only."""
    changes = {
        "new": after.keys() - before.keys(),
        "with other settings": {name for name in before.keys() & after.keys() if before[name] != after[name]},
        "gone": before.keys() - after.keys(),
    }
    return [f"{', '.join(sorted(names))} {'is' if len(names) == 1 else 'are'} {what}" for what, names in changes.items() if names]
