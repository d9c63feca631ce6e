"""A slot handles one message after the other: what became of the last is settled with the call that takes the next.

It has its own thread for sync code, and an instance of the application for each channel.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextvars import Context, copy_context
from typing import Final

from asgiref.sync import ThreadSensitiveContext, sync_to_async

from channelbeat.broker.claims import Claimed, Claims, Done, Handled, Plain, Taken
from channelbeat.core import instants
from channelbeat.core.instants import Ms
from channelbeat.worker import told
from channelbeat.worker.current import CurrentRun
from channelbeat.worker.desk import Attempt, Desk, now
from channelbeat.worker.instance import Application, Ending, Instance, report_idle
from channelbeat.worker.keeper import timed_out
from channelbeat.worker.messages import Message, Poison, Reader
from channelbeat.worker.outage import Outage
from channelbeat.worker.waiter import Waiter

logger: Final = logging.getLogger("channelbeat.worker")


class Slot:
    """`token`: what its tokens begin with; `claim`: how long its claims last."""

    def __init__(
        self,
        number: int,
        application: Application,
        channels: Sequence[str],
        *,
        token: str,
        claim: Ms,
        desk: Desk,
        claims: Claims,
        waiter: Waiter,
        outage: Outage,
        reader: Reader,
    ) -> None:
        self._number, self._application, self._channels, self._token = number, application, channels, f"{token}:{number}"
        self._desk, self._claims, self._waiter, self._outage, self._reader = desk, claims, waiter, outage, reader
        self._instances: dict[str, Instance] = {}
        self._busy: Instance | None = None
        self._claim = claim
        self._takes = 0
        self._asked: Ms = 0
        self._done: Done | Handled | None = None
        self._error: BaseException | None = None
        self._context: Context
        self._ending: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the worker stops."""
        async with ThreadSensitiveContext():
            self._context = copy_context()
            while (item := await self._next()) is not None:
                if isinstance(item, Claimed):
                    await self._attempt(item)
                else:
                    await self._plain(item)

    async def _next(self) -> Claimed | Plain | None:
        look = True
        while True:
            if self._done is not None or (look and self._desk.open):
                taken = await self._take()
                if taken is not None and taken.item is not None:
                    return taken.item
                look = taken is not None and taken.again
            elif self._desk.stopping:
                return None
            else:
                plain = await self._waiter.idle()
                if plain is not None:
                    return plain
                look = True

    async def _take(self) -> Taken | None:
        """None when Redis does not answer, there is no run to settle, and the worker is to stop."""
        self._takes += 1
        done, token, channels = self._done, f"{self._token}:{self._takes}", self._channels if self._desk.open else ()

        async def ask() -> Taken:
            self._asked = now()
            return await self._claims.take(self._number, token, channels, done)

        taken = await self._outage.through(ask, lambda: self._desk.stopping and not isinstance(done, Done))
        if taken is not None and isinstance(done, Done):
            told.settled(self._desk.attempts[self._number], done, taken, self._error)
        self._done = self._error = None
        self._desk.attempts.pop(self._number, None)
        return taken

    async def _plain(self, plain: Plain) -> None:
        if not self._desk.open:
            await self._waiter.give_back(plain)
            return
        attempt = self._desk.attempts[self._number] = Attempt(plain, now())
        try:
            message = self._reader.plain(plain)
        except Poison as poison:
            logger.error("channel %s: a message cannot be read, and is dropped: %s", plain.channel, poison)
        else:
            error = await self._handle(plain.channel, message, None)
            self._done = Handled(plain.channel, now() - attempt.started)
            if attempt.cancelled:
                logger.error("channel %s: a message is lost: its handler was still at work when the time to stop was up", plain.channel)
            elif error is not None:
                logger.error("Exception inside application: %s", told.said(error), exc_info=error)
        del self._desk.attempts[self._number]

    async def _attempt(self, claimed: Claimed) -> None:
        attempt = self._desk.attempts[self._number] = Attempt(claimed, now())
        if self._desk.open and now() < self._asked + self._claim // 2:
            self._done = await self._ended(attempt, claimed)
        else:  # the worker stops, or its loop was blocked: a claim that the keeper did not know of may have lapsed
            self._done = Done(claimed.run, claimed.token, "back")
        attempt.done = self._done

    async def _ended(self, attempt: Attempt, claimed: Claimed) -> Done:
        try:
            message = self._reader.run(claimed)
        except Poison as poison:
            return Done(claimed.run, claimed.token, "dead", error=told.line(f"cannot be read: {poison}"))
        run = CurrentRun(claimed.run, claimed.attempt, instants.to_datetime(claimed.due), claimed.event or None, claimed.channel)
        self._error = await self._handle(claimed.channel, message, run)
        if self._error is None:
            return Done(claimed.run, claimed.token, "ok", result=run.result)
        await _thread_is_free()  # the handler may have left it at work: the next attempt must not run beside that
        if not attempt.cancelled:
            return Done(claimed.run, claimed.token, "failed", error=told.brief(self._error), trace=told.trace(self._error))
        if attempt.reason == "timeout":
            return timed_out(claimed)
        return Done(claimed.run, claimed.token, "cancelled" if attempt.reason == "cancelled" else "back")

    async def _handle(self, channel: str, message: Message, run: CurrentRun | None) -> BaseException | None:
        """The error that the application failed with; None when it is done with the message."""
        instance = self._instances.get(channel)
        if instance is not None:
            ending = await self._give(instance, channel, message, run)
            if ending.took:
                return ending.error
            if ending.error is not None:
                report_idle(ending.error)
        instance = self._instances[channel] = Instance(self._application, channel)
        ending = await self._give(instance, channel, message, run)
        if not ending.took and ending.error is None:
            return RuntimeError("the application ended without taking the message")
        return ending.error

    async def _give(self, instance: Instance, channel: str, message: Message, run: CurrentRun | None) -> Ending:
        self._busy = instance
        ending = await instance.handle(message, run)
        self._busy = None
        if instance.ended:
            del self._instances[channel]
        return ending

    def interrupt(self, attempt: Attempt, reason: str) -> None:
        """Ask the attempt to end, once for each reason. A sync handler goes on until it ends by itself, and counts as it ended."""
        if self._desk.attempts.get(self._number) is not attempt or attempt.done is not None or attempt.reason == reason:
            return
        attempt.reason = attempt.reason or reason
        if reason == "lost":
            logger.warning("%r: its claim is lost, this worker was out of touch for too long: another may have it", attempt)
        if self._ending is None or self._ending.done():
            self._ending = self._context.run(asyncio.create_task, self._cancel(attempt))

    async def _cancel(self, attempt: Attempt) -> None:
        await _thread_is_free()  # asgiref gives up a call that is cancelled while its thread goes on
        if self._desk.attempts.get(self._number) is attempt and self._busy is not None:
            attempt.cancelled = True
            self._busy.cancel()


async def _thread_is_free() -> None:
    await sync_to_async(_nothing)()


def _nothing() -> None:
    pass
