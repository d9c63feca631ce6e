"""Which worker processes there should be: one for each channel of each layer that is scheduled or that a worker block names. Pure."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from channelbeat.core.layer import LayerSettings
from channelbeat.core.schedule import BeatSchedule, Worker

DEFAULT_LAYER = "default"
COMMAND = ("python", "manage.py", "runworker")


class Place(NamedTuple):
    """What a worker listens on."""

    layer: str
    channel: str

    def __str__(self) -> str:
        return self.channel if self.layer == DEFAULT_LAYER else f"{self.layer}:{self.channel}"


@dataclass(frozen=True, slots=True)
class Job:
    """One worker process. `url` is the layer's, a secret."""

    place: Place
    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    url: str = field(repr=False)

    def argv(self) -> list[str]:
        layer = () if self.place.layer == DEFAULT_LAYER else ("--layer", self.place.layer)
        return [*self.command, *layer, self.place.channel]

    def environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        return {**ours, "PYTHONUNBUFFERED": "1", **dict(self.env), "CHANNELBEAT_REDIS_URL": self.url}


def wanted(schedules: Iterable[BeatSchedule], layers: Mapping[str, LayerSettings]) -> dict[Place, Job]:
    """In the order of the schedules' names, so that of two that want one channel served in different ways the same one wins each time.

    A schedule without a worker block gets the default command: here nobody else would run its workers.
    """
    jobs: dict[Place, Job] = {}
    for schedule in sorted(schedules, key=lambda schedule: schedule.key):
        spec = schedule.spec
        layer = layers.get(spec.channel_layer.name)
        if spec.channel is None or layer is None:
            continue
        for channel in (spec.worker and spec.worker.channels) or (spec.channel,):
            place = Place(layer.name, channel)
            jobs.setdefault(place, Job(place, _command(spec.worker), _plain(spec.worker), layer.url))
    return jobs


def _command(worker: Worker | None) -> tuple[str, ...]:
    """A leading `python` is the one that runs us: on PATH there may be none, or another."""
    first, *rest = worker.command if worker else COMMAND
    return (sys.executable if first in ("python", "python3") else first, *rest)


def _plain(worker: Worker | None) -> tuple[tuple[str, str], ...]:
    """Values that stand in the manifest; those that come from a Secret or a ConfigMap are the cluster's."""
    return tuple((entry["name"], entry["value"]) for entry in (worker.env if worker else ()) if "value" in entry)
