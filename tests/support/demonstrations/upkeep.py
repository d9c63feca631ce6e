"""What a sweep moves: only what is as it was when it was put where the sweep finds it."""

from channelbeat.core.runs import State
from support.bench import KEYS, ROOT, Bench, T, tracked
from support.demonstrations import shows


@shows("running")
async def what_is_left_of_a_claim_takes_nothing_from_a_run_that_ended(bench: Bench) -> None:
    broker = await bench.swept(tracked())
    await bench.worker().handle()
    await bench.redis.sadd(f"{ROOT}channels", "c")
    await bench.redis.zadd(KEYS.claims("c"), {"e/1": 1})
    assert (await broker.sweep()).lost == 0
    assert (await bench.state("e/1"), await bench.queued()) == (State.SUCCEEDED, [])


@shows("delayed")
async def what_is_left_among_the_delayed_is_not_queued_again(bench: Bench) -> None:
    broker = await bench.swept(tracked(), tracked(T + 2))
    await bench.worker().handle()
    await bench.worker("other").claimed()
    await bench.redis.zadd(f"{ROOT}delayed", {"e/1": 1, "e/2": 1})
    assert (await broker.sweep()).queued == 0
    assert await bench.queued() == []


@shows("expire")
async def a_run_that_was_started_does_not_expire(bench: Bench) -> None:
    broker = await bench.swept(tracked(backoff=0))
    worker = bench.worker()
    assert await worker.handle("failed") is State.QUEUED
    await bench.redis.zadd(f"{ROOT}deadlines", {"e/1": 1})
    await broker.sweep()
    assert await bench.state("e/1") is State.QUEUED
