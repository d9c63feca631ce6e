"""Batches on their way to a layer: cut to size, several in flight, each answered for by whoever handed it in."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from channelbeat.core.batch import Answers, Item
from channelbeat.core.instants import MINUTE, Ms
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.core.steps import Step
from channelbeat.engine.agenda import Entry
from channelbeat.engine.ports import Broker, Clock, Journal
from channelbeat.errors import LayerError, LayerRefused, LayerTaken, Stale, StoreChanged, Unreachable, WritesRefused

BATCH: Final = 1_000
IN_FLIGHT: Final = 3
_GRAVITY: Final = (StoreChanged, Stale, LayerTaken, LayerRefused, Unreachable, WritesRefused, LayerError)


@dataclass(slots=True)
class Work:
    """Steps of one event, in order. All in one batch, so that none overtakes another; an event is in at most one
    unanswered batch."""

    entry: Entry
    steps: list[Step]


W = TypeVar("W", bound=Work)


def batches(works: Sequence[W]) -> list[list[W]]:
    """Works in order, cut into batches of about BATCH items."""
    cut: list[list[W]] = []
    size = BATCH
    for work in works:
        if size >= BATCH:
            cut.append([])
            size = 0
        cut[-1].append(work)
        size += len(work.steps)
    return cut


class Submission:
    def __init__(self, broker: Broker, journal: Journal, clock: Clock) -> None:
        self._broker, self._journal, self._clock = broker, journal, clock
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._expired = Counter[str]()
        self._expired_told: dict[str, Ms] = {}

    async def submit(self, works: Sequence[W], answered: Callable[[W, Answers, int], None], failed: Callable[[W, LayerError], None]) -> None:
        """Submit all. When this returns or raises, each work was either `answered`, with its batch's answers and the place
        of its first step in them, or `failed`; it raises the gravest error there was."""
        results = await asyncio.gather(*(self._batch(batch, answered, failed) for batch in batches(works)), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors:
            raise min(errors, key=_gravity)

    async def _batch(self, batch: list[W], answered: Callable[[W, Answers, int], None], failed: Callable[[W, LayerError], None]) -> None:
        async with self._slots:
            try:
                answers = await self.enqueue([step.item for work in batch for step in work.steps])
            except LayerError as error:
                for work in batch:
                    failed(work, error)
                raise
            place = 0
            for work in batch:
                answered(work, answers, place)
                place += len(work.steps)

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        """One batch; what the layer's expiry took from its channels is told."""
        answers = await self._broker.enqueue(items)
        if any(answers.expired.values()):
            self._tell_expired(answers.expired)
        return answers

    def _tell_expired(self, expired: Mapping[str, int]) -> None:
        """At most once a minute for each channel, with the sum."""
        now = self._clock.now()
        self._expired.update(expired)
        for channel in expired:
            told = self._expired_told.get(channel)
            if self._expired[channel] and (told is None or not told <= now < told + MINUTE):
                self._expired_told[channel] = now
                count = self._expired.pop(channel)
                text = (
                    f"layer {self._broker.name!r}: {count} messages of channel {channel} passed the layer's expiry before a worker took them: does one run?"
                )
                self._journal.tell(Notice(self._broker.name, Sign.EXPIRED, text, now))


def _gravity(error: BaseException) -> int:
    return next((rank for rank, kind in enumerate(_GRAVITY) if isinstance(error, kind)), -1)
