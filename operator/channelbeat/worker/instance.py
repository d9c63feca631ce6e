"""What becomes of a message that an application is given? One task runs one application instance, from message to message.

It is done with a message when it asks for the next or returns, and has failed when it raises.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum, auto
from typing import Any, Final, NamedTuple, TypeAlias

from asgiref.sync import markcoroutinefunction
from redis.exceptions import RedisError

from channelbeat.worker import told
from channelbeat.worker.current import CurrentRun, Place, within
from channelbeat.worker.messages import Message

Application: TypeAlias = Callable[..., Awaitable[Any]]
"""ASGI 3: of scope, receive and send."""

logger: Final = logging.getLogger("channelbeat.worker")


class Ending(NamedTuple):
    """Whether the application `took` the message, and the `error` it ended with, if it did."""

    took: bool
    error: BaseException | None


class _Is(Enum):
    IDLE = auto()
    OFFERED = auto()
    TAKEN = auto()


class Instance:
    """Made within a slot's thread-sensitive context, so that its sync code has a thread of its own."""

    def __init__(self, application: Application, channel: str) -> None:
        self._channel = channel
        self._place = Place()
        self._loop = asyncio.get_running_loop()
        self._state = _Is.IDLE
        self._message: Message = {}
        self._offered = asyncio.Event()
        self._ending: asyncio.Future[Ending]
        self.ended = False
        self._task = self._loop.create_task(self._live(application), context=within(self._place))

    async def handle(self, message: Message, run: CurrentRun | None) -> Ending:
        """Not taken: it ended before it asked for it, most likely while it was idle."""
        if self.ended:
            return Ending(False, None)
        self._ending = self._loop.create_future()
        self._message, self._state, self._place.run = message, _Is.OFFERED, run
        self._offered.set()
        return await self._ending

    def cancel(self) -> None:
        self._task.cancel()

    async def _live(self, application: Application) -> None:
        error: BaseException | None = None
        try:
            await application({"type": "channel", "channel": self._channel}, self._receive, self._send)
        except BaseException as found:  # noqa: BLE001 - SystemExit too, which would end the loop, and with it the other slots
            error = found
        self.ended = True
        if self._state is not _Is.IDLE:
            self._over(error)
        elif error is not None:
            report_idle(error)

    @markcoroutinefunction
    def _receive(self) -> Coroutine[Any, Any, Message]:
        """Asking is what ends an attempt: a consumer that lost its own Redis meanwhile asks, and is gone before any coroutine of ours would run."""
        if self._state is _Is.TAKEN:
            self._over(None)
        return self._next()

    async def _next(self) -> Message:
        while self._state is not _Is.OFFERED:
            self._offered.clear()
            await self._offered.wait()
        self._state = _Is.TAKEN
        return self._message

    async def _send(self, message: Message) -> None:
        raise NotImplementedError("You must implement application_send()")  # the words of the stock worker, which has nowhere to send to either

    def _over(self, error: BaseException | None) -> None:
        took = self._state is _Is.TAKEN
        self._message, self._state, self._place.run = {}, _Is.IDLE, None
        self._ending.set_result(Ending(took, error))


def report_idle(error: BaseException) -> None:
    """An application died that was not handling anything. With its own connection to Redis: it is made anew, and nothing was lost."""
    if not isinstance(error, RedisError | OSError | asyncio.CancelledError):
        logger.error("Exception inside application: %s", told.said(error), exc_info=error)
