"""What wakes a worker that waits, and how it is seen to be there."""

from channelbeat.broker.claims import Plain
from support.bench import CLAIM, KEYS, ROOT, Bench, T, tracked


async def test_a_plain_message_is_given_back_where_it_was(bench: Bench) -> None:
    await bench.redis.zadd("asgic", {"a": 1_700_000_000.123456, "b": 1_700_000_001})
    worker = bench.worker()
    found = await worker.wait(["d", "c"], 0.01)
    assert isinstance(found, Plain)
    assert found == Plain("c", b"a", b"1700000000.123456")
    await worker.give_back(found, 60)
    assert await bench.redis.zrange("asgic", 0, -1, withscores=True) == [(b"a", 1_700_000_000.123456), (b"b", 1_700_000_001.0)]
    assert 0 < await bench.redis.ttl("asgic") <= 60


async def test_a_bell_wakes_and_the_first_channel_first(bench: Bench) -> None:
    await bench.swept(tracked(channel="d"))
    worker = bench.worker()
    await bench.redis.zadd("asgic", {"a": 1})
    assert await worker.wait(["c", "d"], 0.01) == Plain("c", b"a", b"1.0")
    assert await worker.wait(["c", "d"], 0.01) == "d"
    assert await worker.wait(["c", "d"], 0.01) is None
    await worker.ring("d")
    assert await worker.wait(["c", "d"], 0.01) == "d"


async def test_renewing_keeps_claims_and_shows_the_worker(bench: Bench) -> None:
    await bench.swept(tracked(), tracked(T + 2), tracked(T + 3))
    worker = bench.worker()
    kept, wanted, settled = [await worker.claimed() for _ in range(3)]
    await worker.settle(settled)
    await bench.runs.cancel(wanted.run)
    await bench.lapse(kept.run)
    before = await bench.now()
    assert worker.renew(kept, wanted, settled, channels="c d") == ["kept", "cancel", "lost"]
    run = await bench.runs.get(kept.run)
    assert run is not None
    assert before + CLAIM <= (run.at or 0) <= await bench.now() + CLAIM
    assert await bench.redis.hget(KEYS.worker("w"), "channels") == b"c d"
    assert await bench.redis.zrange(f"{ROOT}workers", 0, -1) == [b"w"]
    await worker.leave()
    assert not await bench.redis.exists(f"{ROOT}workers")
