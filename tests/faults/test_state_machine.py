"""Whatever happens to leaders, their Redis and their manifests, in whatever order: every due time is dealt with once.

Hypothesis makes up the stories; tests/support/model.py knows what must become of each due time. `CHANNELBEAT_HUNT=500`
makes up 500 new ones instead of the same few.
"""

import os
import sys
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from channelbeat.core import instants
from channelbeat.core.definition import compile_schedule
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from support.model import Span
from support.redis import RedisServer
from support.rig import schedule
from support.world import OWNERS, START, World

HUNT = int(os.environ.get("CHANNELBEAT_HUNT", "0"))
TARGETS = {"t": {"channel": "c"}, "narrow": {"channel": "narrow"}, "g": {"group": "group"}}
EVENTS: dict[str, dict[str, Any]] = {
    "every second": {"every": "1s"},
    "every second, suspended": {"every": "1s", "suspend": True},
    "with jitter": {"every": "30s", "jitter": "20s"},
    "all that was missed": {"every": "2s", "missed": {"policy": "All", "window": "1m"}},
    "none that was missed": {"every": "10s", "missed": {"policy": "Skip"}},
    "every minute": {"cron": "* * * * *"},
    "once": {"at": instants.text(START + MINUTE)},
}
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

    @initialize(t=st.sampled_from(sorted(EVENTS)), narrow=st.sampled_from(sorted(EVENTS)), g=st.sampled_from(sorted(EVENTS)))
    def once_upon_a_time(self, **events: str) -> None:
        """One process runs three schedules."""
        self.start("A")
        for name, event in events.items():
            self.apply(name, event)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.all_is_well_again()
        finally:
            for process in self.alive.values():
                self.loop.run_until_complete(process.kill())
            self.redis.close()
            self.loop.close()

    # Processes

    @precondition(lambda self: len(self.alive) < len(OWNERS))
    @rule(data=st.data())
    def a_process_starts(self, data: st.DataObject) -> None:
        self.happens()
        name = data.draw(st.sampled_from([name for name in OWNERS if name not in self.alive]))
        self.start(name)

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), clean=st.booleans())
    def a_process_ends(self, data: st.DataObject, clean: bool) -> None:
        self.happens()
        process = self.alive[data.draw(st.sampled_from(sorted(self.alive)))]
        for event, start, end in process.unanswered():
            self.model.excused[event].add(Span(start, end))
        for event in self.model.lives:
            if not self.is_adopted(event):
                self.model.loosen(event)
        self.model.replays.clear()
        self.loop.run_until_complete(process.stop() if clean else process.kill())
        self.look()
        self.alive = {name: other for name, other in self.alive.items() if other is not process}

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), carried_out=st.booleans(), number=st.integers(1, 3))
    def answers_get_lost(self, data: st.DataObject, carried_out: bool, number: int) -> None:
        self.happens()
        self.alive[data.draw(st.sampled_from(sorted(self.alive)))].losses.extend([carried_out] * number)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def the_lease_moves(self, data: st.DataObject) -> None:
        """All others stand by; one that leads already does so until it is fenced out."""
        self.happens()
        holder = data.draw(st.sampled_from(sorted(self.alive)))
        for name, process in self.alive.items():
            process.leadership.held = name == holder

    # Manifests

    @rule(name=st.sampled_from(sorted(TARGETS)), event=st.sampled_from(sorted(EVENTS)))
    def a_schedule_is_applied(self, name: str, event: str) -> None:
        self.apply(name, event)

    def apply(self, name: str, event: str) -> None:
        self.happens()
        manifest, now = schedule(EVENTS[event], name=name, **TARGETS[name]), self.clock.now()
        (definition,) = compile_schedule(manifest)
        if not self.witnessed(definition.key):
            self.model.loosen(definition.key)
        created = self.manifests[name][1] if name in self.manifests else now
        self.manifests[name] = (manifest, created)
        if self.alive:
            self.model.begin(definition, now)
            for process in self.alive.values():
                process.book.put(manifest, created=created)
            self.settle()

    @precondition(lambda self: self.manifests)
    @rule(data=st.data())
    def a_schedule_is_removed(self, data: st.DataObject) -> None:
        self.happens()
        name = data.draw(st.sampled_from(sorted(self.manifests)))
        event = f"default/{name}/e"
        if not self.witnessed(event):
            self.model.loosen(event)
        del self.manifests[name]
        if self.alive:
            self.model.end(event, self.clock.now())
            for process in self.alive.values():
                process.book.remove(f"default/{name}")
            self.settle()

    @precondition(lambda self: self.alive and self.manifests)
    @rule(data=st.data(), ago=st.sampled_from([0, SECOND]))
    def an_event_is_triggered(self, data: st.DataObject, ago: Ms) -> None:
        self.happens()
        process = self.alive[data.draw(st.sampled_from(sorted(self.alive)))]
        definition = process.book.definition(f"default/{data.draw(st.sampled_from(sorted(self.manifests)))}", "e")
        assert definition is not None
        self.loop.run_until_complete(process.ask(definition, self.clock.now() - ago))
        self.settle()

    # Time and Redis

    @rule(length=st.sampled_from(sorted(LENGTHS)))
    def time_passes(self, length: str) -> None:
        self.happens()
        step, number = LENGTHS[length]
        for _ in range(number):
            self.clock.advance(step)
            self.settle()

    @precondition(lambda self: self.up)
    @rule()
    def a_worker_empties_the_narrow_channel(self) -> None:
        self.redis.delete("asginarrow")

    @precondition(lambda self: self.up)
    @rule()
    def redis_goes_away(self) -> None:
        self.server.kill()

    @precondition(lambda self: not self.up)
    @rule()
    def redis_comes_back(self) -> None:
        self.happens()
        self.server.start()
        self.server.wait()
        self.settle()

    @precondition(lambda self: self.up)
    @rule()
    def redis_is_wiped(self) -> None:
        self.happens()
        self.loosen()
        self.redis.flushall()
        self.model.wiped = True
        self.changed()

    @precondition(lambda self: self.up)
    @rule()
    def a_snapshot_is_taken(self) -> None:
        self.happens()
        self.snapshot = (self.model.tick, {key: self.redis.dump(key) or b"" for key in self.redis.scan_iter()})

    @precondition(lambda self: self.up and self.snapshot is not None)
    @rule()
    def the_snapshot_is_restored(self) -> None:
        assert self.snapshot is not None
        self.happens()
        self.loosen()
        tick, held = self.snapshot
        before = self.generation()
        self.redis.flushall()
        for key, value in held.items():
            self.redis.restore(key, 0, value)
        known = self.generation() == before and all(self.witnessed(event) for event in self.model.lives)
        self.model.restored(tick, self.clock.now(), witnessed=known)
        self.changed()
        self.extend()

    # In the end

    @rule()
    def all_is_well_again(self) -> None:
        """Redis is up, somebody leads, workers work, and time passes: then everything due is known of, and what comes due is sent."""
        self.happens()
        if not self.up:
            self.redis_comes_back()
        for process in self.alive.values():
            process.losses.clear()
            process.leadership.held = True
        if not self.alive:
            self.start("A")
        if self.redis.hget("channelbeat:asgi:state", ":owner") not in {OWNERS[name].encode() for name in self.alive}:
            self.redis.hdel("channelbeat:asgi:state", ":leaderSeen")  # 5 minutes went by without its owner
        for _ in range(12):
            self.pass_a_second()
        calm = self.clock.now()
        for _ in range(3):
            self.pass_a_second()
        self.everything_is_accounted_for(calm)


@pytest.mark.chaos
def test_every_due_time_is_dealt_with_once_whatever_happens(own_redis: RedisServer) -> None:
    chosen = settings(
        max_examples=HUNT or 40,
        stateful_step_count=30,
        derandomize=not HUNT,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(cast(type[Story], lambda: Story(own_redis)), settings=chosen)
