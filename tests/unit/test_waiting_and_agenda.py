"""In which order events are looked at, and which of those that wait for a channel are tried when."""

from collections.abc import Iterable

from channelbeat.core.outcomes import Reason
from channelbeat.engine.agenda import Agenda, Entry
from channelbeat.engine.waiting import RETRY, Waiting

FULL = Reason.CHANNEL_FULL


def keys(entries: Iterable[Entry]) -> str:
    return " ".join(entry.key for entry in entries)


def tried(waiting: Waiting, now: int) -> str:
    return keys(entry for entry, _ in waiting.take(now))


def entries(names: str) -> list[Entry]:
    return [Entry(name) for name in names.split()]


def agenda_of(**moments: int) -> tuple[Agenda, dict[str, Entry]]:
    agenda, made = Agenda(), {name: Entry(name) for name in moments}
    for name, moment in moments.items():
        agenda.put(made[name], moment)
    return agenda, made


def test_the_agenda_yields_what_fires_by_now_earliest_first() -> None:
    agenda, _ = agenda_of(c=30, a=10, b=20)
    assert agenda.first() == 10
    assert keys(agenda.due(9)) == ""
    assert keys(agenda.due(20)) == "a b"
    assert agenda.first() == 30


def test_those_that_fire_together_come_in_the_order_they_were_put() -> None:
    agenda, _ = agenda_of(b=10, a=10, c=10)
    assert keys(agenda.due(10)) == "b a c"


def test_an_entry_has_one_place_the_latest_it_was_given() -> None:
    agenda, made = agenda_of(a=10, b=20)
    agenda.put(made["a"], 30)
    assert agenda.first() == 20
    agenda.put(made["a"], 5)
    assert keys(agenda.due(100)) == "a b"
    assert agenda.first() is None


def test_an_entry_that_was_taken_off_is_not_looked_at() -> None:
    agenda, made = agenda_of(a=10, b=20)
    agenda.withdraw(made["a"])
    assert agenda.first() == 20
    assert keys(agenda.due(100)) == "b"


def test_an_entry_put_back_while_the_agenda_is_read_waits_for_the_next_look() -> None:
    agenda, _ = agenda_of(a=10, b=10)
    seen = []
    for entry in agenda.due(10):
        seen.append(entry.key)
        agenda.put(entry, 11)
    assert seen == ["a", "b"]
    assert keys(agenda.due(11)) == "a b"


def test_a_look_that_ends_early_loses_nothing() -> None:
    agenda, _ = agenda_of(a=10, b=10, c=10)
    assert next(agenda.due(10)).key == "a"
    assert keys(agenda.due(10)) == "b c"


def waiting_of(names: str, channel: str = "ch", now: int = 0) -> Waiting:
    """Events that wait for `channel`, each since a due time that is its place in `names`."""
    waiting = Waiting()
    for due, entry in enumerate(entries(names), start=1):
        waiting.add(entry, channel, due, FULL, now)
    return waiting


def test_a_channel_takes_everything_until_something_waits_for_it() -> None:
    waiting = waiting_of("a", "full")
    assert waiting.reason("full") is FULL
    assert waiting.reason("other") is None
    assert waiting.reason(None) is None  # a group
    assert Waiting().first() is None


def test_a_blocked_channel_is_asked_once_a_second_with_the_oldest() -> None:
    waiting = waiting_of("a b c")
    assert waiting.first() == RETRY
    assert tried(waiting, RETRY - 1) == ""
    assert tried(waiting, RETRY) == "a"
    assert tried(waiting, RETRY) == ""
    assert tried(waiting, 2 * RETRY) == "b"


def test_when_there_was_room_as_many_are_tried_at_once() -> None:
    waiting = waiting_of("a b c d")
    waiting.answered({"ch": 3, "unknown": 5})
    assert waiting.first() == 0
    assert tried(waiting, 1) == "a b c"
    assert tried(waiting, 1) == ""
    assert waiting.first() == 1 + RETRY


def test_each_is_told_when_the_next_would_have_its_turn() -> None:
    waiting = waiting_of("a b c")
    waiting.answered({"ch": 3})
    assert [(entry.key, until) for entry, until in waiting.take(0)] == [("a", 2), ("b", 3), ("c", None)]


def test_one_that_asks_for_nothing_takes_nobody_s_turn() -> None:
    waiting, seen = waiting_of("skips skips-too asks d"), list[str]()
    for entry, _ in waiting.take(RETRY):
        seen.append(entry.key)
        if entry.key.startswith("skips"):
            waiting.spare("ch")
    assert seen == ["skips", "skips-too", "asks"]


