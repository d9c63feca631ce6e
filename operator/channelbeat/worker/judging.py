"""Which attempts took too long, which of them do not end, and must the process? Pure."""

from collections.abc import Collection
from typing import Final, NamedTuple

from channelbeat.core.instants import SECOND, Ms
from channelbeat.worker.desk import Attempt

LAST: Final[Ms] = SECOND
"""For attempts that are asked to end when the time to stop is up: they have had theirs."""
TAIL: Final[Ms] = 10 * SECOND
"""For a worker that has nothing left to do, to be gone."""


class Verdict(NamedTuple):
    """`over`: to be interrupted, they took too long; `stuck`: were, and did not end; `ends`: why the process has to, empty if it need not."""

    over: tuple[Attempt, ...]
    stuck: tuple[Attempt, ...]
    ends: str


def judge(attempts: Collection[Attempt], *, now: Ms, grace: Ms, drain: Ms, up_at: Ms | None, stuck_since: Ms | None) -> Verdict:
    """`up_at`: when what is under way was asked to end, as the time to finish was up; `stuck_since`: when something was first found stuck.

    Not when the time was up: a process that stood still until long after that has asked nobody yet.
    """
    running = [attempt for attempt in attempts if attempt.done is None]
    over = tuple(attempt for attempt in running if attempt.over is None and attempt.claimed is not None and now >= attempt.started + attempt.claimed.timeout)
    stuck = tuple(attempt for attempt in running if attempt.over is not None and now >= attempt.over + grace)
    return Verdict(over, stuck, _ends(attempts, len(running), stuck, now, drain, up_at, stuck_since))


def _ends(attempts: Collection[Attempt], running: int, stuck: Collection[Attempt], now: Ms, drain: Ms, up_at: Ms | None, stuck_since: Ms | None) -> str:
    if stuck and len(stuck) == running:
        return "what takes too long cannot be interrupted, and nothing else is under way"
    if stuck and stuck_since is not None and now >= stuck_since + drain:
        return "what takes too long cannot be interrupted, and the time for the rest is up"
    if up_at is not None and attempts and now >= up_at + LAST:
        return "the time to finish is up, and what is under way cannot be interrupted"
    if up_at is not None and now >= up_at + LAST + TAIL:
        return "something in this process does not end"
    return ""
