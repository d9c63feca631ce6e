"""One-off runs are put and cancelled, and people look at runs: listed, shown, tried again."""

from collections.abc import Sequence

import pytest
from redis import Redis as SyncRedis

from channelbeat.broker.claims import How
from channelbeat.broker.putting import OneOffs
from channelbeat.broker.runs import AT_ONCE
from channelbeat.core.instants import HOUR, MINUTE, SECOND
from channelbeat.core.runs import Policy, State
from support.bench import KEYS, ROOT, STATE, Bench, T, adopt, tracked
from support.redis import RedisServer

ODD = ["with spaces and: colons", "ns/name/event/2026-01-01T00:00:00Z", "Käse 🧀", "new\nline", "100%d %s", "-", "*", "{x}", "x" * 1_000]


async def test_a_one_off_is_queued_with_the_policy_of_one_offs(bench: Bench) -> None:
    put = await bench.one_offs.put("one", "c", b"body")
    assert put == (State.QUEUED, True, None)
    run = await bench.runs.get("one")
    assert run is not None
    assert (run.event, run.channel, run.state, run.policy, run.due) == ("", "c", State.QUEUED, Policy(), run.enqueued)
    assert await bench.worker().wait(["c"], 0.01) == "c"
    assert (await bench.worker().claimed()).body == b"body"


@pytest.mark.parametrize("later", [{"delay": HOUR}, {"at": 4_000_000_000_000}], ids=["delay", "at"])
async def test_a_one_off_for_later(bench: Bench, later: dict[str, int]) -> None:
    put = await bench.one_offs.put("one", "c", b"body", **later)
    assert (put.state, await bench.queued()) == (State.DELAYED, [])
    run = await bench.runs.get("one")
    assert run is not None
    assert run.at == run.due
    assert abs(run.due - later.get("at", await bench.now() + HOUR)) < 5 * SECOND
    await bench.bring_forward("one")
    assert (await (await bench.broker()).sweep()).queued == 1
    assert (await bench.worker().claimed()).due == run.due


@pytest.mark.parametrize("past", [{"delay": 0}, {"delay": -5}, {"at": 0}, {"at": -5}, {}])
async def test_what_is_not_for_later_is_for_now(bench: Bench, past: dict[str, int]) -> None:
    assert (await bench.one_offs.put("one", "c", b"", **past)).state is State.QUEUED


async def test_the_same_one_off_again_says_what_has_become_of_it(bench: Bench) -> None:
    worker, states = bench.worker(), list[tuple[State, bool]]()

    async def put() -> None:
        put = await bench.one_offs.put("one", "c", b"")
        states.append((put.state, put.new))

    await put()
    await put()
    claimed = await worker.claimed()
    await put()
    await worker.settle(claimed)
    await put()
    assert states == [(State.QUEUED, True), (State.QUEUED, False), (State.RUNNING, False), (State.SUCCEEDED, False)]


async def test_how_long_no_leader_was_seen(bench: Bench) -> None:
    assert (await bench.one_offs.put("one", "c", b"")).silent is None
    await bench.broker()
    assert 0 <= ((await bench.one_offs.put("two", "c", b"")).silent or 0) < MINUTE
    await bench.redis.hset(STATE, ":leaderSeen", await bench.now() - HOUR)
    assert HOUR <= ((await bench.one_offs.put("two", "c", b"")).silent or 0) < HOUR + MINUTE


def test_code_that_blocks_puts_and_cancels_the_same(bench: Bench, redis_server: RedisServer) -> None:
    with SyncRedis.from_url(redis_server.url) as redis:
        one_offs = OneOffs(redis, "asgi", name="default")
        assert one_offs.put("one", "c", b"", delay=HOUR) == (State.DELAYED, True, None)
        assert [one_offs.cancel("one"), one_offs.cancel("one"), one_offs.cancel("none")] == [State.DELAYED, State.CANCELLED, None]


