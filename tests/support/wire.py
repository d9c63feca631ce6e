"""A broker whose replies can be lost, or are never read."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from channelbeat.core.batch import Answers, Item
from channelbeat.engine.ports import Broker
from channelbeat.errors import Unreachable


class Wire:
    """Everything goes to `broker`. While `cut`, what `of` concerns is carried out, and its reply is lost; while `dead`,
    it never returns, as for a process that is killed then."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.cut = self.dead = False
        self.of: Callable[[Item], bool] = lambda item: True
        self.lost = 0
        """How many replies."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        answers = await self._broker.enqueue(items)
        if (self.cut or self.dead) and any(self.of(item) for item in items):
            self.lost += 1
            if self.dead:
                await asyncio.Event().wait()
            raise Unreachable("the reply was lost")
        return answers
