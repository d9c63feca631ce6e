"""Redis is away: whoever asks it waits and asks again, and it is told once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from channelbeat.errors import LayerError

T = TypeVar("T")
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 2.0

logger: Final = logging.getLogger("channelbeat.worker")


class Outage:
    """One for the slots, the waiter and the keeper of a worker: it begins with the first of them, and ends with the last."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._meeting = set[str]()
        self._told: type[LayerError] | None = None

    def begins(self, error: LayerError, who: str = "loop") -> None:
        self._meeting.add(who)
        if type(error) is not self._told:
            self._told = type(error)
            logger.warning("%s: waiting", error)

    def ends(self, who: str = "loop") -> None:
        self._meeting.discard(who)
        if self._told is not None and not self._meeting:
            self._told = None
            logger.warning("layer %r: Redis answers again", self._name)

    async def through(self, ask: Callable[[], Awaitable[T]], give_up: Callable[[], bool]) -> T | None:
        """The answer, however long it takes; None when it is given up."""
        pause = FIRST_PAUSE
        while True:
            try:
                answer = await ask()
            except LayerError as error:
                self.begins(error)
                if give_up():
                    return None
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self.ends()
                return answer
