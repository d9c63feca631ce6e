"""When is the status of an object looked at? By what happened to it: at once, spread out with many others, or when its routine write may be."""

from collections.abc import Iterable, Mapping
from typing import Final

from channelbeat.cluster.turns import Turn, Turns
from channelbeat.cluster.writing import Tracked
from channelbeat.core.instants import SECOND, Ms
from channelbeat.engine.stopwatch import Stopwatch

COALESCED: Final[Ms] = SECOND // 2
GRID: Final[Ms] = 100
"""Objects come up together, at multiples of it, so that a layer is asked once for many."""
LEISURE: Final[Ms] = 10 * SECOND
"""From what happened to its first routine write: a run that was enqueued then often has ended."""
AT_ONCE: Final = 100


class Rota(Turns):
    """`leads`: nothing is put down while somebody else does: who takes over looks at all."""

    def __init__(self, objects: Mapping[str, Tracked], watch: Stopwatch) -> None:
        super().__init__()
        self._objects, self._watch = objects, watch
        self.leads = False

    def soon(self, key: str) -> None:
        self.want(Turn.SOON, key, self._watch.now() + COALESCED)

    def many(self, keys: Iterable[str]) -> None:
        """Spread out: others want the processor, too."""
        first = self._watch.now() + COALESCED
        for number, key in enumerate(keys):
            self.want(Turn.MANY, key, first + number // AT_ONCE * GRID)

    def routine(self, key: str) -> None:
        if (object_ := self._objects.get(key)) is not None:
            self.want(Turn.ROUTINE, key, max(self._watch.now() + LEISURE, object_.routine))

    def want(self, turn: Turn, key: str, at: Ms) -> None:
        if (object_ := self._objects.get(key)) is not None and self.leads:
            at = max(at, object_.retry)
            self.put(turn, key, at + -at % GRID)
