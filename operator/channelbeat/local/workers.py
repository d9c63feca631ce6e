"""Which worker processes there should be. Pure.

Under BestEffort, one for each channel. Under AtLeastOnce, as in a cluster: a process listens on all channels of its schedule's worker
block, most important first, and there are as many as `scaling.minReplicas` asks for, at least one. Only our own runworker handles tracked
runs, and plain messages as well, so a channel that both want is its; and no channel is served on behalf of two schedules.
"""

import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.schedule import BeatSchedule, Worker
from channelbeat.core.timing import durations

DEFAULT_LAYER = "default"
COMMAND = ("python", "manage.py", "runworker")
CLAIM: Final[Ms] = 5 * SECOND
"""Of a run by its worker. Short, so that the run of one that was killed is soon tried again: here nobody waits for a network."""
DRAIN: Final[Ms] = 10 * SECOND
"""How long one that is stopped may finish what it began, if its schedule does not say."""


Rank: TypeAlias = tuple[bool, int, str]


class Place(NamedTuple):
    """Where a worker listens first; `number` tells its process from others there."""

    layer: str
    channel: str
    number: int = 1

    def __str__(self) -> str:
        name = self.channel if self.layer == DEFAULT_LAYER else f"{self.layer}:{self.channel}"
        return name if self.number == 1 else f"{name} #{self.number}"


@dataclass(frozen=True, slots=True)
class Job:
    """One worker process. `url` is the layer's, a secret; `more` are its channels after the first; `options` are for our own runworker,
    and empty for any other, which has no time to drain either."""

    place: Place
    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    url: str = field(repr=False)
    more: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    drain: Ms = 0

    @property
    def tracked(self) -> bool:
        """It must be our own runworker."""
        return bool(self.options)

    @property
    def channels(self) -> tuple[str, ...]:
        """Most important first."""
        return (self.place.channel, *self.more)

    def argv(self) -> list[str]:
        layer = () if self.place.layer == DEFAULT_LAYER else ("--layer", self.place.layer)
        return [*self.command, *layer, *self.options, *self.channels]

    def environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        return {**ours, "PYTHONUNBUFFERED": "1", **dict(self.env), "CHANNELBEAT_REDIS_URL": self.url}


def wanted(schedules: Collection[BeatSchedule], layers: Mapping[str, LayerSettings]) -> dict[Place, Job]:
    """A schedule without a worker block gets the default command: here nobody else would run its workers."""
    known = [schedule for schedule in schedules if schedule.spec.channel_layer.name in layers]
    servers: dict[Place, Rank] = {}
    for schedule in known:
        for place in _places(schedule):
            rank = _rank(schedule, place)
            servers[place] = min(rank, servers.get(place, rank))
    jobs: dict[Place, Job] = {}
    for schedule in known:
        if places := [place for place in _places(schedule) if servers[place] == _rank(schedule, place)]:
            jobs |= {job.place: job for job in _jobs(schedule, places, layers[places[0].layer].url)}
    return jobs


def _places(schedule: BeatSchedule) -> list[Place]:
    """What it wants served, most important first; nothing for a group."""
    spec = schedule.spec
    channels = () if spec.channel is None else (spec.worker and spec.worker.channels) or (spec.channel,)
    return [Place(spec.channel_layer.name, channel) for channel in channels]


def _rank(schedule: BeatSchedule, place: Place) -> Rank:
    """Of the schedules that want a channel served, the one with the smallest does it. What a worker block says counts more than our
    default, and most for the schedule's own channel; among equals the name decides, so that it is the same one each time."""
    spec = schedule.spec
    strength = 2 if spec.worker is None else 1 if place.channel != spec.channel else 0
    return not _tracked(schedule), strength, schedule.key


def _jobs(schedule: BeatSchedule, places: list[Place], url: str) -> Iterator[Job]:
    """For the channels that it got."""
    worker = schedule.spec.worker
    if not _tracked(schedule):
        yield from (Job(place, _command(worker), _plain(worker), url) for place in places)
        return
    drain = (worker and worker.drain_timeout) or DRAIN
    concurrency = worker.concurrency if worker else 1
    options = ("--concurrency", str(concurrency), "--drain-timeout", durations.text(drain), "--claim", durations.text(CLAIM))
    first, *more = places
    for number in range(1, max(1, worker.scaling.min_replicas if worker else 0) + 1):
        yield Job(first._replace(number=number), _command(worker), _plain(worker), url, tuple(place.channel for place in more), options, drain)


def _tracked(schedule: BeatSchedule) -> bool:
    return schedule.spec.delivery == "AtLeastOnce"


def _command(worker: Worker | None) -> tuple[str, ...]:
    """A leading `python` is the one that runs us: on PATH there may be none, or another."""
    first, *rest = worker.command if worker else COMMAND
    return (sys.executable if first in ("python", "python3") else first, *rest)


def _plain(worker: Worker | None) -> tuple[tuple[str, str], ...]:
    """Values that stand in the manifest; those that come from a Secret or a ConfigMap are the cluster's."""
    return tuple((entry["name"], entry["value"]) for entry in (worker.env if worker else ()) if "value" in entry)
