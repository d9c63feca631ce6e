"""What a worker is given, and what becomes of what it settles: in which order, once, and whatever is repeated, lost or out of memory."""

from collections.abc import Sequence
from typing import Any

import pytest

from channelbeat.broker.claims import Claimed, How, Plain
from channelbeat.core.batch import Answer
from channelbeat.core.instants import HOUR, MINUTE, SECOND
from channelbeat.core.runs import Attempt, Policy, State
from channelbeat.errors import WritesRefused
from support.bench import CLAIM, KEYS, ROOT, Bench, T, Worker, adopt, answers, run_id, tracked

EVERY_BYTE = bytes(range(256))


async def test_what_a_worker_is_given(bench: Bench) -> None:
    await bench.swept(tracked(limit=2, timeout=7_000))
    before = await bench.now()
    taken = await bench.worker().take("c")
    assert isinstance(taken.item, Claimed)
    assert taken.item[:-1] == ("e/1", "e", "c", "w:0:1", 1, 2, T + 1, 7_000)
    assert (taken.settled, taken.next_at, taken.again) == ("", None, False)
    run = await bench.runs.get("e/1")
    assert run is not None
    assert (run.state, run.attempts) == (State.RUNNING, 1)
    assert before + CLAIM <= (run.at or 0) <= await bench.now() + CLAIM
    assert [(attempt.number, attempt.worker, attempt.ended, attempt.how) for attempt in run.history] == [(1, "w:1", None, "")]


async def test_nothing_is_given_when_nothing_is_there(bench: Bench) -> None:
    assert await bench.worker().take("c", "d") == ("", None, None, False)


ORDERS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    # what is put in this order (a capital is a plain message, its channel follows), and what a worker of "c" and "d" takes
    "the first in is the first out": (["a c", "b c", "e c"], ["a", "b", "e"]),
    "the first channel comes first": (["a d", "b c", "e d", "f c"], ["b", "f", "a", "e"]),
    "the older of a run and a plain message": (["a c", "P c", "b c", "Q c"], ["a", "P", "b", "Q"]),
    "a plain message that was there first": (["P c", "a c"], ["P", "a"]),
    "a plain message of the first channel before a run of the second": (["a d", "P c"], ["P", "a"]),
    "channels that nobody asked for are left": (["a x", "P x", "b c"], ["b"]),
}


@pytest.mark.parametrize(("put", "taken"), ORDERS.values(), ids=ORDERS.keys())
async def test_order(bench: Bench, put: Sequence[str], taken: Sequence[str]) -> None:
    for name, channel in (one.split() for one in put):
        if name.isupper():
            second, micro = await bench.redis.time()
            await bench.redis.zadd(f"asgi{channel}", {name: int(second) + int(micro) / 1_000_000})
        else:
            await bench.one_offs.put(name, channel, b"")
    worker, found = bench.worker(), list[str]()
    while (item := (await worker.take("c", "d")).item) is not None:
        found.append(item.run if isinstance(item, Claimed) else item.member.decode())
    assert found == list(taken)


@pytest.mark.parametrize("body", [b"", EVERY_BYTE, EVERY_BYTE * 4096], ids=["empty", "every byte", "1 MB"])
async def test_a_lost_reply_is_answered_again_whatever_the_body(bench: Bench, body: bytes) -> None:
    await bench.one_offs.put("one", "c", body)
    await bench.redis.zadd("asgic", {b"plain" + body: 4_000_000_000.123456})
    worker = bench.worker()
    run = await worker.take("c")
    assert isinstance(run.item, Claimed)
    assert run.item.body == body
    assert await worker.repeat("c") == run
    plain = await worker.take("c")
    assert plain.item == Plain("c", b"plain" + body, b"4000000000.123456")
    assert await worker.repeat("c") == plain
    assert (await worker.take("c")).item is None


@pytest.mark.parametrize("how", ["ok", "failed", "timeout", "dead", "back", "cancelled"])
async def test_a_settlement_whose_reply_was_lost_is_answered_again(bench: Bench, how: How) -> None:
    await bench.swept(tracked(), tracked(T + 2))
    worker = bench.worker()
    done = worker.done(await worker.claimed(), how)
    first = await worker.take("c", done=done)
    assert await worker.repeat("c", done=done) == first
    stats = (await (await bench.broker()).stats(["e"]))["e"]
    assert stats.ok + stats.failed + stats.cancelled == (how != "back")
    assert first.item is not None


