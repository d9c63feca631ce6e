"""Which stores this process leads, so that no two of its lanes lead the same."""

import asyncio

from channelbeat.errors import LayerRefused


class Stores:
    """The stores that this process leads, by generation: two layers that lead to one store would fence each other out."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self._led: dict[str, str] = {}

    def claim(self, generation: str, layer: str) -> None:
        other = self._led.get(generation, layer)
        if other != layer:
            raise LayerRefused(
                f"layer {layer!r}: it is the same Redis and prefix as layer {other!r}: give it a prefix of its own, or its schedules the other's name"
            )
        if generation:
            self._led[generation] = layer
