"""What keeps writes slow and in order: a stopwatch, a bucket of tokens, queues."""

import asyncio

from channelbeat.cluster.ledger import Ledger
from channelbeat.cluster.pace import Bucket
from channelbeat.cluster.turns import Turn, Turns
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.core.outcomes import Kind, Outcome
from channelbeat.core.runs import Finished, State
from channelbeat.engine.stopwatch import Stopwatch
from support.clock import ManualClock
from support.times import NOON
from support.waiting import eventually


def test_a_clock_that_is_set_back_stops_the_watch_for_a_moment() -> None:
    clock = ManualClock(NOON)
    watch = Stopwatch(clock)
    clock.advance(SECOND)
    assert watch.now() == SECOND
    clock.step(-HOUR)
    assert watch.now() == SECOND
    clock.advance(SECOND)
    assert watch.now() == 2 * SECOND


async def test_who_sleeps_by_the_watch_is_not_kept_by_a_clock_that_was_set_back() -> None:
    clock = ManualClock(NOON)
    watch = Stopwatch(clock)
    clock.step(-HOUR)
    sleep = asyncio.create_task(watch.sleep_until(SECOND, asyncio.Event()))
    await eventually(lambda: clock.sleepers)
    clock.advance(SECOND)
    await asyncio.wait_for(sleep, 5)


def test_a_bucket_gives_what_a_second_holds_and_then_its_rate() -> None:
    bucket = Bucket(4.0, 0)

    def taken(now: Ms) -> int:
        number = bucket.full(now)
        for _ in range(number):
            bucket.take()
        return number

    assert [taken(now) for now in (0, 0, 249, 251, 10 * MINUTE)] == [4, 0, 0, 1, 4]
    assert bucket.next(10 * MINUTE) == 10 * MINUTE + 251


def test_a_slow_bucket_holds_one() -> None:
    bucket = Bucket(0.1, 0)
    assert bucket.full(HOUR) == 1
    bucket.take()
    assert (bucket.full(HOUR), bucket.next(HOUR)) == (0, HOUR + 10 * SECOND + 1)


def test_turns() -> None:
    turns = Turns()
    turns.put(Turn.ROUTINE, "a", 10)
    turns.put(Turn.ROUTINE, "b", 20)
    turns.put(Turn.ROUTINE, "a", 30)  # it keeps its earlier place
    turns.put(Turn.MANY, "c", 25)
    turns.put(Turn.SOON, "b", 25)
    assert (turns.first(), turns.take(9, 9)) == (10, [])
    assert turns.take(25, 3) == [(Turn.SOON, "b"), (Turn.MANY, "c"), (Turn.ROUTINE, "a")]
    turns.put(Turn.ROUTINE, "b", 15)
    assert turns.take(25, 9) == [(Turn.ROUTINE, "b")]
    assert (turns.take(100, 9), turns.first()) == ([], None)


def test_who_is_dropped_has_no_turn() -> None:
    turns = Turns()
    turns.put(Turn.SOON, "a", 10)
    turns.put(Turn.ROUTINE, "a", 10)
    turns.drop("a")
    assert (turns.first(), turns.take(10, 9)) == (None, [])


def test_a_ledger_keeps_what_is_of_schedules_that_are_known() -> None:
    ledger = Ledger({"s/t"})
    outcomes = [Outcome(schedule, "e", 5, Kind.ENQUEUED, 5, run="r") for schedule in ("s/t", "s/gone")]
    dead = Finished("s/t/e/1", "s/t/e", "c", State.DEAD, 1, 7, "", paused=True)
    assert [*ledger.record(outcomes)] == ["s/t"]
    assert [*ledger.finished([dead, dead._replace(event=""), dead._replace(event="s/gone/e"), dead._replace(state=State.EXPIRED)])] == [("s/t", True)]
    taken = ledger.take("s/t")
    assert (taken["e"].last, taken["e"].dead, ledger.take("s/t")) == (5, 1, {})
    ledger.answered("s/t", "e", "new")
    ledger.put_back("s/t", taken)
    again = ledger.take("s/t")["e"]
    assert (again.last, again.answered) == (5, "new")
