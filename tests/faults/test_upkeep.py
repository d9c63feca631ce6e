"""What becomes of runs after they are queued, while somebody leads: retries, lost workers, deadlines, and what is told of their ends."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from channelbeat.broker.claims import Claimed
from channelbeat.core.instants import SECOND
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.core.runs import State
from channelbeat.core.schedule import BeatSchedule
from channelbeat.engine.ports import Broker
from support.clock import ManualClock
from support.hand import Hand
from support.redis import RedisServer
from support.rig import Rig, schedule
from support.times import at
from support.waiting import eventually

Rigs = Callable[..., Rig]
ROOT = "channelbeat:asgi:"
QUEUE = f"{ROOT}queue:c"


@pytest.fixture
def hand(redis: Redis) -> Hand:
    return Hand(redis)


def tracked(*more: dict[str, Any], **event: Any) -> BeatSchedule:
    retry = {"retry": {"backoff": "50ms"}}
    return schedule({"at": "2025-06-02T12:00:01Z", **retry, **event}, *({**retry, **other} for other in more), delivery="AtLeastOnce")


async def taken(rig: Rig, hand: Hand) -> Claimed:
    """The first run, taken."""
    await rig.pass_time(SECOND)
    run = await hand.take()
    assert run is not None
    return run


async def to_retry(rig: Rig, redis: Redis, hand: Hand) -> None:
    """The first run has failed once, and the time of its next attempt has come."""
    assert await hand.settle(await taken(rig, hand), "failed", "Error: no") is State.RETRYING
    await due_again(redis)


async def due_again(redis: Redis, number: int = 1, *, or_queued: bool = False) -> None:
    """So many, by Redis's clock, which is the real one. `or_queued`: or a sweep has found them so."""

    async def are_due() -> bool:
        seconds, micro = await redis.time()
        due = await redis.zcount(f"{ROOT}delayed", "-inf", seconds * 1000 + micro // 1000)
        return bool(due == number or (or_queued and await redis.zcard(QUEUE) == number))

    await eventually(are_due, what="the next attempt to be due")


async def queued(rig: Rig, redis: Redis, number: int = 1) -> None:
    async def there() -> bool:
        return bool(await redis.zcard(QUEUE) == number)

    await rig.advance_until(there)


def told(rig: Rig, sign: Sign) -> list[Notice]:
    return [notice for notice in rig.journal.notices if notice.sign is sign]


async def test_a_run_that_failed_is_queued_again_when_its_time_has_come(rig: Rig, redis: Redis, hand: Hand) -> None:
    await rig.start(tracked())
    await to_retry(rig, redis, hand)
    await queued(rig, redis)
    again = await hand.take()
    assert again is not None
    assert again.attempt == 2
    assert await hand.settle(again) is State.SUCCEEDED


async def test_a_time_that_comes_before_half_a_second_is_not_waited_past(rig: Rig, redis: Redis, hand: Hand) -> None:
    await rig.start(tracked(retry={"backoff": "200ms"}))
    await hand.settle(await taken(rig, hand), "failed")
    rig.clock.advance(SECOND // 2)
    await rig.idle()  # now a sweep has learned when it is due
    await due_again(redis, or_queued=True)
    rig.clock.advance(SECOND * 2 // 5)  # Redis's time is known to a few milliseconds only
    await eventually(lambda: redis.zcard(QUEUE))


async def test_many_are_queued_at_once(rig: Rig, redis: Redis, hand: Hand) -> None:
    hundred = [{"at": "2025-06-02T12:00:01Z", "retry": {"backoff": "1s"}}] * 100
    await rig.start(*(schedule(*hundred, name=f"t{number}", delivery="AtLeastOnce") for number in range(12)))
    await rig.pass_time(SECOND)
    assert len(await hand.work("failed")) == 1200
    await due_again(redis, 1200)
    rig.clock.advance(SECOND)  # and no more

    async def all_there() -> bool:
        return bool(await redis.zcard(QUEUE) == 1200)

    await eventually(all_there)


async def test_a_run_whose_worker_gives_no_sign_of_life_goes_to_another(rigs: Rigs, redis: Redis, hand: Hand) -> None:
    rig = rigs(claim=20 * SECOND)
    await rig.start(tracked())
    await taken(rig, Hand(redis, name="dead", claim=50))
    await queued(rig, redis)
    again = await hand.take()
    assert again is not None
    assert again.attempt == 2


@pytest.mark.parametrize(("deadline", "ends"), [("30m", [State.EXPIRED]), ("2h", [])])
async def test_a_run_that_was_not_started_by_its_deadline_expires(rigs: Rigs, redis: Redis, hand: Hand, deadline: str, ends: list[State]) -> None:
    rig = rigs(clock=ManualClock())  # an hour behind Redis
    await rig.start(schedule({"every": "1s", "startDeadline": deadline}, delivery="AtLeastOnce"))
    await rig.pass_time(SECOND)
    await rig.pass_time(2 * SECOND, step=SECOND // 2)
    assert sorted({run.state for run in rig.journal.runs}) == ends
    assert (await hand.take() is None) == bool(ends)


async def test_another_leader_takes_up_what_one_left_between_retries(rigs: Rigs, rig: Rig, redis: Redis, hand: Hand) -> None:
    await rig.start(tracked())
    await to_retry(rig, redis, hand)
    await rig.kill()
    other = rigs(clock=rig.clock)
    await other.start(tracked())
    await queued(other, redis)
    assert await hand.work() == ["12:00:01"]


async def test_who_does_not_lead_leaves_it_alone(rig: Rig, redis: Redis, hand: Hand) -> None:
    await rig.start(tracked())
    run = await taken(rig, hand)
    rig.leadership.held = False
    await hand.settle(run, "failed")
    await due_again(redis)
    for _ in range(20):
        rig.clock.advance(SECOND)
        await asyncio.sleep(0)
    assert await redis.zcard(QUEUE) == 0
    rig.leadership.held = True
    await queued(rig, redis)


@pytest.mark.chaos
async def test_redis_is_away_and_comes_back(rigs: Rigs, own_redis: RedisServer) -> None:
    rig = rigs(own_redis.url)
    await rig.start(tracked())
    async with Redis.from_url(own_redis.url) as client:
        await to_retry(rig, client, Hand(client))
    own_redis.kill()
    await rig.advance_until(lambda: Sign.AWAY in rig.journal.signs())
    own_redis.start()
    own_redis.wait()
    async with Redis.from_url(own_redis.url) as client:
        await queued(rig, client)
    assert told(rig, Sign.FAULT) == []


OVERWRITTEN = ["results", "delayed", "dead", "stats", "channels", "claims:bad", "queue:bad", "claims:c", "workers", "deadlines"]


@pytest.mark.parametrize("key", OVERWRITTEN)
async def test_a_key_that_somebody_overwrote_stops_nobody_else(rigs: Rigs, redis: Redis, hand: Hand, key: str) -> None:
    """Runs wait for their next attempt, a channel is full, and beside them is a key that is not what it should be."""
    rig = rigs(capacity=1)
    await rig.start(tracked(), schedule({"every": "1s"}, name="full", channel="full"), schedule({"every": "1s"}, name="other", channel="other"))
    await to_retry(rig, redis, hand)
    await redis.sadd(f"{ROOT}channels", "bad")
    kept = await redis.dump(ROOT + key) if await redis.exists(ROOT + key) else None
    await redis.set(ROOT + key, "no such thing")
    await rig.pass_time(3 * SECOND)
    rig.take(1, "other")
    await rig.pass_time(2 * SECOND)
    assert len(rig.sent("other")) == 1
    if key not in ("delayed", "claims:c", "stats"):
        await queued(rig, redis)
    else:  # it is the very place of the run
        await redis.delete(ROOT + key)
        if kept is not None:
            await redis.restore(ROOT + key, 0, kept)
        await queued(rig, redis)
    await rig.pass_time(20 * SECOND)
    assert len(told(rig, Sign.FAULT)) <= 1


class Spoilt:
    """A broker of which one call, once it is `spoilt`, fails with `fault`, or never returns."""

    def __init__(self, broker: Broker, call: str, fault: Exception | None) -> None:
        self._broker, self._call, self._fault = broker, call, fault
        self.spoilt = False

    def __getattr__(self, name: str) -> Any:
        return self._instead if name == self._call and self.spoilt else getattr(self._broker, name)

    async def _instead(self, *_: Any) -> None:
        if self._fault is not None:
            raise self._fault
        await asyncio.Event().wait()


def spoiling(rigs: Rigs, call: str, fault: Exception | None = None) -> tuple[Rig, Callable[[], None]]:
    """A rig, and what spoils the call."""
    made: list[Spoilt] = []

    def between(broker: Broker) -> Broker:
        made.append(Spoilt(broker, call, fault))
        return cast(Broker, made[-1])

    def spoil() -> None:
        made[-1].spoilt = True

    return rigs(wrap=between), spoil


@pytest.mark.parametrize("call", ["sweep", "results", "unattended"])
async def test_a_fault_of_our_own_is_told_once_and_costs_its_own_part_alone(rigs: Rigs, redis: Redis, hand: Hand, call: str) -> None:
    rig, spoil = spoiling(rigs, call, KeyError("run"))
    await rig.start(tracked())
    await to_retry(rig, redis, hand)
    spoil()
    if call != "sweep":
        await queued(rig, redis)
    if call == "results":
        await redis.zadd(QUEUE, {"default/t/e/2025-06-02T12:00:01Z": 1})  # it has waited for long
        await rig.advance_until(lambda: len(told(rig, Sign.UNATTENDED)) == 1)
    if call == "unattended":
        await hand.work()
        await rig.advance_until(lambda: len(rig.journal.runs) == 1)
    await rig.pass_time(20 * SECOND)
    assert [notice.text for notice in told(rig, Sign.FAULT)] == [
        "layer 'default': its runs are not looked after as they should be (KeyError: 'run'); it is tried again"
    ]


@pytest.mark.parametrize("call", ["sweep", "results", "unattended"])
async def test_what_is_due_is_sent_while_the_upkeep_waits_for_an_answer(rigs: Rigs, call: str) -> None:
    rig, spoil = spoiling(rigs, call)
    await rig.start(schedule({"every": "1s"}))
    spoil()
    await rig.advance_until(lambda: len(rig.sent()) >= 20)
    async with asyncio.timeout(5):
        await rig.stop()


async def test_runs_are_looked_after_while_the_lane_waits_for_an_answer(rigs: Rigs, redis: Redis, hand: Hand) -> None:
    rig, spoil = spoiling(rigs, "enqueue")
    await rig.start(tracked({"every": "1s"}))
    await to_retry(rig, redis, hand)
    spoil()
    before = await redis.zcard(QUEUE)

    async def promoted() -> bool:
        rig.clock.advance(SECOND // 2)
        return bool(await redis.zcard(QUEUE) > before)

    await eventually(promoted)
    await rig.kill()


async def test_what_ended_is_told_from_the_first_lead_on(rigs: Rigs, rig: Rig, hand: Hand) -> None:
    everything = tracked({"at": "2025-06-02T12:00:02Z"}, {"at": "2025-06-02T12:00:03Z"})
    await rig.start(everything)
    await hand.settle(await taken(rig, hand))
    await rig.advance_until(lambda: len(rig.journal.runs) == 1)
    (first,) = rig.journal.runs
    assert (first.run, first.event, first.channel, first.state, first.attempts) == ("default/t/e/2025-06-02T12:00:01Z", "default/t/e", "c", "succeeded", 1)
    await rig.kill()
    other = rigs(clock=rig.clock)
    await other.start(everything)
    await hand.settle(await taken(other, hand))
    await other.advance_until(lambda: len(other.journal.runs) == 1)
    assert other.journal.runs[0].event == "default/t/e1"


async def test_what_the_very_first_sweep_finds_dead_is_told(rigs: Rigs, rig: Rig, redis: Redis) -> None:
    once = tracked(retry={"limit": 0})
    await rig.start(once)
    run = await taken(rig, Hand(redis, claim=20 * SECOND))  # so long that however slowly another starts, it does not last anew
    await rig.kill()
    await redis.zadd(f"{ROOT}claims:c", {run.run: 1}, xx=True)  # it is over
    other = rigs(clock=rig.clock)
    await other.start(once)
    assert [(run.state, run.error) for run in other.journal.runs] == [(State.DEAD, "Lost: its worker host:1 gave no sign of life")]


@pytest.mark.parametrize(("away", "told"), [(30, ["default/t/e", "default/t/e1"]), (90, ["default/t/e1"])], ids=["shortly", "for long"])
async def test_what_ended_while_somebody_else_led(rig: Rig, hand: Hand, away: int, told: list[str]) -> None:
    await rig.start(tracked({"at": "2025-06-02T12:03:00Z"}))
    run = await taken(rig, hand)
    rig.leadership.held = False
    await hand.settle(run)
    until = rig.clock.now() + away * SECOND
    await rig.advance_until(lambda: rig.clock.now() >= until)
    rig.leadership.held = True
    await rig.advance_until(lambda: rig.clock.now() >= at("12:03:00") and rig.is_idle())
    assert await hand.work() == ["12:03:00"]
    await rig.advance_until(lambda: len(rig.journal.runs) >= len(told))
    assert [ended.event for ended in rig.journal.runs] == told


async def test_a_long_list_of_results_is_read_to_its_end_at_once(rig: Rig, redis: Redis) -> None:
    await rig.start(tracked())
    fields: dict[Any, Any] = {"event": "", "channel": "c", "state": "succeeded", "attempts": "1", "at": "1", "error": "", "paused": ""}
    pipe = redis.pipeline()
    for number in range(2500):
        pipe.xadd(f"{ROOT}results", fields | {"run": str(number)})
    await pipe.execute()
    rig.clock.advance(SECOND // 2)
    await eventually(lambda: [run.run for run in rig.journal.runs] == [str(number) for number in range(2500)])


WAITS = "layer 'default': {0} in channel c and no runworker of channelbeat listens on it: {1}"
CURE = 'put "channelbeat.worker" before "channels" in INSTALLED_APPS, and see that its workers run and use this Redis and prefix'


async def test_runs_that_nobody_takes_are_told_of_once_until_somebody_listens(rig: Rig, redis: Redis) -> None:
    await rig.start(tracked({"at": "2025-06-02T12:00:01Z"}))
    await rig.pass_time(12 * SECOND)
    assert told(rig, Sign.UNATTENDED) == []
    long_ago = (await redis.time())[0] * 1000 - 31 * SECOND
    waiting: list[Any] = await redis.zrange(QUEUE, 0, -1)
    await redis.zadd(QUEUE, dict.fromkeys(waiting, long_ago))
    await rig.pass_time(25 * SECOND)
    await rig.advance_until(lambda: len(told(rig, Sign.UNATTENDED)) == 1)
    assert told(rig, Sign.UNATTENDED)[0].text == WAITS.format("2 runs wait", CURE)

    await redis.zadd(f"{ROOT}workers", {"w": 4_000_000_000_000})
    await redis.hset(f"{ROOT}worker:w", "channels", "other c")
    await rig.pass_time(25 * SECOND)
    await redis.delete(f"{ROOT}workers")
    await redis.zremrangebyrank(QUEUE, 1, 1)
    await rig.advance_until(lambda: len(told(rig, Sign.UNATTENDED)) == 2)
    assert told(rig, Sign.UNATTENDED)[1].text == WAITS.format("1 run waits", CURE)
