"""Batches on their way to a layer: cut to size, several in flight, each answered for by whoever handed it in."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from channelbeat.core.batch import Answers, Item
from channelbeat.core.instants import MINUTE, Ms
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.core.steps import Step
from channelbeat.engine.agenda import Entry
from channelbeat.engine.ports import Broker, Clock, Journal, Leadership
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


def batches(works: Iterable[W]) -> Iterator[list[W]]:
    """Works in order, cut into batches of about BATCH items."""
    batch: list[W] = []
    size = 0
    for work in works:
        batch.append(work)
        size += len(work.steps)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class Submission:
    def __init__(self, broker: Broker, journal: Journal, clock: Clock, leadership: Leadership) -> None:
        self._broker, self._journal, self._clock, self._leadership = broker, journal, clock, leadership
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._expired = Counter[str]()
        self._expired_told: dict[str, Ms] = {}

    async def submit(self, works: Iterable[W], answered: Callable[[Sequence[W], Answers], None], failed: Callable[[W, LayerError], None]) -> None:
        """Submit all; works are taken as batches leave, so that some are made while others are under way, and no more after
        an error. When this returns or raises, each batch was `answered`, or each of its works `failed`; it raises the gravest error."""
        errors: list[LayerError] = []
        async with asyncio.TaskGroup() as under_way:
            for batch in batches(works):
                await self._slots.acquire()
                under_way.create_task(self._batch(batch, answered, failed, errors))
                await asyncio.sleep(0)  # it leaves while the next is made
                if errors:
                    break
        if errors:
            raise min(errors, key=_gravity)

    async def _batch(
        self, batch: Sequence[W], answered: Callable[[Sequence[W], Answers], None], failed: Callable[[W, LayerError], None], errors: list[LayerError]
    ) -> None:
        try:
            answers = await self.enqueue([step.item for work in batch for step in work.steps])
        except LayerError as error:
            errors.append(error)
            for work in batch:
                failed(work, error)
        else:
            answered(batch, answers)
        finally:
            self._slots.release()

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        """One batch; what the layer's expiry took from its channels is told."""
        self.check()
        answers = await self._broker.enqueue(items)
        if any(answers.expired.values()):
            self._tell_expired(answers.expired)
        return answers

    def check(self) -> None:
        """Raises Stale once the leadership is lost: nothing more leaves then, be it in the middle of a burst."""
        if self._leadership.lost():
            raise Stale(f"layer {self._broker.name!r}: somebody else leads now")

    def _tell_expired(self, expired: Mapping[str, int]) -> None:
        """At most once a minute for each channel, with the sum."""
        now = self._clock.now()
        self._expired.update(expired)
        for channel in expired:
            told = self._expired_told.get(channel)
            if self._expired[channel] and (told is None or not told <= now < told + MINUTE):
                self._expired_told[channel] = now
                count = self._expired.pop(channel)
                text = f"layer {self._broker.name!r}: {count} messages of channel {channel} passed the layer's expiry before a worker took them: does one run?"
                self._journal.tell(Notice(self._broker.name, Sign.EXPIRED, text, now))


def _gravity(error: Exception) -> int:
    return next(rank for rank, kind in enumerate(_GRAVITY) if isinstance(error, kind))
