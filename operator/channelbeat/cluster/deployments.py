"""Which Deployments are there, of those that matter? One list and one watch, or one of each watched namespace; most of what they tell is dropped.

What nobody named when it was told of, and somebody names now, is asked for by itself.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from channelbeat.cluster.answers import TOO_MANY, following, is_one, key_of
from channelbeat.cluster.api import Api, path_of
from channelbeat.cluster.deployment import PATH
from channelbeat.cluster.live import Live, live
from channelbeat.cluster.pace import backoff
from channelbeat.cluster.pod_template import SCHEDULE
from channelbeat.cluster.staffing import Part
from channelbeat.core.finding import Finding
from channelbeat.core.instants import SECOND, Ms
from channelbeat.errors import ApiError, ApiRefused

log: Final = logging.getLogger("channelbeat.workers")

CHUNK: Final = "100"
"""Deployments in a page, of 10 KB each: others have their turn in between."""
SHORTEST: Final[Ms] = SECOND // 2
"""Until it is tried again."""
LONGEST: Final[Ms] = 30 * SECOND
PASSING: Final = (410, TOO_MANY)
"""Answers that are a no for the moment."""
GRAVES: Final = 1_000
"""So many Deployments are not deleted while one call is answered."""
PATIENCE: Final = 3
"""Watches that fail one after the other, before all is listed anew: a store that was put back does not know where we are."""


class Deployments:
    """`namespaces` None: of all. `part`: what matters of one, by its key, besides that it has our label. `changed` is called with the key of one that
    became another, is new, or is gone; with an empty one when that may be said of all."""

    def __init__(self, api: Api, *, namespaces: Sequence[str] | None, part: Callable[[str], Part], changed: Callable[[str], object]) -> None:
        self._api, self._part, self._changed = api, part, changed
        self._scopes = ("",) if namespaces is None else tuple(namespaces)
        self._live: dict[str, Live] = {}
        self._listed = set[str]()  # scopes
        self._asked_for = dict[str, None]()  # keys, in their order
        self._asking = asyncio.Event()
        self._troubles: dict[str, Finding] = {}  # by scope
        self._gone_lately = deque[str](maxlen=GRAVES)  # uids

    def get(self, key: str) -> Live | None:
        """As last seen; None: there is none, if it is `known`."""
        return self._live.get(key)

    def keys(self) -> Collection[str]:
        return self._live.keys()

    def known(self, key: str) -> bool:
        return self._scope(key) in self._listed and key not in self._asked_for

    def trouble(self, key: str) -> Finding | None:
        """Why it cannot be known."""
        return self._troubles.get(self._scope(key))

    def need(self, named: Iterable[str], made: Iterable[str]) -> None:
        """They matter now, and may not have when they were last told of. Of those that are `made` a stranger's may be there: to make it will show."""
        for key in (*named, *(key for key in made if key in self._live)):
            part, known = self._part(key), self._live.get(key)
            if known is None or (part.whole and not known.rest) or (part.template and not known.template):
                self.ask_for(key)

    def ask_for(self, key: str) -> None:
        """What is known of it is not all there is."""
        self._asked_for[key] = None
        self._asking.set()

    def keep(self, raw: Mapping[str, Any], *, listed: bool = False) -> None:
        """It was seen: by the watch, or as the answer to a call. One that was `listed` is as it is, whatever was told before: a store may be put back."""
        key = key_of(raw["metadata"])
        part, known = self._part(key), self._live.get(key)
        whole = part.whole or SCHEDULE in (raw["metadata"].get("labels") or {})
        if not (whole or part.template):
            self._live.pop(key, None)
            return
        found = live(raw, Part(whole, part.template))
        if not listed and (found.older(known) if known is not None and known.uid == found.uid else found.uid in self._gone_lately):
            return  # an answer may come after what the watch has told since
        waited = self._asked_for.pop(key, self) is None
        self._live[key] = found
        if waited or known is None or (known.uid, known.rest, known.template) != (found.uid, found.rest, found.template):
            self._changed(key)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer())
            for scope in self._scopes:
                group.create_task(self._follow(scope))

    def _scope(self, key: str) -> str:
        return key.partition("/")[0] if self._scopes != ("",) else ""

    async def _follow(self, scope: str) -> None:
        path = PATH.format(scope) if scope else "/apis/apps/v1/deployments"
        since, failures = "", 0
        while True:
            try:
                if not since:
                    since = await self._list(scope, path)
                async with aclosing(self._api.watch(path, since=since)) as changes:
                    async for kind, raw in changes:
                        failures = 0
                        since = raw["metadata"].get("resourceVersion", since)
                        if kind == "DELETED":
                            self._gone(key_of(raw["metadata"]), raw["metadata"]["uid"])
                        elif kind != "BOOKMARK":
                            self.keep(raw)
            except ApiError as error:
                failures += 1
                if isinstance(error, ApiRefused) or failures >= PATIENCE:
                    since = ""
                self._tell(scope, error)
            await asyncio.sleep(backoff(max(failures - 1, 0), SHORTEST, LONGEST) / SECOND * random.uniform(0.5, 1.0))

    async def _list(self, scope: str, path: str) -> str:
        """Where to watch from. What is not in the list is gone, unless it was made meanwhile."""
        before = {key: one.uid for key, one in self._live.items() if self._scope(key) == scope}
        asked = [key for key in self._asked_for if self._scope(key) == scope]
        page, there = dict[str, Any](), set[str]()
        while True:
            page = await self._api.get(path, timeout=None, **{"limit": CHUNK, **following(page)})
            for raw in page.get("items") or ():
                there.add(key_of(raw["metadata"]))
                self.keep(raw, listed=True)
            if not following(page):
                break
        for key in asked:
            if key not in there and self._asked_for.pop(key, self) is None:
                self._changed(key)
        for key, uid in before.items():
            if key not in there:
                self._gone(key, uid)
        if scope in self._troubles or scope not in self._listed:
            if self._troubles.pop(scope, None):
                log.info("Deployments%s can be listed", _where(scope))
            self._listed.add(scope)
            self._changed("")
        return str(page["metadata"]["resourceVersion"])

    def _gone(self, key: str, uid: str) -> None:
        self._gone_lately.append(uid)
        known = self._live.get(key)
        if known is not None and known.uid == uid:
            del self._live[key]
            self._changed(key)

    def _tell(self, scope: str, error: ApiError) -> None:
        """Once. That there was no answer is no trouble of the workers: what is known holds until there is one."""
        if isinstance(error, ApiRefused) and error.status not in PASSING and scope not in self._troubles:
            cure = "give our ServiceAccount get, list and watch on deployments.apps, as the chart does"
            self._troubles[scope] = Finding("NotAllowed", f"Deployments{_where(scope)} cannot be listed: {error}: {cure}")
            log.warning("%s", self._troubles[scope].text)
            self._changed("")

    async def _answer(self) -> None:
        """One at a time: nobody waits for any but who named it."""
        while True:
            await self._asking.wait()
            self._asking.clear()
            for key in [key for key in self._asked_for if self._scope(key) in self._listed]:
                await self._get(key)
            if self._asked_for:
                self._asking.set()
                await asyncio.sleep(SHORTEST / SECOND)

    async def _get(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        found: dict[str, Any] | None = None
        try:
            found = await self._api.get(path_of(PATH.format(namespace), name))
        except ApiError as error:
            if not isinstance(error, ApiRefused) or error.status != 404:
                return
        if key not in self._asked_for:
            return  # it was told of meanwhile, which is newer
        if found is not None and is_one(found, "Deployment", key):
            self.keep(found)
        if self._asked_for.pop(key, self) is None:
            self._live.pop(key, None)
            self._changed(key)


def _where(scope: str) -> str:
    return f" in namespace {scope}" if scope else ""
