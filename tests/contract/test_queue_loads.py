"""What is known of channels and of who works on them: what could be taken now, what is held, what it took; and who was seen."""

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final, TypeAlias

import pytest
from channels_redis.core import RedisChannelLayer

from channelbeat.broker import upkeep
from channelbeat.broker.claims import Handled, How
from channelbeat.broker.keys import Keys
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.measures import ChannelLoad, Listener
from support.bench import KEYS, ROOT, Bench, T, adopt, send, tracked
from support.brokers import Opened
from support.redis import RedisServer

NOTHING: Final = ChannelLoad(0, 0, 0, 0, None)
EXPIRY: Final[Ms] = MINUTE
"""The layer's."""

NUMBERS: Final = count()
Step: TypeAlias = Callable[[Bench], Awaitable[object]]


async def load(bench: Bench, channel: str = "c") -> ChannelLoad:
    return (await (await bench.broker()).loads([channel]))[channel]


async def plain(bench: Bench, ago: Ms, *messages: str) -> None:
    await bench.redis.zadd("asgic", {message: (await bench.now() - ago) / 1000 for message in messages})


def put(**when: Any) -> Step:
    return lambda bench: bench.one_offs.put(f"r{next(NUMBERS)}", "c", b"", **when)


def takes(bench: Bench) -> Awaitable[object]:
    return bench.worker().claimed()


def handles(how: How, **policy: Any) -> Step:
    async def step(bench: Bench) -> None:
        await bench.swept(tracked(**policy))
        await bench.worker().handle(how)

    return step


def waits(ago: Ms, *messages: str) -> Step:
    return lambda bench: plain(bench, ago, *messages)


LOADS: dict[str, tuple[list[Step], int, int]] = {
    # what happens, how much waits then, and how much is in flight
    "nothing": ([], 0, 0),
    "runs": ([put(), put()], 2, 0),
    "plain messages": ([waits(SECOND, "a", "b", "c")], 3, 0),
    "both": ([put(), waits(SECOND, "a", "b")], 3, 0),
    "messages that have expired": ([waits(EXPIRY + SECOND, "a", "b"), waits(EXPIRY - 5 * SECOND, "c")], 1, 0),
    "only such": ([waits(EXPIRY + SECOND, "a", "b")], 0, 0),
    "a message from a machine whose clock is ahead": ([waits(-HOUR, "a")], 1, 0),
    "a run whose time has not come": ([put(delay=HOUR), put()], 1, 0),
    "a run that a worker has": ([put(), put(), takes], 1, 1),
    "a run that succeeded": ([handles("ok")], 0, 0),
    "one that waits for its next attempt": ([handles("failed", backoff=HOUR)], 0, 0),
    "one that may be tried again at once": ([handles("failed", backoff=0)], 1, 0),
    "one that was given back": ([handles("back")], 1, 0),
    "one that is dead": ([handles("dead")], 0, 0),
}


@pytest.mark.parametrize(("steps", "waiting", "in_flight"), LOADS.values(), ids=LOADS.keys())
async def test_what_waits_and_what_is_in_flight(bench: Bench, steps: list[Step], waiting: int, in_flight: int) -> None:
    for step in steps:
        await step(bench)
    assert (await load(bench))[:2] == (waiting, in_flight)


async def test_a_retry_waits_when_its_time_has_come(bench: Bench) -> None:
    broker = await bench.swept(tracked(backoff=HOUR))
    await bench.worker().handle("failed")
    await bench.bring_forward("e/1")
    assert (await load(bench)).waiting == 0, "nobody could take it"
    await broker.sweep()
    assert (await load(bench)).waiting == 1


async def test_what_the_layer_itself_sends_waits(bench: Bench, redis_server: RedisServer) -> None:
    layer = RedisChannelLayer(hosts=[redis_server.url])
    before = await bench.now()
    for _ in range(2):
        await layer.send("c", {"type": "x"})
    await layer.close_pools()
    found = await load(bench)
    assert found.waiting == 2
    assert before - 1 <= (found.oldest or 0) <= await bench.now()


OLDEST: dict[str, tuple[list[Step], Ms | None]] = {
    # what waits, and for how long its oldest plain message has
    "nothing": ([], None),
    "a run alone": ([put()], None),
    "messages": ([waits(SECOND, "a"), waits(5 * SECOND, "b"), waits(3 * SECOND, "c")], 5 * SECOND),
    "messages, one of which has expired": ([waits(2 * EXPIRY, "a"), waits(5 * SECOND, "b")], 5 * SECOND),
    "one from a machine whose clock is ahead": ([waits(-HOUR, "a")], 0),
}


