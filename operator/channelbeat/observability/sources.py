"""What is looked at here, as small Protocols: the engine, the leadership, and the objects that the API server has."""

from collections.abc import Mapping, Sequence, Sized
from typing import Protocol

from channelbeat.core.instants import Ms
from channelbeat.core.measures import ChannelLoad
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Notice
from channelbeat.core.schedule import BeatSchedule


class LayerState(Protocol):
    """How it stands with a layer; `turned`: when its loop last ended a turn, by the machine's clock."""

    @property
    def name(self) -> str: ...
    @property
    def leading(self) -> bool: ...
    @property
    def epoch(self) -> int: ...
    @property
    def ailment(self) -> Notice | None: ...
    @property
    def turned(self) -> Ms: ...


class Book(Protocol):
    @property
    def schedules(self) -> Mapping[str, BeatSchedule]:
        """What runs, by `namespace/name`."""


class Engine(Protocol):
    """`loads` raises LayerError when the layer's Redis is away."""

    @property
    def book(self) -> Book: ...
    def layers(self) -> Sequence[LayerState]: ...
    def undecided(self, schedule: str, event: str) -> Occurrence | None: ...
    async def loads(self, layer: str, channels: Sequence[str]) -> Mapping[str, ChannelLoad]: ...


class Leadership(Protocol):
    def valid(self) -> bool: ...
    def lost(self) -> bool: ...


class Known(Protocol):
    """An object that the API server has."""

    @property
    def key(self) -> str: ...
    @property
    def faults(self) -> Sized: ...
    @property
    def refusal(self) -> object | None: ...
    @property
    def names(self) -> tuple[str, ...]:
        """Of all its events."""
