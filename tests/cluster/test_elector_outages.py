"""Who leads while the API server hangs or is away; and after the leader was stopped for a while."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from channelbeat.cluster.elector import since_boot
from channelbeat.core.instants import Ms
from support import cluster, electors
from support.cluster import ControlPlane
from support.electors import Election
from support.tree import ROOT
from support.waiting import eventually

pytestmark = pytest.mark.chaos
ORDINARY: Final[dict[str, Ms]] = {"duration": 3_000, "renewal": 1_000}
"""As it comes: an API server that has just come back may be slow, and those who could renew within a fifth of a second could not then."""
VALID: Final = 2.0
"""Seconds, after a renewal."""
PROCESS = """
import asyncio, sys
from pathlib import Path
from channelbeat.cluster import access
from channelbeat.cluster.api import Api
from channelbeat.cluster.elector import Elector, since_boot

async def main():
    api = Api(access.find(Path(sys.argv[1])))
    elector = Elector(api, namespace=sys.argv[2], name=sys.argv[3], identity="process", duration=1_000, renewal=250, changed=lambda: None)
    running = asyncio.create_task(elector.run())
    while not running.done():
        print(since_boot(), int(elector.valid()), int(elector.lost()), flush=True)
        await asyncio.sleep(0.002)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def own() -> Iterator[ControlPlane]:
    with cluster.running() as plane:
        yield plane


@pytest.fixture
async def election(own: ControlPlane) -> AsyncIterator[Election]:
    async with electors.held(own, own.new_namespace()) as election:
        yield election


async def _silence(own: ControlPlane, how: str, lasts: float) -> None:
    if how == "frozen":
        own.server.freeze()
    else:
        await asyncio.to_thread(own.server.kill)
    await asyncio.sleep(lasts)


async def _end(own: ControlPlane, how: str) -> None:
    if how == "frozen":
        own.server.thaw()
    else:
        own.server.start()  # in the main thread
        await asyncio.to_thread(own.wait)


@pytest.mark.parametrize(("how", "lasts"), [("frozen", 0.2), ("frozen", 2.5), ("frozen", 5.0), ("away", 0.1), ("away", 4.0)])
async def test_a_silent_api_server_takes_the_lead_from_nobody(own: ControlPlane, election: Election, how: str, lasts: float) -> None:
    one = election.stand("one", timing=ORDINARY)
    await one.leads()
    two, three = election.stand("two", timing=ORDINARY), election.stand("three", timing=ORDINARY)
    await eventually(lambda: {two.elector.holder, three.elector.holder} == {"one"})
    await _silence(own, how, lasts)
    assert not one.elector.lost()
    assert one.elector.valid() <= (lasts < VALID)
    await _end(own, how)
    await one.leads()
    await asyncio.sleep(ORDINARY["duration"] / 1_000)  # in which the others would take what they believe to be free
    await one.leads()
    assert (True, False) in one.changes
    assert not any(lost for _, lost in one.changes)
    assert two.changes == three.changes == []


async def test_it_is_told_that_sending_goes_on_and_that_it_is_over(own: ControlPlane, election: Election, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "channelbeat.leader")
    one = election.stand("one", timing=ORDINARY)
    await one.leads()
    await _silence(own, "frozen", 2 * VALID)
    await _end(own, "frozen")
    await one.leads()
    await eventually(lambda: len(caplog.messages) == 3)
    won, silent, again = caplog.messages
    assert won.startswith("leads now: one holds the Lease")
    assert silent.startswith("the API server does not answer")
    assert silent.endswith("goes on sending, fenced by the epoch")
    assert again == "the API server does again what it is asked: still leads"


async def test_a_leader_that_dies_meanwhile_is_followed(own: ControlPlane, election: Election) -> None:
    one = election.stand("one")
    await one.leads()
    two = election.stand("two")
    await eventually(lambda: two.elector.holder == "one")
    await _silence(own, "frozen", 0.5)
    await one.kill()
    await asyncio.sleep(1.5)
    assert two.elector.lost()
    await _end(own, "frozen")
    await two.leads()


async def test_a_release_ends_though_nobody_answers(own: ControlPlane, election: Election) -> None:
    one = election.stand("one")
    await one.leads()
    own.server.freeze()
    try:
        async with asyncio.timeout(3):
            await one.elector.release()
        assert one.elector.lost()
    finally:
        own.server.thaw()
    two = election.stand("two")
    await two.leads()
    assert one.elector.lost()


async def test_the_watch_is_begun_anew(own: ControlPlane, election: Election) -> None:
    one = election.stand("one", timing=electors.SLOW)
    await one.leads()
    two = election.stand("two", timing=electors.SLOW)
    await eventually(lambda: two.elector.holder == "one")
    await _silence(own, "away", 0.1)
    await _end(own, "away")
    await one.elector.release()
    await eventually(two.elector.valid, 12)


async def test_who_starts_while_nobody_answers_leads_when_somebody_does(own: ControlPlane, election: Election) -> None:
    own.server.freeze()
    one = election.stand("one")
    await asyncio.sleep(1)
    assert one.elector.lost()
    own.server.thaw()
    await one.leads()


async def test_a_process_that_was_stopped_knows_at_once_that_its_time_is_up(own: ControlPlane, election: Election) -> None:
    options = [str(own.kubeconfig), election.namespace, electors.NAME]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, *options, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={"PYTHONPATH": "operator"}
    )
    assert process.stdout
    try:
        while (await process.stdout.readline()).split()[1] != b"1":
            pass
        process.send_signal(signal.SIGSTOP)
        two = election.stand("two", duration=30_000)
        await two.leads()
        resumed = since_boot()
        process.send_signal(signal.SIGCONT)
        lines = list[list[int]]()
        while not lines or not lines[-1][2]:
            lines.append([int(word) for word in (await process.stdout.readline()).split()])
    finally:
        process.kill()
        await process.wait()
    after = [line for line in lines if line[0] >= resumed]
    assert after
    assert not any(valid for _, valid, _ in after)
    await two.leads()
    assert two.changes == [(True, False)]
