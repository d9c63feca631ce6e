"""Carries out what trigger annotations ask for: each is asked of the engine until it is answered, withdrawn, or somebody else leads.

That a token is carried out once, Redis knows; here it is only seen to that no answer is asked for twice, and none overwritten.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from channelbeat.cluster.register import Seen
from channelbeat.core import requests
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.outcomes import Kind, Reason
from channelbeat.core.requests import Refused, Requests, Trigger
from channelbeat.engine.ports import Clock, Leadership
from channelbeat.errors import UsageError
from channelbeat.observability import keys
from channelbeat.runtime import Engine

log: Final = logging.getLogger("channelbeat.requests")

AGAIN: Final[Ms] = SECOND
SETTLES: Final[Ms] = 3 * SECOND
"""How long a `Duplicate` waits: whoever led before us may have answered, and its status may not have arrived."""


class _Asking(NamedTuple):
    """`of`: uid, generation and value; of another one it is asked anew, because what is sent may differ."""

    of: tuple[str, int, str]
    task: "asyncio.Task[None]"


class Triggering:
    """`answered(key, event, text)` is told what became of each."""

    def __init__(self, engine: Engine, *, leadership: Leadership, clock: Clock, answered: Callable[[str, str, str], None]) -> None:
        self._engine, self._leadership, self._clock, self._tell = engine, leadership, clock, answered
        self._asking: dict[str, dict[str, _Asking]] = {}
        self._answered: dict[tuple[str, str], tuple[str, str]] = {}  # uid and value, by schedule and event

    def follow(self, seen: Seen, wanted: Requests, *, begin: bool) -> None:
        """Withdraw what is not wanted any more; what is, begins if it may."""
        asking = self._asking.setdefault(seen.key, {})
        triggers = {one.event: one for one in wanted.triggers}
        for event in [event for event, one in asking.items() if event not in triggers or one.of != _of(seen, triggers[event])]:
            asking.pop(event).task.cancel()
        if begin:
            for trigger in wanted.triggers:
                if trigger.event not in asking and not self._is_answered(seen, trigger):
                    task = asyncio.create_task(self._ask(seen, trigger), name=f"trigger of {seen.key}/{trigger.event}")
                    asking[trigger.event] = _Asking(_of(seen, trigger), task)
            for refused in wanted.refused:
                if not self._is_answered(seen, refused):
                    self._answer(seen, refused, refused.text)
        if not asking:
            del self._asking[seen.key]

    def forget(self, key: str) -> None:
        """The object has gone, or asks for nothing any more."""
        for one in self._asking.pop(key, {}).values():
            one.task.cancel()
        for event in [event for schedule, event in self._answered if schedule == key]:
            del self._answered[key, event]

    def give_way(self) -> None:
        """Somebody else leads: it is theirs to carry out, and the status says what was answered."""
        for asking in self._asking.values():
            for one in asking.values():
                one.task.cancel()
        self._asking.clear()
        self._answered.clear()

    def _is_answered(self, seen: Seen, one: Trigger | Refused) -> bool:
        """By us; the status may not say so yet."""
        return self._answered.get((seen.key, one.event)) == (seen.uid, one.value)

    async def _ask(self, seen: Seen, trigger: Trigger) -> None:
        try:
            text = await self._outcome(seen, trigger)
        except UsageError as error:
            text = requests.answer_text(trigger.value, f"NotSent: {error}")
        except Exception:  # one of them stops no other
            log.exception("the trigger of %s/%s fails for a fault of channelbeat's own: please report it", seen.key, trigger.event, extra=_keys(seen, trigger))
            text = requests.answer_text(trigger.value, "failed: for a fault of channelbeat's own, which the operator's log tells")
        if not self._leadership.lost():
            self._answer(seen, trigger, text)
        asking = self._asking.get(seen.key, {})
        asking.pop(trigger.event, None)
        if not asking:
            self._asking.pop(seen.key, None)

    async def _outcome(self, seen: Seen, trigger: Trigger) -> str:
        """As long as it takes: while its Redis is away, it waits."""
        while True:
            try:
                outcome = await self._engine.trigger(seen.key, trigger.event, trigger.token)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                await self._pass(AGAIN)  # its layer was dropped, and may be back
                continue
            if outcome.reason is Reason.DUPLICATE:
                await self._pass(SETTLES)
            return requests.answer(trigger.value, outcome)

    async def _pass(self, length: Ms) -> None:
        await self._clock.sleep_until(self._clock.now() + length, asyncio.Event())

    def _answer(self, seen: Seen, one: Trigger | Refused, text: str) -> None:
        self._answered[seen.key, one.event] = seen.uid, one.value
        level = logging.INFO if text.startswith(f"{requests.shown(one.value)} {Kind.ENQUEUED}") else logging.WARNING
        log.log(level, "trigger of event %s/%s: %s", seen.key, one.event, text, extra=_keys(seen, one))
        self._tell(seen.key, one.event, text)


def _of(seen: Seen, trigger: Trigger) -> tuple[str, int, str]:
    return seen.uid, seen.generation, trigger.value


def _keys(seen: Seen, one: Trigger | Refused) -> dict[str, str]:
    return keys.of_schedule(seen.key, one.event)._asdict()
