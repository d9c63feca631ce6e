"""Manifest -> model, and every fault at once, each a sentence with its path and its cure.

A fault inside one event costs that event alone: it is parked, and the rest of the schedule runs. A fault anywhere
else costs the schedule.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Final, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from channelbeat.core import checks, rules
from channelbeat.core.checks import shown
from channelbeat.core.schedule import BeatSchedule, Event, Spec

API_VERSION: Final = "channelbeat.dev/v1alpha1"
KIND: Final = "BeatSchedule"
MOST_EVENTS: Final = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """`path` is like `spec.events[2].every` (empty: the document itself); `what` is a sentence about it."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" if self.path else self.what


@dataclass(frozen=True, slots=True)
class Parsed:
    """`schedule` without its faulty events, or None when nothing of it can run.

    `parked` names the faulty events, whose place is kept. `key` is `namespace/name`, None where that cannot be read.
    """

    schedule: BeatSchedule | None
    faults: tuple[Fault, ...]
    parked: frozenset[str] = frozenset()
    key: str | None = None


def parse(manifest: object) -> Parsed:
    """One manifest; it may be anything, and every fault of it is told."""
    if not isinstance(manifest, Mapping):
        return Parsed(None, (Fault("", f"must be an object that begins with apiVersion and kind, not {shown(manifest)}"),))
    faults = [*_top(manifest)]
    names = _names(manifest.get("metadata"), faults)
    key = "/".join(names) if names else None
    raw = manifest.get("spec")
    if not isinstance(raw, Mapping):
        return Parsed(None, (*faults, Fault("spec", _missing(raw))), key=key)
    raw = _without_nulls(raw)
    events, parked, in_events = _events(raw)
    spec = _spec(raw, events, faults)
    schedule = BeatSchedule(*names, spec) if names and spec and not faults else None
    return Parsed(schedule, (*faults, *in_events), parked, key)


def _top(manifest: Mapping[Any, Any]) -> Iterator[Fault]:
    for field, must in (("apiVersion", API_VERSION), ("kind", KIND)):
        if manifest.get(field) != must:
            yield Fault(field, f"must be {must}, not {shown(manifest[field])}" if field in manifest else f"is required: write {must}")
    for field in manifest:
        if field not in _TOP:
            yield Fault(_path(field), _no_such_field(field, _TOP))


def _names(metadata: object, faults: list[Fault]) -> tuple[str, str] | None:
    """Namespace and name. The rest of the metadata is not ours to judge."""
    if not isinstance(metadata, Mapping):
        faults.append(Fault("metadata", _missing(metadata)))
        return None
    namespace = _name(metadata, "namespace", _NAMESPACE, "default", faults)
    name = _name(metadata, "name", _NAME, None, faults)
    return (namespace, name) if namespace and name else None


def _name(metadata: Mapping[Any, Any], field: str, check: checks.Check, default: str | None, faults: list[Fault]) -> str | None:
    given = metadata.get(field)
    if given is None:
        if default is None:
            faults.append(Fault(f"metadata.{field}", "is required"))
        return default
    try:
        return str(check.read(given))
    except ValueError as fault:
        faults.append(Fault(f"metadata.{field}", str(fault)))
        return None


def _spec(raw: Mapping[Any, Any], events: tuple[Event, ...], faults: list[Fault]) -> Spec | None:
    spec: Spec | None = None
    try:
        spec = _SPEC.validate_python({**raw, "events": events})
    except ValidationError as error:
        faults += _faults(error)
    given = raw.get("events")
    if not isinstance(given, list | tuple):
        faults.append(Fault("spec.events", "is required" if given is None else f"must be a list, not {shown(given)}"))
    elif not 1 <= len(given) <= MOST_EVENTS:
        faults.append(Fault("spec.events", f"must have 1 to {MOST_EVENTS} items, not {len(given)}"))
    faults += [Fault(_path("spec", path), what) for path, what in rules.of_spec(raw)]
    return spec


