"""Whatever happens to leaders, their Redis and their manifests, in whatever order: every due time is dealt with once.

Hypothesis makes up the stories; tests/support/model.py knows what must become of each due time. `CHANNELBEAT_HUNT=500`
makes up 500 new ones instead of the same few.
"""

import asyncio
import os
import sys
from typing import Any, cast

import msgpack
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from redis import Redis

from channelbeat.broker.rows import fence
from channelbeat.core import instants
from channelbeat.core.batch import TOMBSTONE, Fence
from channelbeat.core.definition import compile_schedule
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.core.schedule import BeatSchedule
from support.clock import ManualClock
from support.model import Model, Span
from support.process import Process, Wire
from support.redis import RedisServer
from support.rig import schedule

HUNT = int(os.environ.get("CHANNELBEAT_HUNT", "0"))
START = instants.parse("2024-02-28T23:50:00Z")
PROCESSES = {"A": "us", "B": "us", "C": "them"}
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


class Story(RuleBasedStateMachine):
    def __init__(self, server: RedisServer) -> None:
        super().__init__()
        self.server, self.redis = server, Redis.from_url(server.url)
        if not server.alive():
            server.start()
            server.wait()
        self.redis.flushall()
        self.loop = asyncio.new_event_loop()
        self.clock, self.model = ManualClock(START), Model()
        self.wire = Wire(self.clock)
        self.manifests: dict[str, tuple[BeatSchedule, Ms]] = {}
        self.alive: dict[str, Process] = {}
        self.seen = set[bytes]()
        self.fences: dict[str, Fence] = {}
        self.snapshot: tuple[int, dict[bytes, bytes]] | None = None
        self.join()

    def join(self) -> None:
        """There is one consumer in the group."""
        self.redis.zadd("asgi:group:group", {"member": self.redis.time()[0]})

    @property
    def up(self) -> bool:
        return self.server.alive()

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.all_is_well_again()
        finally:
            for process in self.alive.values():
                self.loop.run_until_complete(process.kill())
            self.redis.close()
            self.loop.close()

    # Looking at what happened

    def settle(self) -> None:
        """Until every process sleeps; then compare with the model."""
        self.loop.run_until_complete(self.wire.quiet(list(self.alive.values())))
        self.look()

    def look(self) -> None:
        now = self.clock.now()
        for process in self.alive.values():
            for event, start, end in process.unanswered() if len(self.alive) > 1 else ():
                self.model.contested[event].add(Span(start, end))
            for outcome in process.news():
                self.model.outcome(outcome, process)
        if not self.up:
            return
        for channel in ("c", "narrow", "member"):
            for member in cast(list[bytes], self.redis.zrange(f"asgi{channel}", 0, -1)):
                if member not in self.seen:
                    self.seen.add(member)
                    self.model.message(msgpack.unpackb(member[12:])["beat"]["run"], now)
        self.redis.delete("asgic", "asgimember")
        self.look_at_fences(now)

    def look_at_fences(self, now: Ms) -> None:
        fences = self.fences_now()
        for event, earlier in self.fences.items():
            later = fences.get(event)
            assert later is not None, f"the fence of {event} is gone"
            assert later.due >= earlier.due, f"the fence of {event} went back: {earlier}, {later}"
        self.fences = fences
        for event in list(self.model.loose):
            if self.alive and self.is_adopted(event):
                self.model.tighten(event, now)

    def fences_now(self) -> dict[str, Fence]:
        state = cast(dict[bytes, bytes], self.redis.hgetall("channelbeat:asgi:state"))
        found = {name.decode(): fence(text.decode()) for name, text in state.items()}
        return {event: it for event, it in found.items() if it is not None and event.startswith("default/") and not event.endswith("!")}

    def is_adopted(self, event: str) -> bool:
        """Does Redis know the event as it is now?"""
        life, found = self.model.living(event), self.fences.get(event)
        if life is None:
            return found is None or found.hash == TOMBSTONE
        return found is not None and found.hash == life.definition.hash

    def happens(self) -> None:
        self.model.tick += 1

    def witnessed(self, event: str) -> bool:
        """Is there one process, which knows where the event stands and learns of all that happens?"""
        return len(self.alive) == 1 and all(process.knows(event) or event not in self.model.lives for process in self.alive.values())

    def loosen(self, *, unless_witnessed: bool = True) -> None:
        for event in list(self.model.lives):
            if not (unless_witnessed and self.witnessed(event)):
                self.model.loosen(event)

    # Processes

    @precondition(lambda self: len(self.alive) < len(PROCESSES))
    @rule(data=st.data())
    def a_process_starts(self, data: st.DataObject) -> None:
        self.happens()
        name = data.draw(st.sampled_from([name for name in PROCESSES if name not in self.alive]))
        self.start(name)

    def start(self, name: str) -> None:
        if not self.alive:
            self.learn()
        process = Process(self.server.url, owner=PROCESSES[name], wire=self.wire)
        self.alive[name] = process
        self.loop.run_until_complete(process.launch(self.manifests.values()))
        self.settle()

    def learn(self) -> None:
        """What was changed while nobody lived is learned of when somebody does: from Redis and the manifests, no more."""
        now, current = self.clock.now(), {}
        for manifest, created in self.manifests.values():
            (definition,) = compile_schedule(manifest)
            current[definition.key] = (definition, created)
        for event in list(self.model.lives):
            life, found = self.model.living(event), self.fences.get(event)
            if life is not None and (event not in current or current[event][1] > life.start):
                self.model.end(event, min(current[event][1] if event in current else now, now))
            elif life is not None and (found is None or found.hash == TOMBSTONE):
                self.model.forget(event)  # nobody has acted on it
        for event, (definition, created) in current.items():
            self.model.begin(definition, now if self.model.living(event) else created)

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
        for name, (_, created) in self.manifests.items():
            if (found := self.fences.get(f"default/{name}/e")) is None or found.hash == TOMBSTONE:
                self.model.extend(f"default/{name}/e", created)

    def generation(self) -> object:
        return self.redis.hget("channelbeat:asgi:state", ":gen")

    def changed(self) -> None:
        self.fences = self.fences_now()
        self.join()

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
        if self.redis.hget("channelbeat:asgi:state", ":owner") not in {PROCESSES[name].encode() for name in self.alive}:
            self.redis.hdel("channelbeat:asgi:state", ":leaderSeen")  # 5 minutes went by without its owner
        for _ in range(12):
            self.pass_a_second()
        calm = self.clock.now()
        for _ in range(3):
            self.pass_a_second()
        self.everything_is_accounted_for(calm)

    def pass_a_second(self) -> None:
        for _ in range(2):
            self.redis.delete("asginarrow")
            self.clock.advance(SECOND // 2)
            self.settle()

    def everything_is_accounted_for(self, calm: Ms) -> None:
        now = self.clock.now()
        assert not self.model.loose, f"nobody stands on the fences of {', '.join(self.model.loose)}"
        assert not (late := self.model.late(calm, now)), f"not sent on time: {', '.join(late)}"
        assert not (forgotten := self.model.forgotten(now - SECOND)), f"nobody knows what became of {', '.join(forgotten)}"
        assert not (missing := self.model.not_found()), f"told to be enqueued, and not found: {', '.join(missing)}"
        assert not (missing := self.model.not_replayed()), f"not enqueued again: {', '.join(missing)}"
        self.model.replays.clear()


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
