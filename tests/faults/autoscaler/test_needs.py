"""What waits and what is due -> how many workers, at the next turn of the Autoscaler; and what asking for it costs."""

import asyncio
import logging
from typing import Any

import pytest

from channelbeat.core import instants
from channelbeat.core.crews import Crew
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.core.schedule import BeatSchedule
from channelbeat.engine.ports import Observed
from support.bench import ROOT, Bench
from support.redis import RedisServer
from support.rig import schedule
from support.scaler import CREW, TEMPLATE, Scaled, handled, manned, put, scaling
from support.times import NOON
from support.waiting import eventually


def due_in(length: Ms) -> dict[str, str]:
    return {"at": instants.text(NOON + length)}


async def test_a_backlog_calls_for_workers_at_the_next_turn(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned()) as scaler:
        assert scaler.said() == (0, "Zero")
        await put(bench, 101)
        await scaler.pass_time()
        assert scaler.said() == (2, "Load")
        assert scaler.site.numbers(CREW) == [0, 2]


async def test_workers_go_some_time_after_the_last_work(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned()) as scaler:
        await put(bench, 1)
        await scaler.pass_time()
        run = await bench.worker().claimed()
        await scaler.pass_time(20 * SECOND)
        assert scaler.said() == (1, "Load"), "a worker has it"
        await bench.worker().settle(run)
        assert await scaler.until(lambda: scaler.said() == (0, "Zero"), MINUTE) == 11 * SECOND, "the turn that sees it, and scaleDownAfter"


async def test_what_is_handled_between_two_looks_is_work_and_teaches_how_long_it_takes(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(scaling={"targetWait": "1s"})) as scaler:
        for _ in range(2):
            await handled(bench, 600)
        await scaler.pass_time()
        assert scaler.said() == (1, "Load")
        await put(bench, 10)
        await scaler.pass_time()
        assert scaler.said() == (6, "Load"), "ten of 600 ms each within a second"
        assert scaler.sentence() == "10 waiting and 0 in flight (600 ms each, targetWait 1s) call for 6"


async def test_a_worker_handles_as_many_at_a_time_as_its_schedule_says_or_it_says_itself(scaled: Scaled, bench: Bench) -> None:
    own = manned(name="t", worker={**TEMPLATE, "concurrency": 4}, scaling={"targetWait": "1s"})
    shared = manned(name="s", channel="d", worker={"scaleTargetRef": {"name": "web"}}, scaling={"targetWait": "1s"})
    async with scaled(own, shared) as scaler:
        for channel, start in (("c", 0), ("d", 100)):
            await handled(bench, 1_000, channel)
            await put(bench, 12, channel, start)
        bench.worker("old").renew(channels="d", concurrency="1", since="1")
        bench.worker("new").renew(channels="d", concurrency="6", since="2")
        await scaler.pass_time()
        assert scaler.said() == (3, "Load"), "12 s of work by 4 at a time"
        assert scaler.said("default/web") == (2, "Load"), "12 s of work by 6 at a time, as the newest worker does"


async def test_workers_with_something_in_hand_stay(scaled: Scaled, bench: Bench) -> None:
    """However many slots of theirs are idle, and even if it is a message that nobody claims, of a schedule that is not tracked."""
    async with scaled(manned(worker={**TEMPLATE, "concurrency": 4})) as scaler:
        scaler.site.have(CREW, 4)
        for name in "abcd":
            bench.worker(name).renew(channels="c", concurrency="4", busy="1" if name in "abc" else "0")
        await scaler.pass_time(20 * SECOND)
        assert scaler.said() == (3, "InFlight")
        bench.worker("a").renew(channels="c", concurrency="4", busy="0")
        await scaler.pass_time()
        assert scaler.said() == (2, "InFlight")


async def test_what_the_workers_of_others_have_in_hand_calls_for_nobody(scaled: Scaled, bench: Bench) -> None:
    """They listen on more channels than the crew's, and may be at work on those."""
    async with scaled(manned(delivery="BestEffort")) as scaler:
        bench.worker("general").renew(channels="c z", concurrency="8", busy="6")
        await scaler.pass_time(3 * SECOND)
        assert scaler.said() == (0, "Zero")
        scaler.site.have(CREW, 1)
        bench.worker("own").renew(channels="c", concurrency="8", busy="6")
        await scaler.pass_time(20 * SECOND)
        assert scaler.said() == (1, "Load")


async def test_a_layer_is_asked_twice_a_turn_whatever_the_number_of_channels(scaled: Scaled, bench: Bench) -> None:
    many = [manned(name=f"t{number}", channel=f"c{number}") for number in range(60)]

    async with scaled(*many) as scaler:
        await bench.redis.config_resetstat()
        await scaler.pass_time(5 * SECOND)
        found: dict[str, Any] = await bench.redis.info("commandstats")
        assert found["cmdstat_evalsha"]["calls"] == 10


