"""What goes wrong around an Autoscaler, and costs nobody else anything."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from channelbeat.core import instants
from channelbeat.core.crews import Crew
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.engine.ports import Observed
from channelbeat.running import soundings
from support import bench as benches
from support.bench import Bench
from support.redis import RedisServer
from support.scaler import CREW, Scaled, handled, manned, put, scaling
from support.times import NOON


async def test_a_layer_that_is_away_lowers_nothing_and_holds_up_no_other(redis_server: RedisServer, bench: Bench, own_redis: RedisServer) -> None:
    schedules = [manned(name="t"), manned(name="far", channel="f", channelLayer={"name": "other"}, scaling={"minReplicas": 2})]
    async with scaling(redis_server.url, *schedules, layers={"default": redis_server.url, "other": own_redis.url}) as scaler:
        own_redis.kill()
        await scaler.pass_time(6 * SECOND)
        scaler.site.have("default/far-worker", 5)
        await put(bench, 1)
        await scaler.pass_time(30 * SECOND)
        assert scaler.said() == (1, "Load")
        assert scaler.said("default/far-worker") == (5, "UnknownLoad")
        own_redis.start()
        own_redis.wait()
        assert await scaler.until(lambda: scaler.said("default/far-worker") == (2, "Floor"), MINUTE) <= 12 * SECOND


async def test_a_layer_that_is_away_for_a_moment_is_no_need_for_workers(own_redis: RedisServer) -> None:
    """Else one failure in each scaleDownAfter would keep a peak for ever."""
    async with scaling(own_redis.url, manned(scaling={"scaleDownAfter": "10s"})) as scaler:
        scaler.site.have(CREW, 5)
        for _ in range(4):
            own_redis.kill()
            await scaler.pass_time(2 * SECOND)
            own_redis.start()
            own_redis.wait()
            await scaler.pass_time(4 * SECOND)
        assert scaler.said() == (0, "Zero")
        assert "UnknownLoad" not in {str(decision.reason) for decision in scaler.site.wanted[CREW]}


async def test_a_layer_that_is_away_when_somebody_begins_to_lead_lowers_nothing(own_redis: RedisServer) -> None:
    """It is not known then whose the workers are: of stock ones a layer that is away would say as little as one that is there."""
    async with scaling(own_redis.url, manned(delivery="BestEffort")) as scaler:
        scaler.lease.held = False
        await scaler.pass_time(2 * SECOND)
        own_redis.kill()
        scaler.site.have(CREW, 5)
        scaler.lease.held = True
        await scaler.pass_time(30 * SECOND)
        assert scaler.said() == (5, "UnknownLoad")
        own_redis.start()
        own_redis.wait()
        assert await scaler.until(lambda: scaler.said() == (0, "Zero"), MINUTE) <= 12 * SECOND


async def test_a_layer_that_hangs_holds_up_no_other(redis_server: RedisServer, bench: Bench, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundings, "PATIENCE", 0.5)  # as it is; each turn lasts as long here
    schedules = [manned(name="t"), manned(name="far", channel="f", channelLayer={"name": "other"})]
    async with scaling(redis_server.url, *schedules, layers={"default": redis_server.url, "other": own_redis.url}) as scaler:
        own_redis.freeze()
        try:
            await scaler.pass_time(6 * SECOND)
            scaler.site.have("default/far-worker", 1)
            await scaler.pass_time(12 * SECOND)
            await put(bench, 1)
            await scaler.pass_time()
            assert scaler.said() == (1, "Load")
            assert scaler.said("default/far-worker") == (1, "UnknownLoad")
            assert "soundings of layer other" in {task.get_name() for task in asyncio.all_tasks()}, "nobody waited for its answer"
        finally:
            own_redis.thaw()


async def test_a_channel_whose_key_is_something_else_is_unknown_alone(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(name="t"), manned(name="s", channel="d")) as scaler:
        await bench.redis.set("asgic", "x")
        scaler.site.have(CREW, 3)
        await put(bench, 1, "d")
        await scaler.pass_time(20 * SECOND)
        assert scaler.said() == (3, "UnknownLoad")
        assert scaler.said("default/s-worker") == (1, "Load")


async def test_a_crew_that_is_our_own_fault_is_told_once_and_stops_no_other(
    scaled: Scaled, bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scaled(manned(name="bad", channel="b"), manned(name="t")) as scaler:
        observe: Callable[[Crew], Observed | None] = scaler.site.observe

        def faulty(crew: Crew) -> Observed | None:
            if crew.key == "default/bad-worker":
                raise ZeroDivisionError("of our own making")
            return observe(crew)

        monkeypatch.setattr(scaler.site, "observe", faulty)
        await put(bench, 1)
        await scaler.pass_time(5 * SECOND)
        assert scaler.said() == (1, "Load")
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
            "workers default/bad-worker cannot be decided on, for a fault of channelbeat's own: please report it"
        ]


async def test_workloads_that_are_our_own_fault_are_told_once_and_asked_again(
    scaled: Scaled, bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scaled(manned()) as scaler:
        with monkeypatch.context() as patched:
            patched.setattr(scaler.site, "crews", lambda: 1 // 0)
            await scaler.pass_time(5 * SECOND)
        assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
        await put(bench, 1)
        await scaler.pass_time()
        assert scaler.said() == (1, "Load")


async def test_nothing_is_decided_while_nobody_can_tell_how_many_there_are(scaled: Scaled, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async with scaled(manned()) as scaler:
        scaler.site.blind.add(CREW)
        await put(bench, 1)
        await scaler.pass_time(5 * SECOND)
        assert scaler.said() == (0, "Zero"), "as before"
        assert caplog.records == []
        scaler.site.blind.clear()
        await scaler.pass_time()
        assert scaler.said() == (1, "Load")


async def test_who_does_not_lead_decides_nothing_and_a_new_leader_keeps_what_is_there(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned()) as scaler:
        await put(bench, 1)
        await scaler.pass_time()
        scaler.lease.held = False
        await scaler.pass_time()
        asked = len(scaler.site.wanted[CREW])
        scaler.site.have(CREW, 3)
        await bench.redis.delete(benches.KEYS.queue("c"))
        await scaler.pass_time(MINUTE)
        assert len(scaler.site.wanted[CREW]) == asked
        assert scaler.said() is None
        scaler.lease.held = True
        assert await scaler.until(lambda: scaler.said() == (3, "ScaleDownDelay"), MINUTE) == SECOND
        assert await scaler.until(lambda: scaler.said() == (0, "Zero"), MINUTE) == 10 * SECOND


async def test_a_lead_that_is_lost_in_the_middle_of_a_turn_ends_it(scaled: Scaled, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scaled(manned(name="a"), manned(name="b", channel="d")) as scaler:
        observe: Callable[[Crew], Observed | None] = scaler.site.observe

        def lost(crew: Crew) -> Observed | None:
            scaler.lease.held = False
            return observe(crew)

        monkeypatch.setattr(scaler.site, "observe", lost)
        await put(bench, 1)
        await put(bench, 1, "d", 1)
        await scaler.pass_time()
        assert (scaler.site.numbers("default/a-worker"), scaler.site.numbers("default/b-worker")) == ([0, 1], [0])


async def test_a_clock_that_is_set_back_puts_off_what_was_foreseen(scaled: Scaled) -> None:
    async with scaled(manned({"at": instants.text(NOON + 40 * SECOND)})) as scaler:
        await scaler.until(lambda: scaler.said() == (1, "Forecast"), MINUTE)
        scaler.clock.step(-HOUR)
        assert await scaler.until(lambda: scaler.said() == (0, "Zero"), MINUTE) <= 12 * SECOND


async def test_a_layer_that_there_is_not_is_unknown(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(), manned(name="s", channel="d", channelLayer={"name": "none"})) as scaler:
        scaler.site.have("default/s-worker", 2)
        await put(bench, 1)
        await scaler.pass_time(20 * SECOND)
        assert scaler.said() == (1, "Load")
        assert scaler.said("default/s-worker") == (2, "UnknownLoad")


@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
async def test_a_clock_that_is_set_stops_nothing(scaled: Scaled, bench: Bench, step: Ms) -> None:
    async with scaled(manned()) as scaler:
        await put(bench, 1)
        await scaler.pass_time(2 * SECOND)
        scaler.clock.step(step)
        await scaler.pass_time(2 * SECOND)
        await bench.redis.delete(benches.KEYS.queue("c"))
        assert await scaler.until(lambda: scaler.said() == (0, "Zero"), MINUTE) <= 12 * SECOND
        await put(bench, 1, start=1)
        assert await scaler.until(lambda: scaler.said() == (1, "Load"), MINUTE) <= 2 * SECOND


async def test_a_store_that_is_wiped_is_no_work(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned()) as scaler:
        await handled(bench, 600)
        await scaler.until(lambda: scaler.said() == (0, "Zero"), MINUTE)
        await bench.redis.flushall()
        await scaler.pass_time(3 * SECOND)
        assert scaler.said() == (0, "Zero")


async def test_a_crew_that_goes_is_forgotten(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(), manned(name="s", channel="d")) as scaler:
        await put(bench, 1)
        await scaler.pass_time()
        await scaler.site.remove("default/t")
        await scaler.pass_time()
        assert scaler.said() is None
        assert scaler.said("default/s-worker") == (0, "Zero")
