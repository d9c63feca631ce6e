"""Whose turn is when? Objects by the time at which they are to be looked at. In each queue an object has one place, the earliest it was given."""

import heapq
from enum import IntEnum

from channelbeat.core.instants import Ms


class Turn(IntEnum):
    """The queues; an earlier one comes first."""

    SOON = 0
    MANY = 1
    ROUTINE = 2


class Turns:
    def __init__(self) -> None:
        self._queues = {turn: _Queue() for turn in Turn}

    def put(self, turn: Turn, key: str, at: Ms) -> None:
        self._queues[turn].put(key, at)

    def drop(self, key: str) -> None:
        for queue in self._queues.values():
            queue.drop(key)

    def clear(self) -> None:
        self._queues = {turn: _Queue() for turn in Turn}

    def first(self) -> Ms | None:
        """When the next is, in whichever queue."""
        return min((first for queue in self._queues.values() if (first := queue.first()) is not None), default=None)

    def take(self, now: Ms, most: int) -> list[tuple[Turn, str]]:
        """Those whose time has come."""
        taken = list[tuple[Turn, str]]()
        for turn, queue in self._queues.items():
            while len(taken) < most and (first := queue.first()) is not None and first <= now:
                taken.append((turn, queue.pop()))
        return taken


class _Queue:
    """A place that was given up, or changed for another, stays on the heap until it comes up."""

    def __init__(self) -> None:
        self._at: dict[str, Ms] = {}
        self._heap: list[tuple[Ms, str]] = []

    def put(self, key: str, at: Ms) -> None:
        known = self._at.get(key)
        if known is None or at < known:
            self._at[key] = at
            heapq.heappush(self._heap, (at, key))

    def drop(self, key: str) -> None:
        self._at.pop(key, None)

    def first(self) -> Ms | None:
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self) -> str:
        """The one that is `first`."""
        key = heapq.heappop(self._heap)[1]
        del self._at[key]
        return key
