"""What is enqueued: by whom, in which order, once, and where there is room."""

from channelbeat.core.batch import Adopt, Answer, Bury, Look
from channelbeat.core.instants import HOUR
from channelbeat.errors import Stale, StoreChanged
from support.bench import STATE, Bench, T, adopt, answers, refused, send, skip, tracked, tracked_trigger, trigger
from support.demonstrations import shows


@shows("generation")
async def another_store_is_not_written_to_for_ours(bench: Bench) -> None:
    broker = await bench.broker()
    await bench.redis.hset(STATE, ":gen", "1-another")
    with refused(StoreChanged):
        await broker.enqueue([adopt()])


@shows("epoch")
async def a_stale_leader_sends_nothing(bench: Bench) -> None:
    old, new = await bench.broker(), await bench.broker()
    await new.enqueue([adopt()])
    with refused(Stale):
        await old.enqueue([send()])


@shows("epoch-rollback")
async def a_store_that_forgot_our_lead_is_not_written_to(bench: Bench) -> None:
    await bench.broker()
    restore = await bench.snapshot()
    broker = await bench.broker()
    await restore()
    with refused(StoreChanged):
        await broker.enqueue([adopt()])


@shows("rollback")
async def a_store_that_forgot_a_batch_is_not_written_to(bench: Bench) -> None:
    broker = await bench.broker()
    await broker.enqueue([adopt()])
    restore = await bench.snapshot()
    await broker.enqueue([send()])
    await restore()
    with refused(StoreChanged):
        await broker.enqueue([send(T + 2)])


@shows("order-adopt")
async def a_full_channel_holds_up_a_later_adoption(bench: Bench) -> None:
    broker = await bench.broker(capacity=1)
    await broker.enqueue([adopt(), send()])
    assert await answers(broker, send(T + 2), adopt(T + 9, "other")) == [Answer.FULL, Answer.HELD]


@shows("early-adopt")
async def no_fence_is_adopted_in_the_future(bench: Bench) -> None:
    broker = await bench.broker()
    assert await answers(broker, adopt((broker.now() or 0) + HOUR)) == [Answer.EARLY]


@shows("forward")
async def a_new_timing_does_not_move_the_fence_back(bench: Bench) -> None:
    broker = await bench.broker()
    await broker.enqueue([adopt(T + 5), adopt(T, "other")])
    found = (await broker.enqueue([Look("e")])).extra[0]
    assert (found.due, found.hash) == (T + 5, "other")


@shows("token")
async def a_token_triggers_once(bench: Bench) -> None:
    broker = await bench.broker()
    assert await answers(broker, trigger(), trigger(T + 1), trigger()) == [Answer.DONE, Answer.DONE, Answer.DUPLICATE]
    assert await bench.waiting() == 2


@shows("bury")
async def only_an_old_tombstone_is_buried(bench: Bench) -> None:
    broker = await bench.broker()
    await broker.enqueue([adopt()])
    assert await answers(broker, Bury("e", T + 1)) == [Answer.DUPLICATE]
    await broker.enqueue([adopt(T, "-")])
    assert await answers(broker, Bury("e", T - 1)) == [Answer.DUPLICATE]
    assert await answers(broker, Bury("e", T), Look("e")) == [Answer.DONE, Answer.DONE]
    assert await broker.fence("e") is None


@shows("order")
async def a_full_channel_holds_up_what_follows_of_its_event(bench: Bench) -> None:
    broker = await bench.broker(capacity=1)
    await broker.enqueue([adopt(), send()])
    for later in (skip(T + 3), send(T + 3, channel="free"), tracked(T + 3)):
        assert await answers(broker, send(T + 2), later) == [Answer.FULL, Answer.HELD]


@shows("early")
async def nothing_is_decided_before_its_time(bench: Bench) -> None:
    broker = await bench.broker()
    later = (broker.now() or 0) + HOUR
    for early in (skip(later), send(later), tracked(later)):
        assert await answers(broker, adopt(), early) == [Answer.DONE, Answer.EARLY]


@shows("fenced")
async def nothing_is_decided_under_another_timing(bench: Bench) -> None:
    broker = await bench.broker()
    for item in (skip(hash_="other"), send(hash_="other"), tracked(hash_="other")):
        assert await answers(broker, adopt(), item) == [Answer.DONE, Answer.UNFENCED]


@shows("once")
async def a_due_time_is_decided_once(bench: Bench) -> None:
    broker = await bench.broker()
    assert await answers(broker, adopt(), send(), skip(), send(), tracked()) == [Answer.DONE, Answer.DONE, *[Answer.DUPLICATE] * 3]
    assert await bench.waiting() == 1


@shows("type")
async def a_key_that_is_no_channel_costs_its_own_events_only(bench: Bench) -> None:
    broker = await bench.broker()
    await bench.redis.mset({"asgic": "no channel", "channelbeat:asgi:queue:c": "no queue"})
    await broker.enqueue([adopt(), Adopt("f", T, "h", "new")])
    for item in (send(), trigger(), tracked(), tracked_trigger(T + 1)):
        assert await answers(broker, item, skip(event="f")) in ([Answer.WRONG_TYPE, Answer.DONE], [Answer.WRONG_TYPE, Answer.DUPLICATE])


@shows("capacity")
async def nothing_gets_more_than_its_capacity(bench: Bench) -> None:
    broker = await bench.broker(capacity=1, queue_limit=1)
    assert await answers(broker, adopt(), send(), send(T + 2)) == [Answer.DONE, Answer.DONE, Answer.FULL]
    assert await answers(broker, trigger()) == [Answer.FULL]
    assert await answers(broker, tracked(T + 2), tracked(T + 3)) == [Answer.DONE, Answer.FULL]
    assert await answers(broker, tracked_trigger(T + 1)) == [Answer.FULL]
    assert (await bench.waiting(), len(await bench.queued())) == (1, 1)
