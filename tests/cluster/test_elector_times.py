"""Answers that come late, a watch that is behind, a machine that slept: what was true then is not true now."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from channelbeat.cluster.api import Api
from channelbeat.cluster.elector import Elector, since_boot
from channelbeat.errors import UsageError
from support import electors
from support.cluster import ControlPlane
from support.electors import SLOW, STEADY, Election, Stuck
from support.waiting import eventually


@pytest.fixture
async def election(kube: ControlPlane, namespace: str) -> AsyncIterator[Election]:
    async with electors.held(kube, namespace) as election:
        yield election


class Watch:
    """A clock that the test moves on."""

    def __init__(self) -> None:
        self.slept = 0

    def __call__(self) -> int:
        return since_boot() + self.slept


class Behind(Api):
    """What its watches tell is `AGE` seconds old."""

    AGE = 2.0
    told = 0

    async def watch(self, path: str, *, since: str, **query: str) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        arrived = asyncio.Queue[tuple[float, tuple[str, dict[str, Any]]]]()
        now = asyncio.get_running_loop().time

        async def listen() -> None:
            async for event in super(Behind, self).watch(path, since=since, **query):
                arrived.put_nowait((now() + self.AGE, event))

        listening = asyncio.create_task(listen())
        try:
            while True:
                at, event = await arrived.get()
                await asyncio.sleep(at - now())
                yield event
                self.told += event[0] != "BOOKMARK"
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def test_time_that_the_machine_slept_counts(election: Election) -> None:
    watch = Watch()
    one = election.stand("one", timing=SLOW, now=watch)
    await one.leads()
    watch.slept = 30_000
    assert one.elector.valid()
    watch.slept = 40_000
    assert not one.elector.valid()
    assert not one.elector.lost()


async def test_an_answer_that_comes_after_its_time_makes_no_leader(election: Election) -> None:
    watch = Watch()

    class Late(Api):
        async def create(self, path: str, body: Any, *, timeout: float | None = None) -> dict[str, Any]:  # noqa: ASYNC109 - as Api has it
            answer = await super().create(path, body, timeout=timeout)
            watch.slept += 60_000
            return answer

    one = election.stand("one", api=Late, timing=SLOW, now=watch)
    await one.leads()
    assert one.changes == [(True, False)]
    assert election.spec()["renewTime"] > election.spec()["acquireTime"]


async def test_the_time_of_a_lead_begins_with_its_request(election: Election) -> None:
    watch = Watch()

    class Slow(Api):
        async def create(self, path: str, body: Any, *, timeout: float | None = None) -> dict[str, Any]:  # noqa: ASYNC109 - as Api has it
            watch.slept += 20_000
            return await super().create(path, body, timeout=timeout)

    one = election.stand("one", api=Slow, timing=SLOW, now=watch)
    await one.leads()
    watch.slept += 14_000  # of 33
    assert not one.elector.valid()


async def test_old_news_do_not_count(election: Election) -> None:
    stranger = {"metadata": {"name": electors.NAME}, "spec": {"holderIdentity": "stranger", "leaseDurationSeconds": 1}}
    election.kube.api.create(election.all, stranger)
    one = election.stand("one", api=Behind, duration=30_000)  # no breath that the machine takes ends its time
    assert isinstance(one.api, Behind)
    await eventually(lambda: one.elector.holder == "stranger")
    election.overwrite(renewTime="2026-11-21T01:30:00.000000Z")
    await one.leads()
    await eventually(lambda: one.api.told >= 3)  # type: ignore[attr-defined] # the stranger's two, then ours
    assert one.elector.valid()
    assert one.changes == [(True, False)]


async def test_a_release_waits_for_no_write_that_hangs(election: Election) -> None:
    one = election.stand("one", api=Stuck, timing=STEADY)
    await eventually(lambda: election.spec().get("holderIdentity") == "one")
    async with asyncio.timeout(3):
        await one.elector.release()
    one.go_on()
    await asyncio.gather(*[asyncio.sleep(0) for _ in range(10)])
    assert one.elector.lost()
    assert one.changes == []


async def test_a_write_that_was_cut_short_is_released(election: Election) -> None:
    one = election.stand("one", api=Stuck, timing=STEADY)
    await eventually(lambda: election.spec().get("holderIdentity") == "one")
    one.task.cancel()
    await asyncio.gather(one.task, return_exceptions=True)
    await one.elector.release()
    assert election.spec()["holderIdentity"] == ""


@pytest.mark.parametrize(("duration", "renewal"), [(1_000, 501), (1_000, 0), (61_000, 1_000)])
def test_times_that_do_not_fit_are_refused(duration: int, renewal: int) -> None:
    with pytest.raises(UsageError, match=f"a Lease of {duration} ms cannot be renewed every {renewal} ms"):
        Elector(object(), namespace="n", name="n", identity="i", duration=duration, renewal=renewal, changed=lambda: None)  # type: ignore[arg-type]
