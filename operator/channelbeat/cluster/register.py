"""What exists, as the API server tells it -> the book, and whoever else wants to know. No I/O: it is called for every change.

An object is known by its uid, its generation, a checksum of its spec (a store that was put back counts its generations anew) and the
annotations that ask something of us; what else changes is of no account, the status apart. One that is being deleted counts as gone.
"""

import asyncio
import json
import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from channelbeat.cluster.answers import key_of
from channelbeat.core import instants
from channelbeat.core.finding import Finding
from channelbeat.core.instants import Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.parse import API_VERSION, KIND, Fault, parse
from channelbeat.core.refusal import refusal
from channelbeat.core.schedule import BeatSchedule
from channelbeat.engine.book import Book

log: Final = logging.getLogger("channelbeat.schedules")

REQUESTS: Final = ("trigger.channelbeat.dev/", "resume.channelbeat.dev/")
_NONE: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an object. `schedule` None: nothing of it can be read; it is without its `parked` events, whose faults are among
    `faults`. `refusal`: why a good one cannot run here. `names`: of all its events. `status`: as last seen, in compact JSON. `checksum`: of
    its spec."""

    key: str
    uid: str
    generation: int
    created: Ms
    schedule: BeatSchedule | None
    parked: frozenset[str]
    faults: tuple[Fault, ...]
    refusal: Finding | None
    names: tuple[str, ...]
    annotations: Mapping[str, str]
    status: bytes
    checksum: int = 0

    @property
    def runs(self) -> bool:
        return self.schedule is not None and self.refusal is None


class Listener(Protocol):
    """Is told of every object that was seen, and of those that are gone, after the book."""

    def seen(self, seen: Seen) -> None: ...
    def gone(self, key: str) -> None: ...


class Register:
    def __init__(self, book: Book, layers: Mapping[str, LayerSettings], listeners: Sequence[Listener]) -> None:
        self._book, self._layers, self._listeners = book, layers, listeners
        self._seen: dict[str, Seen] = {}
        self.completed = asyncio.Event()
        """Everything that exists has been seen."""

    @property
    def complete(self) -> bool:
        return self.completed.is_set()

    def __len__(self) -> int:
        return len(self._seen)

    def uids(self) -> dict[str, str]:
        """Of all objects, by `namespace/name`."""
        return {key: seen.uid for key, seen in self._seen.items()}

    def faulty(self) -> int:
        """How many of them do not run as they are written."""
        return sum(1 for seen in self._seen.values() if seen.faults or seen.refusal)

    def see(self, raw: Mapping[str, Any]) -> None:
        """An object was listed, made or changed."""
        metadata = raw["metadata"]
        key, uid = key_of(metadata), metadata["uid"]
        if metadata.get("deletionTimestamp"):
            self.forget(key, uid)
            return
        known, status = self._seen.get(key), _compact(raw.get("status"))
        asked = _asked(metadata.get("annotations"))
        if known is not None and (known.uid, known.generation, known.checksum) == (uid, metadata.get("generation", 0), _checksum(raw)):
            if (known.annotations, known.status) != (asked, status):
                self._tell(replace(known, annotations=asked, status=status))
            return
        if known is not None and known.uid != uid:  # deleted and made anew, told in the wrong order or not at all
            self.forget(key, known.uid)
        seen = self._read(raw, key, asked, status)
        self._put(seen)
        self._tell(seen)

    def forget(self, key: str, uid: str) -> None:
        """An object is gone; one of the same name with another uid is not."""
        known = self._seen.get(key)
        if known is not None and known.uid == uid:
            del self._seen[key]
            self._book.remove(key)
            for listener in self._listeners:
                listener.gone(key)

    def all_seen(self) -> None:
        """What has not been seen does not exist."""
        if not self.complete:
            self.completed.set()
            self._book.complete()

    def use_layers(self, layers: Mapping[str, LayerSettings], changed: Iterable[str]) -> None:
        """The installation's layers are these now; the schedules of `changed` ones are judged anew."""
        self._layers = layers
        affected = {*changed}
        for seen in [*self._seen.values()]:
            if seen.schedule is not None and seen.schedule.spec.channel_layer.name in affected:
                judged = replace(seen, refusal=refusal(seen.schedule, layers))
                self._put(judged)
                self._tell(judged)

    def _read(self, raw: Mapping[str, Any], key: str, asked: Mapping[str, str], status: bytes) -> Seen:
        metadata = raw["metadata"]
        schedule, faults, parked, refused = None, tuple[Fault, ...](), frozenset[str](), None
        try:
            parsed = parse({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": raw.get("spec")})
            schedule, faults, parked = parsed.schedule, parsed.faults, parsed.parked
            refused = refusal(schedule, self._layers) if schedule is not None else None
        except Exception as fault:
            log.exception("schedule %s cannot be read, for a fault of channelbeat's own: please report it", key)
            refused = Finding("InternalFault", f"channelbeat stumbles over it ({type(fault).__name__}: {fault}): please report it")
        return Seen(
            key=key,
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            created=instants.parse(metadata["creationTimestamp"]),
            schedule=schedule,
            parked=parked,
            faults=faults,
            refusal=refused,
            names=tuple(_names(raw.get("spec"))),
            annotations=asked,
            status=status,
            checksum=_checksum(raw),
        )

    def _put(self, seen: Seen) -> None:
        if seen.schedule is not None and seen.refusal is None:
            self._book.put(seen.schedule, created=seen.created, parked=seen.parked)
        else:
            self._book.park(seen.key)

    def _tell(self, seen: Seen) -> None:
        self._seen[seen.key] = seen
        for listener in self._listeners:
            listener.seen(seen)


def _asked(annotations: Mapping[str, str] | None) -> Mapping[str, str]:
    found = {name: value for name, value in (annotations or _NONE).items() if name.startswith(REQUESTS)}
    return found or _NONE


def _names(spec: Any) -> Iterator[str]:
    """Of its events, as far as it is what the API server should have let through."""
    events = spec.get("events") if isinstance(spec, Mapping) else None
    for event in events if isinstance(events, list) else ():
        if isinstance(event, Mapping) and isinstance(event.get("name"), str):
            yield event["name"]


def _compact(status: object) -> bytes:
    return json.dumps(status, separators=(",", ":"), sort_keys=True).encode() if status else b""


def _checksum(raw: Mapping[str, Any]) -> int:
    """Of its spec."""
    return zlib.crc32(json.dumps(raw.get("spec"), sort_keys=True).encode())
