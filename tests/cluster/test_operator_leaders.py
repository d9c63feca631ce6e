"""Leaders that are killed, stand still, are cut off or are told to stop: the next one goes on, and nothing is lost or doubled."""

from collections.abc import Callable, Iterator

import pytest

from channelbeat.core import instants
from support import link
from support.arrivals import CLEAN, Channel, audit, gap, now
from support.beats import Beats
from support.cluster import ControlPlane
from support.link import Link
from support.operators import LONG, Installation, Operator
from support.redis import RedisServer
from support.waiting import until

pytestmark = pytest.mark.chaos

EVERY = 100
MISSED = 10_000
"""What is later than this is no longer sent as a matter of course."""


def thousand_a_second(beats: Beats) -> list[str]:
    return [beats.put({"every": f"{EVERY}ms"}, name=f"t{number}") for number in range(100)]


def second_long(events: list[str], channel: Channel) -> None:
    """Ten more due times of each event."""
    channel.reaches(channel.flows(events) + 1_000, events)


def judge(channel: Channel, events: list[str], since: int) -> None:
    """Until now, and a bit: nothing lost, nothing doubled."""
    through = channel.reaches(now() + 500, events)
    assert audit(channel.arrivals(), events, every=EVERY, since=since, through=through) == CLEAN
    print(f"{len(channel.arrivals())} arrived, with a gap of {gap(a for a in channel.arrivals() if a.at > since)} ms")


def test_a_leader_is_killed_under_a_thousand_events_a_second(us: Installation, beats: Beats, channel: Channel) -> None:
    events = thousand_a_second(beats)
    us.pair()
    leader = us.leader()
    since = channel.flows(events)
    second_long(events, channel)
    leader.kill()
    us.leader(leader)
    second_long(events, channel)
    judge(channel, events, since)


@pytest.fixture
def cable(kube: ControlPlane) -> Iterator[Link]:
    with link.link(kube) as cable:
        yield cable


@pytest.fixture
def pair(us: Installation, cable: Link, beats: Beats, channel: Channel) -> tuple[Operator, Operator, list[str], int]:
    """A leader that reaches the API server by `cable`, a standby, a thousand events a second, and since when they flow."""
    events = thousand_a_second(beats)
    us.kubeconfig = cable.kubeconfig
    leader = us.replica()
    us.leader()
    us.kubeconfig = us.kube.kubeconfig
    standby = us.replica()
    since = channel.flows(events)
    second_long(events, channel)
    return leader, standby, events, since


def test_a_leader_stands_still_for_longer_than_its_lease(
    us: Installation, pair: tuple[Operator, Operator, list[str], int], cable: Link, channel: Channel
) -> None:
    """When it goes on, nobody but Redis can tell it that somebody else leads: its late batch is refused."""
    leader, standby, events, since = pair
    leader.freeze()
    cable.cut()
    us.leader(leader)
    second_long(events, channel)
    leader.thaw()
    leader.hears("newer leader")
    second_long(events, channel)
    cable.mend()
    until(lambda: us.leaders() == [standby], LONG, what="one leader")
    judge(channel, events, since)


def test_a_leader_is_cut_off_from_the_api_server_alone(
    us: Installation, pair: tuple[Operator, Operator, list[str], int], cable: Link, channel: Channel
) -> None:
    leader, standby, events, since = pair
    cable.cut()
    us.leader(leader)
    leader.hears("newer leader")
    second_long(events, channel)
    cable.mend()
    until(lambda: us.leaders() == [standby], LONG, what="one leader")
    standby.stop()
    us.leader(standby)
    second_long(events, channel)
    judge(channel, events, since)


def test_a_leader_that_is_stopped_hands_over(us: Installation, beats: Beats, channel: Channel) -> None:
    events = [beats.put({"every": "100ms"}, name=name) for name in ("one", "two")]
    us.pair()
    since = channel.flows(events)
    for _ in range(2):
        second_long(events, channel)
        leader = us.leader()
        assert leader.stop() == 0
        assert leader.with_words("handed over the Lease"), "the next one had to wait for its end"
        us.leader(leader)
        us.replica()  # ready, before the other is stopped
    judge(channel, events, since)
    assert gap(a for a in channel.arrivals() if a.at > since) < MISSED


def test_triggers_are_carried_out_once_whoever_leads(us: Installation, beats: Beats, channel: Channel) -> None:
    names = [f"t{number}" for number in range(20)]
    for name in names:
        beats.put({"every": "8760h"}, name=name)
    us.pair()
    leader, token = us.leader(), instants.text(now())
    for name in names[:10]:
        beats.annotate(name, e=token)
    channel.get(1)
    leader.kill()
    for name in names[10:]:
        beats.annotate(name, e=token)
    channel.get(20)
    until(lambda: all(beats.event(name).get("lastHandledTrigger", "").startswith(token) for name in names), 30, what="all answered")
    us.replica()
    second = us.leader(leader)
    second.stop()  # and nobody takes them for new ones
    us.leader(leader, second)
    beats.annotate("t0", e=(last := instants.text(now())))
    channel.get(21)
    assert sorted(a.run for a in channel.arrivals()) == sorted([f"trigger-{token}"] * 20 + [f"trigger-{last}"])
    assert len({a.event for a in channel.arrivals()}) == 20


def test_two_installations_do_not_share_a_layer(
    install: Callable[..., Installation], us: Installation, kube: ControlPlane, own_redis: RedisServer, beats: Beats, channel: Channel
) -> None:
    """The second waits, and says so, until the first stops cleanly."""
    theirs = Beats(kube, kube.new_namespace())
    ours_event, theirs_event = beats.put({"every": "100ms"}), theirs.put({"every": "100ms"})
    one = us.replica()
    channel.flows([ours_event])
    two = install(kube, own_redis.url, theirs.namespace, lease="theirs").replica()
    two.hears("another installation")
    second_long([ours_event], channel)
    assert theirs.condition().get("status") != "True"
    assert {a.event for a in channel.arrivals()} == {ours_event}
    since = now()
    assert one.stop() == 0
    channel.flows([theirs_event])
    judge_theirs = channel.reaches(now() + 500, [theirs_event])
    assert audit(channel.arrivals(), [], every=EVERY, since=since, through=judge_theirs) == CLEAN
    theirs.becomes("Ready=True")
