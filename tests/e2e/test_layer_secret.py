"""The Secret of a layer is mounted: what it says is followed by pods that run."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import pytest

from support.arrivals import Channel, now
from support.node import Node
from support.node_release import Release
from support.node_shop import Shop, Store

LONG: Final = 120.0


@pytest.fixture(scope="module")
def other(node: Node) -> Store:
    """Another Redis."""
    return Store(node, "other")


@pytest.fixture
def back(release: Release, store: Store) -> Iterator[None]:
    yield
    release.point_at(store.url)


@pytest.mark.slow
def test_a_secret_that_is_swapped_is_followed(release: Release, store: Store, other: Store, shop: Shop, back: None) -> None:
    pods = release.pods()
    channel = shop.channel("c")
    shop.beats.put({"every": "100ms"}, channel=channel)
    key = shop.beats.key()
    here, there = shop.unheard("c"), Channel(other.client, channel, "asgi")
    here.flows([key], LONG)
    release.point_at(other.url)
    swapped = now()
    arrived = there.flows([key], LONG)
    print(f"followed after {there.arrivals()[0].at - swapped} ms")
    there.reaches(arrived + 2_000, [key], LONG)
    assert [one.run for one in here.arrivals() if one.at > arrived] == []
    release.point_at(store.url)
    here.flows([key], LONG)
    runs = Counter(one.run for one in (*here.arrivals(), *there.arrivals()))
    assert [run for run, times in runs.items() if times > 1] == []
    assert release.pods() == pods
    assert store.url not in release.logs()
