"""What is known of a schedule? Gathered from what was seen of it, from the engine, and from what was recorded."""

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from channelbeat.cluster.layer_troubles import LayerTroubles, Place
from channelbeat.cluster.ledger import Tallies
from channelbeat.cluster.register import Seen
from channelbeat.core.batch import queue_of
from channelbeat.core.definition import Definition
from channelbeat.core.instants import Ms
from channelbeat.core.parse import Fault
from channelbeat.core.reasons import BLOCKS, Why
from channelbeat.core.runs import Stats
from channelbeat.core.schedule import Event, Worker
from channelbeat.core.status import Coming, EventFacts, Facts, coming
from channelbeat.core.tally import Tally
from channelbeat.core.timing import durations
from channelbeat.core.verdicts import Case, meanwhile
from channelbeat.core.workers import Workers
from channelbeat.errors import LayerError
from channelbeat.runtime import Engine

log: Final = logging.getLogger("channelbeat.status")

_IN_EVENT: Final = re.compile(r"spec\.events\[([0-9]+)\]")
_NONE: Final = Tally()
_HINDERED: Final = tuple(f'"reason":"{why}"'.encode() for why in (*BLOCKS.values(), Why.UNATTENDED))


class Sources(NamedTuple):
    """Who knows. `workers`: of a schedule, by its key; None while nothing is known, or there are none of ours."""

    engine: Engine
    troubles: LayerTroubles
    workers: Callable[[str], Workers | None]


def layer_of(seen: Seen) -> str:
    """Empty when it cannot run."""
    return seen.schedule.spec.channel_layer.name if seen.schedule is not None and seen.refusal is None else ""


def concerned(seen: Seen, changed: Collection[Place]) -> bool:
    """Is a change of one of these something to it?"""
    layer = layer_of(seen)
    return bool(layer) and (Place(layer) in changed or Place(layer, _target(seen)) in changed)


class Statistics:
    """What became of runs, as Redis knows it."""

    def __init__(self, engine: Engine, troubles: LayerTroubles) -> None:
        self._engine, self._troubles = engine, troubles
        self._told = set[str]()

    async def of(self, schedules: Sequence[Seen]) -> dict[str, Stats]:
        """Of their tracked events, by `namespace/name/event`: one question a layer. Nothing of a layer that cannot be asked."""
        events: dict[str, list[str]] = {}
        for seen in schedules:
            if seen.schedule is not None and seen.schedule.spec.delivery == "AtLeastOnce" and self._troubles.well(layer := layer_of(seen)):
                events.setdefault(layer, []).extend(f"{seen.key}/{event.name}" for event in seen.schedule.spec.events)
        found: dict[str, Stats] = {}
        for layer, keys in events.items():
            found |= await self._ask(layer, keys)
        return found

    async def _ask(self, layer: str, keys: Sequence[str]) -> dict[str, Stats]:
        try:
            return await self._engine.stats(layer, keys)
        except (LayerError, KeyError):  # it is away, or has just gone
            return {}
        except Exception:  # somebody overwrote what is kept there
            if layer not in self._told:
                self._told.add(layer)
                log.exception("layer %r: what became of its runs cannot be read, and is left out of the status", layer)
            return {}


def gather(seen: Seen, sources: Sources, tallies: Tallies, known: Mapping[str, Stats], *, now: Ms, passed: Ms) -> Facts:
    """`now`: by the clock, `passed`: by the stopwatch that the troubles go by."""
    schedule, layer, workers = seen.schedule, layer_of(seen), sources.workers(seen.key)
    engine, troubles, _ = sources
    if schedule is None:
        bare = [EventFacts(name, _faults(seen, i), runs=False, tally=tallies.get(name, _NONE)) for i, name in enumerate(seen.names)]
        return Facts(seen.key, Case(seen.generation, invalid=True, faults=seen.faults, workers=workers), bare)
    spec, running = schedule.spec, {event.name: event for event in schedule.spec.events}
    events = list[EventFacts]()
    settled = troubles.well(layer)
    for i, name in enumerate(seen.names):
        event = running.get(name)
        definition = engine.book.definition(seen.key, name) if event is not None and layer else None
        if event is None or definition is None:
            events.append(EventFacts(name, _faults(seen, i), runs=False, tally=tallies.get(name, _NONE)))
            continue
        occurrence = engine.next_fire(seen.key, name)
        next_ = _coming(definition, event, occurrence.due if occurrence is not None else None, now)
        settled = settled and (occurrence is not None or next_ is None)
        events.append(_event(name, definition, next_, tallies.get(name, _NONE), known.get(definition.key)))
    ahead = any(event.coming for event in events)
    case = Case(
        generation=seen.generation,
        faults=seen.faults,
        refusal=seen.refusal,
        suspended=spec.suspend or all(event.suspend for event in spec.events),
        trouble=troubles.trouble(layer),
        meanwhile=meanwhile(spec.events),
        hindrance=troubles.hindrance(Place(layer, _target(seen))),
        settled=settled and ((ahead and not _hindered(seen)) or troubles.steady(layer, passed)),
        managed=isinstance(spec.worker, Worker),
        workers=workers,
    )
    return Facts(seen.key, case, events, spec.time_zone)


def _event(name: str, definition: Definition, next_: Coming | None, tally: Tally, known: Stats | None) -> EventFacts:
    policy = definition.policy
    pausable = policy is not None and policy.pause_after > 0
    return EventFacts(
        name,
        runs=not definition.suspended,
        coming=next_,
        tally=tally,
        stats=known,
        version=policy.version if policy is not None and pausable else "",
        pause_after=policy.pause_after if policy is not None else 0,
    )


def _coming(definition: Definition, event: Event, due: Ms | None, now: Ms) -> Coming | None:
    often = event.cron or f"every {durations.text(event.every or 0)}"
    return coming(definition.timetable, often, due, now)


def _hindered(seen: Seen) -> bool:
    """By what was written of it; who begins to lead does not know at once whether it still is."""
    return any(word in seen.status for word in _HINDERED)


def _target(seen: Seen) -> str:
    """Empty for a group."""
    spec = seen.schedule.spec if seen.schedule is not None else None
    if spec is None or spec.channel is None:
        return ""
    return spec.channel if spec.delivery == "BestEffort" else queue_of(spec.channel)


def _faults(seen: Seen, i: int) -> str:
    return "; ".join(str(fault) for fault in seen.faults if _index(fault) == i)


def _index(fault: Fault) -> int | None:
    found = _IN_EVENT.match(fault.path)
    return int(found[1]) if found else None
