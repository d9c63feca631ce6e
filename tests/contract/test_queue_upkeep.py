"""What a leader does for runs: brings forward those whose time has come or whose worker vanished, and tells what became of them."""

from typing import Any

import pytest

from channelbeat.broker import upkeep
from channelbeat.core.instants import HOUR, MINUTE, SECOND
from channelbeat.core.runs import Finished, State, Stats, Sweep
from support.bench import CLAIM, KEYS, ROOT, STATE, Bench, T, adopt, tracked

NOTHING = Sweep(queued=0, lost=0, dead=0, next=None, more=False)


async def test_with_nothing_to_do(bench: Bench) -> None:
    broker = await bench.broker()
    assert [await broker.sweep(), await broker.sweep()] == [NOTHING, NOTHING]
    assert sorted(await bench.redis.keys()) == [STATE.encode()]


async def test_a_run_whose_worker_vanished_is_queued_again(bench: Bench) -> None:
    broker = await bench.swept(tracked(limit=1, backoff=HOUR))
    await bench.worker().claimed()
    assert (await broker.sweep()).lost == 0
    await bench.lapse("e/1")
    assert await broker.sweep() == NOTHING._replace(lost=1)
    run = await bench.runs.get("e/1")
    assert run is not None
    assert (run.state, run.attempts, run.error) == (State.QUEUED, 1, "Lost: its worker w:1 gave no sign of life")
    assert [(attempt.how, attempt.error) for attempt in run.history] == [("lost", run.error)]
    assert await bench.worker("other").wait(["c"], 0.01) == "c"


async def test_a_run_whose_last_worker_vanished_is_dead(bench: Bench) -> None:
    broker = await bench.swept(tracked(limit=0))
    await bench.worker().claimed()
    await bench.lapse("e/1")
    assert await broker.sweep() == NOTHING._replace(lost=1, dead=1)
    assert await bench.state("e/1") is State.DEAD


async def test_a_run_whose_time_has_come_is_queued(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked(backoff=MINUTE), tracked(T + 2)), bench.worker()
    next_at = (await worker.take(done=worker.done(await worker.claimed(), "failed"))).next_at
    assert await broker.sweep() == NOTHING._replace(next=next_at)
    await bench.bring_forward("e/1")
    assert await broker.sweep() == NOTHING._replace(queued=1)
    assert await bench.queued() == ["e/2", "e/1"]
    assert (await broker.stats(["e"]))["e"].retrying == 0


async def test_no_more_than_so_many_are_moved_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "AT_ONCE", 100)
    broker = await bench.broker()
    for number in range(250):
        await bench.one_offs.put(f"r{number}", "c", b"", delay=HOUR)
    await bench.redis.zunionstore(f"{ROOT}delayed", {f"{ROOT}delayed": 0})
    sweeps = [await broker.sweep() for _ in range(4)]
    assert [(sweep.queued, sweep.more) for sweep in sweeps] == [(100, True), (100, True), (50, False), (0, False)]
    assert len(await bench.queued()) == 250