@pytest.mark.parametrize(("steps", "ago"), OLDEST.values(), ids=OLDEST.keys())
async def test_since_when_the_oldest_message_waits(bench: Bench, steps: list[Step], ago: Ms | None) -> None:
    began = await bench.now()
    for step in steps:
        await step(bench)
    oldest = (await load(bench)).oldest
    now = await bench.now()
    assert (oldest is None) is (ago is None)
    assert oldest is None or -2 <= now - oldest - (ago or 0) <= now - began + 2, "to a millisecond or two"


@pytest.mark.parametrize(("how", "counts"), [("ok", True), ("failed", True), ("timeout", True), ("cancelled", True), ("dead", True), ("back", False)])
async def test_how_long_an_attempt_took_is_counted_however_it_ended(bench: Bench, how: How, counts: bool) -> None:
    """Except one that was given back: it says nothing of how long it would have taken."""
    await bench.swept(tracked())
    worker, began = bench.worker(), await bench.now()
    done = worker.done(await worker.claimed(), how)
    await bench.redis.hincrby(KEYS.run("e/1"), "started", -7 * SECOND)
    assert await worker.take(done=done) == await worker.repeat(done=done), "as if its reply had been lost"
    found = await load(bench)
    assert found.handled == counts
    took = await bench.now() - began
    assert 7 * SECOND <= found.busy <= 7 * SECOND + took if counts else found.busy == 0


async def test_nothing_is_counted_for_one_whose_claim_was_lost(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked()), bench.worker()
    late = await worker.claimed()
    await bench.lapse("e/1")
    await broker.sweep()
    await worker.settle(late)
    assert (await load(bench)).handled == 0


async def test_a_clock_that_was_set_back_takes_nothing_off(bench: Bench) -> None:
    await bench.swept(tracked())
    claimed = await bench.worker().claimed()
    await bench.redis.hincrby(KEYS.run("e/1"), "started", HOUR)
    await bench.worker().settle(claimed)
    assert (await load(bench))[2:4] == (0, 1)


async def test_a_plain_message_that_was_handled_is_counted_once(bench: Bench) -> None:
    await plain(bench, SECOND, "a", "b")
    worker, handled = bench.worker(), Handled("c", 250)
    await worker.take("c")
    taken = await worker.take("c", done=handled)
    assert await worker.repeat("c", done=handled) == taken, "as if its reply had been lost"
    assert (taken.settled, taken.item and taken.item.channel) == ("", "c")
    await worker.take(done=Handled("c", 50))
    assert (await load(bench))[:4] == (0, 0, 300, 2)


async def test_each_channel_has_its_own(bench: Bench) -> None:
    await bench.swept(adopt(event="f"), tracked(), tracked(channel="d", event="f"), tracked(T + 2, channel="d", event="f"))
    await bench.worker().handle()
    await bench.worker().claimed("d")
    found = await (await bench.broker()).loads(["none", "d", "c"])
    assert list(found) == ["none", "d", "c"]
    assert {channel: one._replace(busy=0) for channel, one in found.items()} == {
        "none": NOTHING,
        "d": ChannelLoad(1, 1, 0, 0, None),
        "c": ChannelLoad(0, 0, 0, 1, None),
    }


@pytest.mark.parametrize("key", ["asgic", KEYS.queue("c"), KEYS.claims("c")])
async def test_a_channel_is_left_out_when_somebody_overwrote_a_key_of_it(bench: Bench, key: str) -> None:
    await bench.redis.set(key, "something else")
    await bench.one_offs.put("one", "d", b"")
    assert await (await bench.broker()).loads(["c", "d"]) == {"d": NOTHING._replace(waiting=1)}


@pytest.mark.parametrize("overwrite", [lambda bench: bench.redis.set(f"{ROOT}stats", "x"), lambda bench: bench.redis.hset(f"{ROOT}stats", ":c count", "x")])
async def test_what_waits_is_known_when_somebody_overwrote_the_stats(bench: Bench, overwrite: Step) -> None:
    await put()(bench)
    await overwrite(bench)
    assert await load(bench) == NOTHING._replace(waiting=1)


async def test_more_channels_than_are_asked_for_at_once(bench: Bench) -> None:
    names, some = [f"c{number}" for number in range(2 * upkeep.CHANNELS + 1)], (0, upkeep.CHANNELS - 1, upkeep.CHANNELS, 2 * upkeep.CHANNELS)
    for number in some:
        await bench.one_offs.put(f"r{number}", f"c{number}", b"")
        await bench.redis.hset(f"{ROOT}stats", f":c{number} count", number)
    broker = await bench.broker()
    found = await broker.loads(names)
    assert list(found) == names
    assert {name: one.handled for name, one in found.items() if one.waiting} == {f"c{number}": number for number in some}
    assert await broker.loads([]) == {}


