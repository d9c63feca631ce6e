"""How early workers are started: what is learned of starts, what is due by then, who stays, and an expiry that is too short."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelbeat.core.instants import DAY, HOUR, MINUTE, SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.parse import parse
from channelbeat.core.schedule import BeatSchedule, Event, Scaling
from channelbeat.core.timing import timetable
from channelbeat.core.timing.timetable import Timetable
from channelbeat.core.warming import GUESS, LATE, LONGEST, NEAREST, NOTHING, Forecast, Starts, WarmUp, forecast, lead, learn, short_expiry, start_up, together
from support.times import NOON

TEN: Starts = (10 * SECOND,)
AHEAD = 14_500
"""The lead after a start that took ten seconds."""


def of(**when: Any) -> Timetable:
    return timetable.of(Event(name="e", type="t", **when), zone="UTC", key="shop/t/e")


def at(offset: Ms) -> Timetable:
    """Once, so long after noon."""
    return of(at=NOON + offset)


def seen(
    *timetables: Timetable, handling: float | None = None, concurrency: int = 1, starts: Starts = TEN, now: Ms = NOON, warm_up: WarmUp = "Auto", **scaling: Any
) -> Forecast:
    return forecast(timetables, Scaling(warm_up=warm_up, **scaling), starts, handling=handling, concurrency=concurrency, now=now)


def test_what_a_start_takes_is_learned_from_the_last_five() -> None:
    starts: Starts = ()
    assert start_up(starts) == GUESS == 30 * SECOND
    for took, longest in [(4, 4), (60, 60), (5, 60), (6, 60), (7, 60), (5, 60), (5, 7)]:
        starts = learn(starts, took * SECOND)
        assert start_up(starts) == longest * SECOND
    assert starts == tuple(seconds * SECOND for seconds in (5, 6, 7, 5, 5))


@pytest.mark.parametrize(("took", "kept"), [(LONGEST, (7, LONGEST)), (LONGEST + 1, (7,)), (-5, (7, 0))])
def test_a_start_that_says_nothing_of_the_next_teaches_nothing(took: Ms, kept: Starts) -> None:
    assert learn((7,), took) == kept


@pytest.mark.parametrize(
    ("warm_up", "starts", "ahead"),
    [
        ("Auto", (), 30 * SECOND),
        ("Auto", TEN, AHEAD),
        ("Auto", (4 * SECOND, 8 * SECOND, 4 * SECOND), 12 * SECOND),
        (45 * SECOND, TEN, 45 * SECOND),
        (0, TEN, 0),
        ("Disabled", TEN, None),
    ],
)
def test_the_lead(warm_up: WarmUp, starts: Starts, ahead: Ms | None) -> None:
    assert lead(warm_up, starts) == ahead


@pytest.mark.parametrize(
    ("table", "counts"),
    [
        pytest.param(at(AHEAD), True, id="due when a worker that is started now will be there"),
        pytest.param(at(AHEAD + 1), False, id="due later"),
        pytest.param(at(-LATE + 1), True, id="due a moment ago: it may not be in its channel yet"),
        pytest.param(at(-LATE), False, id="due longer ago"),
        pytest.param(of(every=HOUR, not_before=NOON + 1), False, id="every, in an hour"),
        pytest.param(of(cron="0 12 * * *"), True, id="cron, now"),
        pytest.param(of(cron="1 12 * * *"), False, id="cron, in a minute"),
        pytest.param(of(every=MINUTE, not_before=NOON + HOUR), False, id="not before an hour from now"),
        pytest.param(of(every=MINUTE, not_after=NOON - HOUR), False, id="not after an hour ago"),
    ],
)
def test_what_is_due_soon_enough_to_count(table: Timetable, counts: bool) -> None:
    assert (seen(table).share > 0) == counts


def test_it_counts_by_when_it_is_sent_jitter_included() -> None:
    table = of(cron="0 12 * * *", jitter=10 * MINUTE)
    occurrence = table.next(NOON - 1)
    assert occurrence is not None
    fires = occurrence.fires
    assert fires > NOON + MINUTE
    assert seen(table, now=fires - AHEAD - 1).share == 0
    assert seen(table, now=fires - AHEAD).share > 0, "its due time has passed, and it is to be sent yet"
    assert seen(table, now=fires + LATE - 1).share > 0
    assert seen(table, now=fires + LATE).share == 0


@pytest.mark.parametrize(
    ("tables", "handling", "options", "share"),
    [
        pytest.param([at(0)], 3 * SECOND, {}, 0.1, id="one event: as it will be once it waits, a tenth of targetWait"),
        pytest.param([at(0)], 10 * MINUTE, {}, 1.0, id="one event takes one slot, however long"),
        pytest.param([at(0)], 10 * MINUTE, {"concurrency": 4}, 0.25, id="of which a worker may have several"),
        pytest.param([at(0)] * 2_000, 50, {"target_wait": 10 * SECOND}, 10.0, id="a burst: as many as by load, however short the lead"),
        pytest.param([of(every=SECOND)], 2.5 * SECOND, {}, 2.5, id="a stream: rate x handling time"),
        pytest.param([of(every=SECOND)], 2.5 * SECOND, {"concurrency": 5}, 0.5, id="rate x handling time / concurrency"),
        pytest.param([of(every=100)], SECOND, {}, 10.0, id="a fast stream"),
        pytest.param([of(every=100)] * 3, SECOND, {}, 30.0, id="three of them"),
        pytest.param([of(every=100)], 10, {}, 0.1, id="a fast stream of what is quick"),
        pytest.param([of(every=5 * SECOND)], 60 * SECOND, {}, 4.0, id="no more workers than events by then"),
        pytest.param([at(0)] * 250, None, {}, 2.5, id="no time is measured: eventsPerReplica"),
        pytest.param([of(every=100)], None, {}, 2.45, id="no time is measured: a stream, as many as are due by then and were due a moment ago"),
        pytest.param([at(0)], 0.0, {}, 1e-6, id="it takes no time: a little"),
        pytest.param([at(HOUR)], 10 * MINUTE, {}, 0.0, id="none is due"),
        pytest.param([], None, {}, 0.0, id="there is none"),
    ],
)
def test_how_many_workers_it_calls_for(tables: list[Timetable], handling: float | None, options: Any, share: float) -> None:
    assert seen(*tables, handling=handling, **options).share == pytest.approx(share)


NEAR = st.integers(-2 * MINUTE, 10 * MINUTE)
TABLES = st.lists(
    st.one_of(
        NEAR.map(at),
        st.builds(lambda every: of(every=every), st.integers(5 * SECOND, HOUR)),
        st.builds(lambda every, first: of(every=every, not_before=NOON + first), st.integers(5 * SECOND, HOUR), NEAR),
        st.builds(lambda every, jitter: of(every=every, jitter=jitter), st.integers(5 * SECOND, HOUR), st.integers(0, MINUTE)),
        st.builds(lambda minute: of(cron=f"*/{minute} * * * *"), st.integers(1, 59)),
    ),
    max_size=3,
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(TABLES, st.integers(0, 10 * MINUTE), st.floats(0, 1))
def test_a_forecast_holds_until_it_says(tables: list[Timetable], stays: Ms, part: float) -> None:
    found = seen(*tables, handling=SECOND, scale_down_after=stays)
    until = found.until if found.until is not None else NOON + DAY
    assert until > NOON
    later = NOON + int((until - NOON - 1) * part)
    assert seen(*tables, handling=SECOND, scale_down_after=stays, now=later) == found


@pytest.mark.parametrize(
    ("table", "until"),
    [
        pytest.param(at(HOUR), HOUR - AHEAD - 5 * MINUTE, id="a worker would be kept for it"),
        pytest.param(at(AHEAD + MINUTE), MINUTE, id="it counts"),
        pytest.param(at(SECOND), SECOND + LATE, id="it has passed"),
        pytest.param(at(-HOUR), None, id="nothing is to come"),
    ],
)
def test_when_time_changes_a_forecast(table: Timetable, until: Ms | None) -> None:
    assert seen(table).until == (None if until is None else NOON + until)


def test_a_stream_that_slows_down_counts_by_its_nearest() -> None:
    busy = of(cron="0-9 12 * * *")
    found = seen(busy, handling=2 * MINUTE, warm_up=30 * MINUTE)
    assert found.share == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("due", "scaling", "soon"),
    [
        pytest.param(AHEAD + 5 * MINUTE, {}, True, id="it would be gone for scaleDownAfter"),
        pytest.param(AHEAD + 5 * MINUTE + 1, {}, False, id="it would be gone for longer"),
        pytest.param(AHEAD + MINUTE + 1, {"scale_down_after": MINUTE}, False, id="for longer than a shorter one"),
        pytest.param(AHEAD, {"scale_down_after": 0}, True, id="no delay: only if it is to be started now"),
        pytest.param(AHEAD + 1, {"scale_down_after": 0}, False, id="no delay: not a moment before"),
        pytest.param(MINUTE + 5 * MINUTE, {"warm_up": MINUTE}, True, id="a lead of its owner's"),
        pytest.param(MINUTE, {"warm_up": "Disabled"}, False, id="no warming at all"),
    ],
)
def test_who_stays_for_the_next_event(due: Ms, scaling: Any, soon: bool) -> None:
    assert seen(at(due), **scaling).soon == soon


def test_an_event_keeps_a_worker_if_it_recurs_within_twice_the_delay() -> None:
    """A quiet moment after the delay has passed."""
    for minutes, soon in ((10, True), (15, False)):
        table = of(every=minutes * MINUTE)
        due = table.next(NOON - 1)
        assert due is not None
        assert seen(table, now=due.due + 5 * MINUTE + LATE).soon == soon


def test_disabled_foresees_nothing() -> None:
    assert seen(at(0), warm_up="Disabled") == Forecast(0.0, False)


def test_of_schedules_that_have_their_workers_in_common() -> None:
    """What is due adds up; it lasts until one of them changes."""
    one, other = Forecast(0.75, False, NOON), Forecast(0.5, True, NOON + MINUTE)
    assert together([one, other]) == together([other, one]) == Forecast(1.25, True, NOON)
    assert together([other, NOTHING]) == other
    assert together([]) == NOTHING


class Counted(Timetable):
    """How often it is asked."""

    asked = 0

    def next(self, after: Ms) -> Any:
        Counted.asked += 1
        return Timetable.next(self, after)


@pytest.mark.parametrize("when", [{"every": 100}, {"every": 100, "jitter": 50}, {"cron": "* * * * *"}, {"cron": "* * * * *", "jitter": HOUR}])
def test_work_is_bounded_however_long_the_lead(when: dict[str, Any]) -> None:
    plain = of(**when)
    Counted.asked = 0
    found = seen(Counted(plain.rule, plain.key, plain.first, plain.last, plain.jitter), handling=SECOND, warm_up=DAY)
    assert found.share > 0
    assert Counted.asked <= NEAREST + 2


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.integers(100, HOUR), st.integers(0, MINUTE), st.integers(0, DAY), st.integers(0, 20 * MINUTE))
def test_it_counts_just_as_the_due_times_say(every: Ms, jitter: Ms, passed: Ms, ahead: Ms) -> None:
    """Compared with every occurrence around, one by one."""
    table, now = of(every=every, jitter=min(jitter, every - 1)), NOON + passed
    due = table.next(now - LATE - 2 * every)
    while due is not None and due.fires <= now - LATE:
        due = table.next(due.due)
    assert due is not None
    assert (seen(table, now=now, warm_up=ahead).share > 0) == (due.fires <= now + ahead)


def schedule(delivery: str = "BestEffort", worker: dict[str, Any] | None = None, **scaling: Any) -> BeatSchedule:
    block = {"templateFrom": {"name": "web"}, "scaling": scaling} if worker is None else worker
    spec = {"channel": "c", "delivery": delivery, "events": [{"name": "e", "type": "t", "every": "1h"}]} | ({"worker": block} if block else {})
    parsed = parse({"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "metadata": {"name": "t", "namespace": "shop"}, "spec": spec})
    assert parsed.schedule is not None
    assert parsed.faults == ()
    return parsed.schedule


def plain(schedule: BeatSchedule) -> list[str]:
    return [schedule.key] if schedule.spec.delivery == "BestEffort" else []


SHORT = LayerSettings("media", "redis://:secret@r/0", expiry=20)
SLOW: Starts = (44_100, 8 * SECOND)


@pytest.mark.parametrize(
    ("schedule", "expiry", "starts", "floor", "found"),
    [
        pytest.param(schedule(), 44, SLOW, 0, True, id="shorter than what a start took"),
        pytest.param(schedule(), 45, SLOW, 0, False, id="longer"),
        pytest.param(schedule(), 44, (44 * SECOND,), 0, False, id="as long"),
        pytest.param(schedule(), 1, (), 0, False, id="nothing was learned: a guess is no finding"),
        pytest.param(schedule(), 1, SLOW, 1, False, id="somebody is always there"),
        pytest.param(schedule("AtLeastOnce"), 1, SLOW, 0, False, id="runs do not expire"),
        pytest.param(schedule(worker={}), 1, SLOW, 0, False, id="the workers are somebody else's"),
    ],
)
def test_an_expiry_that_is_shorter_than_a_start(schedule: BeatSchedule, expiry: int, starts: Starts, floor: int, found: bool) -> None:
    finding = short_expiry(schedule, plain(schedule), LayerSettings("media", "", expiry=expiry), starts, floor)
    assert (finding is not None and finding.reason == "ExpiryShorterThanStartUp") == found


CURE = (
    " is dropped before one is there. Keep one with spec.worker.scaling.minReplicas: 1, or set delivery: AtLeastOnce, "
    "or give the layer an expiry above 45s, here and in CHANNEL_LAYERS"
)
FAULT = "spec.channelLayer.name: layer 'media' drops messages after 20s (its expiry), and a worker took up to 45s to start: while there are none, "


@pytest.mark.parametrize(
    ("scaling", "what"),
    [
        ({}, "an event that is not foreseen (a trigger, one that the project sends itself)"),
        ({"warmUp": "Disabled"}, "an event (spec.worker.scaling.warmUp is Disabled)"),
        ({"warmUp": "40s"}, "an event (spec.worker.scaling.warmUp is 40s)"),
    ],
)
def test_what_it_says(scaling: dict[str, Any], what: str) -> None:
    finding = short_expiry(schedule(**scaling), ["shop/t"], SHORT, SLOW, 0)
    assert finding is not None
    assert finding.text == f"{FAULT}{what}{CURE}"


def test_what_others_send_to_its_workers_expires_too() -> None:
    """Whatever its own delivery is."""
    finding = short_expiry(schedule("AtLeastOnce", warmUp="Disabled"), ["web/guest"], SHORT, SLOW, 0)
    assert finding is not None
    assert "an event of schedule web/guest (spec.worker.scaling.warmUp is Disabled) is dropped" in finding.text
    assert "or set delivery: AtLeastOnce there, or" in finding.text
