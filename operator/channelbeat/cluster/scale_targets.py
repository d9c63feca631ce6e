"""How many replicas had the Deployments of others before they were scaled for schedules, and who gives them back?

The ConfigMap `NAME-targets` beside the Lease remembers: a key for each Deployment, `NAMESPACE.NAME`, written before its first scale. Nothing is scaled
that could not be recorded, as its original number would be lost with us. Writes compare resourceVersions: of two leaders the one that comes later
finds what the first has recorded. Within a term it is read once.
"""

import asyncio
import json
import logging
import random
from collections.abc import Callable, Container, Mapping
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

from channelbeat.cluster import meddling
from channelbeat.cluster.answers import TOO_MANY
from channelbeat.cluster.api import Api
from channelbeat.cluster.deployment import PATH
from channelbeat.cluster.making import no_target
from channelbeat.cluster.meddling import Watched
from channelbeat.core.crews import Crew
from channelbeat.core.masking import masked
from channelbeat.errors import ApiRefused, ApiUnreachable

log: Final = logging.getLogger("channelbeat.workers")

ATTEMPTS: Final = 5
AT_ONCE: Final = 16
"""So many are given back at a time."""
PASSING: Final = (409, TOO_MANY)
"""Refusals of the moment: it was changed just now; too many ask."""
MOST: Final = 2**31 - 1
"""Replicas, as far as the API server counts."""
NAMES: Final = 10
"""Schedules that are named in an entry, for people: 1,000 Deployments have room in a ConfigMap (1 MiB)."""


class Entry(NamedTuple):
    """`original`: how many it had before us; `last`: how many we gave it, or meant to; `schedules`: the first that named it; `uid`: its own, or empty."""

    original: int
    last: int
    schedules: tuple[str, ...] = ()
    uid: str = ""


