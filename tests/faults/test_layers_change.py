"""Layers whose settings change while the engine runs: a password rotated, a Redis left for another, layers that come, go and swap."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import cycle, islice
from typing import Any, TypeAlias

import msgpack
import pytest
from redis import Redis as Client
from redis.asyncio import Redis

from channelbeat.core import instants
from channelbeat.core.instants import SECOND
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Sign
from channelbeat.errors import LayerError, LayerRefused, UsageError
from channelbeat.runtime import Alone, Engine
from support.clock import ManualClock
from support.redis import RedisServer
from support.rig import Recorder, schedule
from support.times import NOON
from support.waiting import eventually

ALL = {"every": "1s", "missed": {"policy": "All"}}
Run: TypeAlias = Callable[..., "Running"]


def settings(name: str, url: str, **options: Any) -> LayerSettings:
    return LayerSettings(**{"name": name, "url": url, "capacity": 100_000, **options})


class Running:
    """An engine with a schedule of `every: 1s` on each of its layers, which is called as the layer is, and goes to the channel `c`."""

    def __init__(self, *layers: LayerSettings, events: int = 1, **spec: Any) -> None:
        self.clock, self.journal = ManualClock(NOON), Recorder()
        self.layers = {layer.name: layer for layer in layers}
        self.engine = Engine(self.layers, owner="us", journal=self.journal, clock=self.clock, leadership=Alone())
        self._events, self._spec = events, spec
        for name in self.layers:
            self.put(name)
        self.engine.book.complete()
        self._task = asyncio.create_task(self.engine.run())

    def put(self, name: str) -> None:
        self.engine.book.put(schedule(*[ALL] * self._events, name=name, channelLayer={"name": name}, **self._spec))

    def use(self, *layers: LayerSettings) -> None:
        """These are the layers from now on, as whoever watches has it: schedules of those that are not there are parked."""
        before, self.layers = self.layers, {layer.name: layer for layer in layers}
        self.engine.use_layers(self.layers)
        for name in before.keys() - self.layers.keys():
            self.engine.book.park(f"default/{name}")
        for name in self.layers.keys() - before.keys():
            self.put(name)

    def enqueued(self, name: str) -> int:
        return self.journal.counts(f"default/{name}")["enqueued"]

    def decided(self, name: str) -> int:
        return self.journal.counts(f"default/{name}").total()

    @property
    def seconds(self) -> int:
        return (self.clock.now() - NOON) // SECOND

    async def pass_seconds(self, seconds: int, *names: str) -> None:
        """Time passes, as fast as it is decided what becomes of these schedules' due times."""
        for _ in range(seconds):
            self.clock.advance(SECOND)
            await self.caught_up(*names)

    async def caught_up(self, *names: str, left_out: int = 0) -> None:
        """All that came due was decided; of `left_out` seconds it never is."""
        wanted = (self.seconds - left_out) * self._events
        await eventually(lambda: all(self.decided(name) >= wanted for name in names), what=f"{names} to have decided {wanted}")

    async def begin_burst(self, redis: Redis, prefix: str = "asgi", *, length: int = 20 * SECOND) -> None:
        """Much comes due at once; some of it is there when this returns."""
        before = await redis.zcard(f"{prefix}c")
        self.clock.advance(length)

        async def under_way() -> bool:
            return await redis.zcard(f"{prefix}c") > before

        await eventually(under_way)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Time passes meanwhile."""

        def stepped() -> bool:
            if condition():
                return True
            if self.clock.sleepers:
                self.clock.advance(SECOND // 4)
            return False

        await eventually(stepped, 20, what="the condition")

    def epoch(self, name: str) -> int:
        return next(layer.epoch for layer in self.engine.layers() if layer.name == name)

    def signs(self, name: str) -> list[Sign]:
        return [notice.sign for notice in self.journal.notices if notice.layer == name and notice.sign is not Sign.CLOCK_SKEW]

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def sent(url: str, prefix: str = "asgi") -> list[str]:
    """The runs that wait in the channel there, in order."""
    with Client.from_url(url) as redis:
        return [str(msgpack.unpackb(member[12:])["beat"]["run"]) for member in redis.zrange(f"{prefix}c", 0, -1)]


def dues(*runs: str) -> list[int]:
    """Seconds after noon."""
    return [(instants.parse(run.rpartition("/")[2]) - NOON) // SECOND for run in runs]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    made: list[Running] = []

    def make(*layers: LayerSettings, **options: Any) -> Running:
        made.append(Running(*layers, **options))
        return made[-1]

    yield make
    for one in made:
        await one.end()


@pytest.mark.chaos
async def test_a_password_rotated_while_events_flow(run: Run, own_redis: RedisServer) -> None:
    async with Redis.from_url(own_redis.url) as admin:
        await admin.execute_command("ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all")  # type: ignore[no-untyped-call]
        running = run(settings("default", own_redis.url.replace("unix://", "unix://app:one@")), events=20)
        await running.pass_seconds(5, "default")
        for before, after in islice(cycle([("one", "two"), ("two", "one")]), 4):
            await admin.execute_command("ACL", "SETUSER", "app", f"<{before}", f">{after}")  # type: ignore[no-untyped-call]
            await admin.execute_command("CLIENT", "KILL", "USER", "app")  # type: ignore[no-untyped-call]
            running.clock.advance(SECOND)
            await running.until(lambda: running.signs("default")[-1] is Sign.AWAY)
            assert f":{before}@" not in running.journal.notices[-1].text
            running.use(settings("default", own_redis.url.replace("unix://", f"unix://app:{after}@")))
            await running.until(lambda: running.signs("default")[-1] is Sign.LEADING)
            await running.pass_seconds(3, "default")
        await running.pass_seconds(1, "default")
        await eventually(lambda: running.enqueued("default") == 20 * running.seconds)
    found = sent(own_redis.url)
    assert len(found) == len(set(found)) == 20 * running.seconds


async def test_settings_that_change_while_a_burst_is_sent(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    running = run(settings("default", redis_server.url), events=100)
    await running.engine.leading("default")
    for capacity in range(100_000, 100_010):
        await running.begin_burst(redis)
        running.use(settings("default", redis_server.url, capacity=capacity))
    await running.caught_up("default")
    found = sent(redis_server.url)
    assert len(found) == len(set(found)) == 100 * running.seconds == running.enqueued("default")
    assert set(running.signs("default")) == {Sign.LEADING}


@pytest.mark.parametrize("old", ["still there", "gone"])
async def test_moved_to_another_redis_nothing_that_may_have_been_sent_is_sent_again(
    run: Run, own_redis: RedisServer, redis_server: RedisServer, redis: Redis, old: str
) -> None:
    running = run(settings("default", own_redis.url), events=10)
    await running.pass_seconds(5, "default")
    before = sent(own_redis.url)
    if old == "gone":
        own_redis.kill()
    running.clock.advance(3 * SECOND)
    running.use(settings("default", redis_server.url))
    await running.until(lambda: Sign.WIPED in running.signs("default"))
    await running.pass_seconds(5, "default")
    first = before if old == "gone" else sent(own_redis.url)
    second = sent(redis_server.url)
    assert set(before) <= set(first)
    assert not set(first) & set(second)
    assert len(second) == len(set(second))
    assert {*range(running.seconds - 4, running.seconds + 1)} <= set(dues(*second))  # it goes on
    counts = running.journal.counts()
    assert counts.total() == 10 * running.seconds  # and of each it is said what became of it
    assert counts["enqueued"] == len(first) + len(second)


async def test_a_layer_that_is_added_is_led_and_its_events_are_sent(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    one, two = settings("one", redis_server.url), settings("two", redis_server.url, prefix="two")
    running = run(one)
    await running.pass_seconds(5, "one")
    running.use(one, two)
    await running.engine.leading("two")
    for _ in range(5):
        await running.pass_seconds(1, "one")
        await running.caught_up("two", left_out=5)
    assert dues(*sent(redis_server.url, "two")) == [6, 7, 8, 9, 10]
    assert running.epoch("two") > running.epoch("one")
    assert {outcome.lateness for outcome in running.journal.outcomes} == {0}


async def test_one_that_is_dropped_gives_up_its_lead_and_its_events_stop(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    one, two = settings("one", redis_server.url), settings("two", redis_server.url, prefix="two")
    running = run(one, two)
    await running.pass_seconds(5, "one", "two")
    asked = asyncio.create_task(running.engine.trigger("default/two", "e", running.clock.now() + 1))
    await asked
    running.use(one)

    async def given_up() -> bool:
        return not await redis.hexists("channelbeat:two:state", ":leaderSeen")

    await eventually(given_up)
    await running.pass_seconds(5, "one")
    assert running.enqueued("two") == 5
    assert [layer.name for layer in running.engine.layers()] == ["one"]
    with pytest.raises(UsageError):
        await running.engine.trigger("default/two", "e", 0)
    with pytest.raises(LayerRefused):
        await running.engine.stats("two", ["default/two/e"])


async def test_one_that_comes_back_makes_up_for_what_it_missed(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    one, two = settings("one", redis_server.url), settings("two", redis_server.url, prefix="two")
    running = run(one, two)
    await running.pass_seconds(5, "one", "two")
    running.use(one)
    await running.pass_seconds(15, "one")
    running.use(one, two)
    await running.engine.leading("two")
    await running.pass_seconds(5, "one", "two")
    assert dues(*sent(redis_server.url, "two")) == [*range(1, 26)]
    assert running.journal.counts("default/two") == {"enqueued": 25}


async def test_one_that_flaps_ends_as_it_was_left(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    one, two = settings("one", redis_server.url), settings("two", redis_server.url, prefix="two")
    running = run(one, two, events=10)
    await running.pass_seconds(2, "one", "two")
    for _ in range(10):
        running.use(one)
        running.clock.advance(SECOND)
        await asyncio.sleep(0)
        running.use(one, two)
    await running.engine.leading("two")
    await running.pass_seconds(3, "one", "two")
    assert len(sent(redis_server.url, "two")) == len(set(sent(redis_server.url, "two"))) == 10 * running.seconds
    assert Sign.REFUSED not in running.signs("two")


async def test_what_one_that_is_dropped_was_to_trigger_is_withdrawn(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    one, two = settings("one", redis_server.url), settings("two", redis_server.url, prefix="two")
    running = run(one, two)
    await running.pass_seconds(2, "one")
    await redis.delete("twoc")
    await redis.set("twoc", "no channel")
    asked = asyncio.create_task(running.engine.trigger("default/two", "e", NOON))
    await running.until(lambda: running.journal.counts("default/two")["held/WrongType"] > 0)
    running.use(one)
    await running.until(asked.done)
    assert asked.cancelled()


@pytest.mark.chaos
async def test_one_that_is_dropped_while_its_redis_hangs_holds_up_nothing(run: Run, own_redis: RedisServer, redis_server: RedisServer, redis: Redis) -> None:
    one, two = settings("one", redis_server.url), settings("two", own_redis.url)
    running = run(one, two)
    await running.pass_seconds(2, "one", "two")
    own_redis.freeze()
    asked = asyncio.create_task(running.engine.trigger("default/two", "e", NOON))
    await running.pass_seconds(1, "one")
    running.use(one)
    await running.pass_seconds(3, "one")
    own_redis.thaw()
    await asyncio.gather(asked, return_exceptions=True)
    assert asked.cancelled() or (await asked).run == "default/two/e/trigger-2025-06-02T12:00:00Z"
    await running.end()


async def test_a_layer_that_is_renamed_is_taken_over_at_once(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    running = run(settings("old", redis_server.url), events=100)
    await running.pass_seconds(5, "old")
    await running.begin_burst(redis, length=100 * SECOND)
    running.use(settings("new", redis_server.url))
    await running.until(lambda: running.signs("new") == [Sign.LEADING])
    await running.until(lambda: running.enqueued("new") >= 500)
    found = sent(redis_server.url)
    assert len(found) == len(set(found)) == running.journal.counts()["enqueued"]
    assert Sign.REFUSED not in running.journal.signs()


async def test_two_layers_that_swap_what_they_reach(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    one, two = settings("one", redis_server.url), settings("two", redis_server.url, prefix="two")
    running = run(one, two, events=100)
    await running.pass_seconds(5, "one", "two")
    for _ in range(3):
        one, two = replace(two, name="one"), replace(one, name="two")
        await running.begin_burst(redis)
        running.use(one, two)
        before = {name: len(running.signs(name)) for name in ("one", "two")}
        await running.until(lambda before=before: all(Sign.LEADING in running.signs(name)[count:] for name, count in before.items()))  # type: ignore[misc]
        await running.pass_seconds(5, "one", "two")
    found = [*sent(redis_server.url), *sent(redis_server.url, "two")]
    assert len(found) == len(set(found))
    for name in ("one", "two"):
        assert running.decided(name) == 100 * running.seconds
        assert len([run for run in found if run.startswith(f"default/{name}/")]) == running.enqueued(name)
        assert not {Sign.REFUSED, Sign.TAKEN} & {*running.signs(name)}


async def test_capacity_that_grows_lets_through_what_was_held(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    running = run(settings("default", redis_server.url, capacity=3))
    await running.until(lambda: running.journal.counts()["held/ChannelFull"] >= 2)
    assert len(sent(redis_server.url)) == 3
    running.use(settings("default", redis_server.url, capacity=1_000))
    await running.until(lambda: running.enqueued("default") == running.seconds)
    assert dues(*sent(redis_server.url)) == [*range(1, running.seconds + 1)]


async def test_new_settings_that_are_refused_leave_the_layer_as_it_was(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    good = settings("default", redis_server.url)
    running = run(good)
    await running.pass_seconds(3, "default")
    running.use(replace(good, serializer_format="nonsense"))
    await running.until(lambda: Sign.REFUSED in running.signs("default"))
    await running.pass_seconds(3, "default")
    running.use(replace(good, capacity=50))
    await running.pass_seconds(3, "default")
    assert dues(*sent(redis_server.url)) == [*range(1, running.seconds + 1)]
    assert running.signs("default").count(Sign.REFUSED) == 1


async def test_a_new_layer_that_cannot_be_made_changes_nothing(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    good = settings("default", redis_server.url)
    running = run(good)
    await running.pass_seconds(3, "default")
    with pytest.raises(LayerRefused):
        running.engine.use_layers({"new": settings("new", redis_server.url, prefix="new", serializer_format="nonsense")})
    await running.pass_seconds(3, "default")
    running.engine.use_layers({"default": good, "new": settings("new", redis_server.url, prefix="new")})
    await running.engine.leading("new")


async def test_who_may_name_a_layer_is_of_no_account_to_its_lane(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    good = settings("default", redis_server.url)
    running = run(good)
    await running.pass_seconds(3, "default")
    epoch = running.epoch("default")
    running.use(replace(good, allowed_namespaces=("shop",)))
    await running.pass_seconds(3, "default")
    assert running.epoch("default") == epoch


async def test_whoever_asks_meanwhile_has_an_answer(run: Run, redis_server: RedisServer, redis: Redis) -> None:
    good = settings("default", redis_server.url)
    running = run(good, delivery="AtLeastOnce", events=10)
    await running.engine.leading("default")
    told, going = Counter[str](), True

    async def ask() -> None:
        while going:
            try:
                await running.engine.stats("default", ["default/default/e"])
                told["answered"] += 1
            except LayerError as error:
                told[str(error)] += 1

    asking = [asyncio.create_task(ask()) for _ in range(5)]
    for capacity in range(100, 140):
        running.use(replace(good, capacity=capacity))
        await running.pass_seconds(1, "default")
    going = False
    await asyncio.gather(*asking)
    assert {*told} == {"answered"}
    assert Sign.FAULT not in running.journal.signs()
    assert running.journal.counts() == {"enqueued": 10 * running.seconds}


async def test_what_a_lane_that_never_began_was_to_trigger_is_withdrawn(run: Run, own_redis: RedisServer, redis_server: RedisServer) -> None:
    one, other = settings("one", own_redis.url), settings("other", redis_server.url)
    running = run(one, other)
    await running.engine.leading("one")
    own_redis.freeze()
    running.use(other)  # its lane may still be ending when the next ones come and go
    running.use(one, other)
    asked = asyncio.create_task(running.engine.trigger("default/one", "e", running.clock.now()))
    await asyncio.sleep(0)
    running.use(other)
    own_redis.thaw()
    await eventually(asked.done)
    assert asked.cancelled()
