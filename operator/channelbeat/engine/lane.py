"""One layer's loop: settle where its events stand, send what is due, sleep until the next, and see its Redis through.

A turn takes in what changed, reads the fences of events that are not settled, then sends what has fired, in batches.
Whatever is uncertain afterwards (a lost reply, a surprise) makes the event unsettled, and a later turn reads its fence.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from channelbeat.core.batch import Verdict
from channelbeat.core.definition import Definition
from channelbeat.core.instants import DAY, SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Notice, Outcome
from channelbeat.engine import undecided
from channelbeat.engine.lead import Lead
from channelbeat.engine.notices import Notices, stumbled
from channelbeat.engine.ports import Broker, Clock, Journal, Leadership
from channelbeat.engine.roster import Roster
from channelbeat.engine.sender import Sender
from channelbeat.engine.settler import Settler
from channelbeat.engine.stores import Stores
from channelbeat.engine.submission import Submission
from channelbeat.engine.triggers import Triggers
from channelbeat.engine.vanished import Vanished
from channelbeat.errors import LayerError, StoreChanged

AT_LEAST_EVERY: Final[Ms] = SECOND
"""A lane never sleeps longer, so that it sees the clock step."""
RETRY: Final[Ms] = SECOND // 2
FAULT_RETRY: Final[Ms] = 5 * SECOND
TOUCH: Final[Ms] = 10 * SECOND
"""A layer is touched at least this often: its store stays ours, and one that was wiped is noticed."""


class Lane:
    """`known` tells of an event's key whether it exists, unreadable or not; once `complete`, others have vanished."""

    def __init__(self, broker: Broker, *, journal: Journal, clock: Clock, leadership: Leadership, stores: Stores, known: Callable[[str], bool]) -> None:
        self.broker, self._clock, self._stores = broker, clock, stores
        self._lead = Lead(broker, leadership, stores)
        self._roster = Roster()
        self.waiting = self._roster.waiting
        submission = Submission(broker, journal, clock, leadership)
        self._submission = submission
        self._settler = Settler(broker, self._roster, submission, journal, clock)
        self._sender = Sender(broker, self._roster, submission, journal, clock)
        self._triggers = triggers = Triggers(broker, submission, journal, clock)
        self.withdraw = triggers.withdraw  # of one that is never to run: whoever waits for a trigger is told
        self._vanished = Vanished(broker, self._roster, submission, known)
        self._wake = asyncio.Event()
        self.led = asyncio.Event()
        """Set once the lead has been taken for the first time."""
        self._stopping = self._complete = self._resting = False
        self._settings: LayerSettings | None = None  # to be used from the next turn on
        self._notices = Notices(broker.name, journal, clock)
        self.turned = clock.now()
        """When its last turn ended, by our clock."""
        self._retry: Ms | None = None
        self._touch: Ms = 0
        self._scan: Ms = 0

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

    def definition(self, key: str) -> Definition | None:
        """The event as it runs, None if it does not."""
        return entry.current if (entry := self._roster.entries.get(key)) is not None else None

    @property
    def leading(self) -> bool:
        return self._lead.held and not self._lead.lost

    @property
    def ailment(self) -> Notice | None:
        """What keeps the layer from being sent to, and since when; None if nothing does, or we do not lead."""
        return self._notices.ailment

    def use(self, settings: LayerSettings) -> None:
        """Reach the layer by these settings from the next turn on."""
        self._settings = settings
        self._stores.leave(self.broker.name)
        self._wake.set()

    def wake(self) -> None:
        """Something that matters may have changed, such as the leadership."""
        self._wake.set()

    def upcoming(self, key: str) -> Occurrence | None:
        """The event's next occurrence, None if there is none or it is not known yet."""
        return entry.upcoming if (entry := self._roster.entries.get(key)) is not None else None

    def undecided(self, key: str) -> Occurrence | None:
        """The event's first occurrence that nothing has become of, as far as it is known."""
        return undecided.first(self._roster, key)

    @property
    def resting(self) -> bool:
        """Asleep, with nothing left to do before its next due time."""
        return self._resting

    def now(self) -> Ms:
        """The earlier of our clock and Redis's, so that a clock that runs ahead neither sends early nor calls anything missed."""
        ours, redis = self._clock.now(), self.broker.now()
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
            except Exception as fault:  # noqa: BLE001 - of ours, or something in this Redis that we cannot read: the other layers go on
                self._trouble(stumbled(self.broker.name, fault))
                self._retry = self._clock.now() + FAULT_RETRY
            self.turned = self._clock.now()
            if not self._stopping:
                await self._sleep()
            self._wake.clear()
        if self._lead.held:
            with suppress(LayerError):
                await self.broker.resign()
        self._triggers.withdraw()
        self._lead.let_go()
        await self.broker.close()

    async def _sleep(self) -> None:
        until = self._next()
        self._resting = until > self._clock.now() and self._retry is None and not self._wake.is_set()
        try:
            await self._clock.sleep_until(until, self._wake)
        finally:
            self._resting = False

    async def _turn(self) -> None:
        self._retry = None
        await self._turn_to_settings()
        self._roster.take_in()
        self._triggers.sort_out(self.now())
        if self._lead.lost:
            self._stand_down()
            return
        if not self._lead.held and not await self._take_the_lead():
            self._retry = self._clock.now() + RETRY
            return
        progress = await self._settler.settle_some(self.now())
        if self._roster.unsettled and not progress:
            self._retry = self._clock.now() + RETRY
        if self._settler.verdict is not Verdict.WIPED:  # its fences are raised before anything is sent
            await self._sender.send_due(self.now())
            await self._triggers.fire(self.now())
        await self._keep_up()
        self._well()

    async def _turn_to_settings(self) -> None:
        """Refused ones change nothing: the layer goes on as it was."""
        if self._settings is not None:
            settings, self._settings = self._settings, None
            try:
                await self.broker.use(settings)
            finally:
                self._lead.let_go()
            self._notices.forget()

    def _stand_down(self) -> None:
        """Somebody else sends now."""
        self._lead.give_way()
        self._notices.forget()
        self._retry = self._clock.now() + RETRY

    async def _keep_up(self) -> None:
        now = self._clock.now()
        if now >= self._touch or now < self._touch - TOUCH:
            self._touch = now + TOUCH
            await self._submission.enqueue([])
        if self._complete and not self._roster.unsettled and now >= self._scan:
            self._scan = now + DAY
            await self._vanished.look(self.now())

    async def _take_the_lead(self) -> bool:
        taken = await self._lead.take() if self._lead.may_be_taken() else None
        if taken is None:
            return False
        verdict, others = taken
        self._settler.found(verdict, others=others)
        self._scan = 0  # a tombstone may be among what the store has lost
        if verdict is Verdict.WIPED:
            self._triggers.wiped()
        self._notices.led(verdict, self.broker.evicting, self.broker.now() or 0)
        return True

    def _trouble(self, error: LayerError) -> None:
        """Told once; tried again soon. Whatever was not answered is unsettled already."""
        self._lead.ended(error)
        self._touch = 0  # it is well again once it has answered
        if self._lead.lost:
            self._stand_down()
            return
        self._retry = self._clock.now() + RETRY
        if isinstance(error, StoreChanged):
            self._retry = self._clock.now()
        else:
            self._notices.trouble(error)

    def _well(self) -> None:
        self._stores.claim(self.broker.generation, self.broker.name)
        self._notices.well()
        for key, fault in self._roster.faults.items():
            self._notices.set_aside(key, fault)
        self._roster.faults.clear()
        self.led.set()

    def _next(self) -> Ms:
        """When the next turn is to be, by our clock."""
        ours = self._clock.now()
        if self._retry is not None:
            return self._retry
        if self._roster.unsettled and self._lead.held:
            return ours
        ahead = ours - self.now()
        firsts = (self._roster.agenda.first(), self._roster.waiting.first(), self._triggers.first())
        return min([ours + AT_LEAST_EVERY, *(first + ahead for first in firsts if first is not None)])
