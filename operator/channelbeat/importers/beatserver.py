"""beatserver's BEAT_SCHEDULE -> manifests.

What beatserver takes: a dict of channel to an entry or a list of entries, each a dict of `type`, `message` (anything)
and `schedule` (a timedelta, or a cron expression read in UTC). It sends {"type": ..., "message": ...}, and so do we.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from channelbeat.core import payload
from channelbeat.core.checks import shown
from channelbeat.core.parse import API_VERSION, KIND, MOST_EVENTS, Fault, parse
from channelbeat.core.timing import durations
from channelbeat.errors import UsageError

_KEYS: Final = {"type", "message", "schedule"}
_THEIR_WORDS: Final = {"cron": "schedule", "every": "schedule", "fields": "message"}
_ONCE: Final = (
    "beatserver sends each event once when it starts, and counts intervals from then; channelbeat sends at due times only,"
    " and counts `every` from the Unix epoch (`channelbeat trigger` sends one now)"
)


@dataclass(slots=True)
class Imported:
    """The manifests; a sentence for each event that is not in them; and what else should be known."""

    manifests: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def convert(beat_schedule: object, source: str) -> Imported:
    """`source` names the file in sentences; UsageError when there is no BEAT_SCHEDULE to read."""
    if not isinstance(beat_schedule, Mapping):
        found = "it defines none" if beat_schedule is None else f"not {shown(beat_schedule)}"
        raise UsageError(f"{source}: BEAT_SCHEDULE must be a dict of channels, {found}; name the beatconfig.py that beatserver reads")
    imported = Imported()
    names = _Names(52)
    for channel, entries in beat_schedule.items():
        events = list(_events(channel, entries, imported))
        for start in range(0, len(events), MOST_EVENTS):
            imported.manifests.append(_manifest(names.new(str(channel)), channel, events[start : start + MOST_EVENTS]))
    if imported.manifests:
        imported.notes.append(_ONCE)
    return imported


def _events(channel: object, entries: object, imported: Imported) -> Iterator[dict[str, Any]]:
    names = _Names(63)
    several = entries if isinstance(entries, list | tuple) else [entries]
    for i, entry in enumerate(several):
        place = f"BEAT_SCHEDULE[{channel!r}]" + (f"[{i}]" if several is entries else "")
        try:
            event = _event(entry)
        except ValueError as fault:
            imported.left_out.append(f"{place}: {fault}; left out")
            continue
        if faults := parse(_manifest("x", channel, [event])).faults:
            imported.left_out += [f"{place}: {_in_their_words(fault)}; left out" for fault in faults]
            continue
        imported.notes += [f"{place}: {key!r} is nothing beatserver reads; left out" for key in entry if key not in _KEYS]
        yield event | {"name": names.new(event["type"])}


def _event(entry: Any) -> dict[str, Any]:
    """The event that an entry means, still without a name of its own."""
    if not isinstance(entry, Mapping):
        raise ValueError(f"must be a dict with type, message and schedule, not {shown(entry)}")
    when = entry.get("schedule")
    if not isinstance(when, str | timedelta):
        raise ValueError(f"schedule: must be a timedelta or a cron expression, not {shown(when)}")
    try:
        message = _plain(entry.get("message"))
    except RecursionError:
        raise ValueError("message: contains itself, which no message can carry") from None
    event = {"name": "x", "type": _plain(entry.get("type"))}
    event |= {"cron": _plain(when)} if isinstance(when, str) else {"every": _every(when)}
    try:
        return event | {"message": payload.message(message)}
    except ValueError:  # no dict, or one that `message` has no room for: the same on the wire
        return event | {"fields": {"message": message}}


def _every(interval: timedelta) -> str:
    """As a manifest writes it; what is no whole number of milliseconds, or negative, as something that it refuses."""
    length, rest = divmod(interval, timedelta(milliseconds=1))
    return str(interval) if rest or length < 0 else durations.text(length)


def _manifest(name: str, channel: object, events: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": {"channel": channel, "events": events}}


def _in_their_words(fault: Fault) -> str:
    path = fault.path.removeprefix("spec.").removeprefix("events[0].")
    return f"{_THEIR_WORDS.get(path, path)}: {fault.what}"


def _plain(value: Any) -> Any:
    """Tuples as lists, and subclasses of text and numbers as what they are, as a message carries them."""
    match value:
        case Mapping():
            return {_plain(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case bool() | None:
            return value
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            return float(value)
    return value


class _Names:
    """Labels made of other people's names, each once."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._taken: set[str] = set()

    def new(self, text: str) -> str:
        plain = re.sub("[^a-z0-9]+", "-", text.lower())[: self._longest].strip("-") or "event"
        name, number = plain, 2
        while name in self._taken:
            name, number = f"{plain[: self._longest - 6]}-{number}", number + 1
        self._taken.add(name)
        return name