@pytest.mark.parametrize(
    ("schedule", "warm"),
    [
        pytest.param(manned(due_in(40 * SECOND)), 10 * SECOND, id="as early as a start is guessed to take"),
        pytest.param(manned(due_in(40 * SECOND), scaling={"warmUp": "15s"}), 25 * SECOND, id="as early as it says"),
        pytest.param(manned(due_in(40 * SECOND), delivery="BestEffort"), 10 * SECOND, id="for stock workers, too"),
        pytest.param(manned(due_in(40 * SECOND), scaling={"warmUp": "Disabled"}), None, id="not at all"),
        pytest.param(manned(due_in(40 * SECOND), suspend=True), None, id="its schedule is suspended"),
        pytest.param(manned({**due_in(40 * SECOND), "suspend": True}), None, id="it is suspended"),
        pytest.param(manned({**due_in(40 * SECOND), "suspend": True}, due_in(50 * SECOND)), 20 * SECOND, id="but another is not"),
    ],
)
async def test_a_worker_is_started_before_an_event_is_due(scaled: Scaled, schedule: BeatSchedule, warm: Ms | None) -> None:
    async with scaled(schedule) as scaler:
        if warm is None:
            await scaler.pass_time(45 * SECOND)
            assert scaler.site.numbers(CREW) == [0]
        else:
            assert await scaler.until(lambda: scaler.said() == (1, "Forecast"), MINUTE) == warm
            assert scaler.site.numbers(CREW) == [0, 1]


async def test_an_edit_brings_a_new_forecast(scaled: Scaled) -> None:
    async with scaled(manned(due_in(HOUR))) as scaler:
        await scaler.pass_time(3 * SECOND)
        assert scaler.said() == (0, "Zero")
        await scaler.put(manned(due_in(20 * SECOND)))
        await scaler.pass_time()
        assert scaler.said() == (1, "Forecast")


async def test_what_others_send_there_is_foreseen_too(scaled: Scaled, bench: Bench) -> None:
    """Schedules that have no workers of their own, or may not have them, because these listen on their channel."""
    guest, refused = schedule(due_in(HOUR), name="guest"), manned(due_in(HOUR), name="young")
    async with scaled(manned()) as scaler:
        scaler.engine.book.put(guest)
        await scaler.put(refused)
        await scaler.pass_time()
        assert scaler.said() == (0, "Zero")
        for one in (schedule(due_in(40 * SECOND), name="guest"), manned(due_in(2 * MINUTE), name="young")):
            scaler.engine.book.put(one)
            took = await scaler.until(lambda: scaler.said() == (1, "Forecast"), 2 * MINUTE)
            assert took > 0
            assert await scaler.until(lambda: scaler.said() == (0, "Zero"), 2 * MINUTE) > 0
        scaler.engine.book.put(schedule(*(due_in(5 * MINUTE) for _ in range(3)), name="guest"))
        await handled(bench, 20 * SECOND)
        await scaler.until(lambda: scaler.said() == (2, "Forecast"), 3 * MINUTE)
        scaler.engine.book.remove("default/guest")
        assert await scaler.until(lambda: scaler.said() == (0, "Zero"), MINUTE) == 10 * SECOND, "scaleDownAfter"


async def test_what_others_send_to_a_suspended_schedules_channel_is_foreseen(scaled: Scaled) -> None:
    async with scaled(manned(suspend=True)) as scaler:
        scaler.engine.book.put(schedule(due_in(10 * SECOND), name="guest"))
        scaler.engine.book.put(schedule({"every": "1s"}, name="resting", suspend=True))
        await scaler.pass_time()
        assert scaler.said() == (1, "Forecast")


async def test_a_guests_pause_is_heeded(scaled: Scaled, bench: Bench) -> None:
    guest = schedule({"every": "10s"}, name="guest", delivery="AtLeastOnce", pauseAfterFailures=1)
    async with scaled(manned()) as scaler:
        scaler.engine.book.put(guest)
        await scaler.pass_time()
        assert scaler.said() == (1, "Forecast")
        (definition,) = scaler.engine.book.definitions(guest.key)
        assert definition.policy is not None
        await bench.redis.hset(f"{ROOT}stats", f"{definition.key} paused", f"{definition.policy.version} {NOON}")
        assert await scaler.until(lambda: scaler.said() == (0, "Zero"), 2 * MINUTE) <= 20 * SECOND


async def test_guests_that_come_and_go_do_not_keep_a_start_from_being_timed(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(), ready=False) as scaler:
        await put(bench, 1)
        await scaler.pass_time()
        assert scaler.said() == (1, "Load")
        scaler.engine.book.put(schedule({"every": "1h"}, name="guest"))
        await scaler.pass_time(4 * SECOND)
        bench.worker("w").renew(channels="c", concurrency="1", since="1")
        await scaler.until(lambda: scaler.autoscaler.starts(CREW), MINUTE)
        assert scaler.autoscaler.starts(CREW) >= (4 * SECOND,)


