"""Follows manifest files: looks at them again and again, and reads those that changed, once they have settled.

By looking, not by inotify: it misses nothing on any file system and needs no watches all over a project; the rest between two looks is a
multiple of what a look takes, so that ten thousand files cost no more than ten. Reading pauses often: what is due is sent meanwhile.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeVar

from channelbeat import manifests
from channelbeat.core.instants import Ms
from channelbeat.core.schedule import BeatSchedule
from channelbeat.errors import UsageError
from channelbeat.local.intake import Action, Document, Fault, Intake, Park, Put, Remove

SETTLED: Final[Ms] = 300
REST: Final = 0.1  # seconds between two looks, at least
SHARE: Final = 20  # and this many times what a look takes
STRETCH: Final = 0.005  # seconds of work between two pauses

T = TypeVar("T")


class Signature(NamedTuple):
    """Differs when a file was written."""

    inode: int
    size: int
    written: int
    changed: int


class Book(Protocol):
    """The engine's."""

    def put(self, schedule: BeatSchedule, *, parked: Collection[str] = ()) -> None: ...
    def park(self, key: str) -> None: ...
    def remove(self, key: str) -> None: ...
    def complete(self) -> None: ...


class Files:
    """`changed` is called when schedules have come, changed or gone; `say` gets sentences."""

    def __init__(self, paths: Sequence[Path], intake: Intake, book: Book, *, say: Callable[[str], None], changed: Callable[[], None]) -> None:
        self._paths, self._intake, self._book, self._say, self._changed = paths, intake, book, say, changed
        self._read: dict[Path, Signature] = {}
        self._settling: dict[Path, tuple[Signature, Ms]] = {}
        self._loaded = False
        self._complete = False

    async def run(self) -> None:
        """Reads all there is, then follows it until cancelled."""
        await self.load()
        while True:
            begun = time.monotonic()
            found = await asyncio.to_thread(look, self._paths)
            took = time.monotonic() - begun
            await self.seen(found, _now())
            await asyncio.sleep(max(REST, SHARE * took))

    async def load(self) -> None:
        """All there is, without waiting for it to settle."""
        for path, signature in (await asyncio.to_thread(look, self._paths)).items():
            await self._take_in(path, signature)
        self._loaded = True
        gc.collect()
        gc.freeze()  # schedules are many and live long: no later collection need walk through them
        self._say(self._intake.summary())
        self._changed()

    async def seen(self, found: dict[Path, Signature], now: Ms) -> None:
        """What one look found at `now`: files that are gone, files that have settled, and time that went by."""
        for path in [path for path in self._read if path not in found]:
            del self._read[path]
            await self._apply(self._intake.gone(str(path), now))
        self._settling = {path: since for path, since in self._settling.items() if path in found}
        for path, signature in found.items():
            if self._read.get(path) == signature:
                self._settling.pop(path, None)
                continue
            seen, since = self._settling.get(path, (None, now))
            if seen != signature:
                self._settling[path] = signature, now
            elif now - since >= SETTLED:
                del self._settling[path]
                await self._take_in(path, signature)
        await self._apply(self._intake.passed(now))
        if not self._complete and not self._settling and self._intake.whole:
            self._complete = True
            self._book.complete()

    async def _take_in(self, path: Path, signature: Signature) -> None:
        """A document of a file that is new counts at once, so that a due event need not wait for the end of a big one."""
        known = path in self._read
        self._read[path] = signature
        documents: list[Document] = []
        unreadable: list[str] = []
        async for found in _unhurried(manifests.each(path)):
            if found.problem:
                unreadable.append(f"{found.place}: {found.problem}")
                continue
            parsed = found.parsed
            document = Document(found.place, parsed.key, parsed.schedule, tuple(map(str, found.faults())), parsed.parked)
            documents.append(document)
            if not known:
                await self._apply(self._intake.begun(str(path), document, _now()))
        await self._apply(self._intake.read(str(path), documents, unreadable, _now()))

    async def _apply(self, actions: Iterable[Action]) -> None:
        changed = False
        async for action in _unhurried(actions):
            match action:
                case Put(schedule, parked, news):
                    self._book.put(schedule, parked=parked)
                case Park(key):
                    self._book.park(key)
                    news = ""
                case Remove(key, news):
                    self._book.remove(key)
                case Fault(text):
                    self._say(text)
                    continue
            changed = True
            if self._loaded and news:
                self._say(news)
        if changed and self._loaded:
            self._changed()


def look(paths: Sequence[Path]) -> dict[Path, Signature]:
    """The files there are; a path that has gone has none."""
    found = {}
    for path in paths:
        try:
            for file in manifests.files([path]):
                facts = file.stat()
                found[file] = Signature(facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
        except (UsageError, OSError):
            continue
    return found


async def _unhurried(items: Iterable[T]) -> AsyncIterator[T]:
    """With a pause after each STRETCH."""
    begun = time.monotonic()
    for item in items:
        yield item
        if time.monotonic() - begun > STRETCH:
            await asyncio.sleep(0)
            begun = time.monotonic()


def _now() -> Ms:
    return time.monotonic_ns() // 1_000_000
