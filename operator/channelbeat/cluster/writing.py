"""One write of one status, and what follows from its answer. The object is not read first, and no resourceVersion is sent: nobody else writes
what we write."""

import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple
from weakref import WeakSet

from channelbeat.cluster.answers import key_of
from channelbeat.cluster.api import Api
from channelbeat.cluster.ledger import NOTHING, Tallies
from channelbeat.cluster.pace import backoff
from channelbeat.cluster.register import Seen
from channelbeat.core import status
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.news import News, news
from channelbeat.engine.stopwatch import Stopwatch
from channelbeat.errors import ApiError, ApiRefused

log: Final = logging.getLogger("channelbeat.status")

LONGEST_PAUSE: Final[Ms] = MINUTE
ECHO: Final[Ms] = MINUTE
"""Within it the watch has told us of our own write; until then what we were answered counts, and not what is seen."""
PASSING: Final = 3  # times that there is no such object, before it is told: mostly it is just being deleted


class Draft(NamedTuple):
    """A status to be written: `had` -> `has`. `tallies` are in it; `why`: so many workers are wanted."""

    had: Mapping[str, Any]
    has: Mapping[str, Any]
    tallies: Tallies
    why: str = ""

    @property
    def news(self) -> Iterator[News]:
        """What of it is told by Kubernetes Events."""
        return news(self.had, self.has, self.why)

    @property
    def patch(self) -> dict[str, Any]:
        """Empty when they are the same."""
        return status.patch(self.had, self.has)

    @property
    def urgent(self) -> bool:
        return status.urgent(self.had, self.has)


class Tracked:
    """An object, as far as its status is concerned. `routine`: not before it, a write of what nobody waits for; `retry`: not before it, any.
    `doubt`: a write that was not answered, and may have been carried out. `busy`: a call about it is under way. `gone`: another one has
    its name. `unsettled`: so often it was looked at in vain for where its events stand. `staff`: what was said of its workers last.
    `stumbled`: over it, and that was told."""

    __slots__ = (
        "__weakref__",
        "busy",
        "doubt",
        "echo_until",
        "failures",
        "gone",
        "last",
        "ours",
        "retry",
        "routine",
        "seen",
        "staff",
        "stumbled",
        "unsettled",
    )

    def __init__(self, seen: Seen, *, routine: Ms) -> None:
        self.seen, self.routine = seen, routine
        self.ours: bytes | None = None  # as we wrote it, until it is seen
        self.last = b""  # as we wrote it, or as we saw that when we did
        self.echo_until: Ms = 0
        self.retry: Ms = 0
        self.failures = self.unsettled = 0
        self.busy = self.gone = self.stumbled = False
        self.doubt: Draft | None = None
        self.staff: tuple[object, ...] = ()

    def status(self, now: Ms) -> dict[str, Any]:
        """The newest that is known."""
        raw = self.ours if self.ours is not None and now < self.echo_until else self.seen.status
        status: dict[str, Any] = json.loads(raw) if raw else {}
        return status

    def at_rest(self) -> None:
        self.busy = False

    def sees(self, seen: Seen) -> Seen:
        """What it was seen as before."""
        before, self.seen = self.seen, seen
        if seen.status == self.ours:
            self.ours, self.last = None, seen.status
        return before

    def wrote(self, status: object, now: Ms) -> None:
        """The API server says that this is its status."""
        raw = json.dumps(status or {}, separators=(",", ":"), sort_keys=True).encode()
        self.last = raw
        self.ours, self.echo_until = (raw, now + ECHO) if raw != self.seen.status else (None, 0)

    @property
    def path(self) -> str:
        namespace, _, name = self.seen.key.partition("/")
        return f"/apis/channelbeat.dev/v1alpha1/namespaces/{namespace}/beatschedules/{name}"