async def test_a_schedule_that_is_suspended_says_so(scaled: Scaled) -> None:
    async with scaled(manned(due_in(SECOND), suspend=True, scaling={"minReplicas": 1})) as scaler:
        assert scaler.said() == (1, "Suspended")


async def test_a_schedule_that_cannot_be_read_any_more_warms_nobody(scaled: Scaled) -> None:
    async with scaled(manned(due_in(HOUR))) as scaler:
        scaler.engine.book.put(manned(due_in(10 * SECOND)))
        await scaler.pass_time()
        assert scaler.said() == (1, "Forecast")
        scaler.engine.book.park("default/t")
        await scaler.pass_time(11 * SECOND)
        assert scaler.said() == (0, "Zero")


async def test_as_many_are_warmed_as_are_needed_for_how_long_one_takes(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(*(due_in(20 * SECOND) for _ in range(3)), scaling={"targetWait": "1s"})) as scaler:
        await scaler.pass_time()
        assert scaler.said() == (1, "Forecast")
        await handled(bench, 5 * SECOND)
        await scaler.pass_time()
        assert scaler.said() == (3, "Forecast")


async def test_an_event_whose_pause_is_older_than_its_workers_warms_nobody(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(pauseAfterFailures=1)) as scaler:
        schedule = manned({"every": "10s"}, name="s", channel="d", pauseAfterFailures=1)
        scaler.engine.book.put(schedule)
        (definition,) = scaler.engine.book.definitions("default/s")
        assert definition.policy is not None
        await bench.redis.hset(f"{ROOT}stats", "default/s/e paused", f"{definition.policy.version} {NOON}")
        await scaler.put(schedule)
        await scaler.pass_time()
        assert scaler.said("default/s-worker") == (0, "Zero")


async def test_an_event_that_is_paused_warms_nobody_until_it_is_resumed(scaled: Scaled, bench: Bench) -> None:
    schedule = manned({"every": "10s"}, pauseAfterFailures=1)
    async with scaled(schedule) as scaler:
        assert scaler.said() == (1, "Forecast")
        (definition,) = scaler.engine.book.definitions("default/t")
        assert definition.policy is not None
        await bench.redis.hset(f"{ROOT}stats", "default/t/e paused", f"{definition.policy.version} {NOON}")
        assert await scaler.until(lambda: scaler.said() == (0, "Zero"), 2 * MINUTE) <= 20 * SECOND, "a look every ten seconds, and scaleDownAfter"
        await bench.redis.hdel(f"{ROOT}stats", "default/t/e paused")
        assert await scaler.until(lambda: scaler.said() == (1, "Forecast"), MINUTE) <= 10 * SECOND
        await bench.redis.hset(f"{ROOT}stats", "default/t/e paused", f"another {NOON}")
        await scaler.pass_time(25 * SECOND)
        assert scaler.said() == (1, "Forecast"), "the pause was of the event as it was before an edit"


async def test_events_that_may_be_paused_are_looked_at_rarely(scaled: Scaled, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scaled(manned(pauseAfterFailures=3), manned(name="s", channel="d")) as scaler:
        asked: list[list[str]] = []
        stats = scaler.engine.stats

        async def counted(layer: str, events: list[str]) -> Any:
            asked.append(list(events))
            return await stats(layer, events)

        monkeypatch.setattr(scaler.engine, "stats", counted)
        await scaler.pass_time(30 * SECOND)
        assert asked == [["default/t/e"]] * 3


async def test_many_crews_leave_the_loop_to_others(redis_server: RedisServer, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No turn of the loop is taken by more than a few dozen of them."""
    schedules = [manned({"every": "1m"}, name=f"t{number}", channel=f"c{number}") for number in range(200)]
    async with scaling(redis_server.url, *schedules) as scaler:
        turns, observed = 0, list[int]()
        observe = scaler.site.observe

        def seen(crew: Crew) -> Observed | None:
            observed.append(turns)
            return observe(crew)

        monkeypatch.setattr(scaler.site, "observe", seen)
        scaler.clock.advance(SECOND)
        while len(observed) < len(schedules):
            await asyncio.sleep(0)
            turns += 1
        assert max(observed.count(turn) for turn in set(observed)) <= 50
        await eventually(lambda: scaler.clock.sleepers)


async def test_each_change_is_a_line_in_the_log(scaled: Scaled, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "channelbeat.workers")
    async with scaled(manned()) as scaler:
        await put(bench, 101)
        await scaler.pass_time(3 * SECOND)
    lines = [record for record in caplog.records if record.name == "channelbeat.workers"]
    assert [line.getMessage() for line in lines] == [
        f"workers {CREW}: 0 -> 2 (Load): 101 waiting and 0 in flight (eventsPerReplica 100, until it is known how long one takes) call for 2"
    ]
    assert {key: vars(lines[0])[key] for key in ("namespace", "deployment", "from", "to", "reason")} == {
        "namespace": "default",
        "deployment": "t-worker",
        "from": 0,
        "to": 2,
        "reason": "Load",
    }
