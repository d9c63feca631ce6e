"""What may and must become of every due time, kept in dictionaries beside the engine and checked against what it does.

Moments are by the story's clock. Ticks number what happens, so that there is an order where the clock stands still.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from channelbeat.core import envelope, instants
from channelbeat.core.definition import Definition
from channelbeat.core.instants import MINUTE, Ms
from channelbeat.core.outcomes import Kind, Outcome, Reason

FOREVER: Ms = 1 << 60
NOT_SENT = {Kind.MISSED, Kind.SUSPENDED}


@dataclass
class Life:
    """A time during which an event had one timing. What is due at its `end` is still its own, what is due at its `start` is not."""

    definition: Definition
    start: Ms
    end: Ms = FOREVER

    def has(self, due: Ms) -> bool:
        return self.start < due <= self.end

    def dues(self, until: Ms) -> Iterator[Ms]:
        """What was to be sent by `until`."""
        occurrence = self.definition.timetable.next(self.start)
        while occurrence is not None and occurrence.due <= self.end and occurrence.fires <= until:
            yield occurrence.due
            occurrence = self.definition.timetable.next(occurrence.due)

    def youngest(self, until: Ms, number: int) -> list[Ms]:
        """The last `number` due times up to `until`; none if there are fewer, or `until` is not one of them."""
        found, edge = list[Ms](), until
        while len(found) < number and (due := self.definition.timetable.last_due(self.start, edge)) is not None:
            found.append(due)
            edge = due - 1
        return found if len(found) == number and found[0] == until else []


class Sent(NamedTuple):
    tick: int
    at: Ms


class Told(NamedTuple):
    tick: int
    kind: Kind
    teller: object


class Restored(NamedTuple):
    """At `tick`, the store was put back to what it held at `snapshot`, an earlier tick."""

    tick: int
    snapshot: int
    at: Ms


class Span(NamedTuple):
    """The due times after `start`, up to `end`."""

    start: Ms
    end: Ms


@dataclass
class Model:
    tick: int = 0
    wiped: bool = False
    restores: list[Restored] = field(default_factory=list)
    lives: defaultdict[str, list[Life]] = field(default_factory=lambda: defaultdict(list))
    sent: defaultdict[str, list[Sent]] = field(default_factory=lambda: defaultdict(list))
    told: defaultdict[str, defaultdict[Ms, list[Told]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    replays: list[Restored] = field(default_factory=list)
    """Those after which a process that knew all is to enqueue again what was lost."""
    lost: defaultdict[str, list[tuple[int, Ms]]] = field(default_factory=lambda: defaultdict(list))
    """By event: at which tick it was told up to which due time it is lost."""
    contested: defaultdict[str, set[Span]] = field(default_factory=lambda: defaultdict(set))
    """What one process asked for without an answer while there was another: either may count it, or both."""
    excused: defaultdict[str, set[Span]] = field(default_factory=lambda: defaultdict(set))
    """What nobody need know of."""
    loose: dict[str, Ms] = field(default_factory=dict)
    """Events of which nobody need know since then, until somebody stands on their fence again."""

    def living(self, event: str) -> Life | None:
        lives = self.lives.get(event)
        return lives[-1] if lives and lives[-1].end == FOREVER else None

    def begin(self, definition: Definition, start: Ms) -> None:
        """The event runs as `definition`; nothing changes if its timing is the same."""
        life = self.living(definition.key)
        if life is None or life.definition.hash != definition.hash:
            self.end(definition.key, start)
            self.lives[definition.key].append(Life(definition, start))

    def end(self, event: str, at: Ms) -> None:
        life = self.living(event)
        if life is not None:
            life.end = at

    def extend(self, event: str, start: Ms) -> None:
        """Whoever learns of the event now cannot know that it was another one after `start`, when it was created."""
        life = self.living(event)
        if life is not None:
            self.excused[event].add(Span(start, life.start))
            life.start = start

    def forget(self, event: str) -> None:
        """The event's life has left no trace."""
        self.lives[event].pop()

    def restored(self, snapshot: int, at: Ms, *, witnessed: bool) -> None:
        self.restores.append(Restored(self.tick, snapshot, at))
        self.replays = [*self.replays, self.restores[-1]] if witnessed else []

    def loosen(self, event: str) -> None:
        self.loose.setdefault(event, max((due for due, told in self.told[event].items() if told), default=0))

    def tighten(self, event: str, now: Ms) -> None:
        if event in self.loose:
            self.excused[event].add(Span(self.loose.pop(event), now))

    # What happened

    def message(self, run: str, at: Ms) -> None:
        """A message was found that was not there before."""
        event, _, when = run.rpartition("/")
        earlier = self.sent[run]
        if when.startswith("trigger-"):
            assert not earlier or self.wiped or self._may_be_lost(earlier[-1].tick), f"{run} was sent twice"
        else:
            due = instants.parse(when)
            lives = self._lives(event, due)
            assert any(not life.definition.suspended for life in lives), f"{run} was sent and is suspended"
            assert earlier or any(at <= life.end for life in lives), f"{run} was made up for after an edit"
            assert not earlier or self._may_be_lost(earlier[-1].tick), f"{run} was sent twice"
            not_sent = [told for told in self.told[event][due] if told.kind in NOT_SENT]
            assert not not_sent or self._contested(event, due) or self._may_be_lost(not_sent[-1].tick), f"{run} was sent and is {not_sent[-1].kind}"
        earlier.append(Sent(self.tick, at))

    def outcome(self, outcome: Outcome, teller: object) -> None:
        """A process told what became of an occurrence, or of several."""
        event = f"{outcome.schedule}/{outcome.event}"
        if outcome.kind is Kind.HELD or outcome.run == envelope.trigger_id(event, outcome.due):
            return
        if outcome.kind is Kind.LOST or outcome.reason is Reason.REPLAYED:
            assert self.restores, f"{outcome}, and nothing was restored"
            if outcome.reason is Reason.REPLAYED:
                assert outcome.at - self.sent[f"{event}/{instants.text(outcome.due)}"][0].at <= MINUTE, f"{outcome} is older than a minute"
            else:
                self.lost[event].append((self.tick, outcome.due))
            return
        dues = next((dues for life in self._lives(event, outcome.due) if (dues := life.youngest(outcome.due, outcome.count))), None)
        assert dues is not None, f"{outcome}, and it was not due so often"
        for due in dues:
            earlier = [told for told in self.told[event][due] if not (outcome.reason is Reason.STORE_WIPED and told.teller is not teller)]
            assert not earlier or self._contested(event, due) or self._may_be_lost(earlier[-1].tick), f"{outcome}: {instants.text(due)} is {earlier[-1].kind}"
            self.told[event][due].append(Told(self.tick, outcome.kind, teller))

    def _lives(self, event: str, due: Ms) -> list[Life]:
        found = [life for life in self.lives[event] if life.has(due)]
        assert found, f"{event} at {instants.text(due)} was a surprise"
        return found

    def _contested(self, event: str, due: Ms) -> bool:
        return any(start < due <= end for start, end in self.contested[event])

    def _may_be_lost(self, tick: int) -> bool:
        """Did the store go back in time to before `tick` since?"""
        return any(restored.snapshot < tick <= restored.tick for restored in self.restores)

    # What must be so in the end

    def forgotten(self, until: Ms) -> list[str]:
        """Due times that passed and of which nothing is known, though somebody should."""
        return [
            run
            for event, lives in self.lives.items()
            for life in lives
            for due in life.dues(until)
            if not self.told[event][due] and not self.sent[run := envelope.run_id(event, due)] and not any(s < due <= e for s, e in self.excused[event])
        ]

    def not_found(self) -> list[str]:
        """What was told to be enqueued, and no message was found of it."""
        return [
            run
            for event, by_due in self.told.items()
            for due, told in by_due.items()
            if any(one.kind is Kind.ENQUEUED for one in told) and not self.sent[run := envelope.run_id(event, due)]
        ]

    def not_replayed(self) -> list[str]:
        """What was sent in the last minute before the store lost it, and was neither sent again nor told to be lost."""
        return [
            run
            for restored in self.replays
            for run, sent in self.sent.items()
            if "/trigger-" not in run and any(restored.snapshot < one.tick <= restored.tick and one.at > restored.at - MINUTE for one in sent)
            if sent[-1].tick <= restored.tick and not self._told_lost(run, restored.tick)
        ]

    def _told_lost(self, run: str, since: int) -> bool:
        event, _, when = run.rpartition("/")
        return any(tick >= since and instants.parse(when) <= due for tick, due in self.lost[event])

    def late(self, since: Ms, now: Ms) -> list[str]:
        """Due times after `since` that should have been sent by now and were not."""
        lives = [life for event in self.lives if (life := self.living(event)) is not None and not life.definition.suspended]
        return [run for life in lives for due in life.dues(now) if due > since and not self.sent[run := envelope.run_id(life.definition.key, due)]]