class Writer:
    """`writes` counts the calls by what became of them: written, unanswered, refused, gone. `known`: the object of a key as it was last seen."""

    def __init__(self, api: Api, watch: Stopwatch, writes: Counter[str], known: Callable[[str], Tracked | None]) -> None:
        self._api, self._watch, self._writes, self._known = api, watch, writes, known
        self._told: dict[str, WeakSet[Tracked]] = {}  # refusals, and whom they befall: told anew when it had been over for all who are still there

    async def write(self, object_: Tracked, draft: Draft) -> bool:
        """Whether it is written. If not, its tallies are to be counted again, unless they are in `doubt`; and to be tried again not before `retry`."""
        try:
            answer = await self._api.merge(f"{object_.path}/status", {"status": draft.patch})
        except ApiRefused as error:
            self._refused(object_, error)
            return False
        except ApiError as error:
            object_.doubt = draft
            self._failed(object_, "unanswered", error)
            return False
        if answer["metadata"]["uid"] != object_.seen.uid:
            await self._take_back(object_, answer)
            return False
        self._answered(object_, answer)
        self._writes["written"] += 1
        return True

    async def _take_back(self, object_: Tracked, answer: Mapping[str, Any]) -> None:
        """It was deleted and made anew: the new one is to have the status that we gave it, if we did, and none of the old one's counts."""
        self._writes["gone"] += 1
        object_.gone = True
        new, has = self._made_anew(answer), answer.get("status") or {}
        had = json.loads(new.last) if new is not None and new.last else {}
        with suppress(ApiError):
            answer = await self._api.merge(f"{object_.path}/status", {"status": status.patch(has, had)})
            if (new := self._made_anew(answer)) is not None:  # seen by now: what it is to have is decided by what it has
                new.wrote(answer.get("status"), self._watch.now())

    def _made_anew(self, answer: Mapping[str, Any]) -> Tracked | None:
        """The object that answered, if we have seen it."""
        metadata = answer["metadata"]
        object_ = self._known(key_of(metadata))
        return object_ if object_ is not None and object_.seen.uid == metadata["uid"] else None

    async def clear_up(self, object_: Tracked) -> Tallies:
        """Was the write in `doubt` carried out? What is to be counted again, as it was not; it stays in doubt while there is no answer."""
        draft = object_.doubt
        try:
            found = await self._api.get(object_.path)
        except ApiRefused as error:
            self._refused(object_, error)
            return NOTHING
        except ApiError as error:
            self._failed(object_, "unanswered", error)
            return NOTHING
        object_.doubt = None
        object_.gone = found["metadata"]["uid"] != object_.seen.uid
        self._answered(object_, found)
        return NOTHING if draft is None or _carried_out(draft, found.get("status") or {}) else draft.tallies

    def _answered(self, object_: Tracked, answer: Mapping[str, Any]) -> None:
        object_.wrote(answer.get("status"), self._watch.now())
        object_.failures = 0
        for befallen in self._told.values():
            befallen.discard(object_)

    def _refused(self, object_: Tracked, error: ApiRefused) -> None:
        """That there is no such object is tried again, too: one that is gone is dropped when it is seen to be, and no answer in between is final."""
        self._failed(object_, "gone" if error.status == 404 else "refused", error)

    def _failed(self, object_: Tracked, result: str, error: ApiError) -> None:
        self._writes[result] += 1
        pause = backoff(object_.failures, SECOND, LONGEST_PAUSE)
        object_.retry = self._watch.now() + round(pause * random.uniform(0.5, 1.0))
        object_.failures += 1
        if isinstance(error, ApiRefused) and error.status != 409 and (error.status != 404 or object_.failures > PASSING):
            befallen = self._told.setdefault(f"{error.status} {error.reason}", WeakSet())
            if not befallen:
                log.warning("the status of %s cannot be written, and is tried again: %s", object_.seen.key, error)
            befallen.add(object_)


def _carried_out(draft: Draft, status: Mapping[str, Any]) -> bool:
    """Are its counts in this status? Another leader may have gone on from there."""
    counted = _not_sent(status)
    return all(counted.get(name, 0) >= number for name, number in _not_sent(draft.has).items())


def _not_sent(status: Mapping[str, Any]) -> dict[str, int]:
    return {event["name"]: event["notSent"] for event in status.get("eventStatuses", ()) if "notSent" in event}
