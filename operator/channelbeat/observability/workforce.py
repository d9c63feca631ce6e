"""How many workers each Deployment has and should have, and why: asked of whoever knows for a scrape. How often that was changed: counted."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from channelbeat.core.workers import Workers
from channelbeat.observability.keys import of_schedule
from channelbeat.observability.tallies import GRACE

AT_ONCE: Final = 500
"""Schedules asked about between two turns of the loop: about a millisecond."""


class Place(NamedTuple):
    namespace: str
    deployment: str


class Workforce:
    """`workers`: of a schedule, by its key. `now` is in seconds."""

    def __init__(self, workers: Callable[[str], Workers | None], now: Callable[[], float] = time.monotonic) -> None:
        self._workers, self._now = workers, now
        self._desired: dict[Place, int] = {}
        self._seen: dict[Place, float] = {}
        self.scalings = Counter[tuple[Place, str, str]]()
        """By direction and reason."""
        self.deployments: dict[Place, Workers] = {}
        self.troubles: dict[str, str] = {}
        """By schedule."""

    def staffed(self, key: str) -> None:
        """Something else is to be said of its workers."""
        if (workers := self._workers(key)) is None or workers.decision is None:
            return
        place = Place(of_schedule(key).namespace, workers.deployment)
        was = self._desired.get(place)
        self._desired[place] = desired = workers.decision.desired
        if was is not None and was != desired:  # several schedules may tell of one Deployment: the first of them counts
            self.scalings[place, "up" if desired > was else "down", workers.decision.reason] += 1

    async def look(self, schedules: Iterable[str]) -> None:
        """Ask about all of these."""
        deployments, troubles, now = dict[Place, Workers](), dict[str, str](), self._now()
        for number, key in enumerate([*schedules]):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            if (workers := self._workers(key)) is None:
                continue
            if workers.decision is not None:
                deployments[Place(of_schedule(key).namespace, workers.deployment)] = workers
            if workers.trouble is not None:
                troubles[key] = workers.trouble.reason
        self.deployments, self.troubles = deployments, troubles
        self._seen |= dict.fromkeys(deployments, now)
        for place in [place for place, seen in self._seen.items() if now - seen >= GRACE]:
            self._forget(place)

    def rest(self) -> None:
        """Somebody else leads, and knows."""
        self.deployments, self.troubles = {}, {}
        self._desired.clear()

    def _forget(self, place: Place) -> None:
        del self._seen[place]
        self._desired.pop(place, None)
        for counted in [counted for counted in self.scalings if counted[0] == place]:
            del self.scalings[counted]
