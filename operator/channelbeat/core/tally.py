"""What became of one event since its status was last written. Kept for tens of thousands of events, so it is small; and changed in place."""

from dataclasses import dataclass
from typing import Final

from channelbeat.core.instants import Ms
from channelbeat.core.outcomes import Kind, Outcome, Reason
from channelbeat.core.runs import Finished, State

NOT_SENT: Final = frozenset({Kind.MISSED, Kind.SKIPPED, Kind.FAILED, Kind.UNKNOWN, Kind.LOST})
"""What the status counts as not sent. Not what was suspended (or paused), because somebody wanted that; and no triggers, which are no
occurrences. `unknown` and `lost` may have been sent: they are counted, because nobody can say that they were."""


def counts(outcome: Outcome) -> bool:
    """Does it change what a status says of its event?"""
    if outcome.kind is Kind.ENQUEUED:
        return outcome.reason is not Reason.TRIGGERED
    return outcome.kind in NOT_SENT and (outcome.run is None or "/trigger-" not in outcome.run)


@dataclass(slots=True)
class Tally:
    """`last`: the youngest due time that was enqueued, 0 for none. `success`: when a run last succeeded, 0 for none. `dead`: runs that are,
    since the last one that succeeded; `failure` is the youngest of them. `paused`: when one of them paused the event, 0 if none did.
    `answered`: what became of a trigger."""

    last: Ms = 0
    not_sent: int = 0
    success: Ms = 0
    dead: int = 0
    failure: Finished | None = None
    paused: Ms = 0
    answered: str = ""

    def record(self, outcome: Outcome) -> None:
        """One that counts."""
        if outcome.kind is Kind.ENQUEUED:
            self.last = max(self.last, outcome.due)
        else:
            self.not_sent += outcome.count

    def finished(self, run: Finished) -> None:
        if run.state is State.SUCCEEDED:
            self.success, self.dead = run.at, 0  # a pause does not end by it
        elif run.state is State.DEAD:
            self.dead, self.failure = self.dead + 1, run
            self.paused = run.at if run.paused else self.paused

    def after(self, older: "Tally") -> None:
        """What came before is to count, too."""
        self.last = max(self.last, older.last)
        self.not_sent += older.not_sent
        if not self.success:
            self.success, self.dead = older.success, older.dead + self.dead
        self.paused = self.paused or older.paused
        self.failure = self.failure or older.failure
        self.answered = self.answered or older.answered
