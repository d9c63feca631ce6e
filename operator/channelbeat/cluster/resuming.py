"""Ends the pauses that resume annotations say are over.

A pause is looked at when the annotation changes, when its layer is led anew (by another leader, or from a store that may have gone
back in time), and once more when a time ahead of our clock has come. In between an annotation costs nothing.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from channelbeat.cluster.register import Seen
from channelbeat.core import instants, requests
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.requests import Requests
from channelbeat.core.runs import Stats
from channelbeat.engine.ports import Clock
from channelbeat.errors import LayerError, UsageError
from channelbeat.observability import keys
from channelbeat.runtime import Engine

log: Final = logging.getLogger("channelbeat.requests")

AGAIN: Final[Ms] = SECOND
AT_ONCE: Final = 200


class _Wanted(NamedTuple):
    key: str
    event: str
    uid: str
    layer: str
    token: Ms


class Resuming:
    """`resumed(key)` is told when a pause of the schedule was ended."""

    def __init__(self, engine: Engine, *, clock: Clock, resumed: Callable[[str], None]) -> None:
        self._engine, self._clock, self._tell = engine, clock, resumed
        self._wanted: dict[str, dict[str, _Wanted]] = {}  # by schedule and event
        self._due: dict[_Wanted, Ms] = {}  # those to be looked at, and when
        self._led: dict[str, int] = {}  # the epoch in which each layer's were
        self._looking: dict[str, asyncio.Task[None]] = {}

    def follow(self, seen: Seen, asked: Requests) -> None:
        """What is new is looked at."""
        before = self._wanted.pop(seen.key, {})
        if asked.resumes and seen.schedule is not None:
            layer = seen.schedule.spec.channel_layer.name
            self._wanted[seen.key] = {one.event: _Wanted(seen.key, one.event, seen.uid, layer, one.token) for one in asked.resumes}
        now = {*self._wanted.get(seen.key, {}).values()}
        for gone in {*before.values()} - now:
            self._due.pop(gone, None)
        for new in now - {*before.values()}:
            self._due[new] = 0

    def forget(self, key: str) -> None:
        """The object has gone, or asks for nothing any more."""
        for wanted in self._wanted.pop(key, {}).values():
            self._due.pop(wanted, None)

    def give_way(self) -> None:
        """Somebody else leads: should that end, all of it is looked at."""
        self._led.clear()
        for task in self._looking.values():
            task.cancel()
        self._looking.clear()

    def look(self) -> None:
        """Begin what is due; only who leads beyond doubt calls it. A layer whose Redis hangs holds up no other."""
        now = self._clock.now()
        leading = {layer.name: layer.epoch for layer in self._engine.layers() if layer.leading}
        anew = {name for name, epoch in leading.items() if self._led.get(name) != epoch}
        if anew:
            self._due |= {one: 0 for events in self._wanted.values() for one in events.values() if one.layer in anew}
            self._led |= {name: leading[name] for name in anew}
        due = defaultdict[str, list[_Wanted]](list)
        for one, at in self._due.items():
            if at <= now and one.layer in leading and one.layer not in self._looking:
                due[one.layer].append(one)
        for layer, some in due.items():
            self._looking[layer] = asyncio.create_task(self._look_at(layer, some[:AT_ONCE]), name=f"pauses of layer {layer}")

    async def _look_at(self, layer: str, some: Sequence[_Wanted]) -> None:
        try:
            now = self._clock.now()
            for one in some:
                again = requests.next_look(one.token, now)
                self._due.pop(one) if again is None else self._due.update({one: again})
            ready = [one for one in some if requests.may_act(one.token, now)]
            try:
                stats = await self._engine.stats(layer, [f"{one.key}/{one.event}" for one in ready])
                for one in ready:
                    await self._end(one, stats[f"{one.key}/{one.event}"])
            except LayerError:  # which its lane tells
                self._put_off(some)
            except Exception:  # one layer stops no other
                log.exception("pauses in layer %r cannot be ended for a fault of channelbeat's own: please report it", layer)
        finally:
            if self._looking.get(layer) is asyncio.current_task():
                del self._looking[layer]

    async def _end(self, one: _Wanted, stats: Stats) -> None:
        if stats.paused is None or not self._is_wanted(one) or not self._is_in_force(one, stats):
            return
        since, extra = instants.text(stats.paused), keys.of_schedule(one.key, one.event)._asdict()
        if not requests.ends(one.token, stats.paused):
            log.info(
                "event %s/%s stays paused: that began at %s, after its resume annotation's %s", one.key, one.event, since, instants.text(one.token), extra=extra
            )
            return
        try:
            resumed = await self._engine.resume(one.key, one.event)
        except UsageError:  # it does not run any more: should it again, it is another
            return
        if resumed:
            log.info("event %s/%s is no longer paused: its annotation ends what began at %s", one.key, one.event, since, extra=extra)
            self._tell(one.key)

    def _is_wanted(self, one: _Wanted) -> bool:
        return self._wanted.get(one.key, {}).get(one.event) == one

    def _is_in_force(self, one: _Wanted, stats: Stats) -> bool:
        """An edit ends a pause, too; Redis learns of it at the next due time."""
        definition = self._engine.book.definition(one.key, one.event)
        return definition is not None and definition.policy is not None and definition.policy.version == stats.version

    def _put_off(self, some: Sequence[_Wanted]) -> None:
        at = self._clock.now() + AGAIN
        self._due |= {one: at for one in some if self._is_wanted(one)}
