"""What becomes of sends and triggers that are runs: the answers, the fence afterwards, what is queued, and what is written down of a run."""

from collections.abc import Sequence
from typing import Any

import msgpack
import pytest

from channelbeat.core.batch import Answer, Bury, Fence, Item, Send, Tracked, Trigger, queue_of
from channelbeat.core.instants import MINUTE
from channelbeat.core.runs import Policy, State
from channelbeat.errors import StoreChanged
from support.bench import KEYS, ROOT, STATE, Bench, T, adopt, answers, send, skip, tracked, tracked_trigger

DONE, DUPLICATE, HELD, FULL, OVERLAP, PAUSED = Answer.DONE, Answer.DUPLICATE, Answer.HELD, Answer.FULL, Answer.OVERLAP, Answer.PAUSED
SKIP: dict[str, Any] = {"overlap": "Skip"}
BUFFER: dict[str, Any] = {"overlap": "BufferOne"}
ENQUEUED, SKIPPED = "enqueued", "skipped/PreviousRunActive"

BATCHES: dict[str, tuple[Sequence[Item], Sequence[Answer], Fence, Sequence[str], Sequence[str]]] = {
    # what is asked: the items, the answers, the fence after, what is queued, what is buffered
    "a run is queued, and moves the fence": ([tracked()], [DONE], Fence(T + 1, "h", ENQUEUED), ["e/1"], []),
    "runs are queued in order": ([tracked(T + due) for due in (1, 2, 3)], [DONE] * 3, Fence(T + 3, "h", ENQUEUED), ["e/1", "e/2", "e/3"], []),
    "what was decided is a duplicate": ([tracked(), tracked(), tracked(T)], [DONE, DUPLICATE, DUPLICATE], Fence(T + 1, "h", ENQUEUED), ["e/1"], []),
    "under another timing nothing is queued": ([tracked(hash_="i"), tracked()], [Answer.UNFENCED, HELD], Fence(T, "h", "new"), [], []),
    "a future run is early": ([tracked(4_000_000_000_000)], [Answer.EARLY], Fence(T, "h", "new"), [], []),
    "a full queue holds what follows": (
        [*(tracked(T + due) for due in range(1, 5)), skip(T + 5)],
        [DONE, DONE, DONE, FULL, HELD],
        Fence(T + 3, "h", ENQUEUED),
        ["e/1", "e/2", "e/3"],
        [],
    ),
    "a queue is full apart from its channel": ([send(), tracked(T + 2)], [DONE, DONE], Fence(T + 2, "h", ENQUEUED), ["e/2"], []),
    "Skip leaves out what is due while another is active": (
        [tracked(**SKIP), tracked(T + 2, **SKIP), tracked(T + 3, **SKIP)],
        [DONE, OVERLAP, OVERLAP],
        Fence(T + 3, "h", SKIPPED),
        ["e/1"],
        [],
    ),
    "BufferOne lets one wait": (
        [tracked(**BUFFER), tracked(T + 2, **BUFFER), tracked(T + 3, **BUFFER)],
        [DONE, DONE, OVERLAP],
        Fence(T + 3, "h", SKIPPED),
        ["e/1"],
        ["e/2"],
    ),
    "after what is left out the next is not held up": (
        [tracked(**SKIP), tracked(T + 2, **SKIP), skip(T + 3)],
        [DONE, OVERLAP, DONE],
        Fence(T + 3, "h", "missed"),
        ["e/1"],
        [],
    ),
    "what is left out needs no room": (
        [tracked(**SKIP), tracked(T + 1, event="o"), tracked(T + 2, event="o"), tracked(T + 2, **SKIP)],
        [DONE, DONE, DONE, OVERLAP],
        Fence(T + 2, "h", SKIPPED),
        ["e/1", "o/1", "o/2"],
        [],
    ),
    "another event's run is no overlap": ([tracked(event="o", **SKIP), tracked(**SKIP)], [DONE, DONE], Fence(T + 1, "h", ENQUEUED), ["o/1", "e/1"], []),
    "a trigger is queued beside the fence": ([tracked_trigger()], [DONE], Fence(T, "h", "new"), ["e/trigger-0"], []),
    "a token counts once": ([tracked_trigger(), tracked_trigger()], [DONE, DUPLICATE], Fence(T, "h", "new"), ["e/trigger-0"], []),
    "a trigger finds the queue full": (
        [*(tracked(T + due) for due in (1, 2, 3)), tracked_trigger()],
        [DONE] * 3 + [FULL],
        Fence(T + 3, "h", ENQUEUED),
        ["e/1", "e/2", "e/3"],
        [],
    ),
    "a trigger that overlaps is refused": ([tracked(**SKIP), tracked_trigger(**SKIP)], [DONE, OVERLAP], Fence(T + 1, "h", ENQUEUED), ["e/1"], []),
    "a trigger may be the one that waits": (
        [tracked(**BUFFER), tracked_trigger(**BUFFER)],
        [DONE, DONE],
        Fence(T + 1, "h", ENQUEUED),
        ["e/1"],
        ["e/trigger-0"],
    ),
    "a tombstone makes no run": ([adopt(T, "-"), tracked()], [DONE, Answer.UNFENCED], Fence(T, "-", "new"), [], []),
}


