"""Events that the store has a fence for and nobody knows any more become tombstones; old tombstones are dropped."""

from collections.abc import Callable
from typing import Final

from channelbeat.core.batch import TOMBSTONE, Bury
from channelbeat.core.instants import DAY, Ms
from channelbeat.engine.ports import Broker
from channelbeat.engine.roster import Roster
from channelbeat.engine.submission import BATCH, Submission

KEPT: Final[Ms] = 7 * DAY


class Vanished:
    """`known` tells of an event's key whether it exists, unreadable or not."""

    def __init__(self, broker: Broker, roster: Roster, submission: Submission, known: Callable[[str], bool]) -> None:
        self._broker, self._roster, self._submission, self._known = broker, roster, submission, known

    async def look(self, now: Ms) -> None:
        """Once all that exists has been put."""
        old = list[str]()
        async for key, fence in self._broker.remembered():
            if key in self._roster.entries or self._known(key):
                continue
            if fence.hash != TOMBSTONE:
                self._roster.bury(key, now)
            elif fence.due < now - KEPT:
                old.append(key)
        for start in range(0, len(old), BATCH):
            await self._submission.enqueue([Bury(key, now - KEPT) for key in old[start : start + BATCH]])
