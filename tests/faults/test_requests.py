"""Triggers by annotation, with a real engine and Redis: each is carried out once and answered once, whoever leads and whatever is away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import msgpack
import pytest
from redis import Redis as Client
from redis.asyncio import Redis

from channelbeat.core import instants
from channelbeat.core.instants import MINUTE, SECOND
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Sign
from support.asking import Cluster, Replica
from support.clock import ManualClock
from support.redis import RedisServer
from support.rig import due_of
from support.times import NOON
from support.waiting import eventually

T1, T2 = instants.text(NOON), instants.text(NOON + SECOND)
SENT1, SENT2 = f"trigger-{T1}", f"trigger-{T2}"
Replicas: TypeAlias = Callable[..., Replica]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.apply()
    return cluster


@pytest.fixture
async def replicas(cluster: Cluster, clock: ManualClock, redis_server: RedisServer, redis: Redis) -> AsyncIterator[Replicas]:
    """`replicas(other="unix://...")`: one with the layer `default` and such others; nobody leads yet."""
    made: list[Replica] = []

    def make(default: str = redis_server.url, **others: str) -> Replica:
        layers = [LayerSettings(name, url, prefix="asgi" if name == "default" else name) for name, url in {"default": default, **others}.items()]
        made.append(Replica(cluster, clock, *layers))
        made[-1].begin()
        return made[-1]

    yield make
    for one in made:
        await one.end()


@pytest.fixture
async def one(replicas: Replicas) -> Replica:
    """It leads."""
    replica = replicas()
    replica.win()
    return replica


def messages(url: str, channel: str = "asgic") -> list[dict[str, Any]]:
    with Client.from_url(url) as redis:
        return [msgpack.unpackb(member[12:]) for member in redis.zrange(channel, 0, -1)]


def sent(url: str, channel: str = "asgic") -> list[str]:
    return [due_of(message) for message in messages(url, channel)]


async def until(clock: ManualClock, condition: Callable[[], Any], step: int = SECOND // 4, within: float = 20) -> None:
    """Time passes meanwhile."""

    def stepped() -> bool:
        if condition():
            return True
        clock.advance(step)
        return False

    await eventually(stepped, within)


async def pass_time(clock: ManualClock, length: int) -> None:
    """And whoever wakes does what he has to."""
    end = clock.now() + length
    await until(clock, lambda: clock.now() >= end, within=60)


async def test_it_is_sent_once_and_the_status_says_so(one: Replica, cluster: Cluster, clock: ManualClock, redis_server: RedisServer) -> None:
    cluster.trigger(T1)
    await until(clock, lambda: cluster.said())
    assert cluster.said() == f"{T1} enqueued"
    cluster.trigger(T2)
    await until(clock, lambda: cluster.said() != f"{T1} enqueued")
    assert cluster.said() == f"{T2} enqueued"
    assert sent(redis_server.url) == [SENT1, SENT2]


async def test_left_in_place_for_ever_it_costs_nothing(one: Replica, cluster: Cluster, clock: ManualClock) -> None:
    cluster.trigger(T1)
    await until(clock, lambda: cluster.said())
    for _ in range(10):
        cluster.touch()
        cluster.apply(suspend=True)
        cluster.apply()
        await pass_time(clock, MINUTE)
    assert (one.texts, len(one.asked)) == ([f"{T1} enqueued"], 1)


async def test_a_status_that_is_written_late_has_it_asked_no_second_time(one: Replica, cluster: Cluster, clock: ManualClock) -> None:
    one.writes = False
    cluster.trigger(T1)
    await until(clock, lambda: one.answers)
    cluster.touch()
    await pass_time(clock, MINUTE)
    assert (one.texts, len(one.asked)) == ([f"{T1} enqueued"], 1)


async def test_only_who_leads_carries_it_out_and_who_takes_over_leaves_the_answer_alone(
    replicas: Replicas, one: Replica, cluster: Cluster, clock: ManualClock, redis_server: RedisServer
) -> None:
    two = replicas()
    cluster.trigger(T1)
    await until(clock, lambda: cluster.said())
    await pass_time(clock, 5 * SECOND)
    one.lose()
    two.win()
    cluster.trigger(T1, "nope")
    await until(clock, lambda: two.answers)
    await pass_time(clock, 10 * SECOND)
    assert two.asked == []
    assert cluster.said() == f"{T1} enqueued"
    assert sent(redis_server.url) == [SENT1]


async def test_who_takes_over_before_the_answer_was_written_answers_and_sends_it_no_second_time(
    replicas: Replicas, one: Replica, cluster: Cluster, clock: ManualClock, redis_server: RedisServer
) -> None:
    two = replicas()
    one.writes = False
    cluster.trigger(T1)
    await until(clock, lambda: one.answers)
    await one.end()
    two.win()
    await until(clock, lambda: cluster.said())
    assert cluster.said() == f"{T1} Duplicate: it was carried out before"
    assert sent(redis_server.url) == [SENT1]


async def test_an_answer_that_arrives_just_after_the_take_over_is_not_overwritten(
    replicas: Replicas, one: Replica, cluster: Cluster, clock: ManualClock
) -> None:
    two = replicas()
    one.writes = False
    cluster.trigger(T1)
    await until(clock, lambda: one.answers)
    one.lose()
    two.win()
    await until(clock, lambda: two.asked and two.journal.outcomes)
    cluster.write(*one.answers[0])
    await pass_time(clock, 30 * SECOND)
    assert (cluster.said(), two.answers) == (f"{T1} enqueued", [])


@pytest.mark.parametrize("late", [9 * MINUTE, 11 * MINUTE])
@pytest.mark.chaos
async def test_while_redis_is_away_it_is_held_until_it_is_too_old(
    replicas: Replicas, cluster: Cluster, clock: ManualClock, own_redis: RedisServer, late: int
) -> None:
    one = replicas(own_redis.url)
    one.win()
    await until(clock, lambda: one.engine.layers()[0].leading)
    own_redis.kill()
    token = instants.text(clock.now())
    cluster.trigger(token)
    await until(clock, lambda: Sign.AWAY in one.journal.signs())
    assert cluster.said() == ""
    clock.advance(late)
    own_redis.start()
    own_redis.wait()
    await until(clock, lambda: cluster.said())
    if late < 10 * MINUTE:
        assert (cluster.said(), sent(own_redis.url)) == (f"{token} enqueued", [f"trigger-{token}"])
    else:
        assert (cluster.said(), sent(own_redis.url)) == (f"{token} Expired: more than 10 minutes old; annotate with the present time", [])


@pytest.mark.chaos
async def test_a_redis_that_ends_again_and_again_doubles_none(replicas: Replicas, cluster: Cluster, clock: ManualClock, own_redis: RedisServer) -> None:
    one = replicas(own_redis.url)
    one.win()
    tokens = list[str]()
    for _ in range(5):
        tokens.append(instants.text(clock.now()))
        cluster.trigger(tokens[-1])
        await asyncio.sleep(0.001)
        own_redis.kill()
        clock.advance(SECOND)
        own_redis.start()
        own_redis.wait()
        await until(clock, lambda: cluster.said() == f"{tokens[-1]} enqueued")
    assert sent(own_redis.url) == [f"trigger-{token}" for token in tokens]


@pytest.mark.chaos
async def test_a_layer_that_is_away_holds_up_no_other(
    replicas: Replicas, cluster: Cluster, clock: ManualClock, own_redis: RedisServer, redis_server: RedisServer
) -> None:
    one = replicas(other=own_redis.url)
    one.win()
    await until(clock, lambda: all(layer.leading for layer in one.engine.layers()))
    own_redis.freeze()
    for number in range(50):
        cluster.apply(f"held{number}", channelLayer={"name": "other"})
        cluster.trigger(T1, name=f"held{number}")
    cluster.trigger(T1)
    slowly = SECOND // 50  # those that are held are not to expire meanwhile
    await until(clock, lambda: cluster.said(), step=slowly, within=4)  # a Redis that hangs does so for 5 s
    assert len(one.answers) == 1
    own_redis.thaw()
    await until(clock, lambda: len(one.answers) == 51, step=slowly)
    assert sorted(sent(own_redis.url, "otherc")) == [SENT1] * 50


@pytest.mark.chaos
@pytest.mark.parametrize("how", ["the annotation is removed", "another is given", "the object is deleted", "it is made anew", "the lead is lost"])
async def test_what_is_withdrawn_before_it_could_be_sent_is_not(
    replicas: Replicas, cluster: Cluster, clock: ManualClock, own_redis: RedisServer, how: str
) -> None:
    own_redis.kill()
    one = replicas(own_redis.url)
    one.win()
    cluster.trigger(T1)
    await until(clock, lambda: one.asked and Sign.AWAY in one.journal.signs())
    if how == "the annotation is removed":
        cluster.trigger(None)
    elif how == "another is given":
        cluster.trigger(T2)
    elif how == "the lead is lost":
        one.lose()
    else:
        cluster.delete()
    if how == "it is made anew":
        cluster.apply()
    await pass_time(clock, SECOND)
    own_redis.start()
    own_redis.wait()
    if how == "the lead is lost":
        await pass_time(clock, 10 * SECOND)
        assert sent(own_redis.url) == []
        one.win()
        await until(clock, lambda: cluster.said())
        await pass_time(clock, 10 * SECOND)
        assert (one.texts, sent(own_redis.url)) == ([f"{T1} enqueued"], [SENT1])
        return
    await until(clock, lambda: one.engine.layers()[0].leading)
    await pass_time(clock, 10 * SECOND)
    assert sent(own_redis.url) == ([SENT2] if how == "another is given" else [])


@pytest.mark.parametrize(
    ("event", "value", "text"),
    [
        ("broken", T1, f"{T1} NotSent: the event has a fault, which the status tells; mend it, then annotate anew"),
        ("E", T1, f"{T1} NoSuchEvent: the schedule has none of that name"),
        ("e", "now", "now NotATime: write it with its offset, like 2026-11-21T02:30:00Z"),
        ("e", instants.text(NOON - 11 * MINUTE), f"{instants.text(NOON - 11 * MINUTE)} Expired: more than 10 minutes old; annotate with the present time"),
        (
            "e",
            instants.text(NOON + 6 * MINUTE),
            f"{instants.text(NOON + 6 * MINUTE)} FromTheFuture: more than 5 minutes ahead of the operator's clock; annotate with the present time",
        ),
    ],
)
async def test_what_cannot_be_is_answered_with_its_cure_once(
    replicas: Replicas, one: Replica, cluster: Cluster, clock: ManualClock, event: str, value: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    two = replicas()
    cluster.trigger(value, event)
    await until(clock, lambda: cluster.said(event), step=1)
    cluster.touch()
    cluster.apply(suspend=True)
    await pass_time(clock, 10 * SECOND)
    one.lose()
    two.win()
    await pass_time(clock, 10 * SECOND)
    assert (one.texts, two.texts) == ([text], [])
    (told,) = [record for record in caplog.records if record.name == "channelbeat.requests"]
    assert (told.levelname, told.getMessage()) == ("WARNING", f"trigger of event default/t/{event}: {text}")
    assert [told.__dict__[name] for name in ("namespace", "schedule", "event")] == ["default", "t", event]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [({"channelLayer": {"name": "none"}}, "NoSuchLayer"), ({"channel": "not!a!channel"}, "Invalid")],
)
async def test_of_a_schedule_that_does_not_run_it_is_answered_why(
    one: Replica, cluster: Cluster, clock: ManualClock, spec: dict[str, Any], reason: str
) -> None:
    cluster.apply("faulty", **spec)
    cluster.trigger(T1, name="faulty")
    await until(clock, lambda: cluster.said(name="faulty"))
    assert cluster.said(name="faulty").startswith(f"{T1} NotSent: the schedule does not run ({reason})")


async def test_what_is_begun_goes_on_while_nobody_can_tell_who_leads_and_what_is_new_waits(
    one: Replica, cluster: Cluster, clock: ManualClock, redis_server: RedisServer, redis: Redis
) -> None:
    cluster.apply("full", channel="full")
    await until(clock, lambda: one.engine.layers()[0].leading)
    await redis.set("asgifull", "no channel")
    cluster.trigger(T1, name="full")
    await until(clock, lambda: one.journal.outcomes)
    one.doubt()
    cluster.trigger(T2)
    await pass_time(clock, 10 * SECOND)
    assert one.answers == []
    await redis.delete("asgifull")
    await until(clock, lambda: cluster.said(name="full"))
    assert sent(redis_server.url) == []
    one.win()
    await until(clock, lambda: cluster.said())
    assert sent(redis_server.url) == [SENT2]


async def test_an_api_server_that_is_away_loses_none_and_doubles_none(
    replicas: Replicas, one: Replica, cluster: Cluster, clock: ManualClock, redis_server: RedisServer
) -> None:
    two = replicas()
    one.deaf, one.writes = True, False
    one.doubt()
    cluster.trigger(T1)  # while one hears nothing; two does, and does not lead
    await pass_time(clock, 5 * SECOND)
    assert sent(redis_server.url) == []
    one.hear()
    one.win()
    await until(clock, lambda: one.answers)
    one.lose()  # before it has written
    two.win()
    await until(clock, lambda: cluster.said())
    await pass_time(clock, 10 * SECOND)
    assert cluster.said().startswith(f"{T1} ")
    assert sent(redis_server.url) == [SENT1]


async def test_who_has_lost_the_lead_says_nothing_of_what_it_had_begun(
    replicas: Replicas, one: Replica, cluster: Cluster, clock: ManualClock, redis_server: RedisServer, redis: Redis
) -> None:
    two = replicas()
    await until(clock, lambda: one.engine.layers()[0].leading)
    await redis.set("asgic", "no channel")
    cluster.trigger(instants.text(clock.now()))
    await until(clock, lambda: one.journal.outcomes)
    one.deaf = True
    one.lose()
    await redis.delete("asgic")
    two.win()
    await until(clock, lambda: cluster.said())
    await pass_time(clock, 15 * MINUTE)
    assert one.journal.counts() == {"held/WrongType": 1}
    one.hear()
    two.lose()
    one.win()
    await pass_time(clock, 10 * SECOND)
    assert (one.answers, len(two.answers), len(sent(redis_server.url))) == ([], 1, 1)


async def test_edited_while_it_is_held_it_is_sent_as_it_is_now(
    one: Replica, cluster: Cluster, clock: ManualClock, redis_server: RedisServer, redis: Redis
) -> None:
    await until(clock, lambda: one.engine.layers()[0].leading)
    await redis.set("asgic", "no channel")
    cluster.trigger(T1)
    await until(clock, lambda: one.journal.outcomes)
    cluster.apply(event={"fields": {"n": 2}})
    await pass_time(clock, SECOND)
    await redis.delete("asgic")
    await until(clock, lambda: cluster.said())
    assert cluster.said() == f"{T1} enqueued"
    assert [message["n"] for message in messages(redis_server.url)] == [2]


async def test_its_layer_is_dropped_and_comes_back_while_it_is_held(
    one: Replica, cluster: Cluster, clock: ManualClock, redis_server: RedisServer, redis: Redis
) -> None:
    layers = [*one.layers.values()]
    spare = LayerSettings("spare", redis_server.url, prefix="spare")
    await until(clock, lambda: one.engine.layers()[0].leading)
    await redis.set("asgic", "no channel")
    cluster.trigger(T1)
    await until(clock, lambda: one.journal.outcomes)
    one.use_layers(spare)
    one.use_layers(*layers, spare)
    await pass_time(clock, 5 * SECOND)
    await redis.delete("asgic")
    await until(clock, lambda: cluster.said())
    assert (cluster.said(), sent(redis_server.url)) == (f"{T1} enqueued", [SENT1])


async def test_its_layer_is_dropped_while_it_is_held_and_that_is_answered(one: Replica, cluster: Cluster, clock: ManualClock, redis: Redis) -> None:
    spare = LayerSettings("spare", one.layers["default"].url, prefix="spare")
    await until(clock, lambda: one.engine.layers()[0].leading)
    await redis.set("asgic", "no channel")
    cluster.trigger(T1)
    await until(clock, lambda: one.journal.outcomes)
    one.use_layers(spare)
    await until(clock, lambda: cluster.said())
    assert cluster.said().startswith(f"{T1} NotSent: the schedule does not run (NoSuchLayer)")


async def test_many_at_once(one: Replica, cluster: Cluster, clock: ManualClock, redis_server: RedisServer) -> None:
    for number in range(250):
        cluster.apply(f"s{number}", channel=f"c{number}")
        cluster.trigger(T1, name=f"s{number}")
    await until(clock, lambda: len(one.answers) == 250, step=1)
    assert {*one.texts} == {f"{T1} enqueued"}
    assert all(sent(redis_server.url, f"asgic{number}") == [SENT1] for number in range(250))


async def test_a_great_many_for_events_there_are_not_are_answered_once_and_in_bounds(one: Replica, cluster: Cluster, clock: ManualClock) -> None:
    one.writes = False
    cluster.apply(annotations={f"trigger.channelbeat.dev/x{number}": T1 for number in range(1_500)})
    await until(clock, lambda: one.answers)
    for _ in range(5):
        cluster.touch()
        await pass_time(clock, SECOND)
    assert len(one.answers) == 201
    assert [text for text in one.texts if "TooMany" in text] == [one.texts[-1]]
