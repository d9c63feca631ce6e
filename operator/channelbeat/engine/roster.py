"""The events of one layer: what is known of each, which of them are not settled, and what was enqueued in the last minute.

Changes are taken in between turns only, so that nothing changes under a batch in flight.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from channelbeat.core.definition import Definition
from channelbeat.core.instants import MINUTE, Ms
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Reason
from channelbeat.engine.agenda import Agenda, Entry
from channelbeat.engine.waiting import Waiting

REPLAYED: Final[Ms] = MINUTE
"""How long what was enqueued is remembered, to be sent again to a store that lost it."""


class _Change(NamedTuple):
    definition: Definition | None
    parked: bool
    since: Ms
    remembered: bool = False  # by the store


class Roster:
    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.unsettled: dict[str, Entry] = {}
        self.agenda = Agenda()
        self.waiting = Waiting()
        self.faults: dict[str, str] = {}
        """Events set aside since somebody looked, and why."""
        self._changes: dict[str, _Change] = {}
        self._recent: deque[tuple[Ms, str, Occurrence]] = deque()

    def put(self, definition: Definition, since: Ms) -> None:
        """The event runs as `definition` from now on."""
        earlier = self._changes.pop(definition.key, None)
        if earlier is not None and earlier.definition is None and not earlier.parked:
            self._take_in(definition.key, earlier)  # it had gone in between: that counts
        self._changes[definition.key] = _Change(definition, False, since)

    def remove(self, key: str, since: Ms) -> None:
        """The event has gone."""
        self._changes[key] = _Change(None, False, since)

    def bury(self, key: str, since: Ms) -> None:
        """The store remembers an event that nobody knows."""
        self._changes[key] = _Change(None, False, since, remembered=True)

    def park(self, key: str, since: Ms) -> None:
        """The event cannot run as it is; its place is kept."""
        self._changes[key] = _Change(None, True, since)

    def take_in(self) -> None:
        """Apply what has changed since the last turn."""
        changes, self._changes = self._changes, {}
        for key, change in changes.items():
            self._take_in(key, change)

    def _take_in(self, key: str, change: _Change) -> None:
        entry = self.entries.get(key)
        if entry is None:
            if change.definition is None and not change.remembered:
                return  # nothing of it has been asked; should the store remember it, it is found there once everything is settled
            entry = self.entries[key] = Entry(key)
        definition = change.definition
        if definition is None and entry.current is None and (change.parked or (entry.wanted is not None and _untouched(entry))):
            self.unsettled.pop(key, None)
            del self.entries[key]
        elif change.parked:
            entry.parked = True
            self.unsettle(entry)  # what was asked of the layer last may still be unanswered
        elif definition is not None and entry.settled and entry.current is not None and entry.current.hash == definition.hash:
            entry.current = entry.wanted = definition  # the due times are the same: only what is sent changed
            self.settled(entry, entry.cursor or 0)
        else:
            known = entry.wanted
            if known is None and definition is not None and not entry.parked and entry.current is not None:
                entry.broken = Reason.REMOVED
            elif known is not None and definition is not None and known.hash != definition.hash and not (entry.settled or entry.broken):
                entry.broken = Reason.EDITED
            if entry.settled or known is None or definition is None or known.hash != definition.hash:
                entry.since = change.since
            entry.wanted, entry.parked = definition, False
            self.unsettle(entry)

    def unsettle(self, entry: Entry) -> None:
        """Its fence has to be read before it is planned again."""
        entry.settled, entry.upcoming = False, None
        self.agenda.withdraw(entry)
        self.unsettled[entry.key] = entry

    def unsettle_all(self) -> None:
        self.waiting.forget()
        for entry in self.entries.values():
            self.unsettle(entry)

    def settled(self, entry: Entry, cursor: Ms) -> None:
        """Its fence stands at `cursor`, under what is wanted: it goes on from there, or stays parked, or is gone."""
        self.unsettled.pop(entry.key, None)
        entry.cursor = cursor
        if entry.parked:
            return
        if entry.wanted is None:
            del self.entries[entry.key]
            return
        if entry.current is None or entry.current.hash != entry.wanted.hash or entry.broken:
            entry.begun = cursor
        entry.current, entry.broken = entry.wanted, Reason.NONE
        self.agenda.withdraw(entry)
        try:
            entry.upcoming = entry.wanted.timetable.next(cursor)
        except Exception as fault:  # noqa: BLE001 - see set_aside
            self.set_aside(entry, fault)
            return
        entry.settled = True
        if entry.upcoming is not None:
            self.agenda.put(entry, entry.upcoming.fires)

    def set_aside(self, entry: Entry, fault: Exception) -> None:
        """A fault of ours about one event must not stop the others: it is parked until it is edited, and told."""
        entry.settled, entry.parked = False, True
        entry.current, entry.unanswered = None, ()  # what we stumbled over is not to be asked again
        self.agenda.withdraw(entry)
        self.unsettled.pop(entry.key, None)
        self.faults[entry.key] = f"{type(fault).__name__}: {fault}"

    def enqueued(self, key: str, occurrence: Occurrence, at: Ms) -> None:
        """Remember it for REPLAYED."""
        self._recent.append((at, key, occurrence))
        while self._recent[0][0] < at - REPLAYED:
            self._recent.popleft()

    def recent(self, now: Ms) -> dict[str, Sequence[Occurrence]]:
        """What was enqueued in the last minute, by event, oldest first."""
        found = defaultdict[str, list[Occurrence]](list)
        for at, key, occurrence in self._recent:
            if at >= now - REPLAYED:
                found[key].append(occurrence)
        return dict(found)


def _untouched(entry: Entry) -> bool:
    """Nothing was read or asked of the store for it, as far as we know: it came while another led, or just now."""
    return not entry.parked and entry.cursor is None and not entry.unanswered
