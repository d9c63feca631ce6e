"""Follows the annotations with which people ask for something: an event sent now, a pause ended. A listener of the register.

All replicas know what is asked for; the leader alone, and only while it is sure of that, begins to carry it out. What it has begun goes on
while nobody can tell who leads, and is left to the other once somebody else does.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Final

from channelbeat.cluster.register import Seen
from channelbeat.cluster.resuming import Resuming
from channelbeat.cluster.triggering import Triggering
from channelbeat.core import requests
from channelbeat.core.instants import SECOND, Ms
from channelbeat.engine.ports import Clock, Leadership
from channelbeat.observability import keys
from channelbeat.runtime import Engine

log: Final = logging.getLogger("channelbeat.requests")

AT_LEAST_EVERY: Final[Ms] = SECOND


def _nobody(_: str) -> None:
    """Is told."""


class Requests:
    """`answered(key, event, text)`: what became of a trigger annotation, the text beginning with its value. `resumed(key)`: a pause of the
    schedule was ended."""

    def __init__(
        self,
        engine: Engine,
        *,
        leadership: Leadership,
        clock: Clock,
        answered: Callable[[str, str, str], None],
        resumed: Callable[[str], None] = _nobody,
    ) -> None:
        self._leadership, self._clock = leadership, clock
        self._triggering = Triggering(engine, leadership=leadership, clock=clock, answered=answered)
        self._resuming = Resuming(engine, clock=clock, resumed=resumed)
        self._objects: dict[str, Seen] = {}  # those that ask for something
        self._changed = dict[str, None]()  # since they were last looked at; in order
        self._told = dict[tuple[str, str], str]()  # misread resumes
        self._acts = False
        self._wake = asyncio.Event()

    def seen(self, seen: Seen) -> None:
        if seen.annotations:
            self._objects[seen.key] = seen
            self._changed[seen.key] = None
            self._wake.set()
        elif seen.key in self._objects:
            self.gone(seen.key)

    def gone(self, key: str) -> None:
        if self._objects.pop(key, None) is not None:
            self._changed.pop(key, None)
            self._triggering.forget(key)
            self._resuming.forget(key)
            for told in [told for told in self._told if told[0] == key]:
                del self._told[told]

    def wake(self) -> None:
        """The leadership may have changed."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; what was not asked of a layer yet is withdrawn then."""
        try:
            while True:
                self._wake.clear()
                self._turn()
                await self._clock.sleep_until(self._clock.now() + AT_LEAST_EVERY, self._wake)
        finally:
            self._give_way()

    def _turn(self) -> None:
        if self._leadership.lost():
            self._give_way()
            return
        sure = self._leadership.valid()
        if sure and not self._acts:
            self._acts = True
            self._changed = dict.fromkeys(self._objects)
        for key in [*self._changed]:
            self._look_at(self._objects[key], sure=sure)
            if sure:
                del self._changed[key]
        if sure:
            self._resuming.look()

    def _give_way(self) -> None:
        self._acts = False
        self._changed.clear()
        self._triggering.give_way()
        self._resuming.give_way()

    def _look_at(self, seen: Seen, *, sure: bool) -> None:
        asked = requests.requests(seen.annotations, _said(seen), names=seen.names, parked=seen.parked, refusal=_refusal(seen))
        self._triggering.follow(seen, asked, begin=sure)
        self._resuming.follow(seen, asked)
        for one in asked.misread if sure else ():
            if self._told.get((seen.key, one.event)) != one.text:
                self._told[seen.key, one.event] = one.text
                log.warning("resume annotation of event %s/%s: %s", seen.key, one.event, one.text, extra=keys.of_schedule(seen.key, one.event)._asdict())


def _refusal(seen: Seen) -> str | None:
    if seen.refusal is not None:
        return seen.refusal.reason
    return "Invalid" if seen.schedule is None else None


def _said(seen: Seen) -> dict[str, str]:
    """By event, what its status says was answered."""
    return requests.handled(json.loads(seen.status)) if seen.status else {}
