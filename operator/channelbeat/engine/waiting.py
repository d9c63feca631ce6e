"""Channels that take nothing now, and the events that wait for them, oldest due time first.

A blocked channel is asked again at least once a second with one event, and with as many as there was room for at the
last answer; whatever comes due for it meanwhile joins the others without asking.
"""

import heapq
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Final

from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.outcomes import Reason
from channelbeat.engine.agenda import Entry

RETRY: Final[Ms] = SECOND


class _Blocked:
    __slots__ = ("asked", "entries", "heap", "reason", "room", "since", "turns")

    def __init__(self, reason: Reason, asked: Ms, since: Ms) -> None:
        self.reason, self.asked, self.since, self.room, self.turns = reason, asked, since, 0, 0
        self.heap: list[tuple[Ms, int, Entry]] = []
        self.entries = set[Entry]()


class Waiting:
    def __init__(self) -> None:
        self._channels: dict[str, _Blocked] = {}
        self._asked: dict[str, _Blocked] = {}  # with the last event that waited, so that it may be over
        self._serial = count()

    def reason(self, channel: str | None) -> Reason | None:
        """Why the channel takes nothing, None if it does."""
        blocked = self._channels.get(channel) if channel is not None else None
        return blocked.reason if blocked is not None else None

    def blocked(self) -> list[tuple[str, Reason, Ms]]:
        """The channels that take nothing, as far as is known: why, and since when."""
        return [(channel, blocked.reason, blocked.since) for channel, blocked in (self._asked | self._channels).items()]

    def add(self, entry: Entry, channel: str, due: Ms, reason: Reason, now: Ms) -> None:
        """`entry` waits for `channel` since its occurrence of `due`; nothing changes if it waits already."""
        blocked = self._channels.get(channel)
        if blocked is None:
            was = self._asked.pop(channel, None)
            blocked = self._channels[channel] = _Blocked(reason, now, was.since if was is not None else now)
        blocked.reason = reason
        if entry not in blocked.entries:
            blocked.entries.add(entry)
            heapq.heappush(blocked.heap, (due, next(self._serial), entry))

    def answered(self, room: Mapping[str, int]) -> None:
        """What the last batch said of the room in its channels."""
        for channel, free in room.items():
            if (blocked := self._channels.get(channel)) is not None:
                blocked.room = max(free, 0)

    def take(self, now: Ms) -> Iterator[tuple[Entry, Ms | None]]:
        """Take off the entries whose turn it is to be tried again, each with the due time at which the next one's turn would be."""
        self._asked.clear()
        for channel, blocked in list(self._channels.items()):
            if blocked.room == 0 and now - blocked.asked < RETRY and now >= blocked.asked:
                continue
            blocked.asked, blocked.turns = now, max(blocked.room, 1)
            while blocked.turns and blocked.heap:
                blocked.turns -= 1
                entry = heapq.heappop(blocked.heap)[2]
                blocked.entries.discard(entry)
                yield entry, blocked.heap[0][0] if blocked.heap else None
            blocked.room = 0
            if not blocked.heap:
                self._asked[channel] = self._channels.pop(channel)

    def spare(self, channel: str | None) -> None:
        """The entry just taken asks nothing of the channel: another has its turn."""
        if channel is not None and (blocked := self._channels.get(channel)) is not None:
            blocked.turns += 1

    def first(self) -> Ms | None:
        """When `take` has something next."""
        return min((blocked.asked if blocked.room else blocked.asked + RETRY for blocked in self._channels.values()), default=None)

    def forget(self) -> None:
        """Everything will be planned anew."""
        self._asked.clear()
        self._channels.clear()
