"""Paths on the command line -> the BeatSchedules there, and everything that is wrong with them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from channelbeat import manifests
from channelbeat.core.parse import Fault
from channelbeat.core.schedule import BeatSchedule
from channelbeat.errors import UsageError
from channelbeat.manifests import Found


@dataclass(frozen=True, slots=True)
class Told:
    """One fault with its place; as text `file:document: path: sentence`."""

    found: Found
    fault: Fault

    def __str__(self) -> str:
        return f"{self.found.place}: {self.fault}"


@dataclass(frozen=True, slots=True)
class Gathered:
    """`found` in the order of the paths; `faults` in the same order, names given twice at the end."""

    found: Sequence[Found]
    faults: Sequence[Told]

    @property
    def schedules(self) -> Iterator[BeatSchedule]:
        """Those that can be used, without their faulty events."""
        return (one.parsed.schedule for one in self.found if one.parsed.schedule)


def gather(paths: Iterable[Path]) -> Gathered:
    """UsageError for a path that does not exist, and when there is nothing of ours in any of them."""
    paths = list(paths)
    found = [one for file in manifests.files(paths) for one in manifests.each(file)]
    if not found:
        raise UsageError(f"no BeatSchedule in {', '.join(map(str, paths))}: a manifest has `kind: BeatSchedule`, in a file called *.yaml, *.yml or *.json")
    faults = [Told(one, fault) for one in found for fault in one.faults()]
    for key, places in manifests.twice(found).items():
        others = [place.place for place in places]
        faults += [
            Told(place, Fault(".".join(filter(None, (place.item, "metadata.name"))), f"{key} is also in {others[0]}; rename one, or remove it"))
            for place in places[1:]
        ]
    return Gathered(found, faults)