SETTLED: dict[str, tuple[How, dict[str, Any], State, int, str | None]] = {
    # how an attempt ended: of a run with which policy; its state then, when it is tried again (ms), how its history says so
    "it succeeded": ("ok", {}, State.SUCCEEDED, 0, "succeeded"),
    "it failed": ("failed", {"backoff": MINUTE}, State.RETRYING, MINUTE, "failed"),
    "it failed, and may be tried again at once": ("failed", {"backoff": 0}, State.QUEUED, 0, "failed"),
    "it failed, and waits the longest": ("failed", {"backoff": HOUR, "max_backoff": MINUTE}, State.RETRYING, MINUTE, "failed"),
    "it took too long": ("timeout", {"backoff": MINUTE}, State.RETRYING, MINUTE, "timeout"),
    "its last attempt failed": ("failed", {"limit": 0}, State.DEAD, 0, "failed"),
    "it cannot be read": ("dead", {"limit": 9}, State.DEAD, 0, "dead"),
    "it was given back": ("back", {"limit": 0}, State.QUEUED, 0, "given back"),
    "it was cancelled": ("cancelled", {}, State.CANCELLED, 0, "cancelled"),
}


@pytest.mark.parametrize(("how", "policy", "state", "wait", "word"), SETTLED.values(), ids=SETTLED.keys())
async def test_settled(bench: Bench, how: How, policy: dict[str, Any], state: State, wait: int, word: str | None) -> None:
    await bench.swept(tracked(**policy))
    worker = bench.worker()
    taken = await worker.take(done=worker.done(await worker.claimed(), how, "E: x", trace="at line 1", result="fine" if how == "ok" else ""))
    assert taken.settled == state
    assert (taken.next_at is not None) == bool(wait)
    assert abs((taken.next_at or 0) - (await bench.now() + wait if wait else 0)) < 5 * SECOND
    run = await bench.runs.get("e/1")
    assert run is not None
    assert (run.state, run.attempts, [attempt.how for attempt in run.history]) == (state, how != "back", [word])
    assert (run.error, run.trace) == (("E: x", "at line 1") if how in ("failed", "timeout", "dead") else (None, None))
    assert run.result == ("fine" if how == "ok" else None)
    assert (await (await bench.broker()).loads(["c"]))["c"].in_flight == 0


async def test_the_back_off_doubles_up_to_its_longest(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked(limit=5, backoff=MINUTE, max_backoff=3 * MINUTE)), bench.worker()
    waits = []
    for _ in range(4):
        claimed = await worker.claimed()
        next_at = (await worker.take(done=worker.done(claimed, "failed"))).next_at or 0
        waits.append(round((next_at - await bench.now()) / MINUTE))
        await bench.bring_forward("e/1")
        await broker.sweep()
    assert waits == [1, 2, 3, 3]


async def test_a_run_is_not_tried_again_before_its_worker_says(bench: Bench) -> None:
    await bench.swept(tracked(backoff=0))
    worker = bench.worker()
    assert await worker.handle("failed", after=HOUR) is State.RETRYING
    run = await bench.runs.get("e/1")
    assert run is not None
    assert (run.at or 0) > await bench.now() + HOUR - MINUTE


async def test_what_is_given_back_waits_as_its_worker_says_and_counts_no_attempt(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked(limit=0)), bench.worker()
    for _ in range(3):
        assert await worker.handle("back", after=HOUR) is State.RETRYING
        await bench.bring_forward("e/1")
        await broker.sweep()
    assert (await worker.claimed()).attempt == 1


async def test_what_was_begun_in_time_does_not_expire_when_it_is_given_back(bench: Bench) -> None:
    broker, worker = await bench.broker(), bench.worker()
    await broker.enqueue([adopt(), tracked(start_deadline=await bench.now() - T + HOUR)])
    claimed = await worker.claimed()
    await bench.redis.hset(KEYS.run("e/1"), "due", 1)  # as if its deadline had passed
    await bench.redis.zadd(f"{ROOT}deadlines", {"e/1": 1}, xx=True)
    await broker.sweep()
    await worker.settle(claimed, "back")
    await broker.sweep()
    assert (await worker.claimed()).run == "e/1"


async def test_a_settlement_is_not_anothers(bench: Bench) -> None:
    broker, worker, other = await bench.swept(tracked()), bench.worker(), bench.worker("other")
    late = await worker.claimed()
    await bench.lapse("e/1")
    await broker.sweep()
    theirs = await other.claimed()
    assert await worker.settle(late) is None
    assert await other.settle(theirs) is State.SUCCEEDED
    assert await worker.settle(late) is None
    assert await worker.settle(theirs) is None
    assert (await broker.stats(["e"]))["e"].ok == 1


