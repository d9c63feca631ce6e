"""The Workloads of one machine: a worker is a process. Told how many are called for, it starts those that are missing, and ends who is idle first.

Crews are told to people when they change, with the reason.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Final

from channelbeat.core.crews import Crew
from channelbeat.core.scaling import Decision
from channelbeat.core.warming import Starts
from channelbeat.engine.ports import Observed
from channelbeat.local.processes import State, Workers
from channelbeat.local.staff import Staff
from channelbeat.local.workers import Job, Place, Team


@dataclass(frozen=True, slots=True)
class _Roll:
    """`replicas` are called for; `numbers` are those of the processes that are to be there."""

    replicas: int
    numbers: frozenset[int]


NOBODY: Final = _Roll(0, frozenset())
ONE: Final = _Roll(1, frozenset({1}))


class Crews:
    """`busy` names the processes of a crew that have work in hand."""

    def __init__(self, staff: Staff, workers: Workers, *, busy: Callable[[str], Collection[str]], say: Callable[[str], None]) -> None:
        self._staff, self._workers, self._busy, self._say = staff, workers, busy, say
        self._teams: dict[str, Team] = {}
        self._rolls: dict[str, _Roll] = {}
        self._crews: list[Crew] = []

    def use(self, teams: Sequence[Team]) -> None:
        """There are no others from now on. Who goes on has the processes that it had."""
        before = self._teams
        self._teams = {team.schedule: known if (known := before.get(team.schedule)) == team else team for team in teams}
        self._rolls = {key: self._kept(team) for key, team in self._teams.items()}
        self._crews = [team.crew for team in self._teams.values() if team.crew is not None]
        self._staff.check([job for team in teams for job in team.jobs])
        self._start()

    def crews(self) -> Sequence[Crew]:
        return self._crews

    def observe(self, crew: Crew) -> Observed | None:
        """None until it is known that its project hears us."""
        team = self._teams.get(crew.key)
        if team is None or not all(map(self._staff.may_start, team.jobs)):
            return None
        roll = self._rolls[crew.key]
        running = [place for place in team.processes(roll.numbers) if self._workers.states.get(place) is State.RUNNING]
        return Observed(roll.replicas, len(running) // len(team.jobs))

    def want(self, crew: Crew, decision: Decision, starts: Starts) -> None:
        """`starts` need not be kept: whoever decides here is the only one."""
        if (team := self._teams.get(crew.key)) is None:
            return
        numbers = self._rolls[crew.key].numbers
        self._rolls[crew.key] = roll = self._sized(team, numbers, decision.desired)
        if roll.numbers != numbers:
            self._say(f"workers of {crew.key} {len(numbers)} -> {len(roll.numbers)}: {decision.sentence}")
            self._start()

    def _kept(self, team: Team) -> _Roll:
        roll = self._rolls.get(team.schedule, NOBODY)
        return ONE if team.crew is None else self._sized(team, roll.numbers, roll.replicas)

    def _sized(self, team: Team, numbers: frozenset[int], replicas: int) -> _Roll:
        """The youngest of those that are idle go first. The place of one that still drains is not free."""
        size, place = team.most(replicas), team.jobs[0].place
        if size == len(numbers):
            return _Roll(replicas, numbers)
        if size > len(numbers):
            taken = numbers | {ending.number for ending in self._workers.ending() if ending._replace(number=1) == place}
            free = (number for number in count(1) if number not in taken)
            return _Roll(replicas, numbers | {*islice(free, size - len(numbers))})
        busy = self._busy(team.schedule)
        return _Roll(replicas, frozenset(sorted(numbers, key=lambda number: (str(place._replace(number=number)) not in busy, number))[:size]))

    def _start(self) -> None:
        jobs: dict[Place, Job] = {}
        for team in self._teams.values():
            jobs |= team.processes(sorted(self._rolls[team.schedule].numbers))
        self._staff.start(jobs)
