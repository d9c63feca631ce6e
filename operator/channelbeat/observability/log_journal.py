"""The journal that writes to the log: what became of occurrences and runs, and what happens to layers.

Enqueued occurrences are of the level debug; what people or programs asked for (suspended, skipped) is info; what they would not want is a
warning. When thousands share a fate at once, the first ones have a line each, and the rest of that second one line together.
What was asked for goes on as long as somebody wants it: it is told of an event when it begins, and then once a minute.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from channelbeat.core import instants
from channelbeat.core.outcomes import Kind, Notice, Outcome, Reason, Sign
from channelbeat.core.runs import Finished, State
from channelbeat.observability import keys

log: Final = logging.getLogger("channelbeat.journal")

LINES: Final = 50
"""Of one kind in a second."""
DEBUG_LINES: Final = 1_000
"""The same of level debug, where somebody wants to see each."""
SECOND: Final = 1.0

AGAIN: Final = 60.0
KEPT: Final = 10_000
"""Of so many events it is known when that was told; of more, it is told again."""

_LEVELS: Final[Mapping[Kind, int]] = {Kind.ENQUEUED: logging.DEBUG, Kind.SUSPENDED: logging.INFO, Kind.SKIPPED: logging.INFO}
_ENDS: Final[Mapping[State, int]] = {State.SUCCEEDED: logging.DEBUG, State.CANCELLED: logging.INFO}

_NOTICES: Final = "notices"
_RUNS: Final = "runs"

Later = Callable[[float, Callable[[], None]], object]


def _later(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)


class LogJournal:
    """`later` calls something after so many seconds; `now` is in seconds."""

    def __init__(self, later: Later = _later, now: Callable[[], float] = time.monotonic) -> None:
        self._later, self._now = later, now
        self._told: dict[tuple[str, str, Kind, Reason], tuple[float, int]] = {}  # what was asked for: when it was told last, how often it was not since
        self._lines: dict[tuple[str, str], int] = {}  # in this second, by kind
        self._rest: dict[tuple[str, str], tuple[int, int, int]] = {}  # level, lines, what they count

    def record(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            level = _LEVELS.get(outcome.kind, logging.WARNING)
            told = self._once_a_minute(outcome) if level == logging.INFO else outcome
            if told is not None and self._may(level, told.kind, told.reason, told.count):
                log.log(level, "%s", _sentence(told), extra=_facts(told))

    def tell(self, notice: Notice) -> None:
        level = logging.INFO if notice.sign is Sign.LEADING else logging.WARNING
        if self._may(level, _NOTICES, notice.sign, 1):
            log.log(level, "%s", notice.text, extra={"layer": notice.layer, "sign": notice.sign} | _names(notice.event))

    def finished(self, runs: Sequence[Finished]) -> None:
        for run in runs:
            level = _ENDS.get(run.state, logging.WARNING)
            if self._may(level, _RUNS, run.state, 1):
                log.log(level, "%s", _ending(run), extra=_names(run.event) | {"run": run.run, "outcome": run.state})

    def _once_a_minute(self, outcome: Outcome) -> Outcome | None:
        """With all that were not told since the last; None if this is one of them."""
        key, now = (outcome.schedule, outcome.event, outcome.kind, outcome.reason), self._now()
        told, more = self._told.get(key, (None, 0))
        if told is not None and now - told < AGAIN:
            self._told[key] = (told, more + outcome.count)
            return None
        if len(self._told) >= KEPT:
            self._told.clear()
        self._told[key] = (now, 0)
        return outcome._replace(count=outcome.count + more)

    def _may(self, level: int, kind: str, reason: str, count: int) -> bool:
        """Is it to have a line of its own?"""
        if not log.isEnabledFor(level):
            return False
        if not self._lines:
            self._later(SECOND, self._sum_up)
        key = (kind, reason)
        lines = self._lines[key] = self._lines.get(key, 0) + 1
        if lines <= (DEBUG_LINES if level == logging.DEBUG else LINES):
            return True
        _, more, counted = self._rest.get(key, (level, 0, 0))
        self._rest[key] = (level, more + 1, counted + count)
        return False

    def _sum_up(self) -> None:
        """A second is over."""
        rest, self._rest = self._rest, {}
        self._lines.clear()
        for (kind, reason), (level, lines, count) in rest.items():
            what, extra = _summary(kind, reason, count)
            log.log(level, "%s lines more within a second: %s; the metrics count each", f"{lines:,}", what, extra=extra)


def _summary(kind: str, reason: str, count: int) -> tuple[str, dict[str, Any]]:
    if kind == _NOTICES:
        return f"notices {reason}", {"sign": reason, "count": count}
    if kind == _RUNS:
        return f"runs {reason}", {"outcome": reason, "count": count}
    why = f" ({reason})" if reason else ""
    return f"{count:,} times {kind}{why}", {"outcome": kind, "reason": reason or None, "count": count}


def _sentence(outcome: Outcome) -> str:
    """`shop/thumbnails nightly missed (Superseded) 3 times, the last due 2026-11-21T01:30:00Z`."""
    words = [f"{outcome.schedule} {outcome.event} {outcome.kind}"]
    if outcome.reason is not Reason.NONE:
        words.append(f" ({outcome.reason})")
    if outcome.count > 1 or outcome.at_least:
        words.append(f" {'at least ' if outcome.at_least else ''}{outcome.count:,} times, the last")
    else:
        words.append(",")
    asked = outcome.run is not None and "/trigger-" in outcome.run
    words.append(f" {'asked for at' if asked else 'due'} {instants.text(outcome.due)}")
    if outcome.lateness is not None:
        words.append(f", {outcome.lateness:,} ms late")
    return "".join(words) + (f": {outcome.note}" if outcome.note else "")


def _facts(outcome: Outcome) -> dict[str, Any]:
    namespace, schedule, event = keys.of_schedule(outcome.schedule, outcome.event)
    return {
        "namespace": namespace,
        "schedule": schedule,
        "event": event,
        "run": outcome.run,
        "due": instants.text(outcome.due),
        "outcome": outcome.kind,
        "reason": outcome.reason or None,
        "latenessMs": outcome.lateness,
        "count": outcome.count,
    }


def _names(event: str) -> dict[str, Any]:
    """Of an event's key, or of nothing."""
    return {key: value for key, value in keys.of_event(event)._asdict().items() if value}


def _ending(run: Finished) -> str:
    """`shop/thumbnails nightly dead after 4 attempts: ValueError: boom`."""
    schedule, _, event = run.event.rpartition("/")
    what = f"{schedule} {event}" if run.event else f"a run for channel {run.channel}"
    tries = f" after {run.attempts:,} attempt{'' if run.attempts == 1 else 's'}" if run.attempts else ""
    return f"{what} {run.state}{tries}{f': {run.error}' if run.error else ''}"
