"""Which events are to be looked at next: a heap by the time they fire, and what is known of each."""

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Final

from channelbeat.core.definition import Definition
from channelbeat.core.instants import Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Reason
from channelbeat.core.steps import Step

SPARE: Final = 1_000
"""Places that count no more may be as many as those that do, and this many more."""


class Entry:
    """One event of a lane. Changes between turns arrive as `wanted`; `current` is what its fence was last moved under.

    Settled means that the fence is known to stand at `cursor`, under `current`, which is `wanted`; only then is it planned.
    `parked`: it has no definition that can run, but its place is kept. `broken`: it had gone (REMOVED) or was another
    (EDITED) since it was last settled, so that nothing before `since` is made up for, though it may look as it did.
    """

    __slots__ = ("begun", "broken", "current", "cursor", "key", "parked", "placed", "settled", "since", "told", "turn", "unanswered", "upcoming", "wanted")

    def __init__(self, key: str) -> None:
        self.key = key
        self.current: Definition | None = None
        self.wanted: Definition | None = None
        self.parked = False
        self.broken = Reason.NONE
        self.since: Ms = 0
        self.cursor: Ms | None = None
        self.begun: Ms | None = None  # where `current` started, as far as we saw it
        self.settled = False
        self.unanswered: tuple[Step, ...] = ()
        self.upcoming: Occurrence | None = None
        self.told: Ms = 0  # held back has been told up to this due time
        self.placed = False  # on the agenda
        self.turn = 0  # of its place there; an older place counts no more


class Agenda:
    """Entries by the moment they fire. An entry has one place; taking it off, or giving it another, is lazy."""

    def __init__(self) -> None:
        self._heap: list[tuple[Ms, int, int, Entry]] = []
        self._serial = count()
        self._stale = 0  # places that count no more

    def __len__(self) -> int:
        """Of places, those that count no more among them."""
        return len(self._heap)

    def put(self, entry: Entry, at: Ms) -> None:
        self.withdraw(entry)
        entry.placed = True
        heapq.heappush(self._heap, (at, next(self._serial), entry.turn, entry))

    def withdraw(self, entry: Entry) -> None:
        entry.turn += 1
        if entry.placed:
            entry.placed = False
            self._stale += 1
            if 2 * self._stale > len(self._heap) + SPARE:
                self._heap = [place for place in self._heap if place[3].turn == place[2]]
                heapq.heapify(self._heap)
                self._stale = 0

    def first(self) -> Ms | None:
        """When the next entry fires."""
        while self._heap and self._heap[0][3].turn != self._heap[0][2]:
            heapq.heappop(self._heap)
            self._stale -= 1
        return self._heap[0][0] if self._heap else None

    def due(self, now: Ms) -> Iterator[Entry]:
        """Take off what fires by `now`, earliest first."""
        while (at := self.first()) is not None and at <= now:
            entry = heapq.heappop(self._heap)[3]
            entry.turn, entry.placed = entry.turn + 1, False
            yield entry
