"""A stream of YAML or JSON -> the objects in it.

Split as kubectl splits it, at lines that begin with `---`; so one broken document hides no other.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from channelbeat.core import scalars
from channelbeat.documents.notation import Unreadable, compose


@dataclass(frozen=True, slots=True)
class Document:
    """One object, in the `number`th document of its stream, which begins at `line`; `item` is its place in a List, like `items[3]`.

    `problem` says why the document cannot be read; `value` is None then, and `line` and `column` (0: not known) are where.
    """

    number: int
    line: int
    value: Any = None
    item: str = ""
    problem: str = ""
    column: int = 0


def text(data: bytes) -> str:
    """The characters of a file: UTF-8, or UTF-16 with its mark; Unreadable for anything else."""
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if utf16 else "utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Unreadable(data.count(b"\n", 0, error.start) + 1, "is not UTF-8 text; save the file as UTF-8") from None


def read(stream: str) -> Iterator[Document]:
    """The objects in `stream`, one by one. Lists are opened, empty documents passed over; a broken one hides no other."""
    number = 0
    for line, piece in _pieces(stream):
        try:
            for at, value in _values(piece, line):
                if value is not None:
                    number += 1
                    yield from _opened(Document(number, at, value))
        except Unreadable as error:
            number += 1
            yield Document(number, error.line, problem=str(error), column=error.column)


def _pieces(stream: str) -> Iterator[tuple[int, str]]:
    """Each document with its first line. `---` at the beginning of a line separates, whatever it stands in."""
    first, lines = 1, list[str]()
    for number, line in enumerate(stream.split("\n"), 1):
        if line.startswith("---"):
            yield first, "\n".join(lines)
            first, lines = number, []
        lines.append(line)
    yield first, "\n".join(lines)


def _values(piece: str, line: int) -> list[tuple[int, Any]]:
    """What a piece holds: JSON objects one after another, or one YAML document (None: an empty one)."""
    separator, _, rest = piece.partition("\n")
    if separator.startswith("---") and separator[3:].strip() and not separator[3:].lstrip().startswith("#"):
        raise Unreadable(line, f"nothing but a comment may follow `---` on its line, not {separator[3:23].strip()!r}")
    body = rest if separator.startswith("---") else piece
    line += body is rest
    try:
        return list(_json(body, line))
    except (ValueError, RecursionError):  # YAML; or broken, and the YAML reader says where
        return [compose(body, line)]


def _json(body: str, line: int) -> Iterator[tuple[int, Any]]:
    at = 0
    while start := _OBJECT.match(body, at):
        value, at = _JSON.raw_decode(body, start.end() - 1)
        yield line + body.count("\n", 0, start.end()), value
    if not at or body[at:].strip():
        raise ValueError("not JSON alone")


def _opened(document: Document) -> Iterator[Document]:
    waiting = [document]
    while waiting:
        one = waiting.pop()
        items = one.value.get("items") if _is_list(one.value) else None
        if isinstance(items, list):
            places = [f"{one.item}.items[{i}]".lstrip(".") for i in range(len(items))]
            waiting += [Document(one.number, one.line, item, place) for item, place in zip(items, places, strict=True)][::-1]
        else:
            yield one


def _is_list(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("kind") in ("List", "BeatScheduleList")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is given twice")
    return made


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


_OBJECT: Final = re.compile(r"\s*\{")
_JSON: Final = json.JSONDecoder(object_pairs_hook=_once_each, parse_float=scalars.number, parse_constant=_refused)
