"""Files and folders -> the BeatSchedules in them, parsed, each with the place it came from."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from channelbeat import documents
from channelbeat.core.parse import KIND, Fault, Parsed, parse
from channelbeat.errors import UsageError

STDIN: Final = Path("-")
SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


@dataclass(frozen=True, slots=True)
class Found:
    """One BeatSchedule in a file, or a document that cannot be read (`problem`; `parsed` has no schedule then).

    `document` counts from 1; `item` is the place in a List, like `items[3]`, else empty.
    """

    file: str
    document: int
    line: int
    item: str
    parsed: Parsed
    problem: str = ""

    @property
    def place(self) -> str:
        """`shop/beats.yaml:2`, for sentences."""
        return f"{self.file}:{self.document}"

    def faults(self) -> Iterator[Fault]:
        """Everything that is wrong with it, with paths from the top of the document."""
        if self.problem:
            yield Fault("", self.problem)
        for fault in self.parsed.faults:
            yield Fault(".".join(part for part in (self.item, fault.path) if part), fault.what)


def files(paths: Iterable[Path]) -> list[Path]:
    """The files that `paths` name, each once: folders are searched for *.yaml, *.yml and *.json, hidden ones left out.

    A file is taken whatever its name; `-` is standard input. UsageError for a path that does not exist.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(_in_folder(path))
        elif path == STDIN or path.exists():
            found[path] = None
        else:
            raise UsageError(f"{path}: no such file or folder; name a manifest, or a folder with manifests")
    return list(found)


def read(path: Path) -> list[Found]:
    """Everything in one file that is a BeatSchedule or means to be one; other kinds are passed over.

    Never raises: what cannot be read, the file itself included, is Found with a problem.
    """
    return list(each(path))


def each(path: Path) -> Iterator[Found]:
    """The same, one by one: a big file may be read with pauses."""
    try:
        stream = documents.text(sys.stdin.buffer.read() if path == STDIN else path.read_bytes())
    except documents.Unreadable as error:
        yield _unreadable(path, 1, error.line, str(error))
    except OSError as error:
        yield _unreadable(path, 1, 1, f"cannot be read: {error.strerror or error}")
    else:
        yield from (_found(path, document) for document in documents.read(stream) if document.problem or _is_ours(document.value))


def twice(found: Iterable[Found]) -> Mapping[str, list[Found]]:
    """The keys (`namespace/name`) that stand in more than one place, with those places in order."""
    places: dict[str, list[Found]] = {}
    for one in found:
        if one.parsed.key:
            places.setdefault(one.parsed.key, []).append(one)
    return {key: several for key, several in places.items() if len(several) > 1}


def _in_folder(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in sorted(names) if Path(name).suffix in SUFFIXES and not name.startswith("."))


def _is_ours(value: object) -> bool:
    """A BeatSchedule, or something misspelt that was meant to be one; anything else is somebody else's."""
    if not isinstance(value, Mapping):
        return False
    kind, version = value.get("kind"), value.get("apiVersion")
    if isinstance(version, str) and version.startswith("channelbeat.dev"):
        return True
    return isinstance(kind, str) and bool(get_close_matches(kind.lower(), [KIND.lower()], cutoff=0.8))


def _found(path: Path, document: documents.Document) -> Found:
    if document.problem:
        return _unreadable(path, document.number, document.line, document.problem)
    return Found(str(path), document.number, document.line, document.item, parse(document.value))


def _unreadable(path: Path, document: int, line: int, problem: str) -> Found:
    return Found(str(path), document, line, "", Parsed(None, ()), problem)
