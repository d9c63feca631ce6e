"""Whatever happens to leaders, their Redis and their manifests, in whatever order: every due time is dealt with once.

Hypothesis makes up the stories; tests/support/model.py knows what must become of each due time. `CHANNELBEAT_HUNT=500`
makes up 500 new ones instead of the same few.
"""

import os
import sys
from collections.abc import Iterable
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from support.redis import RedisServer
from support.stage import OWNERS
from support.world import EVENTS, TARGETS, World

HUNT = int(os.environ.get("CHANNELBEAT_HUNT", "0"))
KINDS = st.sampled_from(sorted(EVENTS))
LENGTHS = {
    "a moment": (SECOND // 2, 1),
    "3 s": (SECOND, 3),
    "15 s": (SECOND, 15),
    "a minute": (4 * SECOND, 15),
    "a leap of 5 m": (5 * MINUTE, 1),
    "a leap of 1 h": (HOUR, 1),
}


class Story(World, RuleBasedStateMachine):
    def __init__(self, server: RedisServer) -> None:
        RuleBasedStateMachine.__init__(self)
        World.__init__(self, server)

    def some(self, data: st.DataObject, names: Iterable[str]) -> str:
        return data.draw(st.sampled_from(sorted(names)))

    @initialize(t=KINDS, narrow=KINDS, g=KINDS)
    def once_upon_a_time(self, **kinds: str) -> None:
        """One process runs three schedules."""
        self.start("A")
        for name, kind in kinds.items():
            self.apply(name, kind)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.recover()
        finally:
            self.close()

    @precondition(lambda self: len(self.alive) < len(OWNERS))
    @rule(data=st.data())
    def a_process_starts(self, data: st.DataObject) -> None:
        self.start(self.some(data, OWNERS.keys() - self.alive.keys()))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), clean=st.booleans())
    def a_process_ends(self, data: st.DataObject, clean: bool) -> None:
        self.end(self.some(data, self.alive), clean=clean)

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), carried_out=st.booleans(), number=st.integers(1, 3))
    def answers_get_lost(self, data: st.DataObject, carried_out: bool, number: int) -> None:
        self.lose(self.some(data, self.alive), carried_out=carried_out, number=number)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def the_lease_moves(self, data: st.DataObject) -> None:
        """All others stand by; one that leads already does so until it is fenced out."""
        holder = self.some(data, self.alive)
        for name, process in self.alive.items():
            process.leadership.held = name == holder

    @rule(name=st.sampled_from(sorted(TARGETS)), kind=KINDS)
    def a_schedule_is_applied(self, name: str, kind: str) -> None:
        self.apply(name, kind)

    @precondition(lambda self: self.manifests)
    @rule(data=st.data())
    def a_schedule_is_removed(self, data: st.DataObject) -> None:
        self.remove(self.some(data, self.manifests))

    @precondition(lambda self: self.alive and self.manifests)
    @rule(data=st.data(), ago=st.sampled_from([0, SECOND]))
    def an_event_is_triggered(self, data: st.DataObject, ago: Ms) -> None:
        self.trigger(self.some(data, self.alive), self.some(data, self.manifests), ago)

    @rule(length=st.sampled_from(sorted(LENGTHS)))
    def time_passes(self, length: str) -> None:
        self.pass_time(*LENGTHS[length])

    @precondition(lambda self: self.up)
    @rule()
    def a_worker_empties_the_narrow_channel(self) -> None:
        self.redis.delete("asginarrow")

    @precondition(lambda self: self.up)
    @rule()
    def redis_goes_away(self) -> None:
        self.redis_away()

    @precondition(lambda self: not self.up)
    @rule()
    def redis_comes_back(self) -> None:
        self.redis_back()

    @precondition(lambda self: self.up)
    @rule()
    def redis_is_wiped(self) -> None:
        self.wipe()

    @precondition(lambda self: self.up)
    @rule()
    def a_snapshot_is_taken(self) -> None:
        self.take_snapshot()

    @precondition(lambda self: self.up and self.snapshot is not None)
    @rule()
    def the_snapshot_is_restored(self) -> None:
        self.restore()

    @rule()
    def all_is_well_again(self) -> None:
        self.recover()


@pytest.mark.chaos
def test_every_due_time_is_dealt_with_once_whatever_happens(own_redis: RedisServer) -> None:
    chosen = settings(
        max_examples=HUNT or 100,
        stateful_step_count=30,
        derandomize=not HUNT,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(cast(type[Story], lambda: Story(own_redis)), settings=chosen)
