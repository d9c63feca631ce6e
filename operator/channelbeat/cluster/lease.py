"""What does this Lease mean now, to us? Pure: `now` is a time of our own clock, and clocks of others are never compared with it.

A holder counts as alive for as long as its record changes; its own `leaseDurationSeconds` says how long without a change is too long.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias

from channelbeat.core import instants
from channelbeat.core.instants import SECOND, Ms

LONGEST: Final[Ms] = 60 * SECOND
"""However long a stranger claims the Lease for, this much without a change ends it."""
MOST: Final = 2**31 - 1
"""As far as the API server counts transitions."""


@dataclass(frozen=True, slots=True)
class Record:
    """A Lease. `holder` "": nobody; `duration` None: it says none that can be used; the times are its holder's, and told as they are."""

    version: str
    holder: str
    duration: Ms | None
    acquired: str
    renewed: str
    transitions: int


class Sight(NamedTuple):
    """What was seen last. `record` None: there is no Lease; `since`: when it was first seen as it is; `ever`: there has been one before us."""

    record: Record | None
    since: Ms
    ever: bool


class Step(Enum):
    LOOK = "read the Lease"
    CREATE = "make one that is ours"
    TAKE = "write into it that it is ours, from now on or still"


class Wait(NamedTuple):
    """Nothing to do before this time, unless the Lease changes."""

    until: Ms


Decision: TypeAlias = Step | Wait


def read(raw: Mapping[str, Any]) -> Record:
    """Whatever stands in it: anybody may write a Lease. What is of another type than it should be is as if it were not there; but a holder
    is one, whatever its name."""
    spec, metadata = _object(raw.get("spec")), _object(raw.get("metadata"))
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    return Record(
        version=str(metadata.get("resourceVersion") or ""),
        holder=str(spec.get("holderIdentity") or ""),
        duration=seconds * SECOND if type(seconds) is int and seconds > 0 else None,
        acquired=str(spec.get("acquireTime") or ""),
        renewed=str(spec.get("renewTime") or ""),
        transitions=transitions if type(transitions) is int else 0,
    )


def see(before: Sight | None, record: Record | None, now: Ms) -> Sight:
    """What is seen at `now`, after what was seen `before`. Labels and such do not make a change."""
    if before is None:
        return Sight(record, now, record is not None)
    return Sight(record, before.since if _same(before.record, record) else now, before.ever or record is not None)


def decide(sight: Sight | None, *, me: str, leading: bool, duration: Ms, patience: Ms, now: Ms) -> Decision:
    """`leading`: we won it, and have not seen it with another since. `duration` is our own, for Leases that say none and for none at all.
    Before `patience` nothing is taken from a holder that is merely silent: it has had no chance to speak."""
    if sight is None:
        return Step.LOOK
    record = sight.record
    if record is None:
        if leading or not sight.ever:
            return Step.CREATE
        ends = max(sight.since + duration, patience)
        return Step.CREATE if now >= ends else Wait(ends)
    if record.holder in ("", me):
        return Step.TAKE
    ends = max(sight.since + min(record.duration or duration, LONGEST), patience)
    return Step.TAKE if now >= ends else Wait(ends)


def is_newer(version: str, than: str) -> bool | None:
    """Of two resourceVersions; None when nobody can tell. They are numbers that grow, but for a store that was put back."""
    return int(version) > int(than) if version.isdecimal() and than.isdecimal() else None


def ours(raw: Mapping[str, Any] | None, me: str, duration: Ms, wall: Ms) -> dict[str, Any]:
    """The Lease as it is when it is ours, from what it is; counted as client-go counts. What others keep in it stays. It has the uid and the
    resourceVersion of `raw`: without the uid, a PUT makes a Lease that is not there."""
    known = read(raw) if raw is not None else None
    renewed = known is not None and known.holder == me
    moment = micro_time(wall)
    fields = {
        "holderIdentity": me,
        "leaseDurationSeconds": -(-duration // SECOND),
        "acquireTime": (known.acquired if known and renewed else "") or moment,
        "renewTime": moment,
        "leaseTransitions": min(known.transitions + (not renewed), MOST) if known else 0,
    }
    return {**(raw or {}), "spec": {**_object((raw or {}).get("spec")), **fields}}


def released(raw: Mapping[str, Any], wall: Ms) -> dict[str, Any]:
    """The Lease as its holder leaves it: whoever watches takes it at once, and whoever does not, after a second."""
    moment = micro_time(wall)
    fields = {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": moment, "renewTime": moment}
    return {**raw, "spec": {**_object(raw.get("spec")), **fields}}


def is_one(raw: Mapping[str, Any]) -> bool:
    """Whether this can be a Lease at all: a proxy, say, may answer anything."""
    version = _object(raw.get("metadata")).get("resourceVersion")
    return isinstance(version, str) and version != "" and isinstance(raw.get("spec"), Mapping | None)


def micro_time(wall: Ms) -> str:
    """As Kubernetes writes it: `2026-11-21T01:30:00.000000Z`."""
    return instants.to_datetime(wall).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _object(given: object) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}


def _same(one: Record | None, other: Record | None) -> bool:
    return one == other or (one is not None and other is not None and replace(one, version=other.version) == other)
