"""The Lease in other hands: at most one sender at any time, and somebody in the end."""

import json
from datetime import UTC
from typing import Any

import pytest

from channelbeat.core import instants
from support.arrivals import CLEAN, Channel, audit, now
from support.beats import Beats
from support.operators import LEASES, LONG, Installation
from support.waiting import until

pytestmark = pytest.mark.chaos

EVERY = 100
LASTS = 2
"""Seconds, without a renewal."""


def record(holder: str, seconds: int = 1) -> dict[str, Any]:
    moment = instants.to_datetime(now()).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"holderIdentity": holder, "leaseDurationSeconds": seconds, "acquireTime": moment, "renewTime": moment}


@pytest.fixture
def events(us: Installation, beats: Beats, channel: Channel) -> list[str]:
    """They flow, from one of two replicas; how long nobody may send is a matter of the machine, too."""
    events = [beats.put({"every": "100ms", "missed": {"policy": "All"}}, name=f"t{number}") for number in range(10)]
    us.pair()
    us.leader()
    channel.flows(events)
    return events


def judge(us: Installation, events: list[str], channel: Channel, since: int) -> None:
    until(lambda: len(us.leaders()) == 1, LONG, what=f"one leader: {us.leaders()}")
    through = channel.reaches(now() + 1_000, events)
    assert audit(channel.arrivals(), events, every=EVERY, since=since, through=through) == CLEAN


def test_it_is_deleted(us: Installation, events: list[str], channel: Channel) -> None:
    since = now()
    for _ in range(3):
        us.api.delete(us.lease_path)
        us.leader()
        channel.flows(events)
    judge(us, events, channel, since)


def test_a_stranger_holds_it_for_a_while(us: Installation, events: list[str], channel: Channel) -> None:
    """As long as it is renewed nobody sends; then one of ours does, and makes up for it."""
    since = now()
    us.api.patch(us.lease_path, {"spec": record("stranger", LASTS)})
    until(lambda: us.leaders() == [], what="no leader")
    quiet = now() + 1_000  # what was on its way has arrived
    while (at := now()) < quiet + 2 * LASTS * 1_000:
        us.api.patch(us.lease_path, {"spec": record("stranger", LASTS)})
        until(lambda at=at: now() >= at + 300, what="a moment")  # type: ignore[misc]
    ends = now()
    assert [a.run for a in channel.arrivals() if quiet < a.at < ends] == []
    assert us.holder() == "stranger", "it was taken from who renews it"
    us.leader()
    judge(us, events, channel, since)


@pytest.mark.parametrize("holder", ["", "stranger"])
def test_it_is_made_anew_by_somebody_else(us: Installation, events: list[str], channel: Channel, holder: str) -> None:
    since = now()
    lease = {"metadata": {"name": us.lease_name}, "spec": record(holder) if holder else {}}
    us.api.delete(us.lease_path)
    try:
        us.api.create(LEASES.format(us.namespace), lease)
    except Exception:  # noqa: BLE001 - one of ours was faster
        us.api.patch(us.lease_path, lease)
    us.leader()
    judge(us, events, channel, since)


def test_nonsense_is_written_into_it(us: Installation, events: list[str], channel: Channel) -> None:
    since = now()
    nonsense = {"renewTime": None, "acquireTime": None, "leaseDurationSeconds": None, "leaseTransitions": 2**31 - 1}
    us.api.patch(us.lease_path, json.dumps({"spec": {"holderIdentity": "x", **nonsense}}))
    us.leader()
    judge(us, events, channel, since)