@pytest.mark.parametrize("name", ODD)
async def test_ids_may_be_anything(bench: Bench, name: str) -> None:
    await bench.one_offs.put(name, "c", b"body")
    worker = bench.worker()
    assert (await worker.take("c")).item == (taken := (await worker.repeat("c")).item)
    assert taken is not None
    assert await worker.settle(taken, "dead") is State.DEAD  # type: ignore[arg-type]  # a run
    assert await bench.runs.retry([name]) == [State.DEAD]
    assert [run.id async for run in bench.runs.each(list(State))] == [name]
    assert await bench.runs.cancel(name) is State.QUEUED
    assert (await bench.runs.get(name) or pytest.fail("it is not known")).state is State.CANCELLED


async def test_cancelled_wherever_it_waits(bench: Bench) -> None:
    broker = await bench.swept(tracked(overlap="BufferOne"), tracked(T + 2, overlap="BufferOne"), tracked(T + 3, backoff=HOUR))
    await bench.one_offs.put("later", "c", b"", delay=HOUR)
    worker = bench.worker()
    running = await worker.claimed()
    await bench.worker("other").handle("failed")
    runs = ["e/1", "e/2", "e/3", "later", "none"]
    assert [await bench.runs.cancel(run) for run in runs] == [State.RUNNING, State.BUFFERED, State.RETRYING, State.DELAYED, None]
    assert [await bench.state(run) for run in runs] == [State.RUNNING, *[State.CANCELLED] * 3, None]
    assert worker.renew(running) == ["cancel"]
    assert await worker.settle(running, "back") is State.CANCELLED
    stats = (await broker.stats(["e"]))["e"]
    assert (stats.cancelled, stats.retrying, stats.running) == (3, 0, 0)
    assert not await bench.redis.exists(f"{ROOT}delayed", f"{ROOT}active:e")


async def test_a_cancelled_run_that_succeeds_all_the_same_has(bench: Bench) -> None:
    await bench.swept(tracked())
    worker = bench.worker()
    claimed = await worker.claimed()
    await bench.runs.cancel("e/1")
    assert await worker.settle(claimed) is State.SUCCEEDED
    assert await bench.runs.cancel("e/1") is State.SUCCEEDED


async def test_a_cancelled_run_whose_worker_vanished_is_cancelled(bench: Bench) -> None:
    broker = await bench.swept(tracked())
    await bench.worker().claimed()
    await bench.runs.cancel("e/1")
    await bench.lapse("e/1")
    await broker.sweep()
    assert await bench.state("e/1") is State.CANCELLED


async def test_cancelling_the_last_that_is_queued_silences_the_bell(bench: Bench) -> None:
    await bench.swept(tracked(), tracked(T + 2))
    for run, rings in (("e/1", True), ("e/2", False)):
        await bench.runs.cancel(run)
        assert bool(await bench.redis.exists(KEYS.bell("c"))) == rings


async def test_a_dead_run_that_is_tried_again_has_all_its_attempts(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked(limit=1, backoff=0), tracked(T + 2)), bench.worker()
    for _ in range(2):
        claimed = await worker.claimed()
        while claimed.run != "e/1":
            await worker.settle(claimed)
            claimed = await worker.claimed()
        await worker.settle(claimed, "failed")
    assert await bench.runs.retry(["e/1", "e/2", "none"]) == [State.DEAD, State.SUCCEEDED, None]
    assert (await bench.redis.ttl(KEYS.run("e/1")), await bench.redis.exists(f"{ROOT}dead")) == (-1, 0)
    again = await worker.claimed()
    assert (again.run, again.attempt) == ("e/1", 1)
    assert await worker.settle(again) is State.SUCCEEDED
    run = await bench.runs.get("e/1")
    assert run is not None
    assert [(attempt.number, attempt.how) for attempt in run.history] == [(1, "failed"), (2, "failed"), (3, "succeeded")]
    stats = (await broker.stats(["e"]))["e"]
    assert (stats.ok, stats.dead, stats.failed) == (2, 1, 2)
    assert [one.id async for one in bench.runs.each([State.SUCCEEDED, State.DEAD])] == ["e/1", "e/2"], "once, though it ended twice"


async def test_a_dead_run_that_is_tried_again_after_its_deadline_is_started(bench: Bench) -> None:
    broker = await bench.swept(tracked(limit=0, start_deadline=await bench.now() - T + HOUR))
    await bench.worker().handle("failed")
    await bench.redis.hset(KEYS.run("e/1"), "due", 1)
    await bench.runs.retry(["e/1"])
    await broker.sweep()
    assert (await bench.worker().claimed()).run == "e/1"


