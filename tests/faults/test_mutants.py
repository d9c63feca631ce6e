"""Each guard of a script, shown to be needed: what it protects holds with it, and breaks in a script without its line."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest
from redis.asyncio import Redis

from channelbeat.broker import scripts
from channelbeat.core.batch import Adopt, Answer, Bury, Look, Verdict
from channelbeat.core.instants import HOUR
from channelbeat.errors import LayerError, LayerTaken, Stale, StoreChanged
from support.bench import STATE, Bench, T, adopt, answers, refused, send, skip, trigger
from support.redis import RedisServer
from support.tree import SCRIPTS


@pytest.fixture
async def bench(redis_server: RedisServer, redis: Redis) -> AsyncIterator[Bench]:
    bench = Bench(redis_server.url, redis)
    yield bench
    await bench.close()


Demonstration: TypeAlias = Callable[[Bench], Awaitable[None]]
DEMONSTRATIONS: dict[str, Demonstration] = {}


def shows(guard: str) -> Callable[[Demonstration], Demonstration]:
    """The function shows what the guard of this name is there for."""

    def noted(demonstration: Demonstration) -> Demonstration:
        DEMONSTRATIONS[guard] = demonstration
        return demonstration

    return noted


@shows("resign-epoch")
async def a_resigned_leader_does_not_resign_for_its_successor(bench: Bench) -> None:
    old, _new = await bench.broker(), await bench.broker()
    await old.resign()
    assert await bench.redis.hexists(STATE, ":leaderSeen")


@shows("owner")
async def another_owner_is_kept_out_while_ours_was_seen(bench: Bench) -> None:
    await bench.broker("us")
    with refused(LayerTaken):
        await bench.broker("them")


@shows("rolled-back")
async def a_leader_finds_that_its_store_went_back_in_time(bench: Bench) -> None:
    broker = await bench.broker()
    restore = await bench.snapshot()
    await broker.enqueue([adopt()])
    await restore()
    assert await broker.lead() is Verdict.ROLLED_BACK


@shows("wiped")
async def a_leader_finds_that_its_store_is_gone(bench: Bench) -> None:
    broker = await bench.broker()
    await bench.redis.flushall()
    assert await broker.lead() is Verdict.WIPED


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


@shows("order-skip")
async def a_full_channel_holds_up_a_later_skip(bench: Bench) -> None:
    broker = await bench.broker(capacity=1)
    await broker.enqueue([adopt(), send()])
    assert await answers(broker, send(T + 2), skip(T + 3)) == [Answer.FULL, Answer.HELD]


@shows("order-send")
async def a_full_channel_holds_up_a_later_send_to_another(bench: Bench) -> None:
    broker = await bench.broker(capacity=1)
    await broker.enqueue([adopt(), send()])
    assert await answers(broker, send(T + 2), send(T + 3, channel="free")) == [Answer.FULL, Answer.HELD]


@shows("early-adopt")
async def no_fence_is_adopted_in_the_future(bench: Bench) -> None:
    broker = await bench.broker()
    assert await answers(broker, adopt((broker.now() or 0) + HOUR)) == [Answer.EARLY]


@shows("early-skip")
async def nothing_is_skipped_before_its_time(bench: Bench) -> None:
    broker = await bench.broker()
    assert await answers(broker, adopt(), skip((broker.now() or 0) + HOUR)) == [Answer.DONE, Answer.EARLY]


@shows("early-send")
async def nothing_is_sent_before_its_time(bench: Bench) -> None:
    broker = await bench.broker()
    assert await answers(broker, adopt(), send((broker.now() or 0) + HOUR)) == [Answer.DONE, Answer.EARLY]


@shows("forward")
async def a_new_timing_does_not_move_the_fence_back(bench: Bench) -> None:
    broker = await bench.broker()
    await broker.enqueue([adopt(T + 5), adopt(T, "other")])
    found = (await broker.enqueue([Look("e")])).extra[0]
    assert (found.due, found.hash) == (T + 5, "other")


@shows("fenced-skip")
async def nothing_is_skipped_under_another_timing(bench: Bench) -> None:
    broker = await bench.broker()
    assert await answers(broker, adopt(), skip(hash_="other")) == [Answer.DONE, Answer.UNFENCED]


@shows("fenced-send")
async def nothing_is_sent_under_another_timing(bench: Bench) -> None:
    broker = await bench.broker()
    assert await answers(broker, adopt(), send(hash_="other")) == [Answer.DONE, Answer.UNFENCED]


@shows("once-skip")
async def a_due_time_that_was_decided_is_not_skipped(bench: Bench) -> None:
    broker = await bench.broker()
    assert await answers(broker, adopt(), send(), skip()) == [Answer.DONE, Answer.DONE, Answer.DUPLICATE]


@shows("once-send")
async def a_due_time_is_sent_once(bench: Bench) -> None:
    broker = await bench.broker()
    assert await answers(broker, adopt(), send(), send()) == [Answer.DONE, Answer.DONE, Answer.DUPLICATE]
    assert await bench.waiting() == 1


@shows("type")
async def a_key_that_is_no_channel_costs_its_own_events_only(bench: Bench) -> None:
    broker = await bench.broker()
    await bench.redis.set("asgic", "no channel")
    await broker.enqueue([adopt(), Adopt("f", T, "h", "new")])
    assert await answers(broker, send(), skip(event="f")) == [Answer.WRONG_TYPE, Answer.DONE]


@shows("capacity")
async def no_channel_gets_more_than_its_capacity(bench: Bench) -> None:
    broker = await bench.broker(capacity=1)
    assert await answers(broker, adopt(), send(), send(T + 2)) == [Answer.DONE, Answer.DONE, Answer.FULL]
    assert await bench.waiting() == 1


@shows("token")
async def a_token_triggers_once(bench: Bench) -> None:
    broker = await bench.broker()
    assert await answers(broker, trigger(), trigger(T + 1), trigger()) == [Answer.DONE, Answer.DONE, Answer.DUPLICATE]
    assert await bench.waiting() == 2


@shows("type-trigger")
async def a_trigger_for_a_key_that_is_no_channel_costs_itself_only(bench: Bench) -> None:
    broker = await bench.broker()
    await bench.redis.set("asgic", "no channel")
    await broker.enqueue([Adopt("f", T, "h", "new")])
    assert await answers(broker, trigger(), skip(event="f")) == [Answer.WRONG_TYPE, Answer.DONE]


@shows("capacity-trigger")
async def no_trigger_overfills_a_channel(bench: Bench) -> None:
    broker = await bench.broker(capacity=1)
    assert await answers(broker, trigger(), trigger(T + 1)) == [Answer.DONE, Answer.FULL]
    assert await bench.waiting() == 1


@shows("bury")
async def only_an_old_tombstone_is_buried(bench: Bench) -> None:
    broker = await bench.broker()
    await broker.enqueue([adopt()])
    assert await answers(broker, Bury("e", T + 1)) == [Answer.DUPLICATE]
    await broker.enqueue([adopt(T, "-")])
    assert await answers(broker, Bury("e", T - 1)) == [Answer.DUPLICATE]
    assert await answers(broker, Bury("e", T), Look("e")) == [Answer.DONE, Answer.DONE]
    assert await broker.fence("e") is None


GUARD = re.compile(r"^.* -- guard: (\S+)$\n", re.MULTILINE)


@pytest.mark.parametrize("guard", DEMONSTRATIONS)
async def test_with_its_guard_it_holds(guard: str, bench: Bench) -> None:
    await DEMONSTRATIONS[guard](bench)


@pytest.mark.parametrize("guard", DEMONSTRATIONS)
async def test_without_its_guard_it_breaks(guard: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "source", without(guard))
    with pytest.raises((AssertionError, LayerError)):
        await DEMONSTRATIONS[guard](bench)


def without(guard: str) -> Callable[[str], str]:
    """The scripts, the line of `guard` taken out."""
    source = scripts.source
    return lambda name: GUARD.sub(lambda line: "" if line[1] == guard else line[0], source(name))


def test_every_guard_has_its_demonstration() -> None:
    written = [guard for script in SCRIPTS for guard in GUARD.findall(script.read_text())]
    assert sorted(written) == sorted(DEMONSTRATIONS)
