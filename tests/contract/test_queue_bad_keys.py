"""A key of ours that somebody overwrote costs itself alone, and is as if it had never been once it is deleted: no run is lost or doubled."""

from contextlib import suppress
from typing import Any

import pytest

from channelbeat.broker.claims import Claimed, How
from channelbeat.core.batch import Answer, Item
from channelbeat.core.instants import HOUR
from channelbeat.core.runs import FINAL, State
from channelbeat.errors import LayerRefused
from support.bench import KEYS, ROOT, Bench, T, adopt, answers, run_id, send, skip, tracked, tracked_trigger

RUNS = [run_id(T + due) for due in range(1, 6)]
SPOILT = {
    "the bell": KEYS.bell("c"),
    "the claims": KEYS.claims("c"),
    "the queue": KEYS.queue("c"),
    "another queue": KEYS.queue("d"),
    "the stats": f"{ROOT}stats",
    "the delayed": f"{ROOT}delayed",
    "the dead": f"{ROOT}dead",
    "the deadlines": f"{ROOT}deadlines",
    "the results": f"{ROOT}results",
    "the channels": f"{ROOT}channels",
    "the workers": f"{ROOT}workers",
    "the event's active runs": f"{ROOT}active:e",
    "a run": KEYS.run("e/1"),
    "the layer's channel": "asgic",
}
every_key = pytest.mark.parametrize("key", SPOILT.values(), ids=SPOILT.keys())


async def spoil(bench: Bench, key: str) -> None:
    await bench.redis.set(key, "no such thing")


async def handled(bench: Bench, channel: str = "c") -> list[str]:
    """All that is or becomes due, until there is no more."""
    broker, worker, found = await bench.broker(), bench.worker("last"), list[str]()
    for _ in range(3):
        await bench.redis.zunionstore(f"{ROOT}delayed", {f"{ROOT}delayed": 0})
        await broker.sweep()
        while isinstance(item := (await worker.take(channel)).item, Claimed):
            found.append(item.run)
            await worker.settle(item)
    return found


@every_key
async def test_what_is_enqueued_meanwhile(bench: Bench, key: str) -> None:
    """All of an event's, in a batch with another's, or none of it."""
    broker = await bench.broker()
    await broker.enqueue([adopt(), adopt(event="o")])
    await spoil(bench, key)
    batch: list[Item] = [tracked(start_deadline=10**15, overlap="BufferOne"), tracked(T + 2, start_deadline=10**15, overlap="BufferOne"), skip(event="o")]
    *found, other = await answers(broker, *batch)
    assert other is Answer.DONE
    assert set(found) <= {Answer.DONE, Answer.WRONG_TYPE, Answer.HELD}
    await bench.redis.delete(key)
    again = await answers(broker, *batch[:2])
    assert set(again) <= {Answer.DONE, Answer.DUPLICATE}
    expected = ["e/1", "e/2"] if key != KEYS.run("e/1") or Answer.WRONG_TYPE in found else ["e/2"]
    assert sorted(await handled(bench)) == expected


@every_key
async def test_what_is_handled_meanwhile(bench: Bench, key: str) -> None:
    """Whatever a worker does while the key is spoilt, and whatever of it is refused: afterwards every run that had not ended is handled."""
    broker, redis = await bench.swept(*(tracked(T + due, limit=9, backoff=1, pause_after=9, start_deadline=10**15) for due in range(1, 6))), bench.sync
    worker, ended = bench.worker(), set[str]()
    held = [await worker.claimed() for _ in range(4)]
    backup: dict[str, Any] = {place: redis.zrange(place, 0, -1) for place in (KEYS.queue("c"), KEYS.claims("c"))}
    await spoil(bench, key)
    hows: list[How] = ["ok", "failed", "back", "dead"]
    for claimed, how in zip(held, hows, strict=True):
        with suppress(LayerRefused):
            ended |= {claimed.run} if await worker.settle(claimed, how) in FINAL else set()
    worker.renew(held[0])
    await broker.sweep()
    taken = (await worker.take("d", "c")).item
    ended |= {taken.run} if isinstance(taken, Claimed) and await worker.settle(taken) is State.SUCCEEDED else set()
    redis.delete(key)
    for run in backup.get(key, []):
        redis.zadd(key, {run: 0})
    redis.sadd(f"{ROOT}channels", "c")
    redis.zunionstore(KEYS.claims("c"), {KEYS.claims("c"): 0})  # all lapse
    found = await handled(bench)
    gone = {"e/1"} if key == KEYS.run("e/1") else set()
    assert len(found) == len(set(found))
    assert not ended & set(found)
    assert {*RUNS} - gone <= ended | set(found)
    assert key in (KEYS.run("e/1"), KEYS.run("e/4")) or {"e/1", "e/4"} <= ended, "to end is never refused"


async def test_a_spoilt_claims_key_holds_up_no_other_channel(bench: Bench) -> None:
    await bench.swept(tracked(), tracked(T + 2, channel="d"))
    await spoil(bench, KEYS.claims("c"))
    worker = bench.worker()
    taken = (await worker.take("c", "d")).item
    assert isinstance(taken, Claimed)
    assert taken.run == "e/2"
    assert await worker.settle(taken) is State.SUCCEEDED


