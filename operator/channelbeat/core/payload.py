"""What a manifest hands through unread: an event's `fields` and `message`, a pod template, resources, environment.

All of it must survive JSON (the API server) and msgpack (the channel layer), so it is walked once, here.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from channelbeat.core.checks import encodable, shown

DEEPEST: Final = 64
MOST_KEYS: Final = 64
_TAKEN: Final = frozenset({"type", "beat"})
_YAML_WORDS: Final = frozenset({"true", "false"})


def fields(value: object) -> Mapping[str, Any]:
    """Keys beside `type`; those that channelbeat sets itself are refused."""
    read = message(value)
    if _TAKEN & read.keys():
        raise ValueError("must not contain 'type' or 'beat', which channelbeat sets; the type is given beside fields")
    return read


def message(value: object) -> Mapping[str, Any]:
    """An object of at most 64 keys, none of which YAML has turned into true or false."""
    read = anything(value)
    if _YAML_WORDS & read.keys():
        raise ValueError("must not contain 'true' or 'false' as a key; quote the key, because YAML reads y, n, yes, no, on and off as true and false")
    if len(read) > MOST_KEYS:
        raise ValueError(f"must have at most {MOST_KEYS} keys, not {len(read)}")
    return read


def anything(value: object) -> Mapping[str, Any]:
    """An object that JSON can carry."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be an object (keys with values), not {shown(value)}")
    _walk(value)
    return value


def variable(value: object) -> Mapping[str, Any]:
    """One variable of a container's `env`."""
    read = anything(value)
    if not isinstance(read.get("name"), str):
        raise ValueError('must have a name, such as {name: DEBUG, value: "1"}')
    return read


def _walk(root: object) -> None:
    """Refuse what no message can carry, with the place where it stands."""
    waiting: list[tuple[str, object, int]] = [("", root, 0)]
    while waiting:
        place, value, depth = waiting.pop()
        if isinstance(value, Mapping | list | tuple):
            if depth == DEEPEST:
                raise ValueError(f"must not be nested deeper than {DEEPEST}")
            waiting += _inside(place, value, depth + 1)
        elif fault := _fault(value):
            raise ValueError(fault.format(at=f"at {place.removeprefix('.')}"))


def _inside(place: str, value: Mapping[Any, object] | list[object] | tuple[object, ...], depth: int) -> list[tuple[str, object, int]]:
    if not isinstance(value, Mapping):
        return [(f"{place}[{i}]", item, depth) for i, item in enumerate(value)]
    for key in value:
        if not isinstance(key, str) or not encodable(key):
            raise ValueError(f"must have text as keys, not {shown(key)}; quote the key")
    return [(f"{place}.{key}" if key.isprintable() else f"{place}[{key!r}]", item, depth) for key, item in value.items()]


def _fault(value: object) -> str:
    match value:
        case None | bool():
            return ""
        case str():
            return "" if encodable(value) else "has half a character (a lone surrogate) {at}, which no message can carry"
        case int():
            return "" if -(2**63) <= value < 2**63 else "has an integer beyond 64 bits {at}, which would lose digits; quote it"
        case float():
            return "" if isfinite(value) else "has a number {at} that JSON cannot carry; quote it"
    return f"has a {type(value).__name__} {{at}}; a message carries text, numbers, true, false, null, lists and objects"