class ScaleTargets:
    """Deployments are named by `NAMESPACE/NAME`. Every method raises ApiUnreachable when it has to be tried again."""

    def __init__(self, api: Api, *, namespace: str, name: str) -> None:
        """`namespace` and `name` are the Lease's."""
        self._api = api
        self._maps, self._name = f"/api/v1/namespaces/{namespace}/configmaps", f"{name}-targets"
        self._full_name = f"{namespace}/{self._name}"
        self._lock = asyncio.Lock()  # around the record, and never around a scale: one that hangs keeps no other
        self._ones = WeakValueDictionary[str, asyncio.Lock]()
        self.forget()

    def forget(self) -> None:
        """A term begins: another leader may have written."""
        self._version: str | None = None  # of the ConfigMap as we know it; "" there is none; None it has to be read
        self._known: dict[str, Entry] = {}
        self._uids: dict[str, str] = {}  # which ones they are, as was seen last; "" it has to be read
        self._unreadable = False
        self._left = set[str]()  # what could not be given back, and was told: once a term

    async def scale(self, crew: Crew, replicas: int) -> None:
        """ApiRefused has the reason NoSuchDeployment, NotRecorded or ScaleRefused, and a sentence with the cure; it was not scaled."""
        async with self._one(crew.key):
            try:
                uid = await self._record(crew, replicas)
                await self._api.merge(f"{_path(crew.key)}/scale", {"metadata": {"uid": uid}, "spec": {"replicas": replicas}})
            except ApiRefused as error:
                if error.status == 409:  # it was made anew since
                    self._uids[crew.key] = ""
                    raise ApiUnreachable(str(error)) from None
                raise _told(crew.key, error) from None

    async def resumed(self, key: str, live: Mapping[str, Any]) -> Watched:
        """What meddling.look begins with in a new term. `live`: the Deployment. May raise ApiRefused."""
        self._uids[key] = live["metadata"]["uid"]
        async with self._lock:
            await self._read()
        known = self._known.get(key)
        return meddling.resumed(known.original, known.last, live, known.uid) if known else Watched()

    async def release(self, named: Container[str]) -> None:
        """Gives back the original to those that are in the record and that nobody names any more, unless somebody else has changed their number
        meanwhile; then they are forgotten. `named`: all that are named by a schedule, of a complete list. Costs nothing when there is nothing
        to do; what the API server refuses is told in the log, once a term."""
        if self._unreadable:
            return
        try:
            async with self._lock:
                await self._read()
        except ApiRefused as error:
            self._unreadable = True
            log.warning("a Deployment that no schedule names any more does not get back the replicas it had: %s", error)
            return
        wanted = [key for key in self._known if key not in named and key not in self._left]
        some = random.sample(wanted, min(len(wanted), AT_ONCE))  # by chance: those that hang keep no place from others
        await asyncio.gather(*(self._give_back(key, self._known[key]) for key in some))
        if any(key in self._known and key not in self._left for key in wanted):
            raise ApiUnreachable("not every Deployment that no schedule names any more has the replicas again that it had")

    async def _record(self, crew: Crew, replicas: int) -> str:
        key, names = crew.key, tuple(member.schedule.name for member in crew.members)[:NAMES]
        async with self._lock:
            await self._read()
            known = self._known.get(key)
            had = known if known and known.uid == self._uids.get(key, known.uid) != "" else await self._had(key)
            if had is not known or had.last != replicas:
                await self._write(lambda: {key: self._kept(key, had)._replace(last=replicas, schedules=names, uid=had.uid)})
                self._unreadable = False
            return had.uid

    def _kept(self, key: str, had: Entry) -> Entry:
        there = self._known.get(key)
        return there if there and there.uid in ("", had.uid) else had  # what was written before there were uids has none

    async def _had(self, key: str) -> Entry:
        """Read anew: what was seen of it a moment ago may be from before it was given back."""
        scale = await self._api.get(f"{_path(key)}/scale")
        self._uids[key], number = scale["metadata"]["uid"], int(scale["spec"].get("replicas", 0))  # the server leaves out a zero
        return Entry(number, number, uid=self._uids[key])

    async def _give_back(self, key: str, entry: Entry) -> None:
        """And forget it, or leave it for another time: one that is just being scaled is named again."""
        one = self._one(key)
        if one.locked():
            return
        async with one:
            try:
                await self._restore(key, entry)
                async with self._lock:
                    await self._write(lambda: {key: None} if self._known.get(key) == entry else {})
            except ApiUnreachable:
                return
            except ApiRefused as error:
                if error.status not in PASSING:
                    self._left.add(key)
                    log.warning("the Deployment %s, which no schedule names any more, keeps the replicas it has: %s", key, masked(error))

    async def _restore(self, key: str, entry: Entry) -> None:
        """Its original number, if it is ours to change, and if it is there; one that was made anew has its own."""
        path = _path(key)
        try:
            live = await self._api.get(path)
            replicas = live["spec"].get("replicas", 1)
            if replicas == entry.original or entry.uid not in ("", live["metadata"]["uid"]):
                return
            if replicas != entry.last and not meddling.is_ours(live):
                who = meddling.who(live)
                log.info("no schedule names the Deployment %s any more; it keeps its %d replicas, because %s has changed them", key, replicas, who)
                return
            change = {"metadata": {"resourceVersion": live["metadata"]["resourceVersion"]}, "spec": {"replicas": entry.original}}
            await self._api.merge(f"{path}/scale", change)
        except ApiRefused as error:
            if error.status != 404:
                raise
        else:
            log.info("no schedule names the Deployment %s any more: it has its %d replicas again", key, entry.original)

    def _one(self, key: str) -> asyncio.Lock:
        """Scaled and given back, one after the other."""
        return self._ones.setdefault(key, asyncio.Lock())

    async def _read(self) -> None:
        """If it has to be."""
        if self._version is not None:
            return
        try:
            self._take(await self._api.get(f"{self._maps}/{self._name}"))
        except ApiRefused as error:
            if error.status != 404:
                raise self._not_recorded(error) from None
            self._version = ""

    async def _write(self, change: Callable[[], Mapping[str, Entry | None]]) -> None:
        """`change` is asked anew whenever another has written in between. One that was taken away is made again, with all we know."""
        for _ in range(ATTEMPTS):
            await self._read()
            changed = change()
            if not changed:
                return
            try:
                if self._version:
                    data = {_key(key): entry and _text(entry) for key, entry in changed.items()}
                    self._take(await self._api.merge(f"{self._maps}/{self._name}", {"metadata": {"resourceVersion": self._version}, "data": data}))
                else:
                    entries = {key: entry for key, entry in {**self._known, **changed}.items() if entry}
                    body = {"metadata": {"name": self._name}, "data": {_key(key): _text(entry) for key, entry in entries.items()}}
                    self._take(await self._api.create(self._maps, body))
            except ApiRefused as error:
                if error.status not in (404, 409):
                    raise self._not_recorded(error) from None
                self._version = None
            except ApiUnreachable:
                self._version = None  # it may have been carried out
                raise
            else:
                return
        raise ApiUnreachable(f"the ConfigMap {self._full_name} is changed by others all the time")

    def _take(self, found: Mapping[str, Any]) -> None:
        self._version = str(found["metadata"]["resourceVersion"])
        self._known = {key.replace(".", "/", 1): entry for key, text in (found.get("data") or {}).items() if (entry := _entry(text))}

    def _not_recorded(self, error: ApiRefused) -> ApiRefused:
        cure = f"delete it if it cannot be mended: {masked(error)}"
        if error.status == 403:
            rights = "create on configmaps there, and get and patch on that one"
            cure = f"give the operator's ServiceAccount {rights} (as the chart does with rbac.create; docs/security.md): {masked(error)}"
        text = f"how many replicas it has is recorded before the first scale, and the record, ConfigMap {self._full_name}, cannot be read or written: {cure}"
        return ApiRefused(text, error.status, "NotRecorded")


def _path(key: str) -> str:
    namespace, _, name = key.partition("/")
    return f"{PATH.format(namespace)}/{name}"


def _key(key: str) -> str:
    """As a ConfigMap takes it. No namespace has a dot in its name."""
    return key.replace("/", ".", 1)


def _text(entry: Entry) -> str:
    return json.dumps(entry._asdict(), separators=(",", ":"))


def _entry(text: str) -> Entry | None:
    """None for what somebody else has written there."""
    try:
        read = json.loads(text)
        numbers, uid = (read["original"], read["last"]), read.get("uid")
        return Entry(*numbers, uid=uid if isinstance(uid, str) else "") if all(type(one) is int and 0 <= one <= MOST for one in numbers) else None
    except (ValueError, LookupError, TypeError):
        return None


def _told(key: str, error: ApiRefused) -> ApiRefused:
    if error.reason == "NotRecorded":
        return ApiRefused(f"the Deployment {key} is not scaled: {error}", error.status, error.reason)
    if error.status == 404:
        missing = no_target(key)
        return ApiRefused(missing.text, error.status, missing.reason)
    cure = "see that the operator's ServiceAccount may get and patch deployments/scale there, and that no admission policy or webhook refuses it"
    return ApiRefused(f"the Deployment {key} cannot be scaled: {masked(error)}: {cure}", error.status, "ScaleRefused")
