"""What the Autoscaler may rely on, for whatever workers are made of. `site` is one of those that ship, or the reference in memory."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from channelbeat.core.crews import Crew
from channelbeat.core.scaling import Decision, Reason
from channelbeat.engine.ports import Observed
from support import cluster, cluster_programs
from support.cluster import ControlPlane
from support.deployment_site import deployment_site
from support.process_site import process_site
from support.scaler import manned
from support.sites import Memory, Site
from support.waiting import eventually


@pytest.fixture(scope="module")
def kube() -> Iterator[ControlPlane]:
    if not all(map(cluster_programs.find, ("etcd", "kube-apiserver"))):
        pytest.skip("no control plane: tests/cluster builds it")
    with cluster.running() as kube:
        kube.install_crd()
        yield kube


@pytest.fixture(params=["Memory", "Processes", "Deployments"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    """One without schedules."""
    if request.param == "Memory":
        yield Memory()
        return
    if request.param == "Processes":
        async with process_site(tmp_path) as processes:
            yield processes
        return
    async with deployment_site(request.getfixturevalue("kube")) as site:
        yield site


def crew(site: Site, schedule: str = "default/t") -> Crew | None:
    """The one that handles its events."""
    return next((crew for crew in site.workloads.crews() if any(one.schedule.key == schedule for one in crew.members)), None)


async def made(site: Site, name: str = "t", **spec: Any) -> Crew:
    await site.put(manned(name=name, **spec))
    found = await eventually(lambda: crew(site, f"default/{name}"), what="the crew to be known")
    assert isinstance(found, Crew)
    return found


def want(site: Site, one: Crew, desired: int) -> None:
    site.workloads.want(one, Decision(desired, Reason.LOAD, f"the test calls for {desired}"), (4_200,))


async def becomes(site: Site, one: Crew, replicas: int) -> None:
    """And its workers are ready, or gone, where there is anything for them to run on."""
    await eventually(lambda: (site.workloads.observe(one) or Observed(-1, 0)).replicas == replicas, what=f"{replicas} of {one.key}")
    if site.becomes_ready:
        await eventually(lambda: site.workloads.observe(one) == (replicas, replicas), 30, what=f"{replicas} of {one.key} to be ready")


async def test_a_schedule_has_a_crew_and_at_first_no_workers(site: Site) -> None:
    one = await made(site)
    assert [member.schedule.key for member in one.members] == ["default/t"]
    await eventually(lambda: site.workloads.observe(one) == (0, 0))


async def test_crews_are_the_same_objects_while_nothing_changes(site: Site) -> None:
    one, other = await made(site), await made(site, "s", channel="d")
    await eventually(lambda: site.workloads.observe(one) == (0, 0))
    want(site, one, 1)
    await becomes(site, one, 1)
    assert crew(site) is one
    assert crew(site, "default/s") is other


async def test_who_is_wanted_comes_and_goes(site: Site) -> None:
    one = await made(site)
    for number in (1, 3, 2, 0, 1):
        want(site, one, number)
        await becomes(site, one, number)


async def test_what_is_wanted_again_and_again_is_brought_about_once(site: Site) -> None:
    one = await made(site)
    for _ in range(5):
        want(site, one, 2)
    await becomes(site, one, 2)
    started = site.started()
    for _ in range(50):
        want(site, one, 2)
        await asyncio.sleep(0.01)
    assert site.started() == started
    assert (site.workloads.observe(one) or Observed(-1, 0)).replicas == 2


async def test_what_was_wanted_last_counts(site: Site) -> None:
    one = await made(site)
    for number in (3, 0, 4, 1):
        want(site, one, number)
    await becomes(site, one, 1)


async def test_a_crew_is_left_alone_when_another_changes(site: Site) -> None:
    one, other = await made(site), await made(site, "s", channel="d")
    want(site, one, 2)
    want(site, other, 1)
    await becomes(site, one, 2)
    await becomes(site, other, 1)
    want(site, other, 0)
    await becomes(site, other, 0)
    await site.remove("default/s")
    await eventually(lambda: crew(site, "default/s") is None)
    await becomes(site, one, 2)


async def test_an_edit_of_how_many_there_may_be_moves_nobody(site: Site) -> None:
    before = await made(site)
    want(site, before, 2)
    await becomes(site, before, 2)
    started = site.started()
    await site.put(manned(name="t", scaling={"maxReplicas": 3}))
    after = await eventually(lambda: (found := crew(site)) is not before and found, what="the edit to be known")
    assert after.key == before.key
    assert after.members[0].scaling.max_replicas == 3
    await becomes(site, after, 2)
    assert site.started() == started


async def test_who_has_gone_is_no_crew_and_whoever_still_asks_for_it_does_no_harm(site: Site) -> None:
    one = await made(site)
    want(site, one, 1)
    await becomes(site, one, 1)
    await site.remove("default/t")
    await eventually(lambda: crew(site) is None)
    want(site, one, 3)
    await eventually(lambda: site.workloads.observe(one) in (None, (0, 0)), 30, what="its workers to be gone")
    assert crew(site) is None


async def test_one_that_comes_back_begins_with_nobody(site: Site) -> None:
    one = await made(site)
    want(site, one, 2)
    await becomes(site, one, 2)
    await site.remove("default/t")
    await eventually(lambda: crew(site) is None)
    await eventually(lambda: site.workloads.observe(one) in (None, (0, 0)), 30)
    again = await made(site)
    await eventually(lambda: site.workloads.observe(again) == (0, 0))
    want(site, again, 1)
    await becomes(site, again, 1)
