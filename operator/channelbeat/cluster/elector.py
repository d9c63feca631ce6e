"""Who leads? Implements Leadership by a Lease, whose rules are in lease.py.

Whoever holds it renews it; the others read it as often, and watch it to be quicker. A leader that cannot renew is soon no longer `valid`,
but has not `lost`: that takes the sight of another holder. What it sends meanwhile is fenced by the epoch that Redis keeps.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final

from channelbeat.cluster import lease
from channelbeat.cluster.api import Api
from channelbeat.cluster.lease import Sight, Step, Wait
from channelbeat.cluster.lease_object import LeaseObject
from channelbeat.cluster.trouble import Trouble
from channelbeat.core.instants import SECOND, Ms
from channelbeat.engine.ports import Clock
from channelbeat.errors import ApiError, ApiRefused, UsageError
from channelbeat.runtime import SystemClock

log: Final = logging.getLogger("channelbeat.leader")

CALL: Final[Ms] = 800  # at most, for one call
RELEASE: Final = 1.0  # seconds
STEPS: Final = 4  # of one turn: look, take, find a conflict, look again
NEVER: Final[Ms] = 3_600 * SECOND
FOR_EVER: Final[Ms] = 2**63


def since_boot() -> Ms:
    """A time that goes on while the machine is suspended, and that nobody sets."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class Elector:
    """`identity` is this process's alone. `changed` is called whenever it was won or lost. For one event loop. UsageError for a `duration`
    and a `renewal` that do not fit."""

    def __init__(
        self,
        api: Api,
        *,
        namespace: str,
        name: str,
        identity: str,
        duration: Ms = 3 * SECOND,
        renewal: Ms = SECOND,
        changed: Callable[[], None],
        clock: Clock | None = None,
        now: Callable[[], Ms] = since_boot,
    ) -> None:
        if not 0 < 2 * renewal <= duration <= lease.LONGEST:
            raise UsageError(f"a Lease of {duration} ms cannot be renewed every {renewal} ms: let it last at least twice as long, and at most a minute")
        self._namespace, self._full_name, self._me = namespace, f"{namespace}/{name}", identity
        self._lease = LeaseObject(api, namespace, name, within=min(CALL, renewal * 4 // 5))
        self._duration, self._renewal, self._deadline = duration, renewal, duration * 2 // 3
        self._changed, self._clock, self._now = changed, clock or SystemClock(), now
        self.holder = ""
        """Last seen; "" for nobody."""
        self._lost, self._preceded = True, False
        self._aside: Ms = 0  # until when nothing is taken
        self._valid_until: Ms = 0
        self._raw: dict[str, Any] | None = None
        self._sight: Sight | None = None
        self._heard = 0  # how often the watch told something new
        self._looked = self._patience = 0
        self._trouble = Trouble(namespace, renewal=renewal, deadline=self._deadline)
        self._unsure = False  # a write of ours had no answer
        self._acting = asyncio.Lock()
        self._woken = asyncio.Event()

    def valid(self) -> bool:
        return not self._lost and self._now() < self._valid_until

    def lost(self) -> bool:
        return self._lost

    def preceded(self) -> bool:
        return self._preceded

    async def run(self) -> None:
        """Until cancelled. It gives up nothing then: `release` does."""
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._listen())
            parts.create_task(self._take_part())

    async def step_aside(self, pause: Ms) -> None:
        """Hand over, and stand for it again after `pause`."""
        self._aside = max(self._now() + pause, self._aside)
        await self._hand_over()

    async def release(self) -> None:
        """Hand over, and take it no more; within a second or so, whether the API server answers or not."""
        self._aside = FOR_EVER
        await self._hand_over()

    async def _hand_over(self) -> None:
        led, self._lost, self._valid_until = not self._lost, True, 0
        if led:
            self._changed()
        try:
            async with asyncio.timeout(RELEASE), self._acting:
                await self._give_up()
        except (TimeoutError, ApiError) as error:
            log.warning("the Lease %s was not handed over, and runs out by itself: %s", self._full_name, str(error) or "no answer in time")

    async def _take_part(self) -> None:
        while True:
            self._woken.clear()
            due = await self._turn()
            try:
                async with asyncio.timeout(max(due - self._now(), 0) / SECOND):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _listen(self) -> None:
        async with aclosing(self._lease.changes()) as changes:
            async for kind, raw in changes:
                self._hear(kind, raw)

    async def _turn(self) -> Ms:
        """What there is to do now; when to come back, unless woken."""
        async with self._acting:
            try:
                due = await self._act()
            except ApiError as error:
                return self._trouble.failed(error, leading=not self._lost, valid=self.valid(), now=self._now())
        self._trouble.over(leading=not self._lost)
        return due

    async def _act(self) -> Ms:
        for _ in range(STEPS):
            now = self._now()
            if now < self._aside:
                return min(self._aside, now + NEVER)
            patience = NEVER + now if self._trouble.silent else self._patience  # nothing is taken unseen
            decision = lease.decide(self._sight, me=self._me, leading=not self._lost, duration=self._duration, patience=patience, now=now)
            if isinstance(decision, Wait) and now < self._looked + self._renewal:
                return min(decision.until, self._looked + self._renewal)
            if decision in (Step.CREATE, Step.TAKE):
                if await self._claim(create=decision is Step.CREATE):
                    return now + self._renewal
            else:
                await self._look()
        return self._now() + self._renewal // 4

    async def _claim(self, *, create: bool) -> bool:
        """Whether it is ours now."""
        begun, heard = self._now(), self._heard
        body = lease.ours(None if create else self._raw, self._me, self._duration, self._clock.now())
        try:
            answer = await self._write(body, create=create)
        except ApiRefused:
            await self._look()  # it may be another's by now
            raise
        if answer is None:
            await self._look()
            return False
        if heard != self._heard and self._outdated(answer):
            return False
        self._observe(answer)
        return self._won(begun)

    async def _write(self, body: dict[str, Any], *, create: bool = False) -> dict[str, Any] | None:
        """None: it was not as we believed it to be."""
        self._unsure = True  # until there is an answer, whatever ends the waiting
        answer = await (self._lease.create(body) if create else self._lease.replace(body))
        self._unsure = False
        self._answered()
        return answer

    async def _look(self) -> None:
        heard = self._heard
        raw = await self._lease.get()
        self._answered()
        self._looked = self._now()
        self._unsure = False
        if heard == self._heard or (raw is not None and not self._outdated(raw)):  # the watch may have overtaken it
            self._observe(raw)

    async def _give_up(self) -> None:
        if self._unsure:
            await self._look()
        for _ in range(2):
            if self._raw is None or self.holder != self._me:
                return
            answer = await self._write(lease.released(self._raw, self._clock.now()))
            if answer is not None:
                self._observe(answer)
                log.info("handed over the Lease %s", self._full_name)
                return
            await self._look()

    def _hear(self, kind: str, raw: dict[str, Any]) -> None:
        """The watch says that it is so, or was: it may be behind what we read or wrote ourselves."""
        if self._sight and self._sight.record:
            newer = lease.is_newer(lease.read(raw).version, self._sight.record.version)
            if newer is None:
                self._looked = self._now() - self._renewal
                self._woken.set()
            if not newer:
                return
        self._heard += 1
        holder = self.holder
        self._observe(None if kind == "DELETED" else raw)
        if kind == "DELETED" or self.holder != holder:
            self._woken.set()

    def _outdated(self, raw: dict[str, Any]) -> bool:
        """Whether something newer was heard."""
        known = self._sight.record if self._sight else None
        return known is None or lease.is_newer(known.version, lease.read(raw).version) is True

    def _observe(self, raw: dict[str, Any] | None) -> None:
        record = lease.read(raw) if raw is not None else None
        self._looked = self._now()
        self._raw, self._sight = raw, lease.see(self._sight, record, self._looked)
        before, self.holder = self.holder, record.holder if record else ""
        self._preceded = self._preceded or (record is not None and self.holder != self._me)
        if self.holder in ("", self._me, before):
            return
        if self._lost:
            log.info("stands by: %s leads", self.holder)
        else:
            self._lost, self._valid_until = True, 0
            self._trouble.forget()
            log.warning("lost the lead to %s", self.holder)
            self._changed()

    def _won(self, begun: Ms) -> bool:
        """By a request that was begun then. An answer that took too long is none: others may have counted us out."""
        if self._now() < self._aside or self._now() >= begun + self._deadline:
            return False
        led, was_valid = not self._lost, self.valid()
        self._lost, self._valid_until = False, begun + self._deadline
        if not led:
            log.info("leads now: %s holds the Lease %s", self._me, self._full_name)
            self._trouble.forget()
        if not was_valid:
            self._changed()
        return True

    def _answered(self) -> None:
        """A holder that was as cut off as we were gets the time to renew."""
        if self._trouble.answered():
            self._patience = self._now() + self._deadline
