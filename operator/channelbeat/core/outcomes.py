"""What can become of an occurrence. A closed list: metrics, log, status and `-o json` speak in these words.

| kind | what it says | final |
|---|---|---|
| enqueued  | it is in its channel (or was sent to its group): a run | yes |
| held      | it waits: its channel is full, or Redis refuses it; told once, tried again | no |
| missed    | nobody could send it in time, and the missed policy, an edit or a removal says not to | yes |
| suspended | the event or its schedule was suspended at its due time | yes |
| skipped   | the overlap policy left it out (AtLeastOnce) | yes |
| failed    | it cannot be sent: its message cannot be serialized, or group_send failed | yes |
| unknown   | it may or may not have been sent before Redis was wiped or a reply was lost; it is not sent again | yes |
| lost      | it had been enqueued more than a minute before Redis lost its newest writes | yes |
| refused   | a trigger that is not carried out; the reason says why | yes |
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from channelbeat.core import instants
from channelbeat.core.instants import Ms


class Kind(StrEnum):
    ENQUEUED = "enqueued"
    HELD = "held"
    MISSED = "missed"
    SUSPENDED = "suspended"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"
    LOST = "lost"
    REFUSED = "refused"


class Reason(StrEnum):
    """Why; each kind has its own few. Empty where the kind says it all."""

    NONE = ""
    # enqueued
    TRIGGERED = "Triggered"
    REPLAYED = "Replayed"  # again, after Redis lost its newest writes: it may have been handled before
    # held
    CHANNEL_FULL = "ChannelFull"
    WRONG_TYPE = "WrongType"  # the channel's key holds something that is no channel
    WRITES_REFUSED = "WritesRefused"  # Redis is out of memory or disk, or a replica
    CLOCK_AHEAD = "ClockAhead"  # this machine's clock is ahead of Redis's
    # missed
    POLICY_SKIP = "PolicySkip"
    SUPERSEDED = "Superseded"  # policy Latest: a younger one is sent
    OUTSIDE_WINDOW = "OutsideWindow"
    TOO_MANY = "TooMany"  # policy All sends at most 1,000
    EDITED = "Edited"
    REMOVED = "Removed"
    # suspended
    PAUSED = "Paused"  # after too many dead runs in a row
    # skipped; refused
    PREVIOUS_RUN_ACTIVE = "PreviousRunActive"
    # failed
    NOT_SERIALIZABLE = "NotSerializable"
    GROUP_SEND_FAILED = "GroupSendFailed"
    # unknown
    STORE_WIPED = "StoreWiped"
    REPLY_LOST = "ReplyLost"
    # lost
    STORE_ROLLED_BACK = "StoreRolledBack"
    # refused
    DUPLICATE = "Duplicate"
    EXPIRED = "Expired"
    FROM_THE_FUTURE = "FromTheFuture"
    NO_SUCH_EVENT = "NoSuchEvent"


class Outcome(NamedTuple):
    """What became of one occurrence, or of `count` of them that share one fate.

    `due` is the nominal due time (of the last, when there are several; a trigger's token for a trigger), `at` the
    moment it was decided, `lateness` how long after its jittered due time it was enqueued; all in milliseconds.
    `at_least` says that counting stopped early. `note` is a sentence for people.
    """

    schedule: str
    event: str
    due: Ms
    kind: Kind
    at: Ms
    reason: Reason = Reason.NONE
    lateness: Ms | None = None
    run: str | None = None
    count: int = 1  # type: ignore[assignment]  # hides tuple.count
    at_least: bool = False
    note: str = ""


def facts(outcome: Outcome) -> dict[str, Any]:
    """As a program reads it."""
    return {
        "at": instants.text(outcome.at),
        "schedule": outcome.schedule,
        "event": outcome.event,
        "due": instants.text(outcome.due),
        "run": outcome.run,
        "outcome": outcome.kind,
        "reason": outcome.reason,
        "latenessMs": outcome.lateness,
        "count": outcome.count,
        "atLeast": outcome.at_least,
        "note": outcome.note,
    }


def code(kind: Kind, reason: Reason) -> str:
    """As a fence and the decision log keep it: `enqueued`, `missed/Superseded`."""
    return f"{kind}/{reason}" if reason else str(kind)


class Sign(StrEnum):
    """What happened to a layer."""

    LEADING = "Leading"  # its Redis answers and is ours
    AWAY = "Away"
    WRITES_REFUSED = "WritesRefused"
    TAKEN = "Taken"
    REFUSED = "Refused"
    ROLLED_BACK = "RolledBack"
    WIPED = "Wiped"
    EXPIRED = "Expired"  # messages nobody took in time were dropped by the layer's expiry
    CLOCK_SKEW = "ClockSkew"
    FAULT = "Fault"  # an event was set aside for a fault of ours
    PAUSED = "Paused"  # an event, after too many dead runs in a row
    UNATTENDED = "Unattended"  # runs wait, and no runworker of channelbeat listens
    EVICTION = "Eviction"  # its Redis may drop our keys when it runs out of memory


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a layer that people should know, told when it begins and when it ends; `text` is a sentence. `event`: the
    key of the one event that it is about."""

    layer: str
    sign: Sign
    text: str
    at: Ms
    event: str = ""
