"""How much waits in each channel, and how much of it workers hold: asked of each layer's Redis when somebody wants to know.

A Redis that is slow or away holds up nothing else: what it said in the last seconds stands for it, and then nothing does.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from channelbeat.errors import LayerError
from channelbeat.observability.sources import Engine

log: Final = logging.getLogger("channelbeat.metrics")

PATIENCE: Final = 1.0  # seconds, for all layers together
FRESH: Final = 2.0
"""Not asked again within so many seconds."""
STALE: Final = 10.0


class Load(NamedTuple):
    """`waiting`: plain messages and runs. `in_flight`: runs only; who has taken a plain message nobody knows."""

    layer: str
    channel: str
    waiting: int
    in_flight: int


class Loads:
    """`now` is in seconds."""

    def __init__(self, engine: Engine, now: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._now = engine, now
        self._found: dict[str, tuple[float, list[Load]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def look(self, channels: Mapping[str, Sequence[str]]) -> None:
        """Ask for these channels of each layer, and wait for the answers, but not for long. An answer that is late counts when it comes:
        a question to Redis is better not cut short."""
        for layer in self._found.keys() - channels.keys():
            del self._found[layer]
        for layer, its in channels.items():
            asked, _ = self._found.get(layer, (None, []))
            if layer not in self._tasks and (asked is None or self._now() - asked >= FRESH):
                task = self._tasks[layer] = asyncio.create_task(self._ask(layer, its), name=f"load of layer {layer}")
                task.add_done_callback(lambda _, layer=layer: self._tasks.pop(layer))  # type: ignore[misc]
        if self._tasks:
            await asyncio.wait([*self._tasks.values()], timeout=PATIENCE)

    def known(self) -> Iterator[Load]:
        """What was answered last, and lately."""
        for asked, loads in [*self._found.values()]:
            if self._now() - asked < STALE:
                yield from loads

    async def _ask(self, layer: str, channels: Sequence[str]) -> None:
        try:
            found = await self._engine.loads(layer, channels)
        except (LayerError, KeyError):
            return  # it is away, which its notice says; or it has just been taken out of the installation
        except Exception:
            log.exception("layer %r: how much waits there cannot be found out", layer)
        else:
            self._found[layer] = (self._now(), [Load(layer, channel, load.waiting, load.in_flight) for channel, load in found.items()])
