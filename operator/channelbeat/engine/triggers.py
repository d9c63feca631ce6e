"""Events sent now because somebody asks: each token once, apart from the event's own due times."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from channelbeat.core import envelope
from channelbeat.core.batch import Answer, Trigger
from channelbeat.core.definition import Definition
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.outcomes import Kind, Outcome, Reason
from channelbeat.engine.ports import Broker, Clock, Journal
from channelbeat.engine.submission import Submission
from channelbeat.errors import LayerError, Unreachable

EXPIRES: Final[Ms] = 10 * MINUTE
AHEAD: Final[Ms] = 5 * MINUTE
REMEMBERED: Final[Ms] = 20 * MINUTE
"""How long a token is known: longer than one is accepted, whatever its age."""
RETRY: Final[Ms] = SECOND
AT_ONCE: Final = 100
"""Triggers that are tried in one turn of the lane, and targets found full in one second: what is due is sent in between."""


@dataclass(slots=True, eq=False)
class _Asked:
    definition: Definition
    token: Ms
    answer: "asyncio.Future[Outcome]"
    unanswered: bool = False  # it may have been carried out
    told: bool = False  # that it is held back

    def outcome(self, kind: Kind, reason: Reason, at: Ms, note: str = "") -> Outcome:
        definition = self.definition
        run = envelope.trigger_id(definition.key, self.token)
        lateness = at - self.token if kind is Kind.ENQUEUED else None
        return Outcome(definition.schedule, definition.event.name, self.token, kind, at, reason, lateness, run, note=note)


class Triggers:
    def __init__(self, broker: Broker, submission: Submission, journal: Journal, clock: Clock) -> None:
        self._broker, self._submission, self._journal, self._clock = broker, submission, journal, clock
        self._asked: dict[_Asked, None] = {}  # in order
        self._queue = deque[_Asked]()  # to be tried before the next round; some have been answered or withdrawn meanwhile
        self._blocked = set[str]()  # targets that took nothing in this round
        self._sent: dict[tuple[str, Ms], None] = {}  # or perhaps sent; known here too, because Redis may be wiped
        self._retry: Ms = 0

    def ask(self, definition: Definition, token: Ms) -> "asyncio.Future[Outcome]":
        """Send the event once for `token`; the future has what became of it (never HELD, which is only told). Cancelling
        it withdraws what has not been asked of the layer."""
        asked = _Asked(definition, token, asyncio.get_running_loop().create_future())
        self._asked[asked] = None
        self._queue.append(asked)
        return asked.answer

    def first(self) -> Ms | None:
        if not self._asked:
            return None
        return 0 if self._queue and len(self._blocked) < AT_ONCE else self._retry

    def wiped(self) -> None:
        """The store that may have carried some out is gone, and its memory of tokens with it."""
        for asked in [a for a in self._asked if a.unanswered]:
            self._answer(asked, Kind.UNKNOWN, Reason.STORE_WIPED)

    def withdraw(self) -> None:
        """The lane ends: none is carried out any more, and whoever waits for one is told by its cancellation."""
        asked, self._asked = self._asked, {}
        self._queue.clear()
        for one in asked:
            one.answer.cancel()

    def sort_out(self, now: Ms) -> None:
        """Answer what needs no asking of the layer, which may be away; drop what was withdrawn before it was asked."""
        for asked in list(self._asked):
            self._sort_out(asked, now)

    def _sort_out(self, asked: _Asked, now: Ms) -> None:
        if asked.answer.cancelled() and not asked.unanswered:
            del self._asked[asked]
        elif (asked.definition.key, asked.token) in self._sent:
            self._answer(asked, Kind.REFUSED, Reason.DUPLICATE)
        elif not asked.unanswered and asked.token < now - EXPIRES:
            self._answer(asked, Kind.REFUSED, Reason.EXPIRED)
        elif asked.token < now - REMEMBERED:  # too late to ask whether it was
            self._answer(asked, Kind.UNKNOWN, Reason.REPLY_LOST)
        elif asked.token > now + AHEAD:
            self._answer(asked, Kind.REFUSED, Reason.FROM_THE_FUTURE)

    async def fire(self, now: Ms) -> None:
        """Try some of those that are left, the rest at the next turns. What is held back is tried again within a second or, where a great many
        targets are, when it is their turn; of one target it is one try, because what it is for is told by the first."""
        self._begin_round(now)
        tried = 0
        while self._queue and tried < AT_ONCE and len(self._blocked) < AT_ONCE:
            asked = self._queue.popleft()
            if asked in self._asked:
                self._sort_out(asked, now)
            if asked not in self._asked or asked.definition.target in self._blocked:
                continue
            tried += 1
            try:
                await self._try(asked, now)
            except LayerError:
                self._queue.appendleft(asked)
                raise
            except Exception as error:  # noqa: BLE001 - see set_aside
                self._set_aside(asked, error)

    def _begin_round(self, now: Ms) -> None:
        if self._retry - RETRY <= now < self._retry:
            return
        self._retry = now + RETRY
        self._blocked.clear()
        queued = {*self._queue}
        self._queue += [asked for asked in self._asked if asked not in queued]

    async def _try(self, asked: _Asked, now: Ms) -> None:
        definition = asked.definition
        run = envelope.trigger_id(definition.key, asked.token)
        message = definition.message(run, asked.token)
        item = Trigger(definition.key, asked.token, now - REMEMBERED, definition.target, message, definition.tracked(run))
        try:
            answers = await self._submission.enqueue([item])
        except Unreachable:
            asked.unanswered = True
            raise
        match answers.answers[0]:
            case Answer.DONE if definition.group is not None:
                await self._send_to_group(asked, definition.group, message)
            case Answer.DONE:
                self._answer(asked, Kind.ENQUEUED, Reason.TRIGGERED)
            case Answer.DUPLICATE if asked.unanswered and definition.group is not None:
                self._answer(asked, Kind.UNKNOWN, Reason.REPLY_LOST)
            case Answer.DUPLICATE if asked.unanswered:  # by our own try, whose reply was lost
                self._answer(asked, Kind.ENQUEUED, Reason.TRIGGERED)
            case Answer.DUPLICATE:
                self._answer(asked, Kind.REFUSED, Reason.DUPLICATE)
            case Answer.OVERLAP:
                self._answer(asked, Kind.REFUSED, Reason.PREVIOUS_RUN_ACTIVE)
            case Answer.UNSERIALIZABLE:
                self._answer(asked, Kind.FAILED, Reason.NOT_SERIALIZABLE, str(answers.extra[0]))
            case answer:
                asked.unanswered = False
                self._hold(asked, Reason.WRONG_TYPE if answer is Answer.WRONG_TYPE else Reason.CHANNEL_FULL)

    async def _send_to_group(self, asked: _Asked, group: str, message: dict[str, object]) -> None:
        try:
            await self._broker.group_send(group, message)
        except (LayerError, TypeError, ValueError, OverflowError) as error:
            self._answer(asked, Kind.FAILED, Reason.GROUP_SEND_FAILED, str(error))
        else:
            self._answer(asked, Kind.ENQUEUED, Reason.TRIGGERED)

    def _hold(self, asked: _Asked, reason: Reason) -> None:
        if asked.definition.target is not None:
            self._blocked.add(asked.definition.target)
        if not asked.told:
            asked.told = True
            self._journal.record([asked.outcome(Kind.HELD, reason, self._clock.now())])

    def _answer(self, asked: _Asked, kind: Kind, reason: Reason, note: str = "") -> None:
        try:
            outcome = asked.outcome(kind, reason, self._clock.now(), note)
        except Exception as error:  # noqa: BLE001 - such as a token that no calendar has
            self._set_aside(asked, error)
            return
        del self._asked[asked]
        if kind in (Kind.ENQUEUED, Kind.UNKNOWN):
            self._sent[asked.definition.key, asked.token] = None
            while next(iter(self._sent))[1] < asked.token - REMEMBERED:
                del self._sent[next(iter(self._sent))]
        self._journal.record([outcome])
        if not asked.answer.done():
            asked.answer.set_result(outcome)

    def _set_aside(self, asked: _Asked, error: Exception) -> None:
        """For a fault of ours about this one, which whoever waits for it is told: it ends neither the lane nor the others."""
        self._asked.pop(asked, None)
        if not asked.answer.done():
            asked.answer.set_exception(error)
