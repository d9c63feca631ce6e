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

    @property
    def schedules(self) -> Mapping[str, BeatSchedule]:
        """What runs, by `namespace/name`."""
        return MappingProxyType(self._schedules)

    def definition(self, schedule: str, event: str) -> Definition | None:
        return next((d for d in self._definitions.get(schedule, ()) if d.event.name == event), None)

    def put(self, schedule: BeatSchedule, *, created: Ms | None = None, parked: Collection[str] = ()) -> None:
        """Insert or replace. `parked` events have a fault: they do not run, and their place is kept."""
        key = schedule.key
        before, after = self._definitions.get(key, ()), compile_schedule(schedule, created=created, without=parked)
        self._schedules[key], self._definitions[key] = schedule, after
        self._parked.pop(key, None)
        if parked:
            self._parked[key] = frozenset(parked)
        stays = {d.key: d.layer for d in after}
        for gone in before:
            if gone.event.name in parked and gone.key not in stays:
                self._lanes.park(gone.layer, gone.key)
            elif stays.get(gone.key) != gone.layer:
                self._lanes.remove(gone.layer, gone.key)
        for definition in after:
            self._lanes.put(definition)

    def park(self, key: str) -> None:
        """The schedule `namespace/name` exists but cannot run: nothing of it is sent, and its place is kept."""
        self._schedules.pop(key, None)
        for definition in self._definitions.pop(key, ()):
            self._lanes.park(definition.layer, definition.key)
        self._parked[key] = None

    def remove(self, key: str) -> None:
        """The schedule has gone: should it come back, it makes up for nothing."""
        self._schedules.pop(key, None)
        self._parked.pop(key, None)
        for definition in self._definitions.pop(key, ()):
            self._lanes.remove(definition.layer, definition.key)

    def complete(self) -> None:
        """Everything that exists has been put: what Redis remembers beyond it has vanished."""
        self._lanes.complete()

    def knows(self, event_key: str) -> bool:
        """Does this event exist, whether it can run or not?"""
        key, _, name = event_key.rpartition("/")
        if key in self._parked:
            parked = self._parked[key]
            if parked is None or name in parked:
                return True
        return self.definition(key, name) is not None
