"""What a worker is given, what it may settle, and that no two are given the same."""

from channelbeat.broker.claims import Claimed
from channelbeat.core.runs import State
from support.bench import CLAIM, KEYS, STATE, Bench, T, tracked
from support.demonstrations import shows


@shows("repeat")
async def a_take_that_is_repeated_takes_no_second_run(bench: Bench) -> None:
    await bench.swept(tracked(), tracked(T + 2))
    worker = bench.worker()
    assert await worker.claimed() == (await worker.repeat("c")).item
    assert await bench.queued() == ["e/2"]


@shows("repeat-token")
async def a_take_that_is_repeated_late_gives_no_run_that_another_has(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked()), bench.worker()
    await worker.claimed()
    await bench.lapse("e/1")
    await broker.sweep()
    await bench.worker("other").claimed()
    assert (await worker.repeat("c")).item is None


@shows("overtaken")
async def a_take_that_was_overtaken_by_the_next_takes_nothing(bench: Bench) -> None:
    await bench.swept(tracked(), tracked(T + 2))
    worker = bench.worker()
    await worker.take()
    assert (await worker.claimed()).run == "e/1"
    assert (await worker.repeat("c", back=1)).item is None
    assert await bench.queued() == ["e/2"]


@shows("settle-token")
async def a_late_settlement_changes_nothing(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked()), bench.worker()
    late = await worker.claimed()
    await bench.lapse("e/1")
    await broker.sweep()
    await bench.worker("other").claimed()
    assert await worker.settle(late) is None
    assert await bench.state("e/1") is State.RUNNING


@shows("queued")
async def a_run_that_is_being_handled_is_not_given_to_another(bench: Bench) -> None:
    await bench.swept(tracked())
    await bench.worker().claimed()
    await bench.redis.zadd(KEYS.queue("c"), {"e/1": 1})
    assert (await bench.worker("other").take("c")).item is None


@shows("deadline")
async def a_run_is_not_started_after_its_deadline(bench: Bench) -> None:
    await bench.swept()
    await (await bench.broker()).enqueue([tracked(start_deadline=1)])
    assert (await bench.worker().take("c")).item is None
    assert await bench.state("e/1") is State.EXPIRED


@shows("claims")
async def a_run_that_cannot_be_claimed_stays_in_its_queue(bench: Bench) -> None:
    await bench.swept(tracked())
    await bench.redis.set(KEYS.claims("c"), "no claims")
    assert (await bench.worker().take("c")).item is None
    assert (await bench.queued(), await bench.state("e/1")) == (["e/1"], State.QUEUED)


@shows("record")
async def what_is_no_runs_record_holds_up_no_run(bench: Bench) -> None:
    await bench.swept(tracked(), tracked(T + 2))
    await bench.redis.hset(KEYS.run("e/1"), "due", "some day")
    assert (await bench.worker().claimed()).run == "e/2"


@shows("bell")
async def who_follows_a_bell_rings_it_for_the_next(bench: Bench) -> None:
    await bench.swept(tracked(), tracked(T + 2))
    worker = bench.worker()
    for run in ("e/1", "e/2"):
        assert await worker.wait(["c"], 0.01) == "c"
        assert (await worker.claimed()).run == run
    assert await worker.wait(["c"], 0.01) is None


@shows("chime")
async def a_bell_that_nobody_followed_is_rung_again(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked()), bench.worker()
    assert await worker.wait(["c"], 0.01) == "c"
    await broker.sweep()
    assert await worker.wait(["c"], 0.01) == "c"


@shows("attempts")
async def a_run_out_of_attempts_is_dead(bench: Bench) -> None:
    await bench.swept(tracked(limit=1, backoff=0))
    assert [await bench.worker(name).handle("failed") for name in ("w", "v")] == [State.QUEUED, State.DEAD]


@shows("cancelled")
async def a_run_that_was_to_be_cancelled_is_not_tried_again(bench: Bench) -> None:
    await bench.swept(tracked())
    worker = bench.worker()
    claimed = await worker.claimed()
    await bench.runs.cancel("e/1")
    assert await worker.settle(claimed, "failed") is State.CANCELLED


@shows("renew-token")
async def nobody_renews_anothers_claim(bench: Bench) -> None:
    broker, worker, other = await bench.swept(tracked()), bench.worker(), bench.worker("other")
    late = await worker.claimed()
    await bench.lapse("e/1")
    await broker.sweep()
    theirs = await other.claimed()
    assert isinstance(theirs, Claimed)
    assert (worker.renew(late), other.renew(theirs)) == (["lost"], ["kept"])


@shows("extend")
async def after_a_silence_claims_last_anew(bench: Bench) -> None:
    broker = await bench.swept(tracked())
    await bench.worker().claimed()
    for silence in (CLAIM, -CLAIM):  # nobody swept, or the clock was set back
        await bench.lapse("e/1")
        await bench.redis.hset(STATE, ":swept", await bench.now() - silence)
        assert (await broker.sweep()).lost == 0
