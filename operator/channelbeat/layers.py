"""The `--layers` file -> the layers of an installation: a YAML map of name to settings, in the cluster and on one machine alike.

    default:
      url: redis://redis:6379/0          # or urlFile: a file that holds it; one of them (on one machine, neither: the Redis of the run)
      prefix: asgi                       # this and what follows: RedisChannelLayer's options, with its defaults
      expiry: 60s
      capacity: 100
      channelCapacity: {"thumbnails-*": 1000}
      encryptionKeys: [...]              # or encryptionKeysFile: one key a line
      serializerFormat: msgpack          # or json
      randomPrefixLength: 12
      allowedNamespaces: ["*"]

URLs and keys are secrets: no sentence here shows a value of theirs, nor anything that may be one in the wrong place. Files are looked for
beside the layers file.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from channelbeat import documents
from channelbeat.core.instants import SECOND
from channelbeat.core.layer import LayerSettings
from channelbeat.core.timing import durations
from channelbeat.errors import UsageError

T = TypeVar("T")

NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,63}")
FORMATS: Final = ("msgpack", "json")

Read: TypeAlias = Callable[[str], str]
"""The text of a file that the layers file names; OSError when there is none."""

Refuse: TypeAlias = Callable[[LayerSettings], str | None]
"""Why a layer with these settings cannot be used: broker.layer.check."""


def read(path: Path, *, refuse: Refuse, url: str | None = None) -> dict[str, LayerSettings]:
    """By name. `url` is for layers that name none. UsageError has every fault, a line each."""
    found = documents.values(path)
    if len(found) != 1:
        raise UsageError(f"{path} has {len(found)} documents: write one map of layer names to their settings")
    layers, faults = parse(found[0], url=url, refuse=refuse, read=lambda name: (path.parent / name).read_text())
    if faults:
        raise UsageError("\n".join(f"{path}: {fault}" for fault in faults))
    return layers


def parse(manifest: object, *, url: str | None, refuse: Refuse, read: Read) -> tuple[dict[str, LayerSettings], list[str]]:
    """The good layers, and every fault as `LAYER.FIELD: sentence`."""
    if not isinstance(manifest, Mapping) or not manifest:
        return {}, ["must be a map of layer names to their settings, like `default: {url: redis://HOST:PORT/DB}`"]
    layers: dict[str, LayerSettings] = {}
    faults: list[str] = []
    for number, (name, raw) in enumerate(manifest.items(), 1):
        reader = _Reader(str(name), number, raw if isinstance(raw, Mapping) else {}, read)
        if raw is not None and not isinstance(raw, Mapping):
            reader.fault("", "must be a map of settings, like {url: redis://HOST:PORT/DB}")
        settings = reader.settings(url)
        faults += reader.faults
        if not reader.faults and (refusal := refuse(settings)):
            faults.append(f"{name}: {refusal}")
        layers[str(name)] = settings
    return layers, faults


class _Reader:
    """One layer's settings; each method reads one, with the default in place of what is wrong."""

    def __init__(self, name: str, number: int, raw: Mapping[str, Any], read: Read) -> None:
        self.faults: list[str] = []
        self._name = name
        self._shown = name if NAME.fullmatch(name) else f"the {_th(number)} layer"
        self._raw = raw
        self._read = read
        self._fields: set[str] = set()

    def fault(self, field: str, sentence: str) -> None:
        self.faults.append(f"{self._shown}{'.' if field else ''}{field}: {sentence}")

    def settings(self, url: str | None) -> LayerSettings:
        plain = LayerSettings(self._name, "")
        if not NAME.fullmatch(self._name):
            self.fault("", "is no name for a layer: use letters, digits, '_', '.' and '-', at most 63")
        settings = LayerSettings(
            name=self._name,
            url=self._url(url),
            prefix=self._field("prefix", plain.prefix, lambda given: given if isinstance(given, str) else None, "a text, like asgi"),
            expiry=self._expiry(plain.expiry),
            capacity=self._field("capacity", plain.capacity, _positive, "a whole number of messages, at least 1"),
            channel_capacity=self._field("channelCapacity", plain.channel_capacity, _capacities, "a map of channel patterns to whole numbers, at least 1"),
            encryption_keys=self._keys(),
            serializer_format=self._field("serializerFormat", plain.serializer_format, _format, "msgpack or json"),
            random_prefix_length=self._field("randomPrefixLength", plain.random_prefix_length, _length, "a whole number of bytes, from 0 to 64"),
            allowed_namespaces=self._field("allowedNamespaces", plain.allowed_namespaces, _texts, 'a list of namespaces, or ["*"] for all'),
        )
        for number, field in enumerate(map(str, self._raw), 1):
            if field not in self._fields:
                self._unknown(number, field)
        return settings

    def _unknown(self, number: int, field: str) -> None:
        if near := difflib.get_close_matches(field, self._fields, n=1):
            self.fault(field, f"no such setting: did you mean {near[0]}?")
        else:
            there_are = ", ".join(sorted(self._fields))
            self.fault("", f"its {_th(number)} setting is none that there is, and is not shown as it may be a secret: there are {there_are}")

    def _field(self, field: str, default: T, read: Callable[[Any], T | None], must: str) -> T:
        """`read` answers None for what is not as it `must` be."""
        self._fields.add(field)
        if (given := self._raw.get(field)) is None:
            return default
        value = read(given)
        if value is None:
            self.fault(field, f"must be {must}")
            return default
        return value

    def _expiry(self, default: int) -> int:
        return self._field("expiry", default, _seconds, "a length of whole seconds, like 60s or 5m")

    def _url(self, default: str | None) -> str:
        given = self._one_of("url", "urlFile", _text, "a URL, like redis://HOST:PORT/DB")
        if given is None and default is None and not self.faults:
            self.fault("", "needs url, or urlFile that names a file with it")
        return given or default or ""

    def _keys(self) -> tuple[str, ...]:
        given = self._one_of("encryptionKeys", "encryptionKeysFile", _texts, "a list of texts, the first of which encrypts")
        return (tuple(given.split()) if isinstance(given, str) else given) or ()

    def _one_of(self, field: str, in_file: str, read: Callable[[Any], T | None], must: str) -> T | str | None:
        """The value, or what stands in the file; never shown."""
        value: T | None = self._field(field, None, read, must)
        name = self._field(in_file, None, _text, "the name of a file")
        if name is None:
            return value
        if value is not None:
            self.fault(in_file, f"says the same as {field}: give one of them")
        try:
            content = self._read(name).strip()
        except (OSError, ValueError) as error:
            shown = "the file that it names" if "://" in name else name  # a URL, in the wrong place
            self.fault(in_file, f"{shown} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}")
            return None
        if not content:
            self.fault(in_file, f"{name} is empty")
        return content


def _th(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"


def _text(given: Any) -> str | None:
    return given if isinstance(given, str) and given else None


def _positive(given: Any) -> int | None:
    return given if type(given) is int and given >= 1 else None


def _length(given: Any) -> int | None:
    return given if type(given) is int and 0 <= given <= 64 else None


def _texts(given: Any) -> tuple[str, ...] | None:
    return tuple(given) if isinstance(given, list) and given and all(map(_text, given)) else None


def _format(given: Any) -> str | None:
    return given if given in FORMATS else None


def _capacities(given: Any) -> Mapping[str, int] | None:
    return given if isinstance(given, Mapping) and all(isinstance(key, str) and _positive(value) for key, value in given.items()) else None


def _seconds(given: Any) -> int | None:
    """A number is seconds, as RedisChannelLayer has it."""
    if type(given) is int:
        return _positive(given)
    try:
        seconds, rest = divmod(durations.parse(given), SECOND)
    except (TypeError, ValueError):
        return None
    return seconds if seconds and not rest else None