@pytest.mark.parametrize(("items", "expected", "after", "queued", "buffered"), BATCHES.values(), ids=BATCHES.keys())
async def test_a_batch(bench: Bench, items: Sequence[Item], expected: Sequence[Answer], after: Fence, queued: Sequence[str], buffered: Sequence[str]) -> None:
    broker = await bench.broker(queue_limit=3)
    await broker.enqueue([adopt(), adopt(event="o")])
    assert await answers(broker, *items) == list(expected)
    assert await broker.fence("e") == after
    assert await bench.queued() == list(queued)
    assert [run.id async for run in bench.runs.each([State.BUFFERED])] == list(buffered)
    assert await bench.redis.exists(KEYS.bell("c")) == bool(queued)


async def test_the_same_batch_sent_twice_is_carried_out_once(bench: Bench) -> None:
    broker = await bench.swept()
    batch: list[Item] = [tracked(), tracked(T + 2), tracked_trigger()]
    assert await answers(broker, *batch) == [DONE] * 3
    assert await answers(broker, *batch) == [DUPLICATE] * 3
    assert await bench.queued() == ["e/1", "e/2", "e/trigger-0"]


async def test_what_is_written_down_of_a_run(bench: Bench) -> None:
    broker, policy = await bench.broker(), Policy(limit=7, backoff=1, overlap="BufferOne", pause_after=3, version="v9")
    message = {"type": "x", "name": "Käse 🧀"}
    await broker.enqueue([adopt(), Send("e", T + 1, "h", ENQUEUED, True, queue_of("c"), message, Tracked("e/1", policy.text()))])
    run = await bench.runs.get("e/1")
    assert run is not None
    assert (run.event, run.channel, run.state, run.due, run.attempts, run.policy, run.history) == ("e", "c", State.QUEUED, T + 1, 0, policy, ())
    assert broker.founded <= run.enqueued <= (run.at or 0) <= await bench.now()
    assert msgpack.unpackb((await bench.worker().claimed()).body[12:]) == message  # as the layer serialized it


async def test_a_batch_of_a_thousand_is_taken_in_order(bench: Bench) -> None:
    await bench.swept(*(tracked(T + due) for due in range(1, 1_001)))
    assert await bench.queued() == [f"e/{due}" for due in range(1, 1_001)]


async def test_room_is_told_for_queues_and_channels_apart(bench: Bench) -> None:
    broker = await bench.broker(capacity=5, queue_limit=9)
    told = await broker.enqueue([adopt(), send(), tracked(T + 2), tracked(T + 3)])
    assert (told.room, told.expired) == ({"c": 4, queue_of("c"): 7}, {"c": 0, queue_of("c"): 0})
    assert await broker.backlog(["c", queue_of("c")]) == {"c": 1, queue_of("c"): 2}


