"""What has been recorded of which event since its status was last written? Called for every firing, so it does next to nothing."""

from collections.abc import Container, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

from channelbeat.core.outcomes import Outcome
from channelbeat.core.runs import Finished, State
from channelbeat.core.tally import Tally, counts

Tallies: TypeAlias = Mapping[str, Tally]
"""By the event's name."""
NOTHING: Final[Tallies] = MappingProxyType({})
_TOLD: Final = frozenset({State.SUCCEEDED, State.DEAD})


class Ledger:
    """By `namespace/name` of the schedule, for those that are `known`. What is taken out is written; what could not be is put back."""

    def __init__(self, known: Container[str]) -> None:
        self._known = known
        self._kept: dict[str, dict[str, Tally]] = {}

    def record(self, outcomes: Sequence[Outcome]) -> Iterator[str]:
        """The schedules of which something is to be written; some more than once."""
        for outcome in outcomes:
            if counts(outcome) and outcome.schedule in self._known:
                self._tally(outcome.schedule, outcome.event).record(outcome)
                yield outcome.schedule

    def finished(self, runs: Sequence[Finished]) -> Iterator[tuple[str, bool]]:
        """The same; True where the event is paused by it."""
        for run in runs:
            schedule, _, event = run.event.rpartition("/")
            if schedule in self._known and run.state in _TOLD:
                self._tally(schedule, event).finished(run)
                yield schedule, run.paused

    def answered(self, schedule: str, event: str, text: str) -> None:
        self._tally(schedule, event).answered = text

    def forget_answers(self) -> None:
        """Those that are not written yet."""
        for events in self._kept.values():
            for tally in events.values():
                tally.answered = ""

    def take(self, schedule: str) -> Tallies:
        return self._kept.pop(schedule, NOTHING)

    def put_back(self, schedule: str, tallies: Tallies) -> None:
        """What was recorded since comes after it."""
        for event, older in tallies.items():
            self._tally(schedule, event).after(older)

    def drop(self, schedule: str) -> None:
        self._kept.pop(schedule, None)

    def _tally(self, schedule: str, event: str) -> Tally:
        events = self._kept.get(schedule)
        if events is None:
            events = self._kept[schedule] = {}
        tally = events.get(event)
        if tally is None:
            tally = events[event] = Tally()
        return tally
