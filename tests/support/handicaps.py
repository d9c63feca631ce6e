"""What may be wrong with a worker: to be called in its process, before it is made. `fleet.worker(before=["support.handicaps.NAME"])`."""

import time
from collections.abc import Callable
from contextlib import nullcontext

from channelbeat.broker.claims import Renewals
from channelbeat.worker.worker import Worker

HOUR = 3_600


def clock_an_hour_ahead() -> None:
    _set_clock(lambda: HOUR)


def clock_an_hour_behind() -> None:
    _set_clock(lambda: -HOUR)


def clock_that_jumps() -> None:
    """Every half a second, by two hours and by one hour back in turn: whatever begins when, within a second it seems to have taken an hour or more."""
    seconds = time.time  # noqa: TID251 - the clock itself
    began = seconds()

    def off() -> int:
        jumps = int((seconds() - began) * 2)
        return HOUR * (jumps // 2 + 2 * (jumps % 2))

    _set_clock(off)


def trusts_its_clock() -> None:
    """It takes for its lengths of time, too, what the clock says."""
    setattr(time, "monotonic_ns", time.time_ns)  # noqa: B010 - mypy would not have it otherwise, here and below


def _set_clock(off: Callable[[], int]) -> None:
    seconds, nanoseconds = time.time, time.time_ns  # noqa: TID251 - the clock itself
    setattr(time, "time", lambda: seconds() + off())  # noqa: B010
    setattr(time, "time_ns", lambda: nanoseconds() + off() * 10**9)  # noqa: B010


def renews_nothing() -> None:
    """And believes that all is well."""
    setattr(Renewals, "renew", lambda self, facts, held: dict.fromkeys(held, "kept"))  # noqa: B010


def deaf_to_sigterm() -> None:
    """It is not told; the process just ends."""
    setattr(Worker, "_signals", lambda self: nullcontext())  # noqa: B010
