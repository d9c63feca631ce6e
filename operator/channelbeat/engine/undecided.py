"""Which of an event's occurrences is the first that nothing has become of? One that is held is long due."""

from channelbeat.core.occurrence import Occurrence
from channelbeat.engine.roster import Roster


def first(roster: Roster, key: str) -> Occurrence | None:
    """None if there is none, or it is not known. Asked of every event at a scrape: only of one that is held it has to be worked out."""
    entry = roster.entries.get(key)
    if entry is None or entry.current is None or not entry.settled:
        return None
    return entry.upcoming or entry.current.timetable.next(entry.cursor or 0)
