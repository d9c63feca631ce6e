"""Redis behind the operator: rotated passwords, and outages that are no reason to write to the API server."""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from redis import Redis
from redis.exceptions import RedisError

from support import arrivals
from support.arrivals import CLEAN, Channel, audit, now
from support.beats import Beats
from support.cluster import ControlPlane
from support.operators import LONG, Installation
from support.redis import RedisServer
from support.waiting import until

pytestmark = pytest.mark.chaos

EVERY = 100
ALL = {"every": "100ms", "missed": {"policy": "All"}}
"""How long Redis is away is a matter of the machine, too."""


def with_password(url: str, password: str) -> str:
    """`unix:///path` of a test's server, or redis://host."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://:{password}@{rest}"


@pytest.mark.parametrize("order", ["Redis first", "file first"])
def test_a_password_is_rotated(us: Installation, beats: Beats, own_redis: RedisServer, order: str) -> None:
    """`file first`: Redis takes both for a while. `Redis first`: it takes the old one no longer before the file has the new one."""
    one, two = f"old{secrets.token_hex(8)}", f"new{secrets.token_hex(8)}"
    with Redis.from_url(own_redis.url) as admin:
        admin.execute_command("ACL", "SETUSER", "default", "resetpass", f">{one}")
        admin.execute_command("AUTH", one)
        us.use_layers({"default": with_password(own_redis.url, one)})
        event = beats.put(ALL)
        operator = us.replica()
        with arrivals.channel(with_password(own_redis.url, one)) as channel:
            since = channel.flows([event])
        if order == "file first":
            admin.execute_command("ACL", "SETUSER", "default", f">{two}")
            us.use_layers({"default": with_password(own_redis.url, two)})
        admin.execute_command("ACL", "SETUSER", "default", "resetpass", f">{two}")
        with suppress(RedisError):
            admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with arrivals.channel(with_password(own_redis.url, two)) as channel:
        if order == "Redis first":
            operator.hears("default", 2)
            us.use_layers({"default": with_password(own_redis.url, two)})
        channel.flows([event])
        through = channel.reaches(now() + 500, [event])
        assert audit(channel.arrivals(), [event], every=EVERY, since=since, through=through) == CLEAN
    assert operator.healthz()
    told = "\n".join(operator.lines) + str(beats.get())
    assert one not in told
    assert two not in told


def test_a_layer_comes_and_goes(us: Installation, beats: Beats, own_redis: RedisServer) -> None:
    us.replica()
    event = beats.put({"every": "100ms"}, channelLayer={"name": "more"})
    beats.becomes("Accepted=False/NoSuchLayer")
    us.use_layers({"default": own_redis.url, "more": {"url": own_redis.url, "prefix": "more"}})
    beats.becomes("Accepted=True")
    with arrivals.channel(own_redis.url, prefix="more") as more:
        channel_since = more.flows([event])
        us.use_layers({"default": own_redis.url})
        beats.becomes("Accepted=False/NoSuchLayer")
        with arrivals.channel(own_redis.url) as other:
            control = beats.put({"every": "100ms"}, name="control")
            gone = now()
            other.reaches(gone + 1_000, [control])
        assert [a.run for a in more.arrivals() if a.due and a.due > gone] == []
        assert audit(more.arrivals(), [], every=EVERY, since=channel_since, through=gone) == CLEAN


def test_a_faulty_layers_file_is_told_and_the_old_layers_stay(us: Installation, beats: Beats, channel: Channel) -> None:
    event = beats.put({"every": "100ms"})
    one = us.replica()
    since = channel.flows([event])
    us.layers_file.write_text("default: {urll: redis://:secret@x}")
    one.hears("urll")
    through = channel.reaches(now(), [event])
    assert audit(channel.arrivals(), [event], every=EVERY, since=since, through=through) == CLEAN
    assert not one.with_words("secret")


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_short_outage_of_redis_writes_to_no_object(us: Installation, beats: Beats, own_redis: RedisServer, how: str) -> None:
    events = [beats.put(ALL, name=f"t{number}") for number in range(10)]
    one = us.replica()
    us.leader()
    with arrivals.channel(own_redis.url) as channel:
        since = channel.flows(events)
        for number in range(10):
            beats.becomes("Ready=True", f"t{number}")
            until(lambda name=f"t{number}": beats.status(name).get("lastScheduleTime"), 20, what="that it fires")  # type: ignore[misc]
    versions = {number: beats.get(f"t{number}")["metadata"]["resourceVersion"] for number in range(10)}
    (own_redis.kill if how == "killed" else own_redis.freeze)()
    one.hears("layer 'default'", 2)  # the first was that it leads
    assert one.healthz()
    ends = now() + 2_000
    while now() < ends:
        assert one.process.poll() is None
        assert not [number for number in range(10) if beats.get(f"t{number}")["metadata"]["resourceVersion"] != versions[number]]
    if how == "killed":
        own_redis.start()
        own_redis.wait()
    else:
        own_redis.thaw()
    with arrivals.channel(own_redis.url) as channel:
        through = channel.reaches(now() + 500, events)
        assert audit(channel.arrivals(), events, every=EVERY, since=since, through=through) == CLEAN
    assert versions == {number: beats.get(f"t{number}")["metadata"]["resourceVersion"] for number in range(10)}


def test_a_layer_that_hangs_does_not_hold_up_the_hand_over_of_others(
    install: Callable[..., Installation], kube: ControlPlane, namespace: str, redis_server: RedisServer, own_redis: RedisServer, beats: Beats
) -> None:
    us = install(kube, {"default": {"url": redis_server.url, "prefix": namespace}, "bad": own_redis.url}, namespace)
    beats.put({"every": "100ms"}, channelLayer={"name": "bad"})
    us.pair()
    leader = us.leader()
    beats.becomes("Ready=True")
    own_redis.freeze()
    try:
        until(lambda: not leader.metric("channelbeat_layer_up", layer="bad"), LONG, what="the layer to be missed")
        with ThreadPoolExecutor() as pool:
            ending = pool.submit(leader.stop, 30)
            us.leader(leader)
            assert not ending.done(), "the layer that hangs is still waited for"
            own_redis.thaw()
    finally:
        own_redis.thaw()
