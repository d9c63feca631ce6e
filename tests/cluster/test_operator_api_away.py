"""The API server is gone, hangs, or has forgotten: events go on, and afterwards everything is as it should be."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import cluster, link
from support.arrivals import CLEAN, Channel, audit, now
from support.beats import Beats
from support.cluster import CRDS, ControlPlane
from support.operators import LONG, Installation
from support.waiting import until

pytestmark = pytest.mark.chaos

EVERY = 100
LEASE = 3_000


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """One that each of these tests breaks, and leaves whole."""
    with cluster.running() as plane:
        plane.install_crd()
        yield plane


@pytest.fixture
def kube(plane: ControlPlane) -> ControlPlane:
    """In place of the session's."""
    return plane


def stop(kube: ControlPlane) -> Callable[[], None]:
    kube.server.kill()
    return kube.restart


def hang(kube: ControlPlane) -> Callable[[], None]:
    kube.server.freeze()
    return kube.server.thaw


@pytest.mark.parametrize("breaks", [stop, hang])
def test_events_go_on_without_an_api_server(us: Installation, beats: Beats, channel: Channel, breaks: Callable[[ControlPlane], Callable[[], None]]) -> None:
    events = [beats.put({"every": "100ms"}, name=name) for name in ("one", "two")]
    replicas = us.pair()
    leader, since = us.leader(), channel.flows(events)
    mend = breaks(us.kube)
    channel.reaches(now() + 3 * LEASE, events)
    assert all(one.healthz() for one in replicas), "they would be restarted"
    mend()
    event = beats.put({"every": "100ms"}, name="three")
    channel.flows([event, *events])
    beats.becomes("Ready=True", "three")
    until(lambda: len(us.leaders()) == 1, LONG, what=f"one leader: {us.leaders()}, it was {leader.name}")
    through = channel.reaches(now() + 500, events)
    assert audit(channel.arrivals(), events, every=EVERY, since=since, through=through) == CLEAN


def test_what_was_deleted_while_nobody_could_tell(us: Installation, beats: Beats, channel: Channel) -> None:
    """The API server has forgotten what happened since: it answers 410, and tells of no deletion."""
    kept, deleted, made = (beats.put({"every": "100ms"}, name=name) for name in ("kept", "deleted", "edited"))
    with link.link(us.kube) as cable:
        us.kubeconfig = cable.kubeconfig
        one = us.replica()
        since = channel.flows([kept, deleted, made])
        cable.cut()
        beats.delete("deleted")
        beats.patch("edited", suspend=True)
        new = beats.put({"every": "100ms"}, name="new")
        us.kube.server.kill()
        us.kube.compact()
        us.kube.restart()
        channel.flows([deleted])  # it was not told
        cable.mend()
        channel.flows([new])
        one.hears("is gone")
        gone = now()
        through = channel.reaches(gone + 1_500, [kept, new])
    assert {a.event for a in channel.arrivals() if a.due and a.due > gone + 500} == {kept, new}
    assert audit(channel.arrivals(), [kept], every=EVERY, since=since, through=through) == CLEAN


def test_no_api_server_when_it_starts(us: Installation, beats: Beats, channel: Channel) -> None:
    event = beats.put({"every": "100ms"})
    us.kube.server.kill()
    one = us.start()
    one.hears("does not answer")
    assert one.healthz()
    assert not one.readyz()
    us.kube.restart()
    one.wait()
    channel.flows([event])
    assert one.with_words("Traceback") == []


def test_no_crd_when_it_starts(us: Installation, beats: Beats, channel: Channel, tmp_path: Path) -> None:
    kube = us.kube
    kube.api.delete(f"{CRDS}/beatschedules.channelbeat.dev")
    until(lambda: not [one for one in kube.api.get(CRDS)["items"] if "beatschedules" in one["metadata"]["name"]], LONG, what="no CRD")
    one = us.start()
    one.hears("beatschedules.channelbeat.dev.yaml")
    assert not one.readyz()
    kube.install_crd()
    one.wait()
    channel.flows([beats.put({"every": "100ms"})])
