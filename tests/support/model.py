"""What may and must become of every due time, kept in dictionaries beside the engine and checked against what it does.

A **life** is a stretch of time during which an event had one timing. Moments are the test's; ticks count what happened,
so that order is known where the clock stands still.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from channelbeat.core import instants
from channelbeat.core.definition import Definition
from channelbeat.core.instants import MINUTE, Ms
from channelbeat.core.outcomes import Kind, Outcome, Reason

UNTIL_NOW: Ms = 1 << 60


@dataclass
class Life:
    """`start` is excluded, `end` included, as an edit at 12:00 leaves what is due at 12:00 to the earlier life."""

    definition: Definition
    start: Ms
    end: Ms = UNTIL_NOW

    def dues(self, until: Ms) -> list[Ms]:
        """What has been due in it, and should have been sent by `until`."""
        found, timetable = [], self.definition.timetable
        occurrence = timetable.next(self.start)
        while occurrence is not None and occurrence.due <= self.end and occurrence.fires <= until:
            found.append(occurrence.due)
            occurrence = timetable.next(occurrence.due)
        return found


class Sent(NamedTuple):
    tick: int
    at: Ms


class Told(NamedTuple):
    tick: int
    word: str
    teller: object


class Restored(NamedTuple):
    """At `tick`, the store was put back to what it held at `snapshot`, an earlier tick."""

    tick: int
    snapshot: int


@dataclass
class Model:
    lives: defaultdict[str, list[Life]] = field(default_factory=lambda: defaultdict(list))
    sent: defaultdict[str, list[Sent]] = field(default_factory=lambda: defaultdict(list))
    told: defaultdict[tuple[str, Ms], list[Told]] = field(default_factory=lambda: defaultdict(list))
    restores: list[Restored] = field(default_factory=list)
    wiped: bool = False
    tick: int = 0
    excused: defaultdict[str, list[tuple[Ms, Ms]]] = field(default_factory=lambda: defaultdict(list))
    contested: defaultdict[str, list[tuple[Ms, Ms]]] = field(default_factory=lambda: defaultdict(list))
    """Due times that one process asked for without an answer while there was another: either may count them, or both."""
    loose: dict[str, Ms] = field(default_factory=dict)
    replays_only_after: Ms | None = None
    """When one process saw all since the last restore: what it had sent before this moment it does not send again."""

    def living(self, event: str) -> Life | None:
        lives = self.lives.get(event)
        return lives[-1] if lives and lives[-1].end == UNTIL_NOW else None

    def begin(self, definition: Definition, start: Ms) -> None:
        """The event runs as `definition`; nothing changes if its timing is the same."""
        life = self.living(definition.key)
        if life is not None and life.definition.hash == definition.hash:
            return
        self.end(definition.key, start)
        self.lives[definition.key].append(Life(definition, start))

    def end(self, event: str, at: Ms) -> None:
        life = self.living(event)
        if life is not None:
            life.end = at

    # What happened

    def message(self, run: str, at: Ms) -> None:
        """A message was found that was not there before."""
        event, _, when = run.rpartition("/")
        earlier = self.sent[run]
        trigger = when.startswith("trigger-")
        assert not earlier or self._forgot(earlier[-1].tick) or (trigger and self.wiped), f"{run} was sent twice"
        if not trigger:
            due = instants.parse(when)
            assert any(life.start < due <= life.end and not life.definition.suspended for life in self.lives[event]), f"{run} was a surprise"
            assert self._alive_at(event, due).end >= at, f"{run} was made up for after an edit"
        self.sent[run].append(Sent(self.tick, at))

    def outcome(self, outcome: Outcome, teller: object) -> None:
        """A process told what became of an occurrence, or of several."""
        if outcome.kind is Kind.HELD or "/trigger-" in (outcome.run or ""):
            return
        word = f"{outcome.kind}/{outcome.reason}"
        if outcome.kind is Kind.LOST or outcome.reason is Reason.REPLAYED:
            assert self.restores, f"{outcome} and nothing was restored"
            return
        event = f"{outcome.schedule}/{outcome.event}"
        life = self._alive_at(event, outcome.due)
        due = outcome.due
        for _ in range(outcome.count):
            assert life.start < due, f"{outcome} counts {instants.text(due)}, which was before its time"
            assert life.definition.timetable.count(due - 1, due)[0] == 1, f"{outcome} counts {instants.text(due)}, which was not due"
            earlier = self.told[event, due]
            contested = any(start < due <= end for start, end in self.contested[event])
            unsure = outcome.reason is Reason.STORE_WIPED and all(told.teller is not teller for told in earlier)
            assert not earlier or contested or unsure or self._forgot(earlier[-1].tick), f"{outcome} counts {instants.text(due)}, which was {earlier}"
            earlier.append(Told(self.tick, word, teller))
            before = life.definition.timetable.rule.last(life.start - MINUTE * 60 * 24, due - 1)
            due = before if before is not None else life.start

    def _alive_at(self, event: str, due: Ms) -> Life:
        return next(life for life in self.lives[event] if life.start < due <= life.end)

    def _forgot(self, tick: int) -> bool:
        """May the store have lost what happened at `tick`?"""
        return any(restored.snapshot < tick <= restored.tick for restored in self.restores)

    # What must be so in the end

    def unaccounted(self, until: Ms) -> Sequence[str]:
        """Due times that passed and of which nothing is known, though somebody should."""
        return [
            f"{event} {instants.text(due)}"
            for event, lives in self.lives.items()
            for life in lives
            for due in life.dues(until)
            if not self.told[event, due]
            and not self.sent[f"{event}/{instants.text(due)}"]
            and not any(start < due <= end for start, end in self.excused[event])
        ]

    def loosen(self, event: str) -> None:
        """From what was last told of it until somebody stands on its fence again, nobody need know of its due times."""
        known = max((due for (key, due), told in self.told.items() if key == event and told), default=0)
        self.loose.setdefault(event, known)

    def tighten(self, event: str, now: Ms) -> None:
        if event in self.loose:
            self.excused[event].append((self.loose.pop(event), now))

    def restored(self, snapshot: int) -> None:
        self.restores.append(Restored(self.tick, snapshot))
