"""Runs: occurrences that are in channelbeat's own queue, what may become of them, and what is known of one. A leaf.

A run is handled until it succeeds, is out of attempts (then it is kept as dead), or was not started by its deadline.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple, TypeAlias

from channelbeat.core.instants import MINUTE, SECOND, Ms

Overlap: TypeAlias = Literal["Allow", "Skip", "BufferOne"]


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"  # an attempt failed, the next has its time
    DELAYED = "delayed"  # a one-off run whose time has not come
    BUFFERED = "buffered"  # it waits until the event's other run has ended
    SUCCEEDED = "succeeded"
    DEAD = "dead"  # out of attempts, or not to be read; kept, and can be retried
    EXPIRED = "expired"  # not started by its deadline
    CANCELLED = "cancelled"


FINAL: Final = frozenset({State.SUCCEEDED, State.DEAD, State.EXPIRED, State.CANCELLED})


class Policy(NamedTuple):
    """How a run is to be handled; it travels in the run's record, so that it outlives its schedule.

    `limit` retries after the first attempt, the wait doubling from `backoff` up to `max_backoff`; an attempt may take
    `timeout`; not started within `start_deadline` of its due time (0: never), it expires. `pause_after` dead runs in a
    row pause the event (0: never) as long as its `version` is this one.
    """

    limit: int = 3
    backoff: Ms = 5 * SECOND
    max_backoff: Ms = 10 * MINUTE
    timeout: Ms = 10 * MINUTE
    start_deadline: Ms = 0
    overlap: Overlap = "Allow"
    pause_after: int = 0
    version: str = "-"

    def text(self) -> str:
        """As it stands in a run's record."""
        return " ".join(str(part) for part in self)

    @classmethod
    def read(cls, text: str) -> "Policy":
        limit, backoff, most, timeout, deadline, overlap, pause, version = text.split(" ")
        return cls(int(limit), int(backoff), int(most), int(timeout), int(deadline), overlap, int(pause), version)  # type: ignore[arg-type]


class Finished(NamedTuple):
    """A run that came to its end. `event` is empty for a one-off; `error` a line, empty for none; `paused`: its event is, by this."""

    run: str
    event: str
    channel: str
    state: State
    attempts: int
    at: Ms
    error: str
    paused: bool


class Stats(NamedTuple):
    """Of one event, since its store began: runs that ended, attempts that failed, and how many are `running` and `retrying` now.
    `paused`: since when it is, None if it is not; so it is while its policy has this `version`."""

    ok: int = 0
    failed: int = 0
    dead: int = 0
    expired: int = 0
    cancelled: int = 0
    running: int = 0
    retrying: int = 0
    last_success: Ms | None = None
    last_failure: Ms | None = None
    paused: Ms | None = None
    version: str = ""


class Sweep(NamedTuple):
    """What a sweep did: runs whose time had come were `queued`, so were those whose worker vanished (`lost`), or they are `dead`.
    `next`: when the next delayed run is due, by Redis's clock; `more`: there is more to do at once."""

    queued: int
    lost: int
    dead: int
    next: Ms | None
    more: bool


class Attempt(NamedTuple):
    """One worker's turn. `worker` is HOST:PID; `how` it ended: succeeded, failed, timeout, dead (not to be read), lost (its worker
    vanished), given back, cancelled; empty while it runs."""

    number: int
    worker: str
    started: Ms
    ended: Ms | None
    how: str
    error: str


@dataclass(frozen=True, slots=True)
class Run:
    """What Redis knows of a run. `at`: since when it is queued, until when it is claimed, or when it goes on. `attempts` are those that
    count against the policy's limit; a turn that was given back does not. `error` is a line, `trace` the end of a traceback."""

    id: str
    event: str
    channel: str
    state: State
    due: Ms
    enqueued: Ms
    at: Ms | None
    attempts: int
    policy: Policy
    error: str | None = None
    trace: str | None = None
    result: str | None = None
    finished: Ms | None = None
    history: tuple[Attempt, ...] = ()