STATES = {
    # each run, and the state it is brought into below
    "later": State.DELAYED,
    "a/b/e/1": State.SUCCEEDED,
    "a/b/e/2": State.RETRYING,
    "a/b/e/3": State.DEAD,
    "a/b/e/4": State.CANCELLED,
    "a/b/e/5": State.RUNNING,
    "a/b/e/6": State.QUEUED,
    "a/c/e/1": State.QUEUED,
}


async def every_state(bench: Bench) -> None:
    broker, worker = await bench.swept(), bench.worker()
    runs = [tracked(T + due, event="a/b/e", limit=1, backoff=HOUR) for due in range(1, 7)]
    await broker.enqueue([adopt(event="a/b/e"), adopt(event="a/c/e"), *runs, tracked(event="a/c/e")])
    await bench.one_offs.put("later", "c", b"", delay=HOUR)
    for how in HOWS:
        await worker.handle(how)
    await worker.claimed()


HOWS: Sequence[How] = ("ok", "failed", "dead", "cancelled")
LISTS: dict[str, tuple[Sequence[State], str, Sequence[str]]] = {
    # the states asked for, within what, and what is listed
    "all": (list(State), "", ["a/b/e/5", "later", "a/b/e/2", "a/c/e/1", "a/b/e/6", "a/b/e/3", "a/b/e/4", "a/b/e/1"]),
    "none": ([], "", []),
    "of one state, the newest first": ([State.QUEUED], "", ["a/c/e/1", "a/b/e/6"]),
    "of a schedule": ([State.QUEUED], "a/b", ["a/b/e/6"]),
    "of an event": ([State.QUEUED, State.DEAD], "a/b/e", ["a/b/e/6", "a/b/e/3"]),
    "of what only begins like it": (list(State), "a/b/", []),
    "retrying only, not delayed": ([State.RETRYING], "", ["a/b/e/2"]),
    "delayed only": ([State.DELAYED], "", ["later"]),
    "of those that ended, one kind": ([State.CANCELLED], "", ["a/b/e/4"]),
    "dead and running": ([State.DEAD, State.RUNNING], "", ["a/b/e/5", "a/b/e/3"]),
}


@pytest.mark.parametrize(("states", "within", "listed"), LISTS.values(), ids=LISTS.keys())
async def test_listed(bench: Bench, states: Sequence[State], within: str, listed: Sequence[str]) -> None:
    await every_state(bench)
    found = [run async for run in bench.runs.each(states, within)]
    assert [run.id for run in found] == list(listed)
    assert {run.id: run.state for run in found} == {run: STATES[run] for run in listed}


async def test_counted(bench: Bench) -> None:
    await every_state(bench)
    assert await bench.runs.count([State.QUEUED, State.RUNNING, State.DEAD]) == {State.QUEUED: 2, State.RUNNING: 1, State.DEAD: 1}


async def test_more_than_are_read_at_once_are_listed(bench: Bench) -> None:
    number = 2 * AT_ONCE + 1
    await bench.swept(*(tracked(T + due) for due in range(1, number + 1)))
    assert [run.id async for run in bench.runs.each([State.QUEUED])] == [f"e/{due}" for due in range(number, 0, -1)]


async def test_what_is_no_run_is_not_listed(bench: Bench) -> None:
    await bench.swept(tracked())
    await bench.redis.zadd(KEYS.queue("c"), {"gone": 1, "text": 2, "half": 3})
    await bench.redis.set(KEYS.run("text"), "no run")
    await bench.redis.hset(KEYS.run("half"), "policy", Policy().text())
    assert [run.id async for run in bench.runs.each([State.QUEUED])] == ["e/1"]
    assert [await bench.runs.get(run) for run in ("gone", "text", "half")] == [None] * 3
    assert [await bench.runs.cancel(run) for run in ("gone", "text", "half")] == [None] * 3
    assert await bench.runs.retry(["gone", "text", "half"]) == [None] * 3
