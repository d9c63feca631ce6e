"""Manifests that are good but for one value at or just beyond a bound, and cron expressions that are nearly right."""

import random
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

_NAMES: Final = ["a", "0", "a-b", "-a", "a-", "A", "a.b", "a_b", "ä", "a\n", "a" * 52, "a" * 53, "a" * 63, "a" * 64, 5, True, ["a"]]
_CHANNELS: Final = ["a", "A.b_c-d", "a b", "a!", "", "a" * 99, "a" * 100, "ä", "a\n", 5, None]
_HANDLERS: Final = ["a", "A1", "a.b", "a_b", "a.", ".a", "a..b", "1a", "_a", "a.1", "a-b", "", "a" * 128, "a" * 129, 5, None, "a\n"]
_TEXTS: Final = ["x", "", "x" * 63, "x" * 64, "x" * 253, "x" * 254, 5, None]
_FLAGS: Final = [True, False, "true", 0, None]
_NUMBERS: Final = [-1, 0, 1, 2, 100, 101, 256, 257, 1000, 1001, 10_000, 10_001, 1_000_000, 1_000_001, 1.5, "1", True, None, 2**70]
_LENGTHS: Final = ["0s", "1ms", "99ms", "100ms", "999ms", "1s", "1m", "1h30m", "30m1h", "1s1s", "24h", "24h1ms", "168h", "168h1s", "8760h", "8760h1s"]
_NO_LENGTHS: Final = ["", " 1s", "1s ", "1S", "1.5s", "-1s", "+1s", "1", "s", "1d", "1us", "1h1m1s1ms1ms", "000001s", "1s\n", "99999h", 5, None]
_DURATIONS: Final = [*_LENGTHS, *_NO_LENGTHS]
_WARM_UPS: Final = ["Auto", "auto", "Disabled", False, *_DURATIONS]
_ZONES: Final = ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT", "GMT0", "GMT", "Zulu", "Local", "Factory", "localtime"]
_NO_ZONES: Final = ["posixrules", "posix/UTC", "right/UTC", "utc", "europe/berlin", "Europe/", "/UTC", "Europe//Berlin", "Europe/Atlantis", "+02:00", "UTC+2"]
_FILES: Final = ["../UTC", "zone.tab", "tzdata.zi", "leapseconds", "", " UTC", "UTC\n", 5, None]
_MOMENTS: Final = [f"2026-11-21{rest}" for rest in ("T02:30:00Z", "T02:30:00+01:00", "T02:30:00.5Z", "T02:30:00.123456789Z", "t02:30:00z", " 02:30:00Z")]
_TIMES: Final = ["", "T02:30:00", "T02:30Z", "T24:00:00Z", "T23:59:60Z", "T02:30:00+0100", "T02:30:00+24:00", "T02:30:00,5Z", "T02:30:00.Z"]
_NO_MOMENTS: Final = [*(f"2026-11-21{rest}" for rest in _TIMES), "2026-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "0000-01-01T00:00:00Z"]
_PAYLOADS: Final[list[object]] = [
    *({}, {"a": None}, {"a": {"b": [1, 1.5, "x", True, None]}}, {"": 1}, {"true": 1}, {"false": {}}, {"type": "x"}, {"beat": []}, {"beat": {"v": 1}}),
    *({"message": "x"}, {"message": {"a": 1}}, {"message": [1]}, {"message": None}, {f"k{i}": i for i in range(64)}, {f"k{i}": i for i in range(65)}),
    *([], "x", 5, None),
]
_NAMED: Final[list[object]] = [*({"name": name} for name in _TEXTS), {}, {"name": "x", "more": 1}, "x", None]
_KINDS: Final[list[object]] = [
    *({"name": "x", **more} for more in ({"kind": "Deployment", "apiVersion": "apps/v1"}, {"kind": "Job"}, {"apiVersion": "apps/v2"}, {"kind": None})),
]
_COPIES: Final[list[object]] = [{"name": "x", "container": container} for container in _TEXTS]
_CONTAINERS: Final[list[object]] = [
    *([], None, {}, [{}], "worker", ["worker"], [{"name": "a"}]),
    *([{"name": "a"}, {"name": "worker"}], [{"name": "worker", "image": "x", "any": [1]}]),
]
_TEMPLATES: Final[list[object]] = [
    *({"spec": {"containers": containers}} for containers in _CONTAINERS),
    *({}, {"spec": {}}, {"spec": None}, {"containers": [{"name": "worker"}]}, [], "x", None),
]
_VARIABLES: Final[list[object]] = [[], [{"name": "A"}], [{"name": ""}], [{}], [{"name": 5}], [{"name": "A", "value": 5}], ["A"], {}, None, [None]]
_LISTENED: Final[list[object]] = [
    *(["c"], ["c", "d"], ["d"], ["c", "c"], ["c", "d!"], ["c", ""], [], "c", None, [5]),
    *(["c", *(f"c{i}" for i in range(count))] for count in (15, 16)),
]
_COMMANDS: Final[list[object]] = [[], ["run"], [""], ["run", 5], "run", None, ["x" * 1024], ["x" * 1025], ["x"] * 32, ["x"] * 33]
_OURS: Final[dict[str, object]] = {
    "command": ["x"],
    "concurrency": 1,
    "drainTimeout": "1m",
    "resources": {},
    "env": [],
    "channels": ["c"],
    "scaling": {"maxReplicas": 2},
}
_WAYS: Final[dict[str, object]] = {"templateFrom": {"name": "x"}, "template": {"spec": {"containers": [{"name": "worker"}]}}, "scaleTargetRef": {"name": "x"}}
_WORKERS: Final[list[object]] = [
    *({way: _WAYS[way], field: _OURS[field]} for way, field in product(_WAYS, _OURS)),
    *({one: _WAYS[one], other: _WAYS[other]} for one, other in product(_WAYS, _WAYS)),
    *({}, [], "x", None),
]
_EVENT: Final = {"name": "b", "type": "t", "every": "1m"}

_DURATION_FIELDS: Final = ("every", "jitter", "missed.window", "startDeadline", "attemptTimeout", "retry.backoff", "retry.maxBackoff")
_VALUES: Final[dict[str, list[Any]]] = {
    "metadata.name": _NAMES,
    "spec.channel": _CHANNELS,
    "spec.group": _CHANNELS,
    "spec.timeZone": _ZONES + _NO_ZONES + _FILES,
    "spec.suspend": _FLAGS,
    "spec.delivery": ["BestEffort", "AtLeastOnce", "besteffort", "", 1, None],
    "spec.channelLayer": [{}, {"name": None}, *_NAMED],
    "spec.pauseAfterFailures": _NUMBERS,
    "spec.events": [[_EVENT], [_EVENT, _EVENT], [], {}, None, "x", [1], [{}], [None]],
    "spec.events.0.name": _NAMES,
    "spec.events.0.type": _HANDLERS,
    "spec.events.0.timeZone": _ZONES + _NO_ZONES + _FILES,
    "spec.events.0.suspend": _FLAGS,
    "spec.events.0.fields": _PAYLOADS,
    "spec.events.0.message": _PAYLOADS,
    **{f"spec.events.0.{field}": [*_MOMENTS, *_NO_MOMENTS, "tomorrow", 5, None] for field in ("at", "notBefore", "notAfter")},
    **{f"spec.events.0.{field}": _DURATIONS for field in _DURATION_FIELDS},
    "spec.events.0.overlap": ["Allow", "Skip", "BufferOne", "Forbid", "", None],
    "spec.events.0.missed.policy": ["Skip", "Latest", "All", "latest", "", None],
    "spec.events.0.retry.limit": _NUMBERS,
    "spec.worker": _WORKERS,
    "spec.worker.templateFrom": _NAMED + _COPIES,
    "spec.worker.template": _TEMPLATES,
    "spec.worker.scaleTargetRef": _NAMED + _KINDS,
    "spec.worker.resources": [{}, {"limits": {"cpu": 1}}, [], "x", None],
    "spec.worker.env": _VARIABLES,
    "spec.worker.channels": _LISTENED,
    "spec.worker.command": _COMMANDS,
    "spec.worker.concurrency": _NUMBERS,
    "spec.worker.drainTimeout": _DURATIONS,
    **{f"spec.worker.scaling.{field}": _NUMBERS for field in ("minReplicas", "maxReplicas", "eventsPerReplica")},
    **{f"spec.worker.scaling.{field}": _DURATIONS for field in ("targetWait", "scaleDownAfter")},
    "spec.worker.scaling.warmUp": _WARM_UPS,
}
FIELDS: Final = tuple(_VALUES)


def at(field: str) -> Iterator[tuple[object, dict[str, Any]]]:
    """Each value, with a manifest in which the field has it."""
    for value in _VALUES[field]:
        yield value, manifest(field, value)


def manifest(field: str, value: object) -> dict[str, Any]:
    """Good in all else; `field` is a path such as spec.events.0.every."""
    event: dict[str, Any] = {"name": "a", "type": "t"}
    spec: dict[str, Any] = {"delivery": "AtLeastOnce", "channel": "c", "events": [event]}
    whole: dict[str, Any] = {"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "metadata": {"name": "a", "namespace": "default"}, "spec": spec}
    if field == "spec.group":
        del spec["channel"], spec["delivery"]
    if field not in ("spec.events.0.at", "spec.events.0.cron"):
        event |= {"cron": "@daily"} if field.endswith(("timeZone", "jitter")) else {"every": "1h"}
    if field.startswith("spec.worker.") and not field.endswith(("template", "templateFrom", "scaleTargetRef")):
        spec["worker"] = {"templateFrom": {"name": "x"}}
    *parents, last = field.split(".")
    place: Any = whole
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
    place[last] = value
    return whole


_BOUNDS: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_WORDS: Final[tuple[list[str], ...]] = ([], [], [], ["jan", "FEB", "apr", "Jun", "nov"], ["sun", "MON", "fri", "sat"])
_OFTEN: Final = (["*"], ["*"], ["30", "31", "30,31", "?"], ["2", "feb", "4,6"], ["*", "?", "*/1", "1,*"])
_RANGES: Final = ["5-2", "3-3", "1-2-3", "fri-mon", "mon-mon", "nov-feb", "*/0", "*/00", "*/100", "2/2"]
_WRONG: Final = ["", "/", "-", "?", "x", "L", "8", "60", "24", "32", "13", "00", "007", "june", "1#2", *_RANGES]


def crons(seed: int, count: int) -> Iterator[str]:
    """Of random items, one field in twenty wrong."""
    chance = random.Random(seed)

    def item(kind: int) -> str:
        low, high = sorted((chance.randint(*_BOUNDS[kind]), chance.randint(*_BOUNDS[kind])))
        named = [chance.choice(_WORDS[kind]), "-".join(chance.sample(_WORDS[kind], 2))] if _WORDS[kind] else []
        plain = chance.choice(["*", str(low), f"{high:02}", f"{low}-{high}", *named])
        steps = plain == "*" or ("-" in plain and plain[-1].isdigit())
        return plain + (chance.choice(["", "", "/1", "/2", "/05", "/70"]) if steps else "")

    def field(kind: int) -> str:
        if chance.random() < 0.05:
            return chance.choice(_WRONG)
        return chance.choice(["*", *_OFTEN[kind], *(",".join(item(kind) for _ in range(items)) for items in (1, 1, 2, 3))])

    for _ in range(count):
        yield chance.choice([" "] * 9 + ["  "]).join(map(field, range(5)))[:100]
