"""Which stores this process leads, so that no two of its lanes lead the same."""

import asyncio

from channelbeat.errors import LayerRefused


class Stores:
    """The stores that this process leads, by generation: two layers that lead to one store would fence each other out."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self._led: dict[str, str] = {}
        self._leaving = set[str]()

    def claim(self, generation: str, layer: str) -> None:
        other = self._led.get(generation, layer)
        if other != layer:
            raise LayerRefused(
                f"layer {layer!r}: it is the same Redis and prefix as layer {other!r}: give it a prefix of its own, or its schedules the other's name"
            )
        if generation:
            self._led[generation] = layer

    def leave(self, layer: str) -> None:
        """The layer is going, or its settings are to lead elsewhere, once its turn has ended."""
        self._leaving.add(layer)

    def being_left(self, generation: str, layer: str) -> bool:
        """Another layer leads this store and is about to leave it: two may swap theirs, or one be renamed."""
        other = self._led.get(generation, layer)
        return other != layer and other in self._leaving

    def release(self, layer: str) -> None:
        """The layer has gone, or its settings lead elsewhere now."""
        self._led = {generation: name for generation, name in self._led.items() if name != layer}
        self._leaving.discard(layer)
