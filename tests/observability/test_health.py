"""When a process is to be restarted, and when it is ready: an outage of others is neither."""

import asyncio

import pytest

from channelbeat.core.instants import DAY, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.observability.health import PATIENCE, Health
from channelbeat.observability.page import Ask
from channelbeat.runtime import Alone, Engine, Layer, SystemClock
from support.redis import RedisServer
from support.rig import Recorder, schedule
from support.waiting import eventually

AT: Ms = 1_795_221_402_007


class Watched:
    """A process whose layers' loops turn when told to, and somebody who asks for its health."""

    def __init__(self, *names: str, synced: bool = True) -> None:
        self.now, self.synced = 0.0, synced
        self.layers = {name: Layer(name, True, 3, None, AT) for name in names or ("default",)}
        self._health = Health(lambda: [*self.layers.values()], lambda: self.synced, now=lambda: self.now)

    def turn(self, name: str = "default", by: Ms = 1_000) -> None:
        self.layers[name] = self.layers[name]._replace(turned=self.layers[name].turned + by)

    async def alive(self, query: str = "") -> tuple[int, str]:
        page = await self._health.healthz(Ask({query: ""} if query else {}, {}))
        assert isinstance(page.body, str)
        return page.status, page.body

    async def ready(self) -> tuple[int, str]:
        page = await self._health.readyz(Ask({}, {}))
        assert isinstance(page.body, str)
        return page.status, page.body


async def test_a_loop_that_turns_is_well() -> None:
    process = Watched()
    for _ in range(20):
        assert await process.alive() == (200, "ok\n")
        process.now += PATIENCE / 2
        process.turn()


async def test_a_loop_that_hangs_is_told_after_a_minute() -> None:
    process = Watched("default", "reports")
    await process.alive()
    process.now = PATIENCE - 1
    process.turn("reports")
    assert (await process.alive())[0] == 200
    process.now = PATIENCE + 15
    assert await process.alive() == (503, "layer 'default': its loop has not turned for 75 s; this process hangs, and is to be restarted\n")
    process.turn()
    assert (await process.alive())[0] == 200


@pytest.mark.parametrize("step", [-DAY, DAY])
async def test_a_clock_that_is_set_is_no_matter(step: Ms) -> None:
    process = Watched()
    await process.alive()
    process.now = PATIENCE - 1
    process.turn(by=step)
    assert (await process.alive())[0] == 200
    process.now += PATIENCE - 1
    assert (await process.alive())[0] == 200
    process.now += 1
    assert (await process.alive())[0] == 503  # a loop that hangs is seen all the same
    process.turn()
    assert (await process.alive())[0] == 200


async def test_loops_that_have_not_begun_are_waited_for_until_all_has_been_read() -> None:
    process = Watched(synced=False)
    for _ in range(3):
        assert (await process.alive())[0] == 200
        process.now += PATIENCE
    assert (await process.alive())[0] == 200
    process.synced = True
    process.now += PATIENCE - 1
    assert (await process.alive())[0] == 200
    process.now += 1
    assert (await process.alive())[0] == 503
    process.turn()
    assert (await process.alive())[0] == 200


async def test_a_loop_that_began_and_hangs_is_told_before_all_has_been_read() -> None:
    process = Watched(synced=False)
    await process.alive()
    process.turn()
    await process.alive()
    process.now = PATIENCE
    assert (await process.alive())[0] == 503


async def test_layers_come_and_go() -> None:
    process = Watched("default", "reports")
    await process.alive()
    process.now = PATIENCE
    process.turn()
    gone = process.layers.pop("reports")
    assert (await process.alive())[0] == 200
    process.layers["reports"] = gone
    assert (await process.alive())[0] == 200  # it begins anew
    process.now += PATIENCE
    process.turn()
    assert (await process.alive())[0] == 503


async def test_who_asks_is_told_how_it_stands_with_each_layer() -> None:
    process = Watched("default", "reports")
    process.layers["reports"] = Layer("reports", False, 0, Notice("reports", Sign.AWAY, "no answer of redis://u:p@h", AT), AT)
    await process.alive()
    process.now = 2
    assert await process.alive("verbose") == (
        200,
        "this replica leads\n"
        "layer default: sends with epoch 3; its loop was seen to turn 2 s ago\n"
        "layer reports: cannot send: Away: no answer of redis://***@h; its loop was seen to turn 2 s ago\n"
        "ok\n",
    )
    process.layers = {"default": Layer("default", False, 3, None, AT)}
    assert (await process.alive("verbose"))[1].startswith("this replica does not lead: it is ready to\nlayer default: is not sent to from here;")


async def test_ready_is_who_has_read_everything() -> None:
    process = Watched(synced=False)
    assert await process.ready() == (503, "the schedules are still being read from the API server\n")
    process.synced = True
    assert await process.ready() == (200, "ok\n")


@pytest.mark.chaos
@pytest.mark.slow
async def test_a_redis_that_hangs_or_is_away_restarts_nobody(own_redis: RedisServer) -> None:
    engine = Engine({"default": LayerSettings("default", own_redis.url)}, owner="us", journal=Recorder(), clock=SystemClock(), leadership=Alone())
    engine.book.put(schedule({"every": "100ms"}))
    now = 0.0
    health = Health(engine.layers, lambda: True, now=lambda: now)
    work = asyncio.create_task(engine.run())
    try:
        await engine.leading("default")
        for fault in (own_redis.freeze, own_redis.kill):
            fault()
            await eventually(lambda: engine.layers()[0].ailment is not None, 30)
            before = engine.layers()[0].turned
            assert (await health.healthz(Ask({}, {}))).status == 200
            now += PATIENCE
            await eventually(lambda before=before: engine.layers()[0].turned > before, 30)  # type: ignore[misc]
            assert (await health.healthz(Ask({}, {}))).status == 200
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
