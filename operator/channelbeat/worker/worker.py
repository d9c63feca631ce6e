"""One worker process: its slots, the waiter that wakes them and the keeper that watches over them, from start to stop."""

import asyncio
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from asgiref.compatibility import guarantee_single_callable

from channelbeat.broker.claims import Claims, Renewals
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.errors import LayerError
from channelbeat.heartbeat import Heartbeat
from channelbeat.worker import link
from channelbeat.worker.desk import Attempt, Desk, now
from channelbeat.worker.instance import Application
from channelbeat.worker.keeper import Keeper
from channelbeat.worker.messages import Reader
from channelbeat.worker.outage import Outage
from channelbeat.worker.slots import Slot
from channelbeat.worker.waiter import Waiter

GRACE: Final[Ms] = 5 * SECOND
CLAIM: Final[Ms] = 30 * SECOND
DRAIN: Final[Ms] = 10 * MINUTE
TAIL: Final = 10.0
"""Seconds for what remains when all work is done."""

logger: Final = logging.getLogger("channelbeat.worker")


class Worker:
    """Nothing is opened before `run`, so it may be made before a fork. `layer` is a RedisChannelLayer that `link.fault` finds nothing wrong with.

    `claim`: how long a run is another's only after this worker was last heard of. `drain`: how long what is under way may go on once the worker
    is to stop. `grace`: how long an attempt that took too long has to end when it is asked to.
    """

    def __init__(
        self,
        application: Any,
        channels: Sequence[str],
        channel_layer: Any,
        alias: str = "default",
        *,
        concurrency: int = 1,
        claim: Ms = CLAIM,
        drain: Ms = DRAIN,
        grace: Ms = GRACE,
    ) -> None:
        self._application: Application = guarantee_single_callable(application)  # type: ignore[no-untyped-call]
        self._channels, self._layer, self._alias = tuple(dict.fromkeys(channels)), channel_layer, alias
        self._concurrency, self._claim, self._drain, self._grace = concurrency, claim, drain, grace
        self._desk = Desk(claim)
        self._slots: list[Slot] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiter: Waiter
        self._keeper: Keeper
        self._late = threading.Timer(TAIL, os._exit, (1,))
        """A loop waits for its threads when it is closed, and some may never end."""
        self._late.daemon = True

    def run(self) -> int:
        """Until it is told to stop; the exit status."""
        try:
            with asyncio.Runner() as runner, self._signals():
                return self._finished(runner.get_loop())
        finally:
            self._late.cancel()

    def _finished(self, loop: asyncio.AbstractEventLoop) -> int:
        main = loop.create_task(self._main())
        while True:
            try:
                return loop.run_until_complete(main)
            except (SystemExit, KeyboardInterrupt):  # asyncio ends its loop over those, even over one in a task of a consumer's own
                if main.done():
                    raise

    def stop(self, why: str = "") -> None:
        """From any thread, or a signal's handler: take nothing more, finish what is under way. Called again: as if its time were up."""
        self._desk.deadline = now() + (self._drain if self._desk.deadline is None else 0)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping, why)

    def _stopping(self, why: str) -> None:
        under_way = len(self._desk.attempts)
        logger.warning("%sstopping: nothing more is taken, %d under way", f"{why}: " if why else "", under_way)
        self._waiter.changed()

    async def _main(self) -> int:
        self._loop = asyncio.get_running_loop()
        outage, host = Outage(self._alias), f"{socket.gethostname()}:{os.getpid()}"
        token = f"{host}:{secrets.token_hex(4)}"
        redis = link.opened(self._layer, connections=self._concurrency + 2)
        claims = Claims(redis, self._layer.prefix, worker=token, host=host, claim=self._claim, name=self._alias)
        renewals = Renewals(
            link.opened_sync(self._layer, timeout=min(link.TIMEOUT, self._claim / SECOND / 3)),
            self._layer.prefix,
            worker=token,
            host=host,
            claim=self._claim,
            name=self._alias,
        )
        self._waiter = Waiter(claims, self._channels, int(self._layer.expiry), self._desk, outage)
        reader = Reader(self._layer)
        self._slots = [
            Slot(
                number,
                self._application,
                self._channels,
                token=token,
                claim=self._claim,
                desk=self._desk,
                claims=claims,
                waiter=self._waiter,
                outage=outage,
                reader=reader,
            )
            for number in range(self._concurrency)
        ]
        self._keeper = Keeper(
            self._desk,
            renewals,
            outage,
            Heartbeat(self._channels, self._alias, self._claim),
            token=token,
            interrupt=self._interrupt,
            changed=self._waiter.changed,
            facts=self._facts,
            claim=self._claim,
            drain=self._drain,
            grace=self._grace,
        )
        self._keeper.start()
        status = await self._work()
        await asyncio.to_thread(self._keeper.end)
        self._late.start()
        with suppress(LayerError):
            await claims.leave()
        await redis.aclose()
        return status

    async def _work(self) -> int:
        tasks = [asyncio.create_task(slot.run()) for slot in self._slots]
        tasks.append(asyncio.create_task(self._waiter.run()))
        _, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        if others:
            self.stop("a part of it failed")
            await asyncio.wait(others)
        faults = [task.exception() for task in tasks if task.exception() is not None]
        for fault in faults:
            logger.error("a fault of channelbeat's own: please report it", exc_info=fault)
        return 1 if faults else 0

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Python's own handlers, not the loop's: they are heard while a consumer blocks the loop."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, lambda number, _: self.stop(signal.Signals(number).name)) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, slot: int, attempt: Attempt, reason: str) -> None:
        self._slots[slot].interrupt(attempt, reason)

    def _facts(self) -> dict[str, str]:
        return {
            "channels": " ".join(self._channels),
            "concurrency": str(self._concurrency),
            "busy": str(len(self._desk.attempts)),
            "pod": _pod(),
            "host": socket.gethostname(),
            "pid": str(os.getpid()),
        }


def _pod() -> str:
    """Empty where there is none. In a Deployment that nobody told to say it, the host has its name, as a rule."""
    return os.environ.get("POD_NAME") or (socket.gethostname() if "KUBERNETES_SERVICE_HOST" in os.environ else "")
