"""What do the pods of workers say that do not become ready? They are listed only then, and not kept."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from channelbeat.cluster.api import Api
from channelbeat.cluster.calls import Calls
from channelbeat.cluster.live import Live
from channelbeat.core.crews import Crew
from channelbeat.core.finding import Finding
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.pod_trouble import diagnose
from channelbeat.core.schedule import Worker
from channelbeat.engine.ports import Clock
from channelbeat.engine.stopwatch import Stopwatch
from channelbeat.errors import ApiError

log: Final = logging.getLogger("channelbeat.workers")

PATH: Final = "/api/v1/namespaces/{}/pods"
PATIENCE: Final[Ms] = 3 * SECOND
"""A start takes some time; and what is over by then is not worth a word."""
SLOWEST: Final[Ms] = 30 * SECOND
"""Between two looks at the same pods; the first are PATIENCE apart."""
PER_SECOND: Final = 5.0
"""Looks at all of them: hundreds may be unready at once, as when no node is left."""
MOST: Final = 100
"""Pods that are looked at, of one Deployment: what is wrong with so many is wrong with all."""
IDLE: Final[Ms] = SECOND
"""It may have begun to lead."""
NONE: Final = Worker()


@dataclass(slots=True)
class Look:
    """At one Deployment. `last` by the stopwatch: the latest look, or when it was found to be unready. `hasty`: it has changed since. Another time that
    the same one is unready is another object."""

    live: Mapping[str, Any]
    worker: Worker
    last: Ms
    pause: Ms = PATIENCE
    hasty: bool = False
    under_way: bool = False
    trouble: Finding | None = None

    @property
    def due(self) -> Ms:
        return self.last + (PATIENCE if self.hasty else self.pause)


class Pods:
    """`leading`: only then is anything asked. `changed` is called with the key when its trouble is another."""

    def __init__(self, api: Api, clock: Clock, *, leading: Callable[[], bool], changed: Callable[[str], object]) -> None:
        self._api, self._clock, self._leading, self._changed = api, clock, leading, changed
        self._watch, self._wake = Stopwatch(clock), asyncio.Event()
        self._looks: dict[str, Look] = {}
        self._told = False

    def seen(self, key: str, live: Mapping[str, Any] | None, worker: Worker = NONE) -> None:
        """The Deployment `key` as it is now, with metadata (name, namespace, generation), spec (replicas, selector) and status; None: it is gone, or of
        no account any more. `worker`: of a schedule whose workers it has."""
        look, now = self._looks.get(key), self._watch.now()
        if live is None or not live["spec"].get("replicas", 1):
            self._forget(key)
            return
        if look is None:
            if not well(live):
                self._looks[key] = Look(live, worker, now)
        elif well(live) and look.trouble is None:
            del self._looks[key]
        else:  # one that is well now may crash again: its pods tell
            if live["metadata"].get("generation") != look.live["metadata"].get("generation") or worker != look.worker:
                look.pause = PATIENCE
            look.live, look.worker, look.hasty = live, worker, True
        self._wake.set()

    def heed(self, key: str, crew: Crew | None, live: Live | None) -> None:
        """The same, as it is kept, and whose workers it has; None: nobody's any more."""
        if crew is None or live is None:
            self.seen(key, None)
        elif live.rest:
            self.seen(key, live.body, crew.members[0].schedule.spec.worker or NONE)

    def trouble(self, key: str) -> Finding | None:
        """Why its workers are not ready; None: they are, or are given time, or it is not known."""
        look = self._looks.get(key)
        return look.trouble if look else None

    async def run(self) -> None:
        """Until it is cancelled."""
        calls = Calls(PER_SECOND, self._watch, ended=self._wake.set)
        try:
            while True:
                self._wake.clear()
                now, leading = self._watch.now(), self._leading()
                waiting = sorted((look.due, key) for key, look in self._looks.items() if not look.under_way) if leading else []
                due, room = [key for at, key in waiting if at <= now], max(calls.room(), 0)
                for key in due[:room]:
                    look = self._looks[key]
                    look.under_way, look.hasty = True, False
                    calls.begin(self._look(key, look), then=partial(self._again, look))
                later = calls.next() if due[room:] else next((at for at, _ in waiting if at > now), now + IDLE)
                await self._watch.sleep_until(min(later, now + IDLE), self._wake)
        finally:
            await calls.end()

    async def of(self, live: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Pods of a Deployment, as they are now: MOST of them. ApiError."""
        path, labels = PATH.format(live["metadata"]["namespace"]), selector(live["spec"]["selector"])
        found: list[dict[str, Any]] = (await self._api.get(path, labelSelector=labels, limit=str(MOST))).get("items") or []
        return found

    async def _look(self, key: str, look: Look) -> None:
        try:
            pods = await self.of(look.live)
        except ApiError as error:
            if not self._told:
                log.warning("cannot look why workers are not ready: %s", error)
            self._told = True
            return
        self._told = False
        if self._looks.get(key) is not look:
            return
        found, before = diagnose(look.live, pods, look.worker, self._clock.now()), look.trouble
        look.trouble = found
        if found is None and well(look.live):
            del self._looks[key]
        if found != before:
            self._changed(key)

    def _again(self, look: Look) -> None:
        look.under_way = False
        look.last, look.pause = self._watch.now(), min(look.pause * 2, SLOWEST)

    def _forget(self, key: str) -> None:
        look = self._looks.pop(key, None)
        if look is not None and look.trouble is not None:
            self._changed(key)


def well(live: Mapping[str, Any]) -> bool:
    """All its pods are there, ready, and of its newest template."""
    status, wanted = live.get("status") or {}, live["spec"].get("replicas", 1)
    return all(status.get(field, 0) == wanted for field in ("replicas", "updatedReplicas", "readyReplicas"))


def selector(of: Mapping[str, Any]) -> str:
    """As it is written in a query."""
    terms = [f"{key}={value}" for key, value in sorted((of.get("matchLabels") or {}).items())]
    for one in of.get("matchExpressions") or ():
        key, values = one["key"], ",".join(one.get("values") or ())
        terms.append({"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}.get(one["operator"], f"!{key}"))
    return ",".join(terms)