async def test_names_of_every_length(bench: Bench) -> None:
    names = ["c" * length for length in (1, 31, 32, 99)]
    for name in names:
        await bench.one_offs.put(name, name, b"")
    assert {name: one.waiting for name, one in (await (await bench.broker()).loads(names)).items()} == dict.fromkeys(names, 1)


async def test_expiry_and_prefix_are_the_layers_also_after_its_settings_changed(opened: Opened, redis_server: RedisServer, bench: Bench) -> None:
    broker = opened(redis_server.url, prefix="other", expiry=10)
    second, _ = await bench.redis.time()
    await bench.redis.zadd("otherc", {"a": second - 5, "b": second - 20})
    await bench.redis.zadd(Keys("other").queue("c"), {"run": 1})
    assert (await broker.loads(["c"]))["c"].waiting == 2
    await broker.use(LayerSettings("default", redis_server.url, prefix="other", expiry=30))
    assert (await broker.loads(["c"]))["c"].waiting == 3
    await broker.use(LayerSettings("default", redis_server.url, prefix="third", expiry=30))
    assert (await broker.loads(["c"]))["c"].waiting == 0


async def test_nothing_is_written(bench: Bench) -> None:
    """So a Redis that is full, or was made a replica, is still understood."""
    await bench.swept(tracked())
    bench.worker().renew()
    broker, size = await bench.broker(), await bench.redis.dbsize()
    await bench.redis.config_set("maxmemory", 1)
    assert (await broker.loads(["c"]))["c"].waiting == 1
    assert len(await broker.listeners()) == 1
    await bench.redis.config_set("maxmemory", 0)
    assert await bench.redis.dbsize() == size


async def test_who_listens(bench: Bench) -> None:
    broker, before = await bench.broker(), await bench.now()
    assert await broker.listeners() == []
    bench.worker("a").renew(channels="c d", pod="shop-worker-7c9f-x2", concurrency="4", busy="3", host="h", pid="7")
    bench.worker("b").renew(channels="d")
    after = await bench.now()
    found = {one.id: one for one in await broker.listeners()}
    assert all(before <= one.since == one.seen <= after for one in found.values())
    assert {id_: one._replace(seen=0, since=0) for id_, one in found.items()} == {
        "a": Listener("a", "shop-worker-7c9f-x2", ("c", "d"), 4, 3, 0, 0),
        "b": Listener("b", "", ("d",), 1, 0, 0, 0),
    }


async def test_since_when_a_worker_is_there_does_not_change_with_what_it_says(bench: Bench) -> None:
    broker, worker = await bench.broker(), bench.worker()
    worker.renew(busy="0")
    (first,) = await broker.listeners()
    await bench.redis.hincrby(KEYS.worker("w"), "since", -MINUTE)
    worker.renew(busy="1")
    (second,) = await broker.listeners()
    assert (first.busy, second.busy, first.since - second.since) == (0, 1, MINUTE)
    assert second.seen >= first.seen


async def test_one_that_left_is_not_there_nor_is_one_that_was_not_seen_for_a_minute(bench: Bench) -> None:
    broker = await bench.broker()
    for name in ("left", "silent", "there"):
        bench.worker(name).renew()
    await bench.worker("left").leave()
    await bench.redis.zadd(f"{ROOT}workers", {"silent": await bench.now() - 61 * SECOND})
    assert [one.id for one in await broker.listeners()] == ["there"]


@pytest.mark.parametrize("value", [None, "x", {"pod": "p"}, {"channels": "c", "concurrency": "many", "busy": "", "pod": b"\xff"}], ids=str)
async def test_a_worker_whose_key_somebody_overwrote_costs_no_other(bench: Bench, value: Any) -> None:
    broker = await bench.broker()
    for name in ("a", "b"):
        bench.worker(name).renew()
    await bench.redis.delete(KEYS.worker("a"))
    if isinstance(value, str):
        await bench.redis.set(KEYS.worker("a"), value)
    elif value:
        await bench.redis.hset(KEYS.worker("a"), mapping=value)
    readable = isinstance(value, dict) and "channels" in value
    found = {one.id: one for one in await broker.listeners()}
    assert found.keys() == ({"a", "b"} if readable else {"b"})
    assert not readable or found["a"][1:5] == ("\ufffd", ("c",), 1, 0)


async def test_no_listeners_when_somebody_overwrote_the_list(bench: Bench) -> None:
    await bench.redis.set(f"{ROOT}workers", "x")
    assert await (await bench.broker()).listeners() == []


async def test_what_is_sent_waits(bench: Bench) -> None:
    await bench.swept(send(), send(T + 2), tracked(T + 3))
    assert (await load(bench)).waiting == 3
