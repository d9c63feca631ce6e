"""What may happen in a story, a verb each. After each, the model has been shown what there is to see."""

from typing import Any

from channelbeat.core import instants
from channelbeat.core.definition import compile_schedule
from channelbeat.core.instants import MINUTE, Ms
from support.model import Span
from support.process import Process
from support.rig import schedule
from support.stage import OWNERS, START, Stage

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


class World(Stage):
    def start(self, name: str) -> None:
        """A process begins, with the manifests as they are."""
        self.happens()
        if not self.alive:
            self.learn()
        self.extend()
        process = Process(self.server.url, owner=OWNERS[name], wire=self.wire)
        self.alive[name] = process
        self.loop.run_until_complete(process.launch(self.manifests.values()))
        self.settle()

    def end(self, name: str, *, clean: bool = False) -> None:
        """A process is stopped or killed, and takes with it what only it knew."""
        self.happens()
        process = self.alive[name]
        for event, start, end in process.unanswered():
            self.model.excused[event].add(Span(start, end))
        for event in self.model.lives:
            if not self.is_adopted(event):
                self.model.loosen(event)
        self.model.replays.clear()
        self.loop.run_until_complete(process.stop() if clean else process.kill())
        self.look()
        del self.alive[name]

    def lose(self, name: str, *, carried_out: bool, number: int = 1) -> None:
        """The next answers to a process get lost, what was asked for being carried out or not."""
        self.happens()
        self.alive[name].losses.extend([carried_out] * number)

    def apply(self, name: str, event: str) -> None:
        """A schedule is created or edited."""
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

    def remove(self, name: str) -> None:
        self.happens()
        event = f"default/{name}/e"
        if not self.witnessed(event):
            self.model.loosen(event)
        del self.manifests[name]
        if self.alive:
            self.model.end(event, self.clock.now())
            for process in self.alive.values():
                process.book.remove(f"default/{name}")
            self.settle()

    def trigger(self, process: str, name: str, ago: Ms = 0) -> None:
        self.happens()
        definition = self.alive[process].book.definition(f"default/{name}", "e")
        assert definition is not None
        self.loop.run_until_complete(self.alive[process].ask(definition, self.clock.now() - ago))
        self.settle()

    def pass_time(self, step: Ms, number: int = 1) -> None:
        self.happens()
        for _ in range(number):
            self.clock.advance(step)
            self.settle()

    def redis_away(self) -> None:
        self.server.kill()

    def redis_back(self) -> None:
        self.happens()
        self.server.start()
        self.server.wait()
        self.settle()

    def wipe(self) -> None:
        self.happens()
        self.loosen()
        self.redis.flushall()
        self.model.wiped = True
        self.changed()

    def take_snapshot(self) -> None:
        self.happens()
        self.snapshot = (self.model.tick, {key: self.redis.dump(key) or b"" for key in self.redis.scan_iter()})

    def restore(self) -> None:
        """The store goes back to the snapshot."""
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

    def recover(self) -> None:
        """Redis is up, somebody leads, workers work, and time passes: then everything due is known of, and what comes due is sent."""
        self.happens()
        if not self.up:
            self.redis_back()
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

    def close(self) -> None:
        for process in self.alive.values():
            self.loop.run_until_complete(process.kill())
        self.redis.close()
        self.loop.close()