async def test_ten_thousand_due_runs_hold_up_neither_lost_nor_expired_ones(bench: Bench) -> None:
    broker = await bench.swept(tracked())
    await bench.worker().claimed()
    await bench.lapse("e/1")
    await bench.redis.zadd(f"{ROOT}delayed", {f"nobody's {number}": 1 for number in range(10_000)})
    await broker.enqueue([tracked(T + 2, start_deadline=1)])
    sweep = await broker.sweep()
    assert (sweep.lost, sweep.more, await bench.state("e/2")) == (1, True, State.EXPIRED)
    for _ in range(10_000 // upkeep.AT_ONCE):
        await broker.sweep()
    assert not await bench.redis.exists(f"{ROOT}delayed")


async def test_one_that_is_always_refused_does_not_keep_the_sweep_busy(bench: Bench) -> None:
    broker = await bench.broker()
    await bench.one_offs.put("one", "bad", b"", delay=HOUR)
    await bench.redis.set(KEYS.queue("bad"), "no queue")
    await bench.bring_forward("one")
    swept = await broker.sweep()
    assert (swept.queued, swept.more) == (0, False)
    assert (swept.next or 0) > await bench.now() + 5 * SECOND


@pytest.mark.parametrize(("silence", "lost"), [(0, 1), (CLAIM // 2 - 5 * SECOND, 1), (CLAIM, 0), (-HOUR, 0)])
async def test_claims_last_anew_once_after_a_silence(bench: Bench, silence: int, lost: int) -> None:
    """The clock that was set back an hour would let them last an hour longer."""
    broker = await bench.swept(tracked())
    await bench.worker().claimed()
    await bench.redis.zadd(KEYS.claims("c"), {"e/1": (await bench.now() - silence) if silence < 0 else 1})
    await bench.redis.hset(STATE, ":swept", await bench.now() - silence)
    assert (await broker.sweep()).lost == lost
    if not lost:
        until = await bench.redis.zscore(KEYS.claims("c"), "e/1")
        assert abs((until or 0) - await bench.now() - CLAIM) < 5 * SECOND
        await bench.lapse("e/1")
        assert (await broker.sweep()).lost == 1


@pytest.mark.parametrize(
    ("claim", "silence"), [(10 * CLAIM, CLAIM), (10 * CLAIM, 6 * CLAIM), (CLAIM // 10, CLAIM // 4)], ids=["longer", "longer, away", "shorter"]
)
async def test_a_claim_has_the_length_its_worker_gave_it(bench: Bench, claim: int, silence: int) -> None:
    broker = await bench.swept(tracked())
    await bench.worker(claim=claim).claimed()
    before = await bench.redis.zscore(KEYS.claims("c"), "e/1")
    await bench.redis.hset(STATE, ":swept", await bench.now() - silence)
    assert (await broker.sweep()).lost == 0
    assert (await bench.redis.zscore(KEYS.claims("c"), "e/1") or 0) >= (before or 0)
    if claim < CLAIM:
        await bench.lapse("e/1")
        await bench.redis.hset(STATE, ":swept", await bench.now() - silence)
        assert (await broker.sweep()).lost == 0


async def test_what_expires(bench: Bench) -> None:
    broker = await bench.swept(tracked(backoff=0))
    late: dict[str, Any] = {"start_deadline": 1}
    await broker.enqueue(
        [adopt(event="o"), tracked(T + 2, **late), tracked(event="o", overlap="BufferOne"), tracked(T + 2, event="o", overlap="BufferOne", **late)]
    )
    await broker.sweep()
    assert {run: await bench.state(run) for run in ("e/1", "e/2", "o/1", "o/2")} == {
        "e/1": State.QUEUED,
        "e/2": State.EXPIRED,
        "o/1": State.QUEUED,
        "o/2": State.EXPIRED,
    }
    assert not await bench.redis.exists(f"{ROOT}deadlines", f"{ROOT}delayed")


async def test_dead_runs_are_forgotten_after_a_week(bench: Bench) -> None:
    broker = await bench.swept(tracked(limit=0))
    await bench.worker().handle("failed")
    await bench.redis.zadd(f"{ROOT}dead", {"old": await bench.now() - 8 * 24 * HOUR})
    await broker.sweep()
    assert await bench.redis.zrange(f"{ROOT}dead", 0, -1) == [b"e/1"]


async def test_channels_that_have_nothing_are_forgotten(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked()), bench.worker()
    claimed = await worker.claimed()
    await broker.sweep()
    assert await bench.redis.smembers(f"{ROOT}channels") == {b"c"}, "a claim may be lost yet"
    await worker.settle(claimed)
    await broker.sweep()
    assert not await bench.redis.exists(f"{ROOT}channels")


async def test_stats(bench: Bench) -> None:
    broker, worker = await bench.swept(*(tracked(T + due, limit=1, backoff=HOUR, pause_after=1) for due in range(1, 7))), bench.worker()
    await worker.handle()
    await worker.handle("failed")
    await worker.handle("dead")
    await worker.handle("cancelled")
    await worker.handle("back")
    await worker.claimed()
    found = (await broker.stats(["e", "none"]))["e"]
    assert found[:7] == (1, 2, 1, 0, 1, 1, 1)
    now = await bench.now()
    assert all(broker.founded <= (moment or 0) <= now for moment in found[7:10])
    assert found.version == "-", "of the policy that paused it"
    assert (await broker.stats(["none"]), await broker.stats([])) == ({"none": Stats()}, {})


async def test_results_are_read_in_order_and_once(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked(), tracked(T + 2, limit=0, pause_after=1)), bench.worker()
    start, none = await broker.results("")
    assert none == []
    await worker.handle()
    await worker.handle("failed", error="ValueError: boom")
    after, found = await broker.results(start)
    assert [one._replace(at=0) for one in found] == [
        Finished("e/1", "e", "c", State.SUCCEEDED, 1, 0, "", paused=False),
        Finished("e/2", "e", "c", State.DEAD, 1, 0, "ValueError: boom", paused=True),
    ]
    assert await broker.results(after) == (after, [])
    assert await broker.results("") == (after, [])


async def test_more_results_than_are_read_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "RESULTS", 2)
    broker = await bench.swept(*(tracked(T + due) for due in (1, 2, 3)))
    for _ in range(3):
        await bench.worker().handle()
    position, first = await broker.results("0-0")
    position, second = await broker.results(position)
    assert [one.run for one in first + second] == ["e/1", "e/2", "e/3"]
    assert (await broker.results(position))[1] == []


async def test_stats_and_a_pause_outlive_the_results(bench: Bench) -> None:
    broker = await bench.swept(tracked(limit=0, pause_after=1))
    await bench.worker().handle("failed")
    await bench.redis.delete(f"{ROOT}results")
    heir = await bench.broker()
    assert (await heir.results(""))[0] == "0-0"
    found = (await heir.stats(["e"]))["e"]
    assert (found.dead, found.failed, found.paused is not None) == (1, 1, True)
    assert await broker.stats(["e"]) == {"e": found}


UNATTENDED = {
    # how long the oldest has waited, and what workers listen on; is it said?
    "it has not waited long": (20 * SECOND, [], False),
    "nobody listens": (31 * SECOND, [], True),
    "somebody listens on others": (31 * SECOND, ["d"], True),
    "somebody listens": (31 * SECOND, ["d c"], False),
}


@pytest.mark.parametrize(("waited", "listens", "said"), UNATTENDED.values(), ids=UNATTENDED.keys())
async def test_unattended(bench: Bench, waited: int, listens: list[str], said: bool) -> None:
    broker = await bench.swept(tracked(), tracked(T + 2))
    await bench.redis.zadd(KEYS.queue("c"), {"e/1": await bench.now() - waited})
    for number, channels in enumerate(listens):
        bench.worker(f"w{number}").renew(channels=channels)
    assert await broker.unattended() == ({"c": 2} if said else {})


async def test_a_worker_that_was_not_seen_for_a_minute_attends_to_nothing(bench: Bench) -> None:
    broker = await bench.swept(tracked())
    await bench.redis.zadd(KEYS.queue("c"), {"e/1": 1})
    bench.worker().renew(channels="c")
    assert await broker.unattended() == {}
    await bench.redis.zadd(f"{ROOT}workers", {"w": await bench.now() - 61 * SECOND})
    assert await broker.unattended() == {"c": 1}
