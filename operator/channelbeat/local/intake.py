"""What changes for the engine when manifest files change? Pure: documents that were read go in, actions on the book come out.

A schedule may be claimed by several documents; the one that runs is the one that ran, else the first found. One that no document claims
any more is removed after GONE, so that a move between files, or a file that an editor writes anew, is no removal. A file that cannot be
read keeps what it had; and while it cannot, or a document of it has no readable name, nothing that it had counts as gone.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.refusal import refusal
from channelbeat.core.schedule import BeatSchedule

GONE: Final = 2 * SECOND


@dataclass(frozen=True, slots=True)
class Document:
    """One manifest. `where` is how people are told of it, `key` None when it has no readable name, `schedule` None when it cannot run.

    `faults` are sentences, each with its path; `parked` names the events that have one.
    """

    where: str
    key: str | None
    schedule: BeatSchedule | None = None
    faults: tuple[str, ...] = ()
    parked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Put:
    """`news` says what happened, for people."""

    schedule: BeatSchedule
    parked: Collection[str]
    news: str


@dataclass(frozen=True, slots=True)
class Park:
    key: str


@dataclass(frozen=True, slots=True)
class Remove:
    key: str
    news: str


@dataclass(frozen=True, slots=True)
class Fault:
    text: str


Action: TypeAlias = Put | Park | Remove | Fault


@dataclass(slots=True)
class _File:
    documents: tuple[Document, ...] = ()
    unreadable: tuple[str, ...] = ()
    readable_once: bool = False


@dataclass(slots=True)
class _Applied:
    file: str
    schedule: BeatSchedule | None
    parked: frozenset[str]
    missing_since: Ms | None = None


@dataclass(slots=True)
class Intake:
    """Files are given by name. Actions come as iterators, so that a big file can be taken in with pauses; take them all."""

    layers: Mapping[str, LayerSettings]
    _files: dict[str, _File] = field(default_factory=dict)
    _claims: defaultdict[str, list[tuple[str, Document]]] = field(default_factory=lambda: defaultdict(list))
    _applied: dict[str, _Applied] = field(default_factory=dict)
    _missing: dict[str, None] = field(default_factory=dict)
    _told: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Nothing is hidden from us: what no document claims does not exist."""
        return not any(map(self._hides, self._files))

    def summary(self) -> str:
        """`3 schedules with 7 events in 2 files`."""
        runs = [applied.schedule for applied in self._applied.values() if applied.schedule]
        faulty = sum(1 for applied in self._applied.values() if not applied.schedule or applied.parked)
        events = sum(len(schedule.spec.events) for schedule in runs)
        counted = f"{_number(len(runs), 'schedule')} with {_number(events, 'event')} in {_number(len(self._files), 'file')}"
        return f"{counted}; {faulty:,} with faults" if faulty else counted

    def looks_removed(self) -> Ms | None:
        """When the next of those missing will count as gone; None when none is missing."""
        return min((applied.missing_since + GONE for key in self._missing if (applied := self._applied[key]).missing_since is not None), default=None)

    def begun(self, file: str, document: Document, now: Ms) -> Iterator[Action]:
        """A document of a file that is still being read for the first time: it need not wait for the others."""
        if document.key is not None and document.key not in self._applied:
            yield from self._judge(document.key, [*self._claims[document.key], (file, document)], now)

    def read(self, file: str, documents: Sequence[Document], unreadable: Sequence[str], now: Ms) -> Iterator[Action]:
        """All of a file. `unreadable`: sentences about what is no YAML; then `documents` count only if the file never was readable."""
        before = self._files.get(file, _File())
        keep = bool(unreadable) and before.readable_once
        self._files[file] = after = _File(before.documents if keep else tuple(documents), tuple(unreadable), before.readable_once or not unreadable)
        yield from self._tell(file, "", (*after.unreadable, *(fault for document in after.documents if document.key is None for fault in _told_of(document))))
        if not keep:
            yield from self._claim(file, before.documents, after.documents, now)
        yield from self.passed(now)

    def gone(self, file: str, now: Ms) -> Iterator[Action]:
        """The file is not there any more, nor is what it hid."""
        if before := self._files.pop(file, None):
            yield from self._tell(file, "", ())
            yield from self._claim(file, before.documents, (), now)
            yield from self.passed(now)

    def passed(self, now: Ms) -> Iterator[Action]:
        """Time went by."""
        for key in [*self._missing]:
            yield from self._judge(key, self._claims.get(key, ()), now)

    def _claim(self, file: str, before: Sequence[Document], after: Sequence[Document], now: Ms) -> Iterator[Action]:
        keys = dict.fromkeys(document.key for document in (*before, *after) if document.key is not None)
        for key in keys:
            self._claims[key] = [claim for claim in self._claims[key] if claim[0] != file]
        for document in after:
            if document.key is not None:
                self._claims[document.key].append((file, document))
        for key in keys:
            yield from self._judge(key, self._claims[key], now)

    def _judge(self, key: str, claims: Sequence[tuple[str, Document]], now: Ms) -> Iterator[Action]:
        """What a schedule comes to: removed, parked or put, with what is to be said."""
        applied = self._applied.get(key)
        if not claims:
            yield from self._missed(key, applied, now)
            return
        self._missing.pop(key, None)
        file, document = next((claim for claim in claims if applied and claim[0] == applied.file), claims[0])
        refused = None if document.schedule is None else refusal(document.schedule, self.layers)
        schedule = None if refused else document.schedule
        after = _Applied(file, schedule, document.parked)
        faults = [*_told_of(document), *([f"{document.where}: {refused.text}"] if refused else [])]
        faults += [f"{other.where}: {key} is already in {document.where}, which runs: rename one of them" for _, other in claims if other is not document]
        if applied is None or (applied.schedule, applied.parked) != (after.schedule, after.parked):
            yield Park(key) if schedule is None else Put(schedule, document.parked, f"{key} {'changed' if applied else 'added'} ({document.where})")
        self._applied[key] = after
        yield from self._tell("", key, tuple(faults))

    def _missed(self, key: str, applied: _Applied | None, now: Ms) -> Iterator[Action]:
        self._claims.pop(key, None)
        if applied is None:
            return
        self._missing[key] = None
        if self._hides(applied.file):
            if applied.schedule is not None:
                applied.schedule = None
                yield Park(key)
            applied.missing_since = None
        elif applied.missing_since is None:
            applied.missing_since = now
        elif now - applied.missing_since >= GONE:
            del self._applied[key], self._missing[key]
            yield Remove(key, f"{key} removed")
            yield from self._tell("", key, ())

    def _hides(self, file: str) -> bool:
        """It may hold schedules whose names we cannot read."""
        found = self._files.get(file)
        return found is not None and (bool(found.unreadable) or any(document.key is None for document in found.documents))

    def _tell(self, file: str, key: str, faults: tuple[str, ...]) -> Iterator[Action]:
        """Once, until it changes."""
        before = self._told.pop((file, key), ())
        if faults:
            self._told[file, key] = faults
        yield from (Fault(fault) for fault in faults if fault not in before)


def _number(of: int, what: str) -> str:
    return f"{of:,} {what}{'' if of == 1 else 's'}"


def _told_of(document: Document) -> Iterator[str]:
    return (f"{document.where}: {fault}" for fault in document.faults)
