"""Which Deployments handle the events of which schedules? Most schedules have one of their own; those that name the same one share it; those that
have none are guests of whoever listens on their channel. Pure.

A channel of a layer has one maker: the schedule that was created first. Workers of the others would listen on it besides, and be scaled for the
same backlog a second time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from channelbeat.core.finding import Finding
from channelbeat.core.instants import Ms
from channelbeat.core.scaling import Place
from channelbeat.core.schedule import BeatSchedule, Scaling, Worker

SUFFIX: Final = "-worker"
ALWAYS_ONE: Final = Scaling(min_replicas=1, max_replicas=1)
"""Of a schedule that says nothing of its workers: whoever brings them has one."""


@dataclass(frozen=True, slots=True)
class Member:
    """A schedule whose events these workers handle. `places`: where they listen for it."""

    schedule: BeatSchedule
    uid: str
    created: Ms
    places: tuple[Place, ...]

    @property
    def scaling(self) -> Scaling:
        worker = self.schedule.spec.worker
        return ALWAYS_ONE if worker is None else worker.scaling

    @property
    def handles_its_own(self) -> bool:
        """Whether these workers handle what it sends."""
        return sender(self.schedule).place in self.places


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers of one Deployment. `key`: `namespace/deployment`. `shared`: it is somebody else's, and we only scale it."""

    key: str
    members: tuple[Member, ...]
    shared: bool


class Sender(NamedTuple):
    """A schedule, by its key, and where it sends to; for a group the channel is empty. `plain`: messages of the layer's own, which expire."""

    schedule: str
    place: Place
    plain: bool


def member(schedule: BeatSchedule, uid: str, created: Ms) -> Member:
    """Its workers listen on what it names for them, else on its own channel."""
    spec = schedule.spec
    own = () if spec.channel is None else (spec.channel,)
    channels = own if spec.worker is None else spec.worker.channels or own
    return Member(schedule, uid, created, tuple(Place(spec.channel_layer.name, channel) for channel in channels))


def made(schedule: BeatSchedule) -> str:
    """The name of the Deployment that is made for it."""
    return f"{schedule.name}{SUFFIX}"


def deployment(schedule: BeatSchedule, worker: Worker) -> str:
    """The name of the one that handles its events."""
    return made(schedule) if worker.scale_target_ref is None else worker.scale_target_ref.name


def crews(members: Iterable[Member]) -> tuple[list[Crew], dict[str, Finding]]:
    """And why a schedule has none, by its key. One that says nothing of workers has none either."""
    made: dict[str, Crew] = {}
    shared: dict[str, list[Member]] = {}
    makers: dict[Place, Member] = {}
    refused: dict[str, Finding] = {}
    for one in sorted(members, key=lambda one: (one.created, one.schedule.key)):
        worker = one.schedule.spec.worker
        if worker is None:
            continue
        key = f"{one.schedule.namespace}/{deployment(one.schedule, worker)}"
        if worker.scale_target_ref is not None:
            shared.setdefault(key, []).append(one)
        elif taken := next((place for place in one.places if place in makers), None):
            refused[one.schedule.key] = _taken(taken, makers[taken], one)
        else:
            makers |= dict.fromkeys(one.places, one)
            made[key] = Crew(key, (one,), shared=False)
    for key in shared.keys() & made.keys():
        owner = made[key].members[0].schedule
        refused |= {one.schedule.key: _ours(key, owner) for one in shared.pop(key)}
    return [*made.values(), *(Crew(key, tuple(those), shared=True) for key, those in shared.items())], refused


def sender(schedule: BeatSchedule) -> Sender:
    spec = schedule.spec
    return Sender(schedule.key, Place(spec.channel_layer.name, spec.channel or ""), spec.delivery == "BestEffort")


def guests(crews: Sequence[Crew], schedules: Iterable[BeatSchedule]) -> dict[str, list[Sender]]:
    """Who sends to a crew's channels and has no workers there, by the key of the crew; of several that listen on the same channel, the first."""
    hosts = {place: crew.key for crew in reversed(crews) for member in crew.members for place in member.places}
    channels = {place.channel for place in hosts}
    manned = {member.schedule.key for crew in crews for member in crew.members if member.handles_its_own}
    found: dict[str, list[Sender]] = {}
    for one in (sender(schedule) for schedule in schedules if schedule.spec.channel in channels):
        if one.place in hosts and one.schedule not in manned:
            found.setdefault(hosts[one.place], []).append(one)
    return found


def _taken(place: Place, maker: Member, other: Member) -> Finding:
    first = "which was created earlier" if maker.created < other.created else "which was created in the same second and comes first by its name"
    return Finding(
        "ChannelTaken",
        f"spec.worker: schedule {maker.schedule.key}, {first}, makes workers for channel {place.channel!r} of layer {place.layer!r} already. "
        "They handle what this schedule sends there, too: remove spec.worker here, "
        f"or let both name one Deployment of your own, in one namespace, with spec.worker.scaleTargetRef (this is for workers, events are sent in any case)",
    )


def _ours(key: str, owner: BeatSchedule) -> Finding:
    return Finding(
        "TargetTaken",
        f"spec.worker.scaleTargetRef.name: Deployment {key} is made and scaled by channelbeat for schedule {owner.key}: "
        "remove spec.worker here, and list the channel in that schedule's spec.worker.channels if its workers do not listen on it yet",
    )
