"""Which worker processes there may be, and whose number is decided. Pure.

Under BestEffort, one for each channel. Under AtLeastOnce, as in a cluster: a process listens on all channels of its schedule's worker
block, most important first, and there are as many as are called for. Only our own runworker handles tracked runs, and plain messages as
well, so a channel that both want is its; and no channel is served on behalf of two schedules.
"""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeAlias

from channelbeat.core import scaling
from channelbeat.core.crews import Crew, Member
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

    def numbered(self, number: int) -> "Job":
        return replace(self, place=self.place._replace(number=number))

    def argv(self) -> list[str]:
        layer = () if self.place.layer == DEFAULT_LAYER else ("--layer", self.place.layer)
        return [*self.command, *layer, *self.options, *self.channels]

    def environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        """Its name is what a worker of ours tells Redis beside what it has in hand, as in a cluster."""
        return {**ours, "PYTHONUNBUFFERED": "1", **dict(self.env), "POD_NAME": str(self.place), "CHANNELBEAT_REDIS_URL": self.url}


@dataclass(frozen=True, slots=True)
class Team:
    """The processes of a schedule. `jobs` are the first of them, each with a channel of its own; `crew`: whose number is decided, None: there
    is always one of each."""

    schedule: str
    jobs: tuple[Job, ...]
    crew: Crew | None = None

    def most(self, replicas: int) -> int:
        """Of each job so many processes, of those that are called for: two stock workers on a channel would double events."""
        return replicas if self.jobs[0].tracked else min(replicas, 1)

    def processes(self, numbers: Iterable[int]) -> dict[Place, Job]:
        return {job.place: job for number in numbers for job in (first.numbered(number) for first in self.jobs)}


def teams(schedules: Collection[BeatSchedule], layers: Mapping[str, LayerSettings]) -> list[Team]:
    """A schedule without a worker block gets the default command, and always one process: here nobody else would run its workers."""
    known = [schedule for schedule in schedules if schedule.spec.channel_layer.name in layers]
    servers: dict[Place, Rank] = {}
    for schedule in known:
        for place in _places(schedule):
            rank = _rank(schedule, place)
            servers[place] = min(rank, servers.get(place, rank))
    got = {schedule.key: [place for place in _places(schedule) if servers[place] == _rank(schedule, place)] for schedule in known}
    return [_team(schedule, places, layers[places[0].layer].url) for schedule in known if (places := got[schedule.key])]


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


def _team(schedule: BeatSchedule, places: list[Place], url: str) -> Team:
    """For the channels that it got."""
    crew = None
    if schedule.spec.worker is not None:
        listened = tuple(scaling.Place(place.layer, place.channel) for place in places)
        crew = Crew(schedule.key, (Member(schedule, uid=schedule.key, created=0, places=listened),), shared=False)
    return Team(schedule.key, (*_jobs(schedule, places, url),), crew)


def _jobs(schedule: BeatSchedule, places: list[Place], url: str) -> Iterator[Job]:
    worker = schedule.spec.worker
    if not _tracked(schedule):
        yield from (Job(place, _command(worker), _plain(worker), url) for place in places)
        return
    drain = (worker and worker.drain_timeout) or DRAIN
    concurrency = worker.concurrency if worker else 1
    options = ("--concurrency", str(concurrency), "--drain-timeout", durations.text(drain), "--claim", durations.text(CLAIM))
    first, *more = places
    yield Job(first, _command(worker), _plain(worker), url, tuple(place.channel for place in more), options, drain)


def _tracked(schedule: BeatSchedule) -> bool:
    return schedule.spec.delivery == "AtLeastOnce"


def _command(worker: Worker | None) -> tuple[str, ...]:
    """A leading `python` is the one that runs us: on PATH there may be none, or another."""
    first, *rest = worker.command if worker else COMMAND
    return (sys.executable if first in ("python", "python3") else first, *rest)


def _plain(worker: Worker | None) -> tuple[tuple[str, str], ...]:
    """Values that stand in the manifest; those that come from a Secret or a ConfigMap are the cluster's."""
    return tuple((entry["name"], entry["value"]) for entry in (worker.env if worker else ()) if "value" in entry)