async def test_a_spoilt_queue_holds_up_no_other_channels_lost_runs(bench: Bench) -> None:
    broker = await bench.swept(tracked(), tracked(T + 2, channel="d"))
    worker = bench.worker()
    for run, channel in (("e/1", "c"), ("e/2", "d")):
        await worker.claimed(channel)
        await bench.lapse(run, channel)
    await spoil(bench, KEYS.queue("c"))
    for _ in range(2):
        await broker.sweep()
    assert await bench.queued("d") == ["e/2"]
    assert await bench.state("e/1") is State.RUNNING
    stats = (await broker.stats(["e"]))["e"]
    assert (stats.failed, stats.running) == (1, 1), "what could not be done is not counted"
    await bench.redis.delete(KEYS.queue("c"))
    await bench.lapse("e/1")
    await broker.sweep()
    assert await bench.queued() == ["e/1"]


async def test_a_settlement_that_is_refused_has_changed_nothing(bench: Bench) -> None:
    broker = await bench.swept(tracked(backoff=HOUR))
    worker = bench.worker()
    claimed = await worker.claimed()
    await spoil(bench, f"{ROOT}delayed")
    before = await bench.redis.hgetall(KEYS.run("e/1"))
    for _ in range(2):
        with pytest.raises(LayerRefused, match="WRONGTYPE"):
            await worker.settle(claimed, "failed")
    assert await bench.redis.hgetall(KEYS.run("e/1")) == before
    assert (await broker.stats(["e"]))["e"].failed == 0
    await bench.redis.delete(f"{ROOT}delayed")
    assert await worker.settle(claimed, "failed") is State.RETRYING


async def test_a_spoilt_bell_is_mended_by_the_next_ring(bench: Bench) -> None:
    broker, worker = await bench.broker(), bench.worker()
    await spoil(bench, KEYS.bell("c"))
    await broker.enqueue([adopt(), tracked()])
    assert await worker.wait(["c"], 0.01) == "c"
    await spoil(bench, KEYS.bell("c"))
    await broker.sweep()
    assert await worker.wait(["c"], 0.01) == "c"


async def test_a_one_off_that_is_refused_is_not_remembered(bench: Bench) -> None:
    for key in (KEYS.queue("c"), f"{ROOT}delayed"):
        await spoil(bench, key)
        with pytest.raises(LayerRefused, match="WRONGTYPE"):
            await bench.one_offs.put("one", "c", b"", delay=HOUR if key == f"{ROOT}delayed" else None)
        assert not await bench.redis.exists(KEYS.run("one"))
        await bench.redis.delete(key)
    assert (await bench.one_offs.put("one", "c", b"")).new


@pytest.mark.parametrize("place", ["queue:c", "claims:c", "delayed", "dead"])
async def test_a_dead_run_that_cannot_be_queued_again_stays_dead(bench: Bench, place: str) -> None:
    await bench.swept(tracked(limit=0))
    await bench.worker().handle("failed")
    await spoil(bench, f"{ROOT}{place}")
    if place == "queue:c":
        with pytest.raises(LayerRefused, match="WRONGTYPE"):
            await bench.runs.retry(["e/1"])
    else:
        assert await bench.runs.retry(["e/1"]) == [State.DEAD]
    assert await bench.state("e/1") is (State.DEAD if place == "queue:c" else State.QUEUED)
    await bench.redis.delete(f"{ROOT}{place}")
    assert await bench.runs.retry(["e/1"]) == [State.DEAD if place == "queue:c" else State.QUEUED]


RECORDS: dict[str, dict[str, str]] = {
    "no due time": {"due": "some day"},
    "no policy": {"policy": "be nice"},
    "no count of attempts": {"attempts": "many"},
    "no channel": {"channel": ""},
    "a state nobody knows": {"state": "confused"},
}


@pytest.mark.parametrize("change", RECORDS.values(), ids=RECORDS.keys())
async def test_a_record_that_somebody_wrote_holds_up_no_other(bench: Bench, change: dict[str, str]) -> None:
    broker = await bench.swept(tracked(), tracked(T + 2))
    bench.sync.hset(KEYS.run("e/1"), mapping=change)  # type: ignore[arg-type]
    await broker.sweep()
    assert await bench.runs.cancel("none") is None
    assert (await bench.worker().claimed()).run in ("e/2", "e/1" if change == {"channel": ""} else "e/2")


async def test_an_event_whose_queue_was_deleted_goes_on(bench: Bench) -> None:
    broker = await bench.swept(tracked(overlap="Skip"))
    await bench.redis.delete(KEYS.queue("c"))
    assert await answers(broker, tracked(T + 2, overlap="Skip"), tracked_trigger(overlap="Skip")) == [Answer.DONE, Answer.OVERLAP]


async def test_a_spoilt_state_refuses_everything_and_changes_nothing(bench: Bench) -> None:
    broker = await bench.swept(tracked())
    await spoil(bench, f"{ROOT}state")
    before = set(await bench.redis.keys())
    for refused in (broker.enqueue([send(T + 2)]), broker.sweep(), bench.one_offs.put("one", "c", b"")):
        with pytest.raises(LayerRefused, match="WRONGTYPE"):
            await refused
    assert set(await bench.redis.keys()) == before
