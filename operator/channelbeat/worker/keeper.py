"""A thread beside the event loop, with its own connection: it keeps the claims, sees that attempts end in time, and that the worker is seen.

Nothing that a consumer does to the loop or to its threads stops it. If they do not end, it settles what is under way and ends the process.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

from channelbeat.broker.claims import Claimed, Done, Renewals
from channelbeat.core.instants import SECOND, Ms
from channelbeat.errors import LayerError
from channelbeat.heartbeat import Heartbeat
from channelbeat.worker.desk import Attempt, Desk, now
from channelbeat.worker.judging import Verdict, judge
from channelbeat.worker.outage import Outage

LOOK: Final = 0.25
"""Seconds between two looks."""
AGAIN: Final[Ms] = SECOND
"""After a renewal that was not answered, and at the earliest after one that was: sooner than claims need it when the worker becomes idle, or has
work again, as idle ones are stopped first."""
SEEN: Final[Ms] = 15 * SECOND
"""As rarely, however long the claim: who is silent for a minute (broker/upkeep.py) does not listen, for all others know."""
OUR_END: Final[Ms] = SECOND
"""How much later another worker may start what this process gives up: it is gone by then."""
GONE_WITHIN: Final = 0.8
"""Seconds: before that."""

OUR_FAULT: Final = "a fault of channelbeat's own: please report it"

logger: Final = logging.getLogger("channelbeat.worker")


def timed_out(claimed: Claimed, after: Ms = 0) -> Done:
    return Done(claimed.run, claimed.token, "timeout", error=f"TimeoutError: attempt took longer than {claimed.timeout / SECOND:g} s", after=after)


class Keeper:
    """`interrupt(slot, attempt, reason)` and `changed()` are called in the loop; `facts` are seen with the worker."""

    def __init__(
        self,
        desk: Desk,
        renewals: Renewals,
        outage: Outage,
        heartbeat: Heartbeat,
        *,
        token: str,
        interrupt: Callable[[int, Attempt, str], None],
        changed: Callable[[], None],
        facts: Callable[[], dict[str, str]],
        claim: Ms,
        drain: Ms,
        grace: Ms,
    ) -> None:
        self._desk, self._renewals, self._outage, self._heartbeat = desk, renewals, outage, heartbeat
        self._token, self._interrupt, self._changed, self._facts = token, interrupt, changed, facts
        self._claim, self._drain, self._grace = claim, drain, grace
        self._loop = asyncio.get_running_loop()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="channelbeat-keeper", daemon=True)
        self._renew_at: Ms = 0
        self._asked: Ms = 0
        self._told_busy = False
        self._stuck_since: Ms | None = None
        self._up_at: Ms | None = None
        self._silent = False

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self._heartbeat.leave()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._look()
            except Exception:
                logger.exception(OUR_FAULT)  # and go on: without us, claims lapse
            self._ended.wait(min(LOOK, self._claim / SECOND / 12))

    def _look(self) -> None:
        self._beat()
        if now() >= self._renew_at or (bool(self._desk.attempts) is not self._told_busy and now() >= self._asked + AGAIN):
            self._renew()
        attempts = dict(self._desk.attempts)
        up = self._up_at is None and self._desk.deadline is not None and now() >= self._desk.deadline
        if up:
            self._up_at = now()
        verdict = judge(attempts.values(), now=now(), grace=self._grace, drain=self._drain, up_at=self._up_at, stuck_since=self._stuck_since)
        for slot, attempt in attempts.items():
            if attempt in verdict.over:
                attempt.over = now()
                self._ask(slot, attempt, "timeout")
            elif up:
                self._ask(slot, attempt, "back")
        self._mind_stuck(verdict)
        if verdict.ends:
            self._end_process(verdict)

    def _beat(self) -> None:
        try:
            self._heartbeat.beat()
        except OSError as error:
            if not self._silent:
                logger.warning("no heartbeat can be written, so --check says that this worker is dead: %s", error)
            self._silent = True

    def _renew(self) -> None:
        held = {attempt.claimed.token: (slot, attempt) for slot, attempt in dict(self._desk.attempts).items() if attempt.claimed is not None}
        asked = self._asked = now()
        self._told_busy = bool(self._desk.attempts)
        try:
            words = self._renewals.renew(self._facts(), {token: attempt.claimed.run for token, (_, attempt) in held.items() if attempt.claimed is not None})
        except Exception as error:
            if isinstance(error, LayerError):
                self._outage.begins(error, "keeper")
            else:
                logger.exception(OUR_FAULT)  # and go on: somebody has to judge the time
            self._renew_at = now() + min(AGAIN, self._claim // 3)
            return
        self._outage.ends("keeper")
        self._renew_at = now() + min(SEEN, self._claim // 3)
        self._desk.renewed = asked
        self._call(self._changed)
        for token, word in words.items():
            if word != "kept":
                self._ask(*held[token], "lost" if word == "lost" else "cancelled")

    def _mind_stuck(self, verdict: Verdict) -> None:
        if bool(verdict.stuck) == self._desk.stuck:
            return
        self._desk.stuck = bool(verdict.stuck)
        self._stuck_since = now() if verdict.stuck else None
        if verdict.stuck:
            logger.error(
                "%s took too long and cannot be interrupted: this worker takes nothing more, and ends when the other slots have finished",
                "; ".join(map(repr, verdict.stuck)),
            )
        else:
            logger.warning("what could not be interrupted has ended after all: this worker goes on")
        self._call(self._changed)

    def _ask(self, slot: int, attempt: Attempt, reason: str) -> None:
        self._call(lambda: self._interrupt(slot, attempt, reason))

    def _call(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: it is over
            self._loop.call_soon_threadsafe(callback)

    def _end_process(self, verdict: Verdict) -> None:
        """Not by returning: neither a thread nor a blocked loop can be ended from outside."""
        last = threading.Timer(GONE_WITHIN, os._exit, (1,))  # whatever Redis, or who reads our output, keeps us waiting for
        last.daemon = True
        last.start()
        logger.error("this worker ends with status 1: %s", verdict.ends)
        self._settle(list(self._desk.attempts.values()), verdict.stuck)
        self._heartbeat.leave()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)

    def _settle(self, attempts: Collection[Attempt], stuck: Collection[Attempt]) -> None:
        for number, attempt in enumerate(attempts):
            if attempt.claimed is None:
                logger.error("a message is lost: its handler was still at work")
                continue
            given_back = Done(attempt.claimed.run, attempt.claimed.token, "back", after=OUR_END)
            done = attempt.done or (timed_out(attempt.claimed, OUR_END) if attempt in stuck else given_back)
            try:
                state = self._renewals.settle(-1, f"{self._token}:keeper:{number}", done)
            except LayerError as error:
                logger.error("%s: what is under way is tried again when its claim has lapsed", error)
                return
            logger.error("%r did not end; it is %s now", attempt, state or "another worker's")