async def test_what_a_pause_and_an_overlap_decide_is_logged(bench: Bench) -> None:
    broker = await bench.swept(tracked(pause_after=1, limit=0, **SKIP), tracked_trigger(T + 5))
    await broker.enqueue([tracked(T + 2, pause_after=1, limit=0, **SKIP)])
    await bench.worker().handle("dead")
    await broker.enqueue([tracked(T + 3, pause_after=1, limit=0, **SKIP)])
    assert [entry.rsplit(" ", 1)[0] for entry in await broker.decisions("e")] == [
        f"{T + 1} - enqueued",
        f"{T + 5} - triggered",
        f"{T + 2} - {SKIPPED}",
        f"{T + 3} - suspended/Paused",
    ]


@pytest.mark.parametrize("how", ["ok", "dead", "cancelled"])
async def test_what_was_buffered_has_its_turn_once_the_other_has_ended(bench: Bench, how: Any) -> None:
    await bench.swept(tracked(**BUFFER), tracked(T + 2, **BUFFER))
    worker = bench.worker()
    await worker.handle(how)
    assert (await worker.claimed()).run == "e/2"


async def test_what_is_buffered_rings_no_bell(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked(**BUFFER)), bench.worker()
    await worker.claimed()
    assert await answers(broker, tracked(T + 2, **BUFFER)) == [DONE]
    assert await worker.wait(["c"], 0.01) is None


async def test_what_was_buffered_waits_for_the_others_retries(bench: Bench) -> None:
    broker = await bench.swept(tracked(**BUFFER), tracked(T + 2, **BUFFER))
    assert await bench.worker().handle("failed") is State.RETRYING
    await bench.bring_forward("e/2")
    await broker.sweep()
    assert await bench.queued() == []


async def test_what_was_buffered_does_not_wait_for_a_run_that_is_gone(bench: Bench) -> None:
    broker = await bench.swept(tracked(**BUFFER), tracked(T + 2, **BUFFER))
    await bench.redis.delete(KEYS.run("e/1"))
    await bench.bring_forward("e/2")
    await broker.sweep()
    assert (await bench.worker().claimed()).run == "e/2"


async def test_what_was_buffered_is_released_though_the_policy_was_another_then(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked(), tracked(T + 2, **BUFFER)), bench.worker()
    await worker.handle()
    await bench.bring_forward("e/2")
    await broker.sweep()
    assert (await worker.claimed()).run == "e/2"


PAUSING: dict[str, Any] = {"pause_after": 2, "limit": 0, "version": "v1"}


async def paused(bench: Bench) -> Any:
    broker = await bench.swept(tracked(**PAUSING), tracked(T + 2, **PAUSING))
    for _ in range(2):
        await bench.worker().handle("failed")
    assert (await broker.stats(["e"]))["e"].paused is not None
    return broker


ENDS_OF_A_PAUSE: dict[str, tuple[dict[str, Any], Answer]] = {
    # what the policy is by now, and what becomes of the next occurrence
    "it goes on": ({}, PAUSED),
    "the event was edited": ({"version": "v2"}, DONE),
    "it is not to pause any more": ({"version": "v2", "pause_after": 0}, DONE),
}


@pytest.mark.parametrize(("edit", "expected"), ENDS_OF_A_PAUSE.values(), ids=ENDS_OF_A_PAUSE.keys())
async def test_a_pause_lasts_until(bench: Bench, edit: dict[str, Any], expected: Answer) -> None:
    broker = await paused(bench)
    assert await answers(broker, tracked(T + 3, **PAUSING | edit)) == [expected]
    assert ((await broker.stats(["e"]))["e"].paused is None) == (expected is DONE)
    assert await answers(broker, tracked(T + 4, **PAUSING | edit)) == [expected]


async def test_a_pause_lasts_until_it_is_ended(bench: Bench) -> None:
    broker = await paused(bench)
    assert [await broker.resume("e"), await broker.resume("e")] == [True, False]
    assert await answers(broker, tracked(T + 3, **PAUSING)) == [DONE]
    await bench.worker().handle("failed")
    assert await answers(broker, tracked(T + 4, **PAUSING)) == [DONE], "the row begins anew"


