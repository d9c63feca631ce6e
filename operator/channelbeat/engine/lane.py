"""One layer's loop: settle where its events stand, send what is due, sleep until the next, and see its Redis through.

A turn takes in what changed, reads the fences of events that are not settled, then sends what has fired, in batches.
Whatever is uncertain afterwards (a lost reply, a surprise) makes the event unsettled, and a later turn reads its fence.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from channelbeat.core.batch import TOMBSTONE, Bury, Verdict
from channelbeat.core.definition import Definition
from channelbeat.core.instants import DAY, SECOND, Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Notice, Outcome, Reason, Sign
from channelbeat.engine.ports import Broker, Clock, Journal, Leadership
from channelbeat.engine.roster import Roster
from channelbeat.engine.sender import Sender
from channelbeat.engine.settler import Settler
from channelbeat.engine.stores import Stores
from channelbeat.engine.submission import BATCH, Submission
from channelbeat.engine.triggers import Triggers
from channelbeat.errors import LayerError, LayerTaken, Stale, StoreChanged, Unreachable, WritesRefused

AT_LEAST_EVERY: Final[Ms] = SECOND
"""A lane never sleeps longer, so that it sees the clock step."""
RETRY: Final[Ms] = SECOND // 2
TOUCH: Final[Ms] = 10 * SECOND
"""A layer is touched at least this often: its store stays ours, and one that was wiped is noticed."""
TOMBSTONES_KEPT: Final[Ms] = 7 * DAY
SKEW: Final[Ms] = SECOND

_SIGNS: Final[dict[type[LayerError], Sign]] = {Unreachable: Sign.AWAY, WritesRefused: Sign.WRITES_REFUSED, LayerTaken: Sign.TAKEN, Stale: Sign.TAKEN}


class Lane:
    """`known` tells of an event's key whether it exists, unreadable or not; once `complete`, others have vanished."""

    def __init__(self, broker: Broker, *, journal: Journal, clock: Clock, leadership: Leadership, stores: Stores, known: Callable[[str], bool]) -> None:
        self._broker, self._journal, self._clock, self._leadership = broker, journal, clock, leadership
        self._stores, self._known = stores, known
        self._roster = Roster()
        submission = Submission(broker, journal, clock)
        self._submission = submission
        self._settler = Settler(broker, self._roster, submission, journal, clock)
        self._sender = Sender(broker, self._roster, submission, journal, clock)
        self._triggers = Triggers(broker, submission, journal, clock)
        self._wake = asyncio.Event()
        self.led = asyncio.Event()
        """Set once the lead has been taken for the first time."""
        self._leading = self._stopping = self._complete = self._resting = False
        self._others = False  # somebody else may have sent since we last did
        self._sign: Sign | None = None
        self._retry: Ms | None = None
        self._touch: Ms = 0
        self._scan: Ms = 0

    @property
    def broker(self) -> Broker:
        return self._broker

    def put(self, definition: Definition) -> None:
        self._roster.put(definition, self.now())
        self._wake.set()

    def remove(self, key: str) -> None:
        self._roster.remove(key, self.now())
        self._wake.set()

    def park(self, key: str) -> None:
        self._roster.park(key, self.now())
        self._wake.set()

    def complete(self) -> None:
        """All that exists has been put: what the store remembers beyond it has vanished."""
        self._complete, self._scan = True, 0
        self._wake.set()

    def trigger(self, definition: Definition, token: Ms) -> "asyncio.Future[Outcome]":
        self._wake.set()
        return self._triggers.ask(definition, token)

    def waits(self, definition: Definition) -> Reason | None:
        """Why the event's channel takes nothing now, None if it does."""
        return self._roster.waiting.reason(definition.target)

    def definition(self, key: str) -> Definition | None:
        """The event as it runs, None if it does not."""
        entry = self._roster.entries.get(key)
        return entry.current if entry is not None else None

    @property
    def leading(self) -> bool:
        return self._leading and self._leadership.valid()

    def upcoming(self, key: str) -> Occurrence | None:
        """The event's next occurrence, None if there is none or it is not known yet."""
        entry = self._roster.entries.get(key)
        return entry.upcoming if entry is not None else None

    @property
    def resting(self) -> bool:
        """Asleep, with nothing left to do before its next due time."""
        return self._resting

    def now(self) -> Ms:
        """The earlier of our clock and Redis's, so that a clock that runs ahead neither sends early nor calls anything missed."""
        ours, redis = self._clock.now(), self._broker.now()
        return ours if redis is None else min(ours, redis)

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Until `stop`; then the turn that is under way ends, and the lead is given up."""
        while not self._stopping:
            try:
                await self._turn()
            except LayerError as error:
                self._trouble(error)
            if not self._stopping:
                await self._sleep()
            self._wake.clear()
        if self._leading:
            with suppress(LayerError):
                await self._broker.resign()
        await self._broker.close()

    async def _sleep(self) -> None:
        until = self._next()
        self._resting = until > self._clock.now() and self._retry is None and not self._wake.is_set()
        try:
            await self._clock.sleep_until(until, self._wake)
        finally:
            self._resting = False

    async def _turn(self) -> None:
        self._retry = None
        self._roster.take_in()
        self._triggers.sort_out(self.now())
        if not self._leading:
            if not self._leadership.valid():
                self._others = True
                self._retry = self._clock.now() + RETRY
                return
            await self._lead()
        progress = await self._settler.settle_some(self.now())
        if self._roster.unsettled and not progress:
            self._retry = self._clock.now() + RETRY
        if self._settler.verdict is not Verdict.WIPED:  # its fences are raised before anything is sent
            await self._sender.send_due(self.now())
            await self._triggers.fire(self.now())
        await self._keep_up()
        self._well()
        self._tell_faults()

    async def _keep_up(self) -> None:
        now = self._clock.now()
        if now >= self._touch or now < self._touch - TOUCH:
            self._touch = now + TOUCH
            await self._submission.enqueue([])
        if self._complete and not self._roster.unsettled and now >= self._scan:
            self._scan = now + DAY
            await self._look_for_vanished()

    async def _look_for_vanished(self) -> None:
        """Events the store has a fence for and nobody knows any more become tombstones; old tombstones are dropped."""
        now, old = self.now(), list[str]()
        async for key, fence in self._broker.remembered():
            if key in self._roster.entries or self._known(key):
                continue
            if fence.hash != TOMBSTONE:
                self._roster.remove(key, now)
            elif fence.due < now - TOMBSTONES_KEPT:
                old.append(key)
        for start in range(0, len(old), BATCH):
            await self._submission.enqueue([Bury(key, now - TOMBSTONES_KEPT) for key in old[start : start + BATCH]])

    async def _lead(self) -> None:
        await self._broker.peek()  # a Redis that hangs hangs here, and keeps the lock from nobody
        async with self._stores.lock:
            self._stores.claim(await self._broker.peek(), self._broker.name)
            verdict = await self._broker.lead()
            self._stores.claim(self._broker.generation, self._broker.name)
        self._leading = True
        self._settler.found(verdict, others=self._others)
        self._others = False
        self._scan = 0  # a tombstone may be among what the store has lost
        if verdict is Verdict.ROLLED_BACK:
            self._tell(Sign.ROLLED_BACK, "its Redis lost its newest writes: what was enqueued in the last minute is enqueued again")
        elif verdict is Verdict.WIPED:
            self._triggers.wiped()
            self._tell(Sign.WIPED, "its Redis was wiped, or is another one: nothing that may have been sent is sent again")
        if self._broker.evicting is not None:
            self._tell(Sign.EVICTION, f"its Redis has maxmemory-policy {self._broker.evicting} and may drop our keys: set it to noeviction")
        skew = self._clock.now() - (self._broker.now() or 0)
        if abs(skew) > SKEW:
            self._tell(
                Sign.CLOCK_SKEW, f"this machine's clock is {abs(skew) / SECOND:.1f} s {'ahead of' if skew > 0 else 'behind'} its Redis's: keep both with NTP"
            )

    def _trouble(self, error: LayerError) -> None:
        """Told once; tried again soon. Whatever was not answered is unsettled already."""
        if not isinstance(error, Unreachable | WritesRefused):
            self._leading = False
        self._others = self._others or isinstance(error, Stale | LayerTaken)
        self._retry = self._clock.now() + RETRY
        self._touch = 0  # it is well again once it has answered
        sign = next((sign for kind, sign in _SIGNS.items() if isinstance(error, kind)), Sign.REFUSED)
        if not isinstance(error, StoreChanged) and sign is not self._sign:
            self._sign = sign
            self._journal.tell(Notice(self._broker.name, sign, str(error), self._clock.now()))
        elif isinstance(error, StoreChanged):
            self._retry = self._clock.now()

    def _well(self) -> None:
        self._stores.claim(self._broker.generation, self._broker.name)
        if self._sign is not Sign.LEADING:
            self._sign = Sign.LEADING
            self._tell(Sign.LEADING, "its Redis answers, and is ours to send to")
        self.led.set()

    def _tell_faults(self) -> None:
        for key, fault in self._roster.faults.items():
            self._tell(Sign.FAULT, f"event {key} is set aside until it is edited, for a fault of channelbeat's own ({fault}): please report it")
        self._roster.faults.clear()

    def _tell(self, sign: Sign, text: str) -> None:
        self._journal.tell(Notice(self._broker.name, sign, f"layer {self._broker.name!r}: {text}", self._clock.now()))

    def _next(self) -> Ms:
        """When the next turn is to be, by our clock."""
        ours = self._clock.now()
        if self._retry is not None:
            return self._retry
        if self._roster.unsettled and self._leading:
            return ours
        ahead = ours - self.now()
        firsts = (self._roster.agenda.first(), self._roster.waiting.first(), self._triggers.first())
        return min([ours + AT_LEAST_EVERY, *(first + ahead for first in firsts if first is not None)])
