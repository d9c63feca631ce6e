"""One YAML document <-> its value. The one file that knows PyYAML.

Read as go-yaml v2 reads it for kubectl, which turns it into JSON: y, n, yes, no, on and off are booleans, `010` and
`0o10` are 8, nothing is a timestamp or counts to base 60, keys become text, `1.0` becomes `1`. Stricter in three: a
key given twice, a tag, and aliases that grow without end are refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml
from yaml import events

from channelbeat.core import scalars
from channelbeat.errors import UsageError


class Unreadable(UsageError):
    """The text is no YAML. `line` counts from 1 in the whole stream, and `column` in the line (0: not known); the message has the line, and
    may have some of the text."""

    def __init__(self, line: int, what: str, column: int = 0) -> None:
        super().__init__(f"line {line}: {what}")
        self.line, self.column = line, column


def compose(body: str, line: int = 1) -> tuple[int, Any]:
    """The first line and the value of a document that begins at `line`; None for an empty one. Unreadable says what is wrong."""
    if broken := yaml.reader.Reader.NON_PRINTABLE.search(body):
        where = line + body.count("\n", 0, broken.start())
        raise Unreadable(where, f"the character {broken.group()!r} is not allowed in YAML; write it as an escape in double quotes")
    return _Builder(body, line).document()


def write(manifests: Iterable[Mapping[str, Any]]) -> str:
    """The manifests as one stream that `read`, and kubectl, reads as the same."""
    return "---\n".join(yaml.dump(dict(manifest), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120) for manifest in manifests)


class _Dumper(yaml.SafeDumper):
    """Quotes what would be read as something other than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def text(self, value: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", value, style=None if scalars.resolve(value) == value and value.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.text)


class _Builder:
    """Puts the parser's events together. Nesting and the growth by aliases are bounded."""

    def __init__(self, body: str, line: int) -> None:
        self._parser = _PARSER(body)
        self._line = line
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._made = 0

    def document(self) -> tuple[int, Any]:
        """Its first line and its value."""
        try:
            self._take()
            start = self._take()
            if isinstance(start, events.StreamEndEvent):
                return self._line, None
            first = self._take()
            value = self._value(first, 0)
            self._take()
            after = self._take()
            if not isinstance(after, events.StreamEndEvent):
                raise self._unreadable(after, "a second document begins; put `---` on a line before it")
            return self._where(first), value
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line, mark.column + 1) if mark else (0, 0)
            raise Unreadable(self._line + line, f"{error.problem}; {_cure(error.problem or '')}", column) from None
        finally:
            self._parser.dispose()

    def _take(self) -> Any:
        return self._parser.get_event()

    def _value(self, event: Any, depth: int) -> Any:
        """The value that begins with `event`."""
        if isinstance(event, events.AliasEvent):
            return self._alias(event)
        if event.tag not in _PLAIN_TAGS:
            raise self._unreadable(event, f"the tag {event.tag} is not supported; leave it out")
        before, self._made = self._made, self._made + 1
        if isinstance(event, events.ScalarEvent):
            value = scalars.resolve(event.value) if event.implicit[0] and event.tag is None else event.value
        elif depth == _DEEPEST:
            raise self._unreadable(event, f"is nested deeper than {_DEEPEST}; flatten it")
        elif isinstance(event, events.SequenceStartEvent):
            value = self._list(depth + 1)
        else:
            value = self._object(depth + 1)
        if event.anchor:
            self._anchors[event.anchor] = value, self._made - before
        return value

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise self._unreadable(event, f"*{event.anchor} stands for nothing: no &{event.anchor} is complete before it")
        value, size = self._anchors[event.anchor]
        self._made += size
        if self._made > _MOST_VALUES:
            raise self._unreadable(event, f"aliases make more than {_MOST_VALUES:,} values of it; write it out, or split it")
        return value

    def _list(self, depth: int) -> list[Any]:
        items = []
        while not isinstance(event := self._take(), events.SequenceEndEvent):
            items.append(self._value(event, depth))
        return items

    def _object(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        given = set[str]()
        while not isinstance(event := self._take(), events.MappingEndEvent):
            if isinstance(event, events.ScalarEvent) and event.value == "<<" and event.implicit[0]:
                made.update(self._merged(event, depth))
                continue
            key = self._key(event, depth)
            if key in given:
                raise self._unreadable(event, f"the key {key!r} is given twice; keep one")
            given.add(key)
            made[key] = self._value(self._take(), depth)
        return made

    def _key(self, event: Any, depth: int) -> str:
        key = self._value(event, depth)
        match key:
            case str():
                return key
            case bool():
                return str(key).lower()
            case int():
                return str(key)
        raise self._unreadable(event, "a key must be text; quote it")

    def _merged(self, event: Any, depth: int) -> dict[str, Any]:
        """What `<<` adds: of several objects the earlier wins."""
        value = self._value(self._take(), depth)
        merged: dict[str, Any] = {}
        for one in reversed(value) if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                raise self._unreadable(event, "`<<` takes an object, or a list of objects")
            merged.update(one)
        return merged

    def _where(self, event: Any) -> int:
        return self._line + int(event.start_mark.line)

    def _unreadable(self, event: Any, what: str) -> Unreadable:
        return Unreadable(self._where(event), what, int(event.start_mark.column) + 1)


def _cure(problem: str) -> str:
    return next((cure for part, cure in _CURES.items() if part in problem), "look at the indentation and the quotes there and above")


_PARSER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST: Final = 100
_MOST_VALUES: Final = 1_000_000
_PLAIN_TAGS: Final = frozenset({None, "!", "tag:yaml.org,2002:str"})
_CURES: Final = {
    "cannot start any token": "indent with spaces instead of tabs, and quote text that begins with @, % or `",
    "mapping values are not allowed": "quote text that has a colon and a space in it, and look at the indentation",
    "unexpected end of stream": "a quote or a bracket is not closed",
    "could not find expected ':'": "a key needs a colon and a space after it",
}