def test_no_room_is_no_room() -> None:
    waiting = waiting_of("a b")
    waiting.answered({"ch": -3})  # its capacity was lowered
    assert tried(waiting, 1) == ""
    assert tried(waiting, RETRY) == "a"


def test_the_oldest_due_time_goes_first_whoever_came_first() -> None:
    waiting, (young, old) = Waiting(), entries("young old")
    waiting.add(young, "ch", 20, FULL, 0)
    waiting.add(old, "ch", 10, FULL, 0)
    waiting.answered({"ch": 2})
    assert tried(waiting, 0) == "old young"


def test_an_event_waits_once() -> None:
    waiting, (a, b) = Waiting(), entries("a b")
    for due in (1, 5, 9):
        waiting.add(a, "ch", due, FULL, 0)
    waiting.add(b, "ch", 3, FULL, 0)
    waiting.answered({"ch": 10})
    assert tried(waiting, 0) == "a b"


def test_an_event_that_was_tried_may_wait_again() -> None:
    waiting = waiting_of("a b")
    ((a, _),) = waiting.take(RETRY)
    waiting.add(a, "ch", 7, FULL, RETRY)
    waiting.answered({"ch": 2})
    assert tried(waiting, RETRY) == "b a"


def test_a_channel_nothing_waits_for_is_blocked_no_more() -> None:
    waiting = waiting_of("a")
    assert tried(waiting, RETRY) == "a"
    assert waiting.reason("ch") is None
    assert waiting.first() is None


def test_channels_are_asked_each_for_itself() -> None:
    waiting, (a, b) = Waiting(), entries("a b")
    waiting.add(a, "one", 1, FULL, 0)
    waiting.add(b, "two", 2, Reason.WRONG_TYPE, 500)
    assert tried(waiting, RETRY) == "a"
    assert waiting.first() == 500 + RETRY
    assert waiting.reason("two") is Reason.WRONG_TYPE


def test_the_reason_is_the_latest() -> None:
    waiting, (a, b) = Waiting(), entries("a b")
    waiting.add(a, "ch", 1, FULL, 0)
    waiting.add(b, "ch", 2, Reason.WRONG_TYPE, 0)
    assert waiting.reason("ch") is Reason.WRONG_TYPE


def test_a_clock_that_goes_back_does_not_stop_the_asking() -> None:
    waiting = waiting_of("a b", now=1_000_000)
    assert tried(waiting, 5) == "a"
    assert tried(waiting, 5 + RETRY) == "b"


def test_a_look_that_ends_early_leaves_the_others_waiting() -> None:
    waiting = waiting_of("a b c")
    waiting.answered({"ch": 3})
    assert next(waiting.take(0))[0].key == "a"
    assert tried(waiting, 0) == "b c"


def test_a_channel_is_blocked_since_the_first_that_waited_though_each_is_tried() -> None:
    waiting, (a, b) = waiting_of("", now=0), entries("a b")
    waiting.add(a, "ch", 1, FULL, 500)
    for moment in (2_000, 4_000):
        assert tried(waiting, moment) == "a"
        assert waiting.blocked() == [("ch", FULL, 500)]  # its answer is not there yet
        waiting.add(a, "ch", 1, FULL, moment)
        assert waiting.blocked() == [("ch", FULL, 500)]
    assert tried(waiting, 6_000) == "a"
    assert tried(waiting, 7_000) == ""
    assert waiting.blocked() == []
    waiting.add(b, "ch", 2, FULL, 8_000)
    assert waiting.blocked() == [("ch", FULL, 8_000)]


def test_forgetting_is_complete() -> None:
    waiting = waiting_of("a b")
    waiting.forget()
    assert waiting.blocked() == []
    assert waiting.reason("ch") is None
    assert tried(waiting, RETRY) == ""


def test_places_that_count_no_more_do_not_pile_up() -> None:
    agenda, made = agenda_of(a=10, b=20)
    for moment in range(100_000):
        agenda.put(made["a"], 1_000 + moment)
    assert len(agenda) <= 2 * 2 + 1_000
    assert keys(agenda.due(200_000)) == "b a"


def test_the_places_of_entries_that_have_gone_do_not_pile_up() -> None:
    agenda, _ = agenda_of(a=20, b=20)
    for _ in range(5_000):
        passing = Entry("passing")
        agenda.put(passing, 10)
        agenda.withdraw(passing)
        agenda.withdraw(passing)
    assert len(agenda) <= 2 * 2 + 1_000
    assert keys(agenda.due(20)) == "a b"
