"""What the roster keeps of events that come and go: while nobody leads, nothing may pile up."""

from channelbeat.core.definition import Definition, compile_schedule
from channelbeat.engine.roster import Roster
from support.rig import schedule


def definition(name: str = "t") -> Definition:
    (made,) = compile_schedule(schedule({"every": "1h"}, name=name))
    return made


def test_what_came_and_went_before_it_was_ever_settled_is_forgotten() -> None:
    roster, one = Roster(), definition()
    roster.put(one, 1)
    roster.take_in()
    assert set(roster.unsettled) == {one.key}
    roster.remove(one.key, 2)
    roster.take_in()
    assert (roster.entries, roster.unsettled) == ({}, {})


def test_what_came_and_went_between_two_turns_was_never_there() -> None:
    roster, one = Roster(), definition()
    roster.put(one, 1)
    roster.remove(one.key, 2)
    roster.take_in()
    assert (roster.entries, roster.unsettled) == ({}, {})


def test_what_was_parked_and_removed_before_it_was_ever_settled_is_forgotten() -> None:
    roster, one = Roster(), definition()
    roster.put(one, 1)
    roster.take_in()
    roster.park(one.key, 2)
    roster.take_in()
    roster.remove(one.key, 3)
    roster.take_in()
    assert (roster.entries, roster.unsettled) == ({}, {})


def test_what_was_settled_and_removed_waits_for_its_tombstone() -> None:
    roster, one = Roster(), definition()
    roster.put(one, 1)
    roster.take_in()
    roster.settled(roster.entries[one.key], 1)
    roster.remove(one.key, 2)
    roster.take_in()
    assert set(roster.unsettled) == {one.key}
    roster.settled(roster.entries[one.key], 2)
    assert roster.entries == {}


def test_what_the_store_alone_remembers_waits_for_its_tombstone() -> None:
    roster = Roster()
    roster.bury("default/gone/e", 1)
    roster.take_in()
    assert set(roster.unsettled) == {"default/gone/e"}


def test_what_comes_back_starts_when_it_came_back() -> None:
    roster, one = Roster(), definition()
    roster.put(one, 1)
    roster.take_in()
    roster.remove(one.key, 2)
    roster.put(one, 3)
    roster.take_in()
    assert roster.entries[one.key].since == 3


def test_what_was_settled_once_and_then_set_aside_waits_for_its_tombstone_too() -> None:
    roster, one = Roster(), definition()
    roster.put(one, 1)
    roster.take_in()
    roster.settled(roster.entries[one.key], 1)
    roster.set_aside(roster.entries[one.key], RuntimeError("boom"))
    roster.put(one, 2)
    roster.take_in()
    roster.remove(one.key, 3)
    roster.take_in()
    assert set(roster.unsettled) == {one.key}