@pytest.mark.parametrize("number", [1, 150])
async def test_what_is_not_to_be_started_is_skipped(bench: Bench, number: int) -> None:
    """However many they are: `again` says that there may be more."""
    broker = await bench.broker()
    await broker.enqueue([adopt(), adopt(event="o"), *(tracked(T + due, start_deadline=1) for due in range(1, number + 1)), tracked(T + 999)])
    await bench.redis.zadd(KEYS.queue("c"), {"nobody's": 1})
    worker = bench.worker()
    taken = await worker.take("c")
    while taken.again:
        assert taken.item is None
        taken = await worker.take("c")
    assert isinstance(taken.item, Claimed)
    assert taken.item.run == "e/999"
    assert await bench.queued() == []
    assert (await broker.stats(["e"]))["e"].expired == number


async def test_an_expired_run_makes_room_for_the_one_that_waited_for_it(bench: Bench) -> None:
    broker = await bench.broker()
    await broker.enqueue([adopt(), tracked(start_deadline=1, overlap="BufferOne"), tracked(T + 2, overlap="BufferOne")])
    worker = bench.worker()
    assert (await worker.claimed()).run == "e/2"
    assert not await bench.redis.exists(KEYS.bell("c"))


async def test_a_cancelled_run_is_skipped(bench: Bench) -> None:
    await bench.swept(tracked(), tracked(T + 2))
    await bench.runs.cancel("e/1")
    assert (await bench.worker().claimed()).run == "e/2"


async def test_of_many_that_ask_at_once_each_is_given_another(bench: Bench) -> None:
    await bench.swept(*(tracked(T + due) for due in range(1, 51)))
    taken = [await bench.worker(f"w{number}").claimed() for number in range(50)]
    assert sorted(one.run for one in taken) == sorted(run_id(T + due) for due in range(1, 51))
    assert (await (await bench.broker()).loads(["c"]))["c"].in_flight == 50


async def drained(bench: Bench, worker: Worker) -> list[str]:
    found, done = [], None
    while (item := (await worker.take("c", done=done)).item) is not None:
        assert isinstance(item, Claimed)
        found.append(item.run)
        done = worker.done(item)
    return found


async def test_workers_drain_a_redis_that_is_out_of_memory(bench: Bench) -> None:
    broker = await bench.swept(*(tracked(T + due, backoff=0) for due in range(1, 21)))
    await bench.redis.config_set("maxmemory", 1)
    with pytest.raises(WritesRefused):
        await broker.enqueue([tracked(T + 99)])
    with pytest.raises(WritesRefused):
        await bench.one_offs.put("one", "c", b"")
    worker = bench.worker()
    failed = await worker.claimed()
    assert worker.renew(failed) == ["kept"]
    assert await worker.settle(failed, "failed") is State.QUEUED
    lost = await worker.claimed()
    await bench.redis.config_set("maxmemory", 0)
    await bench.lapse(lost.run)
    await bench.redis.config_set("maxmemory", 1)
    assert (await broker.sweep()).lost == 1
    assert sorted(await drained(bench, worker)) == sorted(run_id(T + due) for due in range(1, 21))
    await bench.redis.config_set("maxmemory", 0)
    assert await bench.redis.keys(f"{ROOT}run:one") == []
    assert (await answers(broker, tracked(T + 99))) == [Answer.DONE]


async def test_an_attempts_history_is_kept_and_bounded(bench: Bench) -> None:
    await bench.swept(tracked(limit=200, backoff=0))
    worker = bench.worker()
    for _ in range(130):
        await worker.handle("failed")
    run = await bench.runs.get("e/1")
    assert run is not None
    assert [attempt.number for attempt in run.history] == list(range(3, 131))
    assert run.history[-1] == Attempt(130, "w:1", run.history[-1].started, run.history[-1].ended, "failed", "E: x")


async def test_what_ends_is_forgotten_in_time(bench: Bench) -> None:
    await bench.swept(tracked(), tracked(T + 2, limit=0))
    worker = bench.worker()
    await worker.handle()
    await worker.handle("failed")
    assert 3_500 < await bench.redis.ttl(KEYS.run("e/1")) <= 3_600
    assert 604_700 < await bench.redis.ttl(KEYS.run("e/2")) <= 604_800
    await bench.worker("other").take("c")
    assert 3_500 < await bench.redis.ttl(KEYS.worker("other")) <= 3_600, "a worker that never said what it is"
    await worker.leave()
    assert not await bench.redis.exists(KEYS.worker("w"))


def test_a_policy_reads_as_it_was_written() -> None:
    for policy in (Policy(), Policy(0, 1, 2, 3, 4, "BufferOne", 5, "v1")):
        assert Policy.read(policy.text()) == policy
