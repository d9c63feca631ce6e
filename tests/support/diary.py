"""What workers did, written by their consumers so that no kill can lose it, and judged afterwards.

A file that every process appends to: its order is the order in which things happened, whoever did them.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from support.waiting import eventually

POLL = 0.01
LAZY = 0.1


class Entry(NamedTuple):
    """`word`: an attempt's begin, and its end: ok, raised or cancelled; or that a process died. `run` of a plain message is its `name`."""

    word: str
    pid: int
    attempt: int
    run: str


class Repeat(NamedTuple):
    """A run was begun again. `end`: how the attempt before had ended, empty if it had not; `died`: its process was dead by then."""

    run: str
    pid: int
    end: str
    died: bool


class Audit(NamedTuple):
    """`handled`: how often each run was, to the end; `overlaps`: runs that were begun while a living process was still at work on them."""

    begun: Counter[str]
    handled: Counter[str]
    repeats: list[Repeat]
    overlaps: set[str]

    @property
    def doubled(self) -> set[str]:
        return {run for run, count in self.handled.items() if count > 1}


def audit(entries: Iterable[Entry]) -> Audit:
    begun, handled, repeats, overlaps = Counter[str](), Counter[str](), list[Repeat](), set[str]()
    latest, dead = dict[str, Entry](), set[int]()
    for entry in entries:
        before = latest.get(entry.run)
        if entry.word == "died":
            dead.add(entry.pid)
        elif entry.word == "begin":
            begun[entry.run] += 1
            if before is not None:
                end = "" if before.word == "begin" else before.word
                repeats.append(Repeat(entry.run, before.pid, end, before.pid in dead))
                if not end and before.pid not in dead:
                    overlaps.add(entry.run)
            latest[entry.run] = entry
        else:
            handled[entry.run] += entry.word == "ok"
            if before is None or before[1:] == entry[1:]:
                latest[entry.run] = entry
    return Audit(begun, +handled, repeats, overlaps)


class Diary:
    """The test's side. Attempts that `hold` wait at the gate."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._entries: list[Entry] = []
        self._counts = Counter[str]()
        self._handled = set[str]()
        self._read = 0

    def entries(self) -> list[Entry]:
        """All so far."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            text, newline, _ = file.read().rpartition(b"\n")  # the last line may not be there as a whole
        self._read += len(text) + len(newline)
        for line in text.decode().splitlines():
            word, pid, attempt, run = line.split(" ", 3)
            self._entries.append(Entry(word, int(pid), int(attempt), run))
            self._counts[word] += 1
            if word == "ok":
                self._handled.add(run)
        return self._entries

    def count(self, word: str) -> int:
        """How many such entries there are."""
        self.entries()
        return self._counts[word]

    def handled(self) -> set[str]:
        """What was, to the end."""
        self.entries()
        return self._handled

    async def reaches(self, number: int, word: str, within: float = 20) -> None:
        """Wait until so many such entries are there."""
        await eventually(lambda: self.count(word) >= number, within, what=f"{word!r} {number} times")

    def audit(self) -> Audit:
        return audit(self.entries())

    def died(self, pid: int) -> None:
        _append(self.path, f"died {pid} 0 -\n")

    def open_gate(self, attempt: int | None = None) -> None:
        """From now on: for the first attempts of all runs, the second ones and so on, or for all."""
        _gate(self.path, attempt).touch()


# The consumers' side, in a worker.


def begin(message: Mapping[str, Any]) -> None:
    write("begin", message)


def write(word: str, message: Mapping[str, Any]) -> None:
    beat = message.get("beat", {})
    _append(_path(), f"{word} {os.getpid()} {beat.get('attempt', 0)} {beat.get('run') or message['name']}\n")


@contextmanager
def attempt(message: Mapping[str, Any]) -> Iterator[None]:
    """Round what a consumer does with a message."""
    begin(message)
    try:
        yield
    except asyncio.CancelledError:
        write("cancelled", message)
        raise
    except BaseException:
        write("raised", message)
        raise
    write("ok", message)


def gate_is_open(message: Mapping[str, Any]) -> bool:
    return _gate(_path(), None).exists() or _gate(_path(), message.get("beat", {}).get("attempt")).exists()


def wait_for_gate(message: Mapping[str, Any]) -> None:
    while not gate_is_open(message):
        time.sleep(POLL)  # noqa: TID251 - between two looks


async def gate_opens(message: Mapping[str, Any]) -> None:
    while not gate_is_open(message):  # noqa: ASYNC110 - it is another process that opens it
        await asyncio.sleep(LAZY)  # there may be hundreds of us


def _path() -> Path:
    return Path(os.environ["DIARY"])


def _gate(path: Path, attempt: int | None) -> Path:
    return path.with_suffix(".open" if attempt is None else f".open{attempt}")


def _append(path: Path, line: str) -> None:
    """In one write, which is not mixed with others'."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
