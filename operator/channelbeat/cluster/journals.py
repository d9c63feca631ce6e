"""What becomes of occurrences, told to several at once."""

from collections.abc import Sequence

from channelbeat.core.outcomes import Notice, Outcome
from channelbeat.core.runs import Finished
from channelbeat.engine.ports import Journal


class Journals:
    """A Journal that hands on. `to` is filled before the engine runs."""

    def __init__(self) -> None:
        self.to: list[Journal] = []

    def record(self, outcomes: Sequence[Outcome]) -> None:
        for journal in self.to:
            journal.record(outcomes)

    def tell(self, notice: Notice) -> None:
        for journal in self.to:
            journal.tell(notice)

    def finished(self, runs: Sequence[Finished]) -> None:
        for journal in self.to:
            journal.finished(runs)
