"""How many workers should a Deployment have? What waits, what is due soon, floors and ceilings -> a number, and why. Pure; `now` only has to go forward."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final, NamedTuple, TypeAlias

from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.scaling_reasons import Reason as Reason
from channelbeat.core.scaling_reasons import sentence, sums
from channelbeat.core.schedule import Scaling
from channelbeat.core.timing import durations
from channelbeat.core.warming import NOTHING, Forecast

ROUNDING: Final = 1e-9
"""Of a worker: sums of fractions are not exact."""


class Standing(StrEnum):
    RUNS = "runs"
    SUSPENDED = "suspended"  # its floor and its load count; nothing of its own is due
    DELETED = "deleted"  # nothing of it counts


class Place(NamedTuple):
    """A channel of a layer."""

    layer: str
    channel: str


class Load(NamedTuple):
    """Of one channel. `backlog` and `in_flight` are None while nobody can tell; `handled`: how many have ended since the last look, which are
    seen nowhere else if they were quick; `handling`: how long one takes, in ms, None until that was measured."""

    backlog: int | None
    in_flight: int | None
    handled: int = 0
    handling: float | None = None


UNKNOWN: Final = Load(None, None)


@dataclass(frozen=True, slots=True)
class Party:
    """A schedule, of those whose workers these are. `forecast`: of all that it and its guests send to `places`."""

    scaling: Scaling
    places: Sequence[Place]
    forecast: Forecast = NOTHING
    standing: Standing = Standing.RUNS


@dataclass(frozen=True, slots=True)
class Target:
    """A Deployment. `replicas`: how many it should have now, by its own spec; `concurrency`: what one worker handles at a time; `at_work`: workers
    that have something in hand. `stock`: its workers are Channels' own, which fetch all there is: how much waits cannot be seen, and only forecasts,
    floors and whether there is one to fetch it count."""

    replicas: int
    parties: Sequence[Party]
    loads: Mapping[Place, Load]
    concurrency: int = 1
    stock: bool = False
    at_work: int = 0


class Peak(NamedTuple):
    """So many were needed then, and fewer ever since."""

    at: Ms
    replicas: int


Memory: TypeAlias = tuple[Peak, ...]
"""What a later decision has to know of the earlier ones: needs, the highest and oldest first. Never longer than the ceiling."""


class Decision(NamedTuple):
    """`sentence` says it for people. `ends`: when it would be lower if nothing else changed, for ScaleDownDelay."""

    desired: int
    reason: Reason
    sentence: str
    ends: Ms | None = None


class _Work(NamedTuple):
    """Of all channels. `share`: how many workers it calls for; `some`: there is any; `known`: all of it is."""

    share: float
    some: bool
    known: bool
    in_flight: int
    text: str


def decide(target: Target, memory: Memory | None, now: Ms) -> tuple[Decision, Memory]:
    """`memory` is what the last decision answered; None for the first, which takes what is there for needed, because nobody knows for how long it
    has not been."""
    parties = [party for party in target.parties if party.standing is not Standing.DELETED]
    running = [party for party in parties if party.standing is Standing.RUNS]
    if not parties:
        return Decision(target.replicas, Reason.NOT_NAMED, "no schedule names it any more"), ()
    floor, ceiling = (sum(sizes) for sizes in zip(*((party.scaling.min_replicas, party.scaling.max_replicas) for party in parties), strict=True))
    delay = max(party.scaling.scale_down_after for party in parties)
    work = _stock_work(target, parties) if target.stock else _work(target, parties)
    due = sum(party.forecast.share for party in parties)
    wanted: dict[Reason, int] = {
        Reason.LOAD: _whole(work.share, work.some),
        Reason.FORECAST: _whole(due, due > 0),
        Reason.IN_FLIGHT: min(ceil(work.in_flight / target.concurrency), target.replicas),
        Reason.UNKNOWN_LOAD: 0 if work.known else target.replicas,
    }
    if memory is None:
        memory = (Peak(now, min(target.replicas, ceiling)),)
    memory = _remembered(memory, min(max(wanted.values()), ceiling), delay, now)
    wanted |= {
        Reason.FLOOR: floor,
        Reason.IN_FLIGHT: max(wanted[Reason.IN_FLIGHT], min(target.at_work, target.replicas)),  # now, and not for longer: others may be idle next
        Reason.KEPT_WARM: min(1, target.replicas) if any(party.forecast.soon for party in parties) else 0,
        Reason.SCALE_DOWN_DELAY: memory[0].replicas,
    }
    most = max(wanted.values())
    reason = next(reason for reason in Reason if wanted.get(reason) == most)
    if reason is Reason.FLOOR and not running:
        reason = Reason.SUSPENDED
    elif most == 0:
        reason = Reason.ZERO
    text = sentence(reason, most, parties=len(parties), work=work.text, delay=delay, stock=target.stock)
    if most > ceiling:
        return Decision(ceiling, Reason.CEILING, f"{text}; {sums('maxReplicas', ceiling, len(parties))}"), memory
    return Decision(most, reason, text, memory[0].at + delay if reason is Reason.SCALE_DOWN_DELAY else None), memory


def unchanged(memory: Memory | None, now: Ms) -> Memory | None:
    """For a target that is just as it was when `memory` was answered: what is to be remembered now, if that decision still holds; None if time alone
    may change it."""
    if memory is None or len(memory) != 1:
        return None
    return (Peak(now, memory[0].replicas),)


def _work(target: Target, parties: Sequence[Party]) -> _Work:
    """Each channel once, by the strictest of the schedules that name it. An event takes one slot, however long it takes: more workers than there
    are events would not be done sooner."""
    share, known, waiting, in_flight, handled = 0.0, True, 0, 0, 0
    rules = _rules(parties)
    for place, (wait, per_replica) in rules.items():
        load = target.loads.get(place, UNKNOWN)
        backlog, flying = load.backlog or 0, load.in_flight or 0
        if load.handling is None:
            share += backlog / per_replica
        else:
            share += (backlog + flying) * min(load.handling / wait, 1.0) / target.concurrency
        known = known and load.backlog is not None and load.in_flight is not None
        waiting, in_flight, handled = waiting + backlog, in_flight + flying, handled + load.handled
    what = f"{waiting:,} waiting and {in_flight:,} in flight" if waiting + in_flight or not handled else f"{handled:,} handled just now"
    return _Work(share, waiting + in_flight + handled > 0, known, in_flight, f"{what}{_measure(rules, target.loads)}")


def _stock_work(target: Target, parties: Sequence[Party]) -> _Work:
    """What is seen to wait has been fetched by nobody: it calls for one who does, and for as long as that one takes to start."""
    backlogs = [target.loads.get(place, UNKNOWN).backlog for place in _rules(parties)]
    waiting = sum(backlog or 0 for backlog in backlogs)
    return _Work(0.0, waiting > 0, None not in backlogs, 0, f"{waiting:,} waiting")


def _rules(parties: Iterable[Party]) -> dict[Place, tuple[Ms, int]]:
    """The shortest targetWait and the fewest eventsPerReplica of each channel."""
    rules: dict[Place, tuple[Ms, int]] = {}
    for party in parties:
        for place in party.places:
            wait, per_replica = rules.get(place, (party.scaling.target_wait, party.scaling.events_per_replica))
            rules[place] = min(wait, party.scaling.target_wait), min(per_replica, party.scaling.events_per_replica)
    return rules


def _measure(rules: Mapping[Place, tuple[Ms, int]], loads: Mapping[Place, Load]) -> str:
    """By which a load was measured, where that is said in few words."""
    if len(rules) != 1:
        return f" in {len(rules)} channels"
    place, (wait, per_replica) = next(iter(rules.items()))
    handling = loads.get(place, UNKNOWN).handling
    if handling is None:
        return f" (eventsPerReplica {per_replica:,}, until it is known how long one takes)"
    each = f"{handling:.3g} ms" if handling < SECOND else f"{handling / SECOND:,.1f} s"
    return f" ({each} each, targetWait {durations.text(wait)})"


def _remembered(memory: Memory, need: int, delay: Ms, now: Ms) -> Memory:
    """With what is needed now, without what was longer ago than `delay`. A clock that was set back makes nothing last longer than that."""
    recent = (Peak(min(at, now), replicas) for at, replicas in memory if replicas > need)
    return (*(peak for peak in recent if now - peak.at < delay), Peak(now, need))


def _whole(share: float, some: bool) -> int:
    """Any work needs somebody."""
    return max(ceil(share - ROUNDING), 1) if some else 0
