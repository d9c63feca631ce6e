"""Where stories play: a Redis, the processes on it, the manifests they are given, and a model that is shown all of it."""

import asyncio
from typing import cast

import msgpack
from redis import Redis

from channelbeat.broker.rows import fence
from channelbeat.core import instants
from channelbeat.core.batch import TOMBSTONE, Fence
from channelbeat.core.definition import compile_schedule
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.schedule import BeatSchedule
from support.clock import ManualClock
from support.model import Model, Span
from support.process import Process, Wire
from support.redis import RedisServer

START = instants.parse("2024-02-28T23:50:00Z")
OWNERS = {"A": "us", "B": "us", "C": "them"}


class Stage:
    def __init__(self, server: RedisServer) -> None:
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

    def settle(self) -> None:
        """Until every process sleeps; then compare with the model."""
        self.loop.run_until_complete(self.wire.quiet(list(self.alive.values())))
        self.look()

    def look(self) -> None:
        """Give the model what there is to see: outcomes, messages, fences."""
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

    def loosen(self) -> None:
        """Something happened to all events that only a witness can account for."""
        for event in list(self.model.lives):
            if not self.witnessed(event):
                self.model.loosen(event)

    def extend(self) -> None:
        """Whoever meets an event that Redis does not know goes back to its creation, and knows of no edit since."""
        for name, (_, created) in self.manifests.items():
            if (found := self.fences.get(f"default/{name}/e")) is None or found.hash == TOMBSTONE:
                self.model.extend(f"default/{name}/e", created)

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

    def generation(self) -> object:
        return self.redis.hget("channelbeat:asgi:state", ":gen")

    def changed(self) -> None:
        """The store is another one now: its fences may stand anywhere, and the consumer joins its group again."""
        self.fences = self.fences_now()
        self.join()

    def pass_a_second(self) -> None:
        for _ in range(2):
            self.redis.delete("asginarrow")
            self.clock.advance(SECOND // 2)
            self.settle()

    def everything_is_accounted_for(self, calm: Ms) -> None:
        """`calm`: since when nothing was in the way of sending on time."""
        now = self.clock.now()
        assert not self.model.loose, f"nobody stands on the fences of {', '.join(self.model.loose)}"
        assert not (late := self.model.late(calm, now)), f"not sent on time: {', '.join(late)}"
        assert not (forgotten := self.model.forgotten(now - SECOND)), f"nobody knows what became of {', '.join(forgotten)}"
        assert not (missing := self.model.not_found()), f"told to be enqueued, and not found: {', '.join(missing)}"
        assert not (missing := self.model.not_replayed()), f"not enqueued again: {', '.join(missing)}"
        self.model.replays.clear()
