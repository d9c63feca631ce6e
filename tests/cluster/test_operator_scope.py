"""Which schedules an installation runs: those of its namespaces, with its labels, whose layer may be used from there."""

from collections.abc import Callable

import pytest

from support.arrivals import Channel, now
from support.beats import Beats
from support.cluster import ControlPlane
from support.operators import LONG, Installation
from support.redis import RedisServer
from support.waiting import until

SECOND = 1_000


@pytest.fixture
def others(kube: ControlPlane) -> list[Beats]:
    """Two namespaces more."""
    return [Beats(kube, kube.new_namespace()) for _ in range(2)]


def names(channel: Channel, control: str) -> set[str]:
    """Whose events arrive, in a second from now."""
    since = now()
    channel.reaches(since + SECOND, [control])
    return {arrival.event for arrival in channel.arrivals() if arrival.at > since}


def test_schedules_of_other_namespaces_are_left_alone(us: Installation, beats: Beats, others: list[Beats], channel: Channel) -> None:
    events = [one.put({"every": "100ms"}) for one in (beats, *others)]
    us.replica("--namespace", others[0].namespace)
    channel.flows(events[:2])
    assert names(channel, events[0]) == {*events[:2]}
    assert others[1].status() == {}


def test_a_namespace_that_is_made_later(us: Installation, kube: ControlPlane, beats: Beats, channel: Channel) -> None:
    us.replica(scope=("--all-namespaces", "--selector", f"of={us.namespace}"))
    later = Beats(kube, kube.new_namespace())
    event = later.key()
    for one in (beats, later):
        one.put({"every": "100ms"})
        one.label(of=us.namespace)
    channel.flows([event, beats.key()])


def test_labels_decide(us: Installation, beats: Beats, channel: Channel) -> None:
    us.replica("--selector", "team in (a, b), !legacy")
    a, b, c = (beats.put({"every": "100ms"}, name=name) for name in "abc")
    for name in "ac":
        beats.label(name, team=name)
    channel.flows([a])
    assert names(channel, a) == {a}
    beats.label("b", team="b")
    channel.flows([b])
    beats.label("b", legacy="true")
    until(lambda: names(channel, a) == {a}, LONG, what="b to stop")
    assert names(channel, a) == {a}
    assert beats.status("c") == {}, c


def test_a_layer_that_may_not_be_used_from_everywhere(
    install: Callable[..., Installation], kube: ControlPlane, own_redis: RedisServer, beats: Beats, others: list[Beats], channel: Channel
) -> None:
    layer = {"url": own_redis.url, "allowedNamespaces": [beats.namespace]}
    us = install(kube, {"default": layer}, beats.namespace)
    us.replica("--namespace", others[0].namespace)
    allowed, refused = beats.put({"every": "100ms"}), others[0].put({"every": "100ms"})
    assert others[0].namespace in others[0].becomes("Accepted=False/NamespaceNotAllowed")["message"]
    assert names(channel, allowed) == {allowed}
    us.use_layers({"default": {**layer, "allowedNamespaces": ["*"]}})
    channel.flows([refused])


def test_what_is_deleted_and_held_by_a_finalizer_holds_up_nobody(us: Installation, beats: Beats, kube: ControlPlane, channel: Channel) -> None:
    event = beats.put({"every": "100ms"})
    gone = beats.put({"every": "100ms"}, name="gone")
    beats.api.patch(f"{beats.path}/gone", {"metadata": {"finalizers": ["example.org/stays"]}})
    beats.delete("gone")
    try:
        us.replica()
        channel.flows([event])
        assert gone not in names(channel, event)
    finally:
        beats.api.patch(f"{beats.path}/gone", {"metadata": {"finalizers": None}})
