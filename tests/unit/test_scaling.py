"""How many workers, and why: tables of single decisions, stories of many, and what holds whatever happens."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelbeat.core import scaling_reasons
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.core.scaling import Decision, Load, Memory, Party, Peak, Place, Reason, Standing, Target, decide, unchanged
from channelbeat.core.schedule import Scaling
from channelbeat.core.warming import Forecast
from support.times import NOON

A, B, C = (Place("default", name) for name in "abc")
DELAY = 5 * MINUTE
STOCK = "(with stock workers only that and {} count, because they fetch what waits)"
DEFAULT = Scaling()
RUNS, SUSPENDED, DELETED = Standing.RUNS, Standing.SUSPENDED, Standing.DELETED


def party(*places: Place, share: float = 0.0, soon: bool = False, standing: Standing = RUNS, **scaling: Any) -> Party:
    return Party(Scaling(**scaling), places or (A,), Forecast(share, soon), standing)


def target(*parties: Party, replicas: int = 0, stock: bool = False, concurrency: int = 1, at_work: int = 0, **loads: Load) -> Target:
    """Loads by the name of their channel, nothing to do where none is given."""
    there = {place: loads.get(place.channel, Load(0, 0)) for place in (A, B, C)}
    return Target(replicas, parties or (party(),), there, concurrency, stock, at_work)


def rested(wanted: Target) -> Decision:
    """With nothing remembered that is in its way."""
    return decide(wanted, (), NOON)[0]


def brief(decision: Decision) -> tuple[int, str]:
    return decision.desired, decision.reason


@pytest.mark.parametrize(
    ("wanted", "desired", "reason"),
    [
        pytest.param(target(), 0, "Zero", id="nothing to do"),
        pytest.param(target(a=Load(1, 0)), 1, "Load", id="from zero at the first event"),
        pytest.param(target(a=Load(100, 0)), 1, "Load", id="eventsPerReplica, while no time is measured"),
        pytest.param(target(a=Load(101, 0)), 2, "Load", id="and one more calls for another"),
        pytest.param(target(a=Load(600, 0, handling=50)), 1, "Load", id="measured: 30 s of work for targetWait of 30 s"),
        pytest.param(target(a=Load(601, 0, handling=50)), 2, "Load", id="measured: a little more"),
        pytest.param(target(a=Load(597, 4, handling=50)), 2, "Load", id="what is in flight is work, too"),
        pytest.param(target(a=Load(2_400, 0, handling=50), concurrency=4), 1, "Load", id="one worker handles several at a time"),
        pytest.param(target(party(target_wait=10 * SECOND), a=Load(600, 0, handling=50)), 3, "Load", id="targetWait"),
        pytest.param(target(a=Load(3, 0, handling=10 * MINUTE)), 3, "Load", id="no more workers than events, however long one takes"),
        pytest.param(target(a=Load(3, 0, handling=10 * MINUTE), concurrency=2), 2, "Load", id="nor more than have a slot for each"),
        pytest.param(target(a=Load(0, 0, handled=1)), 1, "Load", id="what was handled between two looks"),
        pytest.param(target(a=Load(0, 1)), 1, "Load", id="in flight alone"),
        pytest.param(target(a=Load(5, 0, handling=0.0)), 1, "Load", id="they take no time at all"),
        pytest.param(target(party(A, B), a=Load(300, 0, handling=50), b=Load(60, 0, handling=250)), 1, "Load", id="fractions of channels add: half and half"),
        pytest.param(target(party(A, B), a=Load(300, 0, handling=50), b=Load(61, 0, handling=250)), 2, "Load", id="and make one more when they are more"),
        pytest.param(target(party(share=0.01)), 1, "Forecast", id="anything due soon calls for one"),
        pytest.param(target(party(share=2.3)), 3, "Forecast", id="as many as it is forecast"),
        pytest.param(target(party(share=3), a=Load(101, 0)), 3, "Forecast", id="the greater counts"),
        pytest.param(target(party(share=2), a=Load(101, 0)), 2, "Load", id="what is there, not what is to come, where both say the same"),
        pytest.param(target(party(min_replicas=2)), 2, "Floor", id="the floor"),
        pytest.param(target(party(min_replicas=2), a=Load(150, 0)), 2, "Floor", id="the floor suffices"),
        pytest.param(target(party(min_replicas=2), a=Load(201, 0)), 3, "Load", id="the floor does not"),
        pytest.param(target(party(max_replicas=4), a=Load(400, 0)), 4, "Load", id="just as many as are allowed"),
        pytest.param(target(party(max_replicas=4), a=Load(401, 0)), 4, "Ceiling", id="the ceiling"),
        pytest.param(target(party(max_replicas=4, share=9)), 4, "Ceiling", id="the ceiling of a forecast"),
        pytest.param(target(replicas=6, a=Load(0, 4)), 4, "InFlight", id="nobody at work goes"),
        pytest.param(target(replicas=6, a=Load(0, 5), concurrency=2), 3, "InFlight", id="nobody at work goes, two at a time"),
        pytest.param(target(replicas=1, a=Load(0, 4)), 1, "Load", id="but what is in flight starts nobody"),
        pytest.param(target(party(max_replicas=2), replicas=6, a=Load(0, 4)), 2, "Ceiling", id="a ceiling that was lowered counts more"),
        pytest.param(target(party(soon=True), replicas=3), 1, "KeptWarm", id="the last one stays for what is due soon"),
        pytest.param(target(party(soon=True)), 0, "Zero", id="which starts nobody"),
        pytest.param(target(replicas=3, a=Load(None, 0)), 3, "UnknownLoad", id="a backlog that nobody can tell"),
        pytest.param(target(replicas=3, a=Load(0, None)), 3, "UnknownLoad", id="what is in flight, nobody can tell"),
        pytest.param(target(party(A, B), replicas=3, a=Load(None, None)), 3, "UnknownLoad", id="of one of its channels"),
        pytest.param(target(party(A, B), replicas=3, a=Load(None, None), b=Load(401, 0)), 5, "Load", id="what is known may raise"),
        pytest.param(target(party(share=5), replicas=3, a=Load(None, None)), 5, "Forecast", id="the forecast may raise"),
        pytest.param(target(party(min_replicas=4), replicas=3, a=Load(None, None)), 4, "Floor", id="the floor may raise"),
        pytest.param(target(party(max_replicas=2), replicas=3, a=Load(None, None)), 2, "Ceiling", id="a ceiling is no load: it lowers"),
        pytest.param(target(a=Load(None, None)), 0, "Zero", id="unknown at zero"),
        pytest.param(target(party(Place("other", "a")), replicas=2), 2, "UnknownLoad", id="a channel of which nothing is said"),
    ],
)
def test_one_schedule(wanted: Target, desired: int, reason: str) -> None:
    assert brief(rested(wanted)) == (desired, reason)


@pytest.mark.parametrize(
    ("wanted", "desired", "reason"),
    [
        pytest.param(target(party(A, min_replicas=1), party(B, min_replicas=2)), 3, "Floor", id="floors add"),
        pytest.param(target(party(A, share=1.5), party(B, share=1.4)), 3, "Forecast", id="forecasts add, and are rounded once"),
        pytest.param(target(party(share=0.1), party(share=2.7), party(share=0.2)), 3, "Forecast", id="sums of fractions are not exact"),
        pytest.param(target(party(A), party(B), a=Load(150, 0), b=Load(50, 0)), 2, "Load", id="loads add, and are rounded once"),
        pytest.param(target(party(A), party(A), party(A, B), a=Load(200, 0)), 2, "Load", id="a channel that several name counts once"),
        pytest.param(target(party(A), party(Place("other", "a")), a=Load(200, 0)), 2, "Load", id="of another layer it is another"),
        pytest.param(target(party(A, max_replicas=2), party(B, max_replicas=3), a=Load(900, 0)), 5, "Ceiling", id="ceilings add"),
        pytest.param(target(party(A, events_per_replica=10), party(A), a=Load(40, 0)), 4, "Load", id="the strictest eventsPerReplica"),
        pytest.param(target(party(A), party(A, target_wait=10 * SECOND), a=Load(400, 0, handling=50)), 2, "Load", id="the strictest targetWait"),
        pytest.param(target(party(A, target_wait=10 * SECOND), party(A), a=Load(400, 0, handling=50)), 2, "Load", id="whoever says it"),
        pytest.param(target(party(standing=SUSPENDED), replicas=2), 0, "Suspended", id="suspended: nothing of its own is due"),
        pytest.param(target(party(share=4, standing=SUSPENDED)), 4, "Forecast", id="suspended: what others send there counts"),
        pytest.param(target(party(soon=True, standing=SUSPENDED), replicas=2), 1, "KeptWarm", id="suspended: somebody waits for their events"),
        pytest.param(target(party(min_replicas=2, standing=SUSPENDED)), 2, "Suspended", id="suspended: its floor"),
        pytest.param(target(party(standing=SUSPENDED), a=Load(150, 0)), 2, "Load", id="suspended: what waits is handled"),
        pytest.param(target(party(A, standing=SUSPENDED), party(B, share=0.5)), 1, "Forecast", id="one of two is suspended"),
        pytest.param(target(party(A, min_replicas=2, standing=SUSPENDED), party(B)), 2, "Floor", id="the floor of one that is suspended adds"),
        pytest.param(target(party(A, min_replicas=3, standing=DELETED), party(B)), 0, "Zero", id="deleted: no floor"),
        pytest.param(target(party(A, standing=DELETED), party(B), a=Load(900, 0)), 0, "Zero", id="deleted: what waits for it alone does not count"),
        pytest.param(target(party(A, standing=DELETED), party(B), replicas=2, a=Load(None, None)), 0, "Zero", id="deleted: nor that it is unknown"),
        pytest.param(target(party(A, share=4, standing=DELETED), party(B)), 0, "Zero", id="deleted: no forecast"),
        pytest.param(target(party(A, max_replicas=9, standing=DELETED), party(B, max_replicas=2), b=Load(900, 0)), 2, "Ceiling", id="deleted: no ceiling"),
        pytest.param(target(party(standing=DELETED), replicas=7), 7, "NotNamed", id="nobody names it: it is left as it is"),
    ],
)
def test_several_schedules_and_what_stands_still(wanted: Target, desired: int, reason: str) -> None:
    assert brief(rested(wanted)) == (desired, reason)


@pytest.mark.parametrize(
    ("wanted", "desired", "reason"),
    [
        pytest.param(target(stock=True, replicas=2, a=Load(5_000, 0)), 1, "Load", id="what waits says nothing of how many: they have fetched the rest"),
        pytest.param(target(stock=True, replicas=1, a=Load(1, 0)), 1, "Load", id="one that has fetched nothing yet stays: it may still start"),
        pytest.param(target(stock=True, replicas=1, a=Load(0, 0)), 0, "Zero", id="when it has fetched that, nothing waits"),
        pytest.param(target(stock=True, replicas=2, a=Load(None, None)), 2, "UnknownLoad", id="nobody can tell: nobody goes"),
        pytest.param(target(party(share=2.5), stock=True), 3, "Forecast", id="the forecast counts"),
        pytest.param(target(party(min_replicas=2), stock=True), 2, "Floor", id="the floor counts"),
        pytest.param(target(party(soon=True), stock=True, replicas=2), 1, "KeptWarm", id="the last one stays"),
        pytest.param(target(stock=True, a=Load(5_000, 0)), 1, "Load", id="at zero nobody fetches: what waits calls for the first"),
    ],
)
def test_stock_workers(wanted: Target, desired: int, reason: str) -> None:
    assert brief(rested(wanted)) == (desired, reason)


class Story:
    """A target over time, whose replicas are what was decided."""

    def __init__(self, *parties: Party, memory: Memory | None = (), replicas: int = 0) -> None:
        self.parties, self.memory, self.replicas, self.now = parties or (party(),), memory, replicas, NOON

    def after(self, passed: Ms, *parties: Party, **loads: Any) -> tuple[int, str]:
        self.now += passed
        self.parties = parties or self.parties
        decision, self.memory = decide(target(*self.parties, replicas=self.replicas, **loads), self.memory, self.now)
        self.replicas = decision.desired
        return brief(decision)


def test_workers_go_when_they_were_not_needed_for_so_long() -> None:
    story = Story()
    assert story.after(0, a=Load(400, 0)) == (4, "Load")
    assert story.after(SECOND) == (4, "ScaleDownDelay")
    assert story.after(DELAY - SECOND - 1) == (4, "ScaleDownDelay")
    assert story.after(1) == (0, "Zero")


def test_they_go_in_the_steps_in_which_the_need_fell() -> None:
    story = Story()
    story.after(0, a=Load(400, 0))
    assert story.after(MINUTE, a=Load(200, 0)) == (4, "ScaleDownDelay")
    assert story.after(MINUTE, a=Load(100, 0)) == (4, "ScaleDownDelay")
    assert story.after(3 * MINUTE) == (2, "ScaleDownDelay")
    assert story.after(MINUTE) == (1, "ScaleDownDelay")
    assert story.after(MINUTE) == (0, "Zero")


def test_it_is_said_until_when_they_are_kept() -> None:
    _, memory = decide(target(a=Load(400, 0)), (), NOON)
    decision, memory = decide(target(replicas=4), memory, NOON + MINUTE)
    assert decision.ends == NOON + DELAY
    assert decide(target(replicas=4), memory, NOON + DELAY - 1)[0].desired == 4
    assert decide(target(replicas=4), memory, NOON + DELAY)[0].desired == 0
    assert rested(target(a=Load(1, 0))).ends is None


def test_need_again_begins_the_delay_again() -> None:
    story = Story()
    story.after(0, a=Load(400, 0))
    assert story.after(4 * MINUTE, a=Load(400, 0)) == (4, "Load")
    assert story.after(DELAY - 1) == (4, "ScaleDownDelay")
    assert story.after(1) == (0, "Zero")


def test_no_delay() -> None:
    story = Story(party(scale_down_after=0))
    assert story.after(0, a=Load(400, 0)) == (4, "Load")
    assert story.after(1, a=Load(300, 0)) == (3, "Load")
    assert story.after(1) == (0, "Zero")


def test_the_longest_delay_of_those_that_share_it() -> None:
    story = Story(party(A, scale_down_after=0), party(B, scale_down_after=HOUR), party(C, scale_down_after=2 * HOUR, standing=DELETED))
    story.after(0, a=Load(200, 0))
    assert story.after(HOUR - 1) == (2, "ScaleDownDelay")
    assert story.after(1) == (0, "Zero")


def test_a_new_leader_takes_what_is_there_for_needed() -> None:
    story = Story(memory=None, replicas=3)
    assert story.after(0) == (3, "ScaleDownDelay")
    assert story.after(DELAY - 1) == (3, "ScaleDownDelay")
    assert story.after(1) == (0, "Zero")


def test_a_new_leader_keeps_no_more_than_are_allowed() -> None:
    assert Story(party(max_replicas=2), memory=None, replicas=3).after(0) == (2, "ScaleDownDelay")


def test_time_in_which_nobody_could_tell_is_no_time_without_need() -> None:
    story = Story(replicas=3, memory=(Peak(NOON - DELAY + SECOND, 3), Peak(NOON, 0)))
    assert story.after(2 * SECOND, a=Load(None, None)) == (3, "UnknownLoad")
    assert story.after(HOUR, a=Load(None, None)) == (3, "UnknownLoad")
    assert story.after(SECOND) == (3, "ScaleDownDelay")
    assert story.after(DELAY - SECOND) == (0, "Zero")


def test_those_at_work_are_kept_at_the_most_there_were_lately() -> None:
    story = Story(replicas=8, memory=(Peak(NOON - MINUTE, 8), Peak(NOON, 0)))
    for flying in (5, 3, 6, 2, 4):
        assert story.after(SECOND, a=Load(0, flying)) == (8, "ScaleDownDelay")
    assert story.after(DELAY - 10 * SECOND, a=Load(0, 2)) == (6, "ScaleDownDelay")


def test_an_edit_of_the_floor_or_the_ceiling_counts_at_once() -> None:
    story = Story(party(min_replicas=3))
    assert story.after(0) == (3, "Floor")
    assert story.after(1, party(min_replicas=1)) == (1, "Floor")
    assert story.after(1, a=Load(800, 0)) == (8, "Load")
    assert story.after(1, party(max_replicas=4), a=Load(800, 0)) == (4, "Ceiling")
    assert story.after(1, party(max_replicas=9), a=Load(800, 0)) == (8, "Load")


def test_who_is_at_work_stays_and_no_longer_than_that() -> None:
    """Several slots of a worker may be idle beside one that is not; what others had in hand lately is no need."""
    story = Story()
    assert story.after(0, a=Load(2_000, 0), concurrency=4) == (10, "Ceiling")
    assert story.after(DELAY, a=Load(0, 4), concurrency=4, at_work=4) == (4, "InFlight")
    assert story.after(SECOND, a=Load(0, 4), concurrency=4, at_work=3) == (3, "InFlight")
    assert story.after(SECOND, a=Load(0, 0), at_work=2) == (2, "InFlight"), "plain messages, which nobody claims"
    assert story.after(SECOND, a=Load(0, 0), at_work=9) == (2, "InFlight"), "nobody is started for what others have in hand"


def test_what_was_called_for_beyond_the_ceiling_is_not_remembered() -> None:
    story = Story(party(max_replicas=4))
    assert story.after(0, a=Load(90_000, 0)) == (4, "Ceiling")
    assert story.after(SECOND, party(max_replicas=9)) == (4, "ScaleDownDelay")


def test_who_is_suspended_goes_to_its_floor_after_the_delay() -> None:
    story = Story()
    assert story.after(0, party(share=3)) == (3, "Forecast")
    assert story.after(SECOND, party(standing=SUSPENDED)) == (3, "ScaleDownDelay")
    assert story.after(DELAY) == (0, "Suspended")


def test_a_clock_that_was_set_back_makes_the_delay_no_longer_than_it_is() -> None:
    story = Story()
    story.after(0, a=Load(400, 0))
    assert story.after(-HOUR) == (4, "ScaleDownDelay")
    assert story.after(DELAY - 1) == (4, "ScaleDownDelay")
    assert story.after(1) == (0, "Zero")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (target(a=Load(1_200, 4, handling=50)), "1,200 waiting and 4 in flight (50 ms each, targetWait 30s) call for 3"),
        (target(a=Load(0, 0, 3, handling=50)), "3 handled just now (50 ms each, targetWait 30s) call for 1"),
        (target(a=Load(2, 1, handling=62_049)), "2 waiting and 1 in flight (62.0 s each, targetWait 30s) call for 3"),
        (target(a=Load(101, 0)), "101 waiting and 0 in flight (eventsPerReplica 100, until it is known how long one takes) call for 2"),
        (target(party(A, B), a=Load(101, 0)), "101 waiting and 0 in flight in 2 channels call for 2"),
        (
            target(party(max_replicas=2), a=Load(1_200, 4, handling=50)),
            "1,200 waiting and 4 in flight (50 ms each, targetWait 30s) call for 3; maxReplicas is 2",
        ),
        (target(party(share=2)), "what is due before a worker could be there calls for 2"),
        (target(party(min_replicas=2)), "minReplicas is 2"),
        (target(party(A, min_replicas=2), party(B, min_replicas=1)), "minReplicas of 2 schedules add up to 3"),
        (target(replicas=4, a=Load(0, 4)), "what is in hand keeps 4 at work"),
        (target(party(soon=True), replicas=4), "the last one stays, because an event is due soon"),
        (target(replicas=3, a=Load(None, 0)), "it is not known what waits, so that 3 stay"),
        (target(), "nothing waits, is in flight or is due soon"),
        (target(stock=True), f"nothing is due soon {STOCK.format('minReplicas')}"),
        (target(party(share=2), stock=True), f"what is due before a worker could be there calls for 2 {STOCK.format('minReplicas')}"),
        (target(party(min_replicas=2), stock=True), f"minReplicas is 2 {STOCK.format('what is due soon')}"),
        (target(party(soon=True), stock=True, replicas=4), f"the last one stays, because an event is due soon {STOCK.format('minReplicas')}"),
        (target(stock=True, a=Load(7, 0)), "7 waiting call for 1"),
        (target(party(standing=SUSPENDED, min_replicas=2)), "suspended: what is due does not count; minReplicas is 2"),
        (target(party(standing=DELETED)), "no schedule names it any more"),
    ],
)
def test_its_sentence(wanted: Target, says: str) -> None:
    assert rested(wanted).sentence == says


def test_the_sentence_of_a_delay_does_not_change_while_it_lasts() -> None:
    _, memory = decide(target(a=Load(400, 0)), (), NOON)
    told = {decide(target(replicas=4), memory, NOON + passed)[0].sentence for passed in (1, MINUTE, DELAY - 1)}
    assert told == {"4 were called for less than 5m (scaleDownAfter) ago"}


NUMBERS = st.integers(0, 3_000)
LOADS = st.builds(Load, NUMBERS, st.integers(0, 20), st.integers(0, 3), st.one_of(st.none(), st.floats(0, 100_000)))
UNKNOWN = st.one_of(LOADS, LOADS.map(lambda load: load._replace(backlog=None)), LOADS.map(lambda load: load._replace(in_flight=None)))
SCALINGS = st.builds(
    lambda low, more, wait, per, delay: Scaling(
        min_replicas=low, max_replicas=max(low + more, 1), target_wait=wait, events_per_replica=per, scale_down_after=delay
    ),
    st.integers(0, 3),
    st.integers(0, 20),
    st.integers(SECOND, HOUR),
    st.integers(1, 500),
    st.integers(0, 60 * SECOND),
)
PARTIES = st.lists(
    st.builds(
        Party,
        SCALINGS,
        st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=3, unique=True),
        st.builds(Forecast, st.floats(0, 20), st.booleans(), st.none()),
        st.sampled_from(Standing),
    ),
    min_size=1,
    max_size=3,
)


def targets(loads: st.SearchStrategy[Load]) -> st.SearchStrategy[Target]:
    each = st.fixed_dictionaries({A: loads, B: loads, C: loads})
    return st.builds(Target, st.integers(0, 30), PARTIES, each, st.integers(1, 8), st.booleans())


def living(wanted: Target) -> Sequence[Party]:
    return [party for party in wanted.parties if party.standing is not DELETED]


def bounds(wanted: Target) -> tuple[int, int]:
    return sum(p.scaling.min_replicas for p in living(wanted)), sum(p.scaling.max_replicas for p in living(wanted))


def told(stream: Sequence[tuple[Ms, Target]]) -> Iterator[tuple[Target, Decision, Memory]]:
    """The story of a Deployment that becomes what was decided."""
    memory: Memory | None = None
    replicas, now = stream[0][1].replicas, NOON
    for passed, wanted in stream:
        now += passed
        wanted = replace(wanted, replicas=replicas)
        decision, memory = decide(wanted, memory, now)
        replicas = decision.desired
        yield wanted, decision, memory


STREAMS = st.lists(st.tuples(st.integers(0, 40 * SECOND), targets(UNKNOWN)), min_size=1, max_size=8)
often = settings(max_examples=150, derandomize=True, deadline=None)


@often
@given(STREAMS)
def test_it_is_always_within_the_bounds_and_the_memory_short(stream: Sequence[tuple[Ms, Target]]) -> None:
    highest = 0
    for wanted, decision, memory in told(stream):
        if not living(wanted):
            assert decision.desired == wanted.replicas
            continue
        low, high = bounds(wanted)
        highest = max(high, highest)
        assert low <= decision.desired <= high
        needs = [peak.replicas for peak in memory]
        assert needs == sorted(set(needs), reverse=True)
        assert needs[0] <= highest, "so it is never longer than that"


@often
@given(STREAMS)
def test_what_is_unknown_never_lowers_nor_does_it_cut_off_what_is_in_flight(stream: Sequence[tuple[Ms, Target]]) -> None:
    for wanted, decision, _ in told(stream):
        if not living(wanted) or wanted.stock:
            continue
        high = bounds(wanted)[1]
        loads = [wanted.loads[place] for place in {place for party in living(wanted) for place in party.places}]
        if any(load.backlog is None or load.in_flight is None for load in loads):
            assert decision.desired >= min(wanted.replicas, high)
        busy = ceil(sum(load.in_flight or 0 for load in loads) / wanted.concurrency)
        assert decision.desired >= min(wanted.replicas, busy, high)


@often
@given(targets(LOADS), st.lists(st.integers(0, 20 * SECOND), min_size=1, max_size=20))
def test_the_same_load_gives_the_same_answer(wanted: Target, steps: Sequence[Ms]) -> None:
    """Once what was before is forgotten; without that, it never rises."""
    found = [decision.desired for _, decision, _ in told([(step, wanted) for step in [0, *steps, HOUR, *steps]])]
    after = found[len(steps) + 2 :]
    if not wanted.stock:
        assert found[1:] == sorted(found[1:], reverse=True)
        assert len(set(after)) <= 1
    assert all(number <= found[len(steps) + 1] or wanted.stock for number in after)


@often
@given(STREAMS, st.integers(0, HOUR))
def test_a_decision_that_time_alone_does_not_change_need_not_be_made_again(stream: Sequence[tuple[Ms, Target]], later: Ms) -> None:
    now = NOON
    for (passed, _), (wanted, decision, memory) in zip(stream, told(stream), strict=True):
        now += passed
        if (kept := unchanged(memory, now + later)) is not None:
            assert decide(wanted, memory, now + later) == (decision, kept)


@often
@given(targets(LOADS), st.sampled_from([A, B, C]), st.integers(1, 1_000))
def test_more_that_waits_calls_for_no_fewer(wanted: Target, place: Place, more: int) -> None:
    load = wanted.loads[place]
    heavier = replace(wanted, loads={**wanted.loads, place: load._replace(backlog=(load.backlog or 0) + more)})
    assert decide(heavier, (), NOON)[0].desired >= decide(wanted, (), NOON)[0].desired


@often
@given(STREAMS)
def test_nobody_goes_within_the_delay_of_a_need(stream: Sequence[tuple[Ms, Target]]) -> None:
    """Scaling and schedules being what they are: then only the delay lowers."""
    parties = stream[0][1].parties
    steady = [(passed, replace(wanted, parties=parties, stock=False)) for passed, wanted in stream]
    if not living(steady[0][1]):
        return
    delay = max(party.scaling.scale_down_after for party in living(steady[0][1]))
    now, lately = NOON, list[tuple[Ms, int]]()
    for (passed, _), (wanted, decision, _) in zip(steady, told(steady), strict=True):
        now += passed
        assert all(decision.desired >= need for at, need in lately if now - at < delay)
        alone = decide(replace(wanted, replicas=0), (), now)[0]
        lately.append((now, alone.desired))


@often
@given(targets(LOADS))
def test_zero_only_when_there_is_nothing_to_do(wanted: Target) -> None:
    if living(wanted) and not wanted.stock and decide(wanted, (), NOON)[0].desired == 0:
        assert bounds(wanted)[0] == 0
        loads = [wanted.loads[place] for party in living(wanted) for place in party.places]
        assert not any((load.backlog, load.in_flight, load.handled) != (0, 0, 0) for load in loads)
        assert not any(party.forecast.share for party in living(wanted) if party.standing is RUNS)


def test_every_reason_is_in_the_table_of_the_module() -> None:
    words = [line.split("|")[1].strip() for line in (scaling_reasons.__doc__ or "").splitlines() if line.startswith("| ")]
    assert words[1:] == [str(reason) for reason in Reason]
