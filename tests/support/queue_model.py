"""What runs must become, said without Redis: who is given what, and what is counted. Times are told, not measured."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from channelbeat.broker.claims import How
from channelbeat.core.batch import Answer
from channelbeat.core.instants import HOUR
from channelbeat.core.runs import FINAL, Policy, State

CHANNELS: Final = ("first", "second")
ONE_OFF: Final = Policy()
EVENTS: Final = {
    # in turn in the first and the second channel
    "alone": Policy(limit=0, overlap="Skip"),
    "beside": Policy(limit=1, backoff=HOUR),
    "buffered": Policy(limit=1, backoff=0, overlap="BufferOne"),
    "late": Policy(start_deadline=1),  # what is due long ago is too late
    "pausing": Policy(limit=0, pause_after=2, version="v"),
    "beside, at once": Policy(limit=1, backoff=0, start_deadline=1_000 * 24 * HOUR * 365),
}
CHANNEL_OF: Final = {event: CHANNELS[place % 2] for place, event in enumerate(EVENTS)}


@dataclass
class Record:
    id: str
    event: str
    channel: str
    policy: Policy
    state: State
    attempts: int = 0
    tries: int = 0
    token: str = ""
    wanted_gone: bool = False

    @property
    def late(self) -> bool:
        return self.policy.start_deadline == 1 and self.tries == 0


class Model:
    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.queues: dict[str, list[str | bytes]] = {channel: [] for channel in CHANNELS}  # runs, and plain messages, the oldest first
        self.active: dict[str, list[str]] = defaultdict(list)
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.row: Counter[str] = Counter()
        self.paused: set[str] = set()
        self.ended: list[tuple[str, State]] = []

    def of(self, *states: State) -> list[str]:
        return sorted(record.id for record in self.records.values() if record.state in states)

    def send(self, event: str, run: str, *, scheduled: bool) -> Answer:
        policy, others = EVENTS[event], len(self.active[event])
        if scheduled and event in self.paused:
            return Answer.PAUSED
        if others and (policy.overlap == "Skip" or (policy.overlap == "BufferOne" and others > 1)):
            return Answer.OVERLAP
        record = self.records[run] = Record(run, event, CHANNEL_OF[event], policy, State.BUFFERED)
        self.active[event].append(run)
        if not others or policy.overlap == "Allow":
            self._enter(record)
        return Answer.DONE

    def put(self, run: str, channel: str, *, later: bool) -> bool:
        if run in self.records:
            return False
        record = self.records[run] = Record(run, "", channel, ONE_OFF, State.DELAYED)
        if not later:
            self._enter(record)
        return True

    def plain(self, channel: str, member: bytes) -> None:
        self.queues[channel].append(member)

    def take(self, token: str) -> Record | bytes | None:
        for channel in CHANNELS:
            while queue := self.queues[channel]:
                first = queue.pop(0)
                if isinstance(first, bytes):
                    return first
                record = self.records[first]
                if not record.late:
                    record.state, record.token = State.RUNNING, token
                    record.attempts += 1
                    record.tries += 1
                    return record
                self._finish(record, State.EXPIRED)
        return None

    def settle(self, run: str, token: str, how: How) -> State | None:
        record = self.records[run]
        if record.token != token:
            return None
        record.token = ""
        if how == "ok":
            self._finish(record, State.SUCCEEDED)
        elif how == "cancelled" or (how == "back" and record.wanted_gone):
            self._finish(record, State.CANCELLED)
        elif how == "back":
            record.attempts -= 1
            self._enter(record)
        else:
            self._fail(record, dead=how == "dead", wait=record.policy.backoff > 0)
        return record.state

    def lose(self, run: str) -> None:
        """Its worker vanished."""
        self.records[run].token = ""
        self._fail(self.records[run], dead=False, wait=False)

    def bring_forward(self, run: str) -> None:
        record = self.records[run]
        if record.state is not State.BUFFERED or self.active[record.event][0] == run:
            self._enter(record)

    def expire(self) -> None:
        """Those that are too late, the earliest due first: sends and triggers are numbered by it."""
        for run in sorted(self.of(State.QUEUED, State.BUFFERED), key=lambda run: int("0" + re.sub(r"\D", "", run))):
            if self.records[run].late:
                self._leave(self.records[run])
                self._finish(self.records[run], State.EXPIRED)

    def cancel(self, run: str) -> State:
        record = self.records[run]
        before = record.state
        if before is State.RUNNING:
            record.wanted_gone = True
        elif before not in FINAL:
            self._leave(record)
            self._finish(record, State.CANCELLED)
        return before

    def retry(self, run: str) -> State:
        record = self.records[run]
        before = record.state
        if before is State.DEAD:
            record.attempts = 0
            if record.event:
                self.active[record.event].append(run)
            self._enter(record)
        return before

    def resume(self, event: str) -> bool:
        was = event in self.paused
        self.paused.discard(event)
        self.row[event] = 0
        return was

    def _enter(self, record: Record) -> None:
        record.state = State.QUEUED
        self.queues[record.channel].append(record.id)

    def _leave(self, record: Record) -> None:
        if record.state is State.QUEUED:
            self.queues[record.channel].remove(record.id)

    def _fail(self, record: Record, *, dead: bool, wait: bool) -> None:
        self.counts[record.event]["failed"] += 1
        if record.wanted_gone:
            self._finish(record, State.CANCELLED)
        elif dead or record.attempts > record.policy.limit:
            self._finish(record, State.DEAD)
        elif wait:
            record.state = State.RETRYING
        else:
            self._enter(record)

    def _finish(self, record: Record, state: State) -> None:
        record.state, record.wanted_gone = state, False
        self.ended.append((record.id, state))
        self.counts[record.event]["ok" if state is State.SUCCEEDED else state.value] += 1
        if not record.event:
            return
        self._count_row(record, state)
        active = self.active[record.event]
        active.remove(record.id)
        waiting: Sequence[str] = active[:1] if record.policy.overlap == "BufferOne" else ()
        for run in waiting:
            if self.records[run].state is State.BUFFERED:
                self._enter(self.records[run])

    def _count_row(self, record: Record, state: State) -> None:
        if state is State.SUCCEEDED:
            self.row[record.event] = 0
        if state is State.DEAD and record.policy.pause_after:
            self.row[record.event] += 1
            if self.row[record.event] >= record.policy.pause_after:
                self.paused.add(record.event)