async def test_after_a_resume_runs_from_before_an_edit_count_no_more_than_before_it(bench: Bench) -> None:
    broker = await bench.swept(tracked(limit=0, pause_after=1, version="old"), tracked(T + 2, **PAUSING), tracked(T + 3, **PAUSING))
    old = await bench.worker("other").claimed()
    for _ in range(2):
        await bench.worker().handle("failed")
    assert await broker.resume("e")
    assert await bench.worker("other").settle(old, "failed") is State.DEAD
    assert (await broker.stats(["e"]))["e"].paused is None
    assert await answers(broker, tracked(T + 4, **PAUSING), tracked(T + 5, **PAUSING)) == [DONE, DONE]
    await bench.worker().handle("failed")
    assert (await broker.stats(["e"]))["e"].paused is None
    await bench.worker().handle("failed")
    assert (await broker.stats(["e"]))["e"].paused is not None


async def test_what_was_queued_before_a_resume_counts_when_it_dies_after_it(bench: Bench) -> None:
    broker = await bench.swept(*(tracked(T + number, **PAUSING) for number in range(1, 5)))
    for _ in range(3):
        await bench.worker().handle("failed")
    assert await broker.resume("e")
    await bench.worker().handle("failed")
    assert (await broker.stats(["e"]))["e"].paused is None, "the three before it count no more"
    await answers(broker, tracked(T + 5, **PAUSING))
    await bench.worker().handle("failed")
    assert (await broker.stats(["e"]))["e"].paused is not None


async def test_a_trigger_does_not_mind_a_pause(bench: Bench) -> None:
    assert await answers(await paused(bench), tracked_trigger(**PAUSING)) == [DONE]


async def test_a_pause_survives_runs_from_before_the_edit(bench: Bench) -> None:
    once: dict[str, Any] = {"pause_after": 1, "limit": 0}
    broker, worker = await bench.swept(tracked(version="v1", **once), tracked(T + 2, version="v2", **once)), bench.worker()
    old, new = await worker.claimed(), await bench.worker("other").claimed()
    await worker.settle(new, "failed")
    await worker.settle(old, "failed")
    assert await answers(broker, tracked(T + 3, version="v2", **once)) == [PAUSED]


async def test_a_late_run_is_queued_and_expires(bench: Bench) -> None:
    broker = await bench.swept()
    await broker.enqueue([tracked(start_deadline=MINUTE)])
    assert await bench.queued() == ["e/1"]
    await broker.sweep()
    assert (await bench.state("e/1"), await bench.queued()) == (State.EXPIRED, [])
    assert (await broker.stats(["e"]))["e"].expired == 1


async def test_a_buried_event_leaves_nothing(bench: Bench) -> None:
    broker = await bench.swept(tracked(pause_after=3, limit=0), tracked(T + 2, pause_after=3, limit=0), tracked(T + 3, pause_after=3, limit=0))
    for how in ("ok", "failed", "cancelled"):
        await bench.worker().handle(how)
    assert await answers(broker, adopt(T + 4, "-"), Bury("e", T + 4)) == [DONE, DONE]
    assert not [field for field in bench.sync.hgetall(f"{ROOT}stats") if field.startswith(b"e ")]  # type: ignore[arg-type]
    assert not await bench.redis.exists(f"{ROOT}active:e", f"{ROOT}log:e")


async def test_nothing_is_queued_for_a_store_that_is_not_ours(bench: Bench) -> None:
    broker = await bench.swept()
    await bench.redis.hset(STATE, ":gen", "1-another")
    with pytest.raises(StoreChanged):
        await broker.enqueue([tracked(), tracked_trigger()])
    assert await bench.redis.keys(f"{ROOT}run:*") == []


async def test_a_group_has_no_queue(bench: Bench) -> None:
    broker = await bench.swept()
    assert await answers(broker, Trigger("e", T, 0, None, {"type": "x"})) == [DONE]
