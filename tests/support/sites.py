"""Where workers come from, in a test: what the suite of Workloads needs beside it, and one that keeps workers in memory."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from channelbeat.core.crews import Crew, crews, member
from channelbeat.core.instants import Ms
from channelbeat.core.scaling import Decision
from channelbeat.core.schedule import BeatSchedule
from channelbeat.core.warming import Starts
from channelbeat.engine.ports import Observed, Workloads


class Site(Protocol):
    """`workloads` follow `put` and `remove` at once or soon after. Schedules are of namespace `default`, and have a worker block that the
    implementation can make workers of."""

    @property
    def workloads(self) -> Workloads: ...

    @property
    def becomes_ready(self) -> bool:
        """Are there machines on which workers get ready?"""

    async def put(self, schedule: BeatSchedule) -> None:
        """It is made, or replaces its namesake."""

    async def remove(self, key: str) -> None: ...
    def started(self) -> int:
        """How often something was done so that workers come or go, since the beginning."""


class Memory:
    """Workloads of numbers: who is wanted is there at once, and ready when `ready` says so. Also a Site."""

    becomes_ready = True

    def __init__(self, *schedules: BeatSchedule, ready: bool = True) -> None:
        self.ready = ready
        self.blind = set[str]()
        """Keys of crews of which nobody can tell anything now."""
        self.wanted: dict[str, list[Decision]] = {}
        self.kept: dict[str, Starts] = {}
        self._members = {one.key: member(one, f"uid-{one.key}", number) for number, one in enumerate(schedules)}
        self._crews: Sequence[Crew] = ()
        self._replicas = Counter[str]()
        self._started = 0
        self._muster()

    @property
    def workloads(self) -> "Memory":
        return self

    def crews(self) -> Sequence[Crew]:
        return self._crews

    def observe(self, crew: Crew) -> Observed | None:
        if crew.key in self.blind:
            return None
        return Observed(self._replicas[crew.key], self._replicas[crew.key] if self.ready else 0)

    def want(self, crew: Crew, decision: Decision, starts: Starts) -> None:
        self.wanted.setdefault(crew.key, []).append(decision)
        self.kept[crew.key] = starts
        self.have(crew.key, decision.desired)

    def have(self, key: str, replicas: int) -> None:
        """So many are there from now on, whoever wants it; of one that has gone, nobody."""
        if all(crew.key != key for crew in self._crews):
            return
        self._started += self._replicas[key] != replicas
        self._replicas[key] = replicas

    async def put(self, schedule: BeatSchedule) -> None:
        self.set(schedule)

    def set(self, schedule: BeatSchedule, created: Ms = 0) -> None:
        self._members[schedule.key] = member(schedule, f"uid-{schedule.key}", created)
        self._muster()

    async def remove(self, key: str) -> None:
        self._members.pop(key, None)
        self._muster()

    def started(self) -> int:
        return self._started

    def numbers(self, key: str) -> list[int]:
        """What was wanted, one after the other, repetitions left out."""
        found: list[int] = []
        for decision in self.wanted.get(key, ()):
            if found[-1:] != [decision.desired]:
                found.append(decision.desired)
        return found

    def _muster(self) -> None:
        """The same objects where nothing changed."""
        before = {crew.key: crew for crew in self._crews}
        found: Iterable[Crew] = crews(self._members.values())[0]
        self._crews = [before[crew.key] if before.get(crew.key) == crew else crew for crew in found]
        self._replicas = Counter({crew.key: self._replicas[crew.key] for crew in self._crews})