def _events(spec: Mapping[Any, Any]) -> tuple[tuple[Event, ...], frozenset[str], list[Fault]]:
    """The events without a fault, the names of the others, and their faults."""
    raw = spec.get("events")
    good: dict[str, Event] = {}
    names, faults = set[str](), list[Fault]()
    for i, item in enumerate(raw[:MOST_EVENTS] if isinstance(raw, list | tuple) else ()):
        event, told = _event(item, i, spec)
        name = item.get("name") if isinstance(item, Mapping) else None
        if isinstance(name, str):
            if name in names:
                told.append(Fault(f"spec.events[{i}].name", f"{shown(name)} is the name of an event above; names are unique in a schedule"))
            names.add(name)
        if event and not told:
            good[event.name] = event
        faults += told
    return tuple(good.values()), frozenset(names - good.keys()), faults


def _event(raw: object, i: int, spec: Mapping[Any, Any]) -> tuple[Event | None, list[Fault]]:
    event, faults = None, list[Fault]()
    try:
        event = _EVENT.validate_python(raw)
    except ValidationError as error:
        faults += _faults(error, "events", i)
    if isinstance(raw, Mapping):
        faults += [Fault(_path("spec", "events", i, path), what) for path, what in rules.of_event(raw, spec)]
    return event, faults


def _faults(error: ValidationError, *under: str | int) -> Iterator[Fault]:
    for one in error.errors(include_url=False):
        loc = (*under, *one["loc"])
        for what in _sentences(one, loc):
            yield Fault(_path("spec", *loc), what)


def _sentences(error: ErrorDetails, loc: tuple[str | int, ...]) -> tuple[str, ...]:
    match error["type"]:
        case "value_error":
            return tuple(str(sentence) for sentence in error["ctx"]["error"].args)
        case "missing" | "missing_argument":
            return ("is required",)
        case "unexpected_keyword_argument" | "invalid_key":
            return (_no_such_field(loc[-1], _FIELDS[tuple(part for part in loc[:-1] if isinstance(part, str))]),)
        case "dataclass_type":
            return (f"must be an object, not {shown(error['input'])}",)
        case "tuple_type":
            return (f"must be a list, not {shown(error['input'])}",)
        case "too_short":
            return ("must not be empty",)
        case "too_long":
            return (f"must have at most {error['ctx']['max_length']} items",)
    return (error["msg"],)


def _no_such_field(field: object, siblings: tuple[str, ...]) -> str:
    near = get_close_matches(str(field).lower(), [name.lower() for name in siblings], n=1)
    known = next((name for name in siblings if near and name.lower() == near[0]), None)
    return f"no such field: did you mean {known}?" if known else f"no such field: there {'is' if len(siblings) == 1 else 'are'} {checks.listed(*siblings)}"


def _missing(value: object) -> str:
    return "is required" if value is None else f"must be an object, not {shown(value)}"


def _path(*parts: str | int) -> str:
    return "".join(map(_step, parts)).lstrip(".")


def _step(part: object) -> str:
    if isinstance(part, str) and part.isprintable():
        return f".{part}" if part else ""
    return f"[{part!r}]"


def _without_nulls(raw: Mapping[Any, Any], depth: int = 0) -> dict[Any, Any]:
    """A field that is null is one that is not set, as the API server has it; in what is handed through, null is a value."""
    return {key: item if key in _OPEN else _pruned(item, depth) for key, item in raw.items() if item is not None}


def _pruned(item: Any, depth: int) -> Any:
    if depth == _DEEPEST_FIELD:
        return item
    if isinstance(item, Mapping):
        return _without_nulls(item, depth + 1)
    return [_pruned(inner, depth + 1) for inner in item] if isinstance(item, list) else item


def _tree(model: type, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every object of the model by its path, with the fields it has."""
    yield at, tuple(to_camel(field.name) for field in fields(model))
    for name, hint in get_type_hints(model).items():
        for inner in (hint, *get_args(hint)):
            if is_dataclass(inner) and isinstance(inner, type):
                yield from _tree(inner, (*at, to_camel(name)))


_TOP: Final = ("apiVersion", "kind", "metadata", "spec", "status")
_OPEN: Final = frozenset({"fields", "message", "template", "resources", "env"})
_DEEPEST_FIELD: Final = 4
_LABEL: Final = ("[a-z0-9]([-a-z0-9]*[a-z0-9])?", "must be lower case letters, digits and '-', and must start and end with a letter or digit")
_NAME: Final = checks.text(52, *_LABEL)
_NAMESPACE: Final = checks.text(63, *_LABEL)
_SPEC: Final = TypeAdapter(Spec)
_EVENT: Final = TypeAdapter(Event)
_FIELDS: Final = dict(_tree(Spec))
