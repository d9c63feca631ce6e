"""What is scheduled: the schedules as last put, and the events of each, given to the lane of their layer."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Protocol

from channelbeat.core.definition import Definition, compile_schedule
from channelbeat.core.instants import Ms
from channelbeat.core.schedule import BeatSchedule


class Lanes(Protocol):
    """Where definitions go."""

    def put(self, definition: Definition) -> None: ...
    def remove(self, layer: str, key: str) -> None: ...
    def park(self, layer: str, key: str) -> None: ...
    def complete(self) -> None: ...


class Book:
    """Filled by whoever reads manifests or watches the API server; changes take effect at the lanes' next turn."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._schedules: dict[str, BeatSchedule] = {}
        self._definitions: dict[str, tuple[Definition, ...]] = {}
        self._parked: dict[str, frozenset[str] | None] = {}  # names of a schedule's events; None for all of them
        self._places: dict[str, dict[str, str]] = {}  # the layer of each event the lanes have, running or parked, by schedule
        self._complete = False
        self.changes = 0
        """How often something was put, parked or removed."""

    @property
    def schedules(self) -> Mapping[str, BeatSchedule]:
        """What runs, by `namespace/name`."""
        return MappingProxyType(self._schedules)

    def definition(self, schedule: str, event: str) -> Definition | None:
        return next((d for d in self.definitions(schedule) if d.event.name == event), None)

    def definitions(self, schedule: str) -> tuple[Definition, ...]:
        """Of its events that run; the same object until it is put anew."""
        return self._definitions.get(schedule, ())

    def put(self, schedule: BeatSchedule, *, created: Ms | None = None, parked: Collection[str] = ()) -> None:
        """Insert or replace. `parked` events have a fault: they do not run, and their place is kept."""
        self.changes += 1
        key, after = schedule.key, compile_schedule(schedule, created=created, without=parked)
        self._schedules[key], self._definitions[key] = schedule, after
        self._place(key, {d.key: d.layer for d in after}, frozenset(parked))
        for definition in after:
            self._lanes.put(definition)

    def park(self, key: str) -> None:
        """The schedule `namespace/name` exists but cannot run: nothing of it is sent, and its place is kept."""
        self.changes += 1
        self._schedules.pop(key, None)
        self._definitions.pop(key, None)
        for event, layer in self._places.get(key, {}).items():
            self._lanes.park(layer, event)
        self._parked[key] = None

    def remove(self, key: str) -> None:
        """The schedule has gone: should it come back, it makes up for nothing."""
        self.changes += 1
        self._schedules.pop(key, None)
        self._definitions.pop(key, None)
        self._place(key, {}, frozenset())

    def _place(self, key: str, running: dict[str, str], parked: frozenset[str]) -> None:
        """The schedule's events are those `running`, by layer, and those `parked`, by name; the others have gone."""
        before, stood_still = self._places.pop(key, {}), self._parked.pop(key, frozenset())
        kept = {event: layer for event, layer in before.items() if event not in running and event.rpartition("/")[2] in parked}
        for event, layer in before.items():
            if event in kept:
                self._lanes.park(layer, event)
            elif running.get(event) != layer:
                self._lanes.remove(layer, event)
        if places := running | kept:
            self._places[key] = places
        if parked:
            self._parked[key] = parked
        if self._complete and stood_still != parked:  # some may have gone that the lanes have never seen
            self._lanes.complete()

    def complete(self) -> None:
        """Everything that exists has been put: what Redis remembers beyond it has vanished."""
        self._complete = True
        self._lanes.complete()

    def knows(self, layer: str, event_key: str) -> bool:
        """Does this event exist in this layer, whether it can run or not?"""
        key, _, name = event_key.rpartition("/")
        place = self._places.get(key, {}).get(event_key)
        if place is not None:
            return place == layer
        parked = self._parked.get(key, frozenset())
        return parked is None or name in parked
