"""What people and programs are told by `channelbeat local`: it is the journal, and the voice of files and workers.

`-o text`: a line an outcome, a line a worker's line, and a line a run that ended dead or expired, on stdout; on a terminal a live table
instead (screen.py), above which worker lines and whatever was not enqueued, or not handled, scroll by. Notices and faults go to stderr.

`-o json`: stdout has outcomes and nothing else, an object a line: `at`, `due` (RFC 3339), `schedule`, `event`, `run` (null when nothing was
enqueued), `outcome` and `reason` (the words of core/outcomes.py; no reason is ""), `latenessMs` (null unless enqueued), `count` (occurrences
that share this fate, `due` being the last's), `atLeast` (there are more than `count`), `note` (a sentence or ""). Worker lines, lost
runs, notices and faults are text on stderr.
"""

import json
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final, Literal, TypeAlias, TypeVar

from channelbeat.core import instants
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.outcomes import Kind, Notice, Outcome, Reason, Sign, facts
from channelbeat.core.runs import FINAL, Finished, State
from channelbeat.core.timing import durations
from channelbeat.local.output import Output
from channelbeat.local.workers import Place

T = TypeVar("T")

Style: TypeAlias = Literal["lines", "table", "json"]

_AILMENTS: Final = (Sign.AWAY, Sign.WRITES_REFUSED, Sign.TAKEN, Sign.REFUSED)
AT_ONCE: Final = 50
"""Outcomes of a piece of output: after each, the thread that writes lets the engine's go on."""


@dataclass(frozen=True, slots=True)
class Last:
    """The youngest run of an event."""

    at: Ms
    lateness: Ms


class Console:
    """Cheap: what is to be written is made in the output's thread."""

    def __init__(self, output: Output, style: Style) -> None:
        self._output = output
        self._style = style
        self._tally: Counter[Kind] = Counter()
        self._ends: Counter[State] = Counter()
        self._latest: Ms = 0
        self._ailing = set[str]()  # layers that cannot be sent to
        self.last: dict[tuple[str, str], Last] = {}

    def record(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._tally[outcome.kind] += outcome.count
            if outcome.kind is Kind.ENQUEUED:
                late = outcome.lateness or 0
                self._latest = max(self._latest, late)
                self.last[outcome.schedule, outcome.event] = Last(outcome.at, late)
        if self._style == "table":
            outcomes = [outcome for outcome in outcomes if outcome.kind is not Kind.ENQUEUED]
        text = as_json if self._style == "json" else as_text
        for start in range(0, len(outcomes), AT_ONCE):
            self._output.put(partial(_lines, text, outcomes[start : start + AT_ONCE]))

    def finished(self, runs: Sequence[Finished]) -> None:
        self._ends.update(run.state for run in runs)
        lost = [run for run in runs if run.state in (State.DEAD, State.EXPIRED)]
        for start in range(0, len(lost), AT_ONCE):
            self._output.put(partial(_lines, as_loss, lost[start : start + AT_ONCE]), error=self._style == "json")

    def tell(self, notice: Notice) -> None:
        if notice.sign is Sign.LEADING:
            self._ailing.discard(notice.layer)
        elif notice.sign in _AILMENTS:
            self._ailing.add(notice.layer)
        self.say(notice.text)

    def say(self, text: str) -> None:
        """Something of our own; may have several lines."""
        self._output.put(f"channelbeat: {text}\n", error=True)

    def heard(self, place: Place, line: str) -> None:
        """A worker's line."""
        self._output.put(f"[{place}] {line}\n", error=self._style == "json")

    def summary(self, lasted: Ms) -> None:
        """The last words."""
        idle = "nothing was decided" if self._ailing else "nothing was due"
        found = [f"{number:,} {kind}" for kind in Kind if (number := self._tally[kind])] or [idle]
        late = f" (at most {self._latest:,} ms late)" if self._tally[Kind.ENQUEUED] else ""
        ends = [f"{number:,} {state}" for state in State if state in FINAL and (number := self._ends[state])]
        runs = f"; of the runs that ended, {', '.join(ends)}" if ends else ""
        self.say(f"stopped after {durations.text(lasted // SECOND * SECOND)}: {', '.join(found)}{late}{runs}")
        for layer in sorted(self._ailing):
            self.say(f"layer {layer!r} could not be sent to at the end: what falls due there is decided when it can")


def _lines(text: Callable[[T], str], things: Sequence[T]) -> str:
    return "".join(f"{text(thing)}\n" for thing in things)


def as_json(outcome: Outcome) -> str:
    return json.dumps(facts(outcome))


def as_text(outcome: Outcome) -> str:
    """`14:30:00.004 default/thumbnails generate enqueued, due 14:30:00, 4 ms late`, in the user's zone."""
    words = [f"{clock(outcome.at)} {outcome.schedule} {outcome.event} {outcome.kind}"]
    if outcome.reason is not Reason.NONE:
        words.append(f" ({outcome.reason})")
    if outcome.count > 1 or outcome.at_least:
        words.append(f" {'at least ' if outcome.at_least else ''}{outcome.count:,} times, the last")
    words.append(f", due {clock(outcome.due, near=outcome.at)}" if outcome.reason is not Reason.TRIGGERED else "")
    if outcome.lateness is not None:
        words.append(f", {outcome.lateness:,} ms late")
    if outcome.note:
        words.append(f": {outcome.note}")
    return "".join(words)


def as_loss(run: Finished) -> str:
    """`14:30:01.120 shop/thumbnails nightly dead after 4 attempts: ValueError: boom (channelbeat run show ID)`."""
    schedule, _, event = run.event.rpartition("/")
    what = f"{schedule} {event}" if run.event else f"a run for channel {run.channel}"
    tries = f" after {run.attempts:,} attempt{'' if run.attempts == 1 else 's'}" if run.attempts else ""
    return f"{clock(run.at)} {what} {run.state}{tries}{f': {run.error}' if run.error else ''} (channelbeat run show {shlex.quote(run.run)})"


@lru_cache(4096)
def clock(at: Ms, near: Ms | None = None) -> str:
    """The time of day in the user's zone, with the day where that is not `near`'s; milliseconds where there are any."""
    moment = instants.to_datetime(at).astimezone()
    fraction = f".{at % SECOND:03d}" if at % SECOND else ""
    other_day = near is not None and instants.to_datetime(near).astimezone().date() != moment.date()
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}" if other_day else f"{moment:%H:%M:%S}{fraction}"
