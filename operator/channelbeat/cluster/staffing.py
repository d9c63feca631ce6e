"""Which schedules have which workers, and which Deployments matter to them? A listener of the register; no I/O.

A schedule whose spec became unreadable, or that may not run here any more, keeps the workers of its last good spec: what waits is handled.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import is_
from typing import NamedTuple

from channelbeat.cluster.register import Seen
from channelbeat.core.crews import SUFFIX, Crew, Member, crews, deployment, member
from channelbeat.core.finding import Finding
from channelbeat.core.schedule import BeatSchedule


class Part(NamedTuple):
    """What matters of a Deployment. `whole`: it is, or is to be, that of a crew. `template`: its pods are copied."""

    whole: bool
    template: bool


class _Plan(NamedTuple):
    """Crews by their Deployment's key and by those of their schedules, and why a schedule has none."""

    crews: Mapping[str, Crew] = {}
    of: Mapping[str, Crew] = {}
    refused: Mapping[str, Finding] = {}
    all: Sequence[Crew] = ()


class Staffing:
    """`changed` is called when there may be other crews, or others `scaled` or `left_over`; crews are not made out before somebody asks for them."""

    def __init__(self) -> None:
        self.changed: Callable[[], object] = lambda: None
        self._members: dict[str, Member] = {}
        self._without: dict[str, str] = {}  # uids of schedules that have us make no workers
        self._unread: dict[str, str] = {}  # schedules that do not run and have no last good spec, and the Deployment that they name
        self._wholes: dict[str, set[str]] = {}  # Deployments, and the schedules that they matter to
        self._copied: dict[str, set[str]] = {}
        self._plan = _Plan()
        self._outdated = False

    def seen(self, seen: Seen) -> None:
        if seen.schedule is None or not seen.runs:
            if seen.key not in self._members:
                self._note(self._unread, seen.key, _target(seen.schedule) if seen.schedule is not None else "")
            return
        known, schedule = self._members.get(seen.key), seen.schedule
        worker = schedule.spec.worker
        self._note(self._unread, seen.key, None)
        self._note(self._without, seen.key, seen.uid if worker is None or worker.scale_target_ref is not None else None)
        if known is not None and known.uid == seen.uid and known.schedule is schedule:
            return
        self._drop(seen.key)
        if worker is not None:
            self._members[seen.key] = member(schedule, seen.uid, seen.created)
            self._wholes.setdefault(f"{schedule.namespace}/{deployment(schedule, worker)}", set()).add(seen.key)
            if worker.template_from:
                self._copied.setdefault(f"{schedule.namespace}/{worker.template_from.name}", set()).add(seen.key)
            self._outdate()

    def gone(self, key: str) -> None:
        self._note(self._without, key, None)
        self._note(self._unread, key, None)
        self._drop(key)

    def crews(self) -> Sequence[Crew]:
        """As they are now. One is the same object while nothing of it changed, and another if that was taken back, too: of what it names we may have
        forgotten some meanwhile."""
        if self._outdated:
            self._outdated = False
            found, refused = crews(self._members.values())
            before = self._plan.crews
            kept = {crew.key: known if (known := before.get(crew.key)) is not None and _untouched(known, crew) else crew for crew in found}
            self._plan = _Plan(kept, {one.schedule.key: crew for crew in kept.values() for one in crew.members}, refused, list(kept.values()))
        return self._plan.all

    def crew(self, deployment: str) -> Crew | None:
        return self._plan.crews.get(deployment)

    def current(self, crew: Crew) -> bool:
        """Whether its schedules are still as they were when crews were last made out: what is gone is to have no Deployment again."""
        return all(self._members.get(one.schedule.key) is one for one in crew.members)

    def crew_of(self, schedule: str) -> Crew | None:
        return self._plan.of.get(schedule)

    @property
    def refused(self) -> Mapping[str, Finding]:
        """Why schedules have no crew that ask for one, by their keys."""
        return self._plan.refused

    def copies(self, deployment: str) -> list[Crew]:
        """The crews that are copies of it."""
        return [crew for schedule in self._copied.get(deployment, ()) if (crew := self._plan.of.get(schedule))]

    def part(self, deployment: str) -> Part:
        """What matters of it."""
        return Part(deployment in self._wholes, deployment in self._copied)

    def named(self) -> set[str]:
        """Deployments that schedules copy or scale."""
        return {*self._copied, *(crew.key for crew in self._plan.all if crew.shared)}

    def scaled(self) -> "Scaled":
        """Deployments that schedules scale, or may."""
        unreadable = {key.partition("/")[0] for key, named in self._unread.items() if not named}
        return Scaled({crew.key for crew in self._plan.all if crew.shared} | {*self._unread.values()}, unreadable)

    def left_over(self, deployment: str, owner: str) -> bool:
        """Whether it was made for a schedule, of that uid, that makes no workers any more, or may not."""
        schedule = deployment.removesuffix(SUFFIX)
        if schedule == deployment or deployment in self._plan.crews:
            return False
        one = self._members.get(schedule) if schedule in self._plan.refused else None
        return owner in (self._without.get(schedule), one and one.uid)

    def _note(self, those: dict[str, str], key: str, value: str | None) -> None:
        """None: it is none of those. Schedules are seen again and again, and mostly nothing is another."""
        if those.get(key) == value:
            return
        if value is None:
            del those[key]
        else:
            those[key] = value
        self.changed()

    def _drop(self, key: str) -> None:
        one = self._members.pop(key, None)
        if one is None:
            return
        for index in (self._wholes, self._copied):
            for name in [name for name in _names(one.schedule) if key in index.get(name, ())]:
                index[name].discard(key)
                if not index[name]:
                    del index[name]
        self._outdate()

    def _outdate(self) -> None:
        self._outdated = True
        self.changed()


class Scaled:
    """Keys of Deployments; of the namespaces that have a schedule which nobody can read, all: it may name any."""

    def __init__(self, named: set[str], unreadable: set[str]) -> None:
        self._named, self._unreadable = named, unreadable

    def __contains__(self, key: object) -> bool:
        return key in self._named or str(key).partition("/")[0] in self._unreadable


def source_of(crew: Crew) -> str:
    """The Deployment that it copies; empty for none."""
    schedule = crew.members[0].schedule
    copied = None if crew.shared or schedule.spec.worker is None else schedule.spec.worker.template_from
    return f"{schedule.namespace}/{copied.name}" if copied else ""


def _untouched(known: Crew, crew: Crew) -> bool:
    return known.shared == crew.shared and len(known.members) == len(crew.members) and all(map(is_, known.members, crew.members))


def _names(schedule: BeatSchedule) -> list[str]:
    worker = schedule.spec.worker
    if worker is None:
        return []
    copied = [f"{schedule.namespace}/{worker.template_from.name}"] if worker.template_from else []
    return [f"{schedule.namespace}/{deployment(schedule, worker)}", *copied]


def _target(schedule: BeatSchedule) -> str:
    """The Deployment that it scales; a name that nothing has if there is none."""
    worker = schedule.spec.worker
    return f"{schedule.namespace}/{worker.scale_target_ref.name if worker and worker.scale_target_ref else ''}"
