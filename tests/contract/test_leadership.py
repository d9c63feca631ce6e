"""What whoever asks a Leadership may rely on, for each that ships."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from channelbeat.engine.ports import Leadership
from channelbeat.runtime import Alone
from support import cluster, cluster_programs, electors
from support.waiting import eventually


@pytest.fixture(params=["Alone", "Elector"])
async def leadership(request: pytest.FixtureRequest) -> AsyncIterator[Leadership]:
    """Of one that nobody opposes."""
    if request.param == "Alone":
        yield Alone()
        return
    if not all(map(cluster_programs.find, ("etcd", "kube-apiserver"))):
        pytest.skip("no control plane: tests/cluster builds it")
    with cluster.running() as kube:
        async with electors.held(kube, "default") as election:
            yield election.stand("one", timing={"duration": 6_000, "renewal": 300}).elector


async def test_who_is_alone_leads_and_goes_on_leading(leadership: Leadership) -> None:
    assert leadership.valid() != leadership.lost()
    await eventually(leadership.valid)
    for _ in range(200):
        assert leadership.valid()
        assert not leadership.lost()
        await asyncio.sleep(0.01)
