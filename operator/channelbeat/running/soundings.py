"""What do the layers say of their channels? All of them are asked at once, every second; one that is slow or away holds up no other."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.measures import ChannelLoad, Listener
from channelbeat.core.runs import Stats
from channelbeat.core.scaling import Place
from channelbeat.errors import LayerError
from channelbeat.runtime import Engine

log: Final = logging.getLogger("channelbeat.workers")

PATIENCE: Final = 0.5  # seconds, for all layers together
STALE: Final[Ms] = 5 * SECOND
"""An answer counts for so long without another: a Redis that is slow, or cut off for a moment, is not one that is away."""
PAUSES: Final[Ms] = 10 * SECOND
"""Between two looks for events that are paused."""
AT_ONCE: Final = 250
"""Events asked for between two turns of the loop."""


@dataclass(slots=True)
class Question:
    """Of one layer. `pausing`: keys of events that failures may pause."""

    channels: set[str] = field(default_factory=set)
    pausing: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Answer:
    """At `at`. `listeners` by the channels they listen on; `stats` of events that may be paused, asked for at `looked`."""

    at: Ms
    loads: Mapping[str, ChannelLoad]
    listeners: Mapping[str, Sequence[Listener]]
    stats: Mapping[str, Stats]
    looked: Ms


class Soundings:
    """`now` goes forward only."""

    def __init__(self, engine: Engine, now: Callable[[], Ms]) -> None:
        self._engine, self._now = engine, now
        self._answers: dict[str, Answer] = {}
        self._fresh: dict[str, Answer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._faults = set[str]()

    async def look(self, questions: Mapping[str, Question]) -> None:
        """Ask, and wait for the answers, but not for long: one that is late counts when it comes."""
        for layer in self._answers.keys() - questions.keys():
            del self._answers[layer]
        for layer, question in questions.items():
            if layer not in self._tasks:
                task = self._tasks[layer] = asyncio.create_task(self._ask(layer, question), name=f"soundings of layer {layer}")
                task.add_done_callback(lambda _, layer=layer: self._tasks.pop(layer))  # type: ignore[misc]
        if self._tasks:
            await asyncio.wait([*self._tasks.values()], timeout=PATIENCE)
        now = self._now()
        self._fresh = {layer: answer for layer, answer in self._answers.items() if now - answer.at < STALE}

    def forget(self) -> None:
        """What was answered so far."""
        self._answers.clear()
        self._fresh = {}

    async def end(self) -> None:
        """What is under way is given up."""
        for task in (tasks := [*self._tasks.values()]):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def load(self, place: Place) -> ChannelLoad | None:
        """As of the last look; None where nobody could tell."""
        answer = self._fresh.get(place.layer)
        return answer.loads.get(place.channel) if answer is not None else None

    def listeners(self, place: Place) -> Sequence[Listener]:
        """Of ours; empty, too, where nobody could tell."""
        answer = self._fresh.get(place.layer)
        return answer.listeners.get(place.channel, ()) if answer is not None else ()

    def stats(self, layer: str) -> Mapping[str, Stats]:
        """Of events that may be paused, as last known; the same object until it is asked again."""
        answer = self._answers.get(layer)
        return answer.stats if answer is not None else {}

    async def _ask(self, layer: str, question: Question) -> None:
        asked, before = self._now(), self._answers.get(layer)
        stats, looked = (before.stats, before.looked) if before is not None else ({}, None)
        try:
            loads = await self._engine.loads(layer, [*question.channels])
            listeners = _by_channel(await self._engine.listeners(layer), question.channels)
            if looked is None or asked - looked >= PAUSES or not question.pausing <= stats.keys():
                stats, looked = await self._stats(layer, [*question.pausing]), asked
        except LayerError:
            pass  # its lane tells; the last answer counts a little longer
        except Exception as fault:
            if (brief := f"{layer}: {type(fault).__name__}: {fault}") not in self._faults:
                self._faults.add(brief)
                log.exception("layer %r: what waits there cannot be found out, for a fault of channelbeat's own: please report it", layer)
        else:
            self._answers[layer] = Answer(asked, loads, listeners, stats, looked)

    async def _stats(self, layer: str, events: Sequence[str]) -> Mapping[str, Stats]:
        found: dict[str, Stats] = {}
        for start in range(0, len(events), AT_ONCE):
            found |= await self._engine.stats(layer, events[start : start + AT_ONCE])
        return found


def _by_channel(listeners: Sequence[Listener], asked: Collection[str]) -> dict[str, list[Listener]]:
    found: dict[str, list[Listener]] = {}
    for one in listeners:
        for channel in one.channels:
            if channel in asked:
                found.setdefault(channel, []).append(one)
    return found
