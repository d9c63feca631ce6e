"""What one batch asks of a layer, item by item, and what it answers. A leaf: the vocabulary of engine and broker.

A **fence** is kept per event: the last due time decided, what became of it, and the hash of the timing it was decided
under. Only `Adopt` makes a fence or changes its hash; the others move a fence of the same hash forward, or do nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

from channelbeat.core.instants import Ms

TOMBSTONE: Final = "-"
"""The hash of an event that has vanished: its time is kept, so that coming back makes up for nothing."""


class Fence(NamedTuple):
    due: Ms
    hash: str
    code: str


class Look(NamedTuple):
    """Answer the fence; writes nothing."""

    event: str


class Adopt(NamedTuple):
    """Make the fence, or give it another hash; its time never goes back. `entry` is for the decision log, if not empty."""

    event: str
    due: Ms
    hash: str
    code: str
    entry: str = ""


class Skip(NamedTuple):
    """Decide `due` (and all after `since`, when given) without a message. Also the first half of a group's send."""

    event: str
    due: Ms
    hash: str
    code: str
    since: Ms | None
    logged: bool


class Tracked(NamedTuple):
    """A run for our own queue, with its policy as text (core/runs.py)."""

    run: str
    policy: str


QUEUE: Final = "queue:"


def queue_of(channel: str) -> str:
    """The target of tracked runs for this channel; no channel's name has a colon."""
    return QUEUE + channel


class Send(NamedTuple):
    """Put `message` into `channel` (when it is `tracked`: into that queue, see queue_of) and decide `due`."""

    event: str
    due: Ms
    hash: str
    code: str
    logged: bool
    channel: str
    message: Mapping[str, Any]
    tracked: Tracked | None = None


class Trigger(NamedTuple):
    """Once per token, apart from the fence. Tokens before `forget` are dropped. `channel` is None for a group."""

    event: str
    token: Ms
    forget: Ms
    channel: str | None
    message: Mapping[str, Any]
    tracked: Tracked | None = None


class Bury(NamedTuple):
    """Delete the fence if it is a tombstone not younger than `before`, and its decision log."""

    event: str
    before: Ms


Item: TypeAlias = Look | Adopt | Skip | Send | Trigger | Bury


class Answer(Enum):
    """What became of an item. The values are the script's letters."""

    DONE = "s"
    DUPLICATE = "d"  # decided before; for a trigger: handled before
    UNFENCED = "u"  # no fence, or one of another timing: look
    HELD = "h"  # an earlier item of the same event was not done
    FULL = "f"
    WRONG_TYPE = "w"
    EARLY = "e"  # later than Redis's clock allows
    OVERLAP = "o"  # decided without a run: the event's earlier run is not done; a trigger is not carried out
    PAUSED = "p"  # decided without a run: the event is paused
    UNSERIALIZABLE = "x"  # the layer's serializer refuses the message; nothing of it was sent


@dataclass(frozen=True, slots=True)
class Answers:
    """One per item, in order. `extra` has a fence for each Look, the resulting time for each Adopt and the error for
    each message that cannot be serialized, by the item's place; `room` and `expired` are per channel of the batch."""

    answers: tuple[Answer, ...]
    extra: Mapping[int, Any]
    room: Mapping[str, int]
    expired: Mapping[str, int]


class Verdict(StrEnum):
    """What the store is to a process that takes the lead, or takes it again."""

    NEW = "New"  # empty, and we knew of no other
    SAME = "Same"
    ROLLED_BACK = "RolledBack"  # it lost acknowledged writes
    WIPED = "Wiped"  # not the store we wrote to
