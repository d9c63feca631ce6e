"""Who leads, on a real API server that works: winning, handing over, crashing, and others who meddle with the Lease."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

import pytest

from channelbeat.cluster.api import Api
from channelbeat.cluster.elector import Elector
from channelbeat.core.instants import Ms
from support import electors
from support.cluster import ControlPlane
from support.cluster_api import Refused
from support.electors import SLOW, STEADY, Deaf, Election, Mute, Stuck
from support.waiting import eventually

MORTAL: Final[dict[str, Ms]] = {"duration": 2_000, "renewal": 250}
"""It runs out soon, but not while a busy machine takes a breath."""
MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture
async def election(kube: ControlPlane, namespace: str) -> AsyncIterator[Election]:
    async with electors.held(kube, namespace) as election:
        yield election


async def test_the_first_makes_the_lease_and_leads(election: Election) -> None:
    one = election.stand("one", timing=STEADY)
    assert one.elector.lost()
    assert not one.elector.valid()
    await one.leads()
    assert one.changes == [(True, False)]
    spec = election.spec()
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("one", 30, 0)
    assert MICRO_TIME.fullmatch(spec["acquireTime"])
    assert MICRO_TIME.fullmatch(spec["renewTime"])
    assert one.elector.holder == "one"


async def test_it_renews_and_keeps_what_others_keep_in_the_lease(election: Election) -> None:
    one = election.stand("one", timing=STEADY)
    await one.leads()
    before = election.spec()
    election.kube.api.patch(election.path, {"metadata": {"labels": {"kept": "yes"}}})
    after = await eventually(lambda: (spec := election.spec())["renewTime"] > before["renewTime"] and spec)
    await eventually(lambda: election.spec()["renewTime"] > after["renewTime"])
    assert {**after, "renewTime": ""} == {**before, "renewTime": ""}
    assert election.kube.api.get(election.path)["metadata"]["labels"] == {"kept": "yes"}
    assert one.changes == [(True, False)]


async def test_of_three_one_leads_and_the_others_know_whom(election: Election) -> None:
    three = [election.stand(name, timing=STEADY) for name in ("one", "two", "three")]
    leader = await election.one_leads()
    await eventually(lambda: {one.elector.holder for one in three} == {leader.name})
    assert [one.elector.lost() for one in three].count(True) == 2
    assert [one.changes for one in three if one is not leader] == [[], []]


async def test_it_is_handed_over_at_once(election: Election) -> None:
    one = election.stand("one", timing=SLOW)
    await one.leads()
    two = election.stand("two", timing=SLOW)
    await eventually(lambda: two.elector.holder == "one")
    before = election.spec()
    released = asyncio.create_task(one.elector.release())
    await asyncio.sleep(0)
    assert one.elector.lost()
    assert one.changes == [(True, False), (False, True)]
    await two.leads()
    await released
    after = election.spec()
    assert (after["leaseTransitions"], before["leaseTransitions"]) == (1, 0)
    assert after["acquireTime"] > before["acquireTime"]


async def test_what_was_released_is_free_and_not_taken_again(election: Election) -> None:
    one = election.stand("one", timing=STEADY)
    await one.leads()
    await one.elector.release()
    assert election.spec()["leaseDurationSeconds"] == 1
    for _ in range(125):  # more than two seconds, in which it would have renewed twice
        assert election.spec()["holderIdentity"] == ""
        await asyncio.sleep(0.02)
    two = election.stand("two")
    await two.leads()
    assert one.elector.lost()
    assert one.changes == [(True, False), (False, True)]


@pytest.mark.parametrize("how", [Elector.release, lambda elector: elector.step_aside(60_000)], ids=["for good", "for a while"])
async def test_what_is_won_while_it_is_released_is_released(election: Election, how: Callable[[Elector], Coroutine[Any, Any, None]]) -> None:
    one = election.stand("one", api=Stuck, timing=STEADY)
    await eventually(lambda: election.spec().get("holderIdentity") == "one")
    released = asyncio.create_task(how(one.elector))
    await asyncio.sleep(0)
    one.go_on()
    await released
    assert one.elector.lost()
    assert one.changes == []
    assert election.spec()["holderIdentity"] == ""


async def test_only_the_holder_releases(election: Election) -> None:
    one = election.stand("one", timing=STEADY)
    await one.leads()
    two = election.stand("two", timing=STEADY)
    await eventually(lambda: two.elector.holder == "one")
    await two.elector.release()
    assert election.spec()["holderIdentity"] == "one"
    await one.leads()
    assert one.changes == [(True, False)]


async def test_a_lease_that_changed_under_its_holder_is_released_all_the_same(election: Election) -> None:
    one = election.stand("one", timing=SLOW)
    await one.leads()
    await one.kill()
    election.kube.api.patch(election.path, {"metadata": {"labels": {"changed": "yes"}}})
    await one.elector.release()
    await one.api.close()
    assert election.spec()["holderIdentity"] == ""


@pytest.mark.parametrize("together", [2, 3])
async def test_after_a_crash_another_leads_and_never_both(election: Election, together: int) -> None:
    """A dead one counts as valid until its time is up, as it would in another process."""
    names = ["one", "two", "three", "four", "five"]
    alive = [election.stand(name, timing=MORTAL) for name in names[:together]]
    for name in names[together:]:
        await eventually(lambda: all(one.elector.holder for one in election.candidates))
        leader = await election.one_leads(alive)
        await leader.kill()
        assert leader.elector.valid()
        alive.remove(leader)
        alive.append(election.stand(name, timing=MORTAL))
        await election.one_leads(alive)


async def test_a_deleted_lease_is_made_again_by_its_leader(election: Election) -> None:
    one = election.stand("one", timing=SLOW)
    await one.leads()
    two = election.stand("two", timing=SLOW)
    await eventually(lambda: two.elector.holder == "one")
    election.kube.api.delete(election.path)
    await eventually(lambda: election.spec().get("holderIdentity") == "one" and two.elector.holder == "one")
    assert one.elector.valid()
    assert one.changes == [(True, False)]
    assert two.changes == []


@pytest.mark.parametrize("api", [Api, Deaf])
async def test_a_deleted_lease_whose_leader_is_dead_is_made_by_another(election: Election, api: type[Api]) -> None:
    one = election.stand("one")
    await one.leads()
    two = election.stand("two", api=api)
    await eventually(lambda: two.elector.holder == "one")
    await one.kill()
    election.kube.api.delete(election.path)
    await two.leads()


async def test_the_lead_is_lost_at_the_sight_of_another_holder(election: Election) -> None:
    one = election.stand("one", timing=SLOW)
    await one.leads()
    election.overwrite(holderIdentity="stranger")
    await eventually(one.elector.lost)
    assert not one.elector.valid()
    assert one.elector.holder == "stranger"
    assert one.changes == [(True, False), (False, True)]


async def test_without_a_watch_it_is_lost_at_the_next_renewal(election: Election) -> None:
    one = election.stand("one", api=Deaf)
    await one.leads()
    election.overwrite(holderIdentity="stranger")
    await eventually(one.elector.lost)


@pytest.mark.parametrize("anew", [False, True])
async def test_a_stranger_that_falls_silent_is_outlived(election: Election, anew: bool) -> None:
    for name in ("one", "two"):
        election.stand(name)
    await election.one_leads()
    stranger = {"spec": {"holderIdentity": "stranger", "leaseDurationSeconds": 1}, "metadata": {"name": electors.NAME}}
    if anew:
        election.kube.api.delete(election.path)
        await eventually(lambda: election.spec().get("holderIdentity") in {"one", "two"})
        election.kube.api.delete(election.path)
        try:
            election.kube.api.create(election.all, stranger)
        except Refused:  # what one of them had sent already was faster
            election.overwrite(holderIdentity="stranger")
    else:
        election.overwrite(holderIdentity="stranger")
    await eventually(lambda: not election.valid())
    await election.one_leads()


async def test_a_stranger_that_renews_keeps_it(election: Election) -> None:
    one = election.stand("one", timing=STEADY)
    await one.leads()
    election.overwrite(holderIdentity="stranger")
    await eventually(one.elector.lost)
    for second in range(12):
        election.overwrite(holderIdentity="stranger", renewTime=f"2020-01-01T00:00:{second:02}.000000Z")  # its clock is years behind
        await asyncio.sleep(0.2)
        assert one.elector.lost()
    await one.leads()
    assert len(one.changes) == 3


async def test_without_a_watch_a_hand_over_is_seen_at_the_next_read(election: Election) -> None:
    one, two = (election.stand(name, api=Deaf, timing=STEADY) for name in ("one", "two"))
    leader = await election.one_leads()
    (other,) = {one, two} - {leader}
    await eventually(lambda: other.elector.holder == leader.name)
    await leader.elector.release()
    await other.leads()


async def test_without_a_watch_a_crash_is_seen_all_the_same(election: Election) -> None:
    one = election.stand("one", api=Deaf)
    await one.leads()
    two = election.stand("two", api=Deaf)
    await eventually(lambda: two.elector.holder == "one")
    await one.kill()
    await two.leads()


async def test_what_was_won_by_a_write_without_answer_is_found_out_and_can_be_released(election: Election) -> None:
    one = election.stand("one", api=Mute)
    await eventually(lambda: election.spec().get("holderIdentity") == "one" and one.unheard >= 3)
    assert one.elector.lost()
    one.mute(False)
    await one.leads()
    one.mute(True)
    await eventually(lambda: not one.elector.valid())
    assert not one.elector.lost()
    one.mute(False)
    await one.leads()
    await one.kill()


async def test_a_write_without_answer_is_released(election: Election) -> None:
    one = election.stand("one", api=Mute, timing=STEADY)
    await eventually(lambda: one.unheard)
    one.task.cancel()
    one.mute(False)
    await one.elector.release()
    assert election.spec()["holderIdentity"] == ""


async def test_who_steps_aside_is_followed_and_stands_again_later(election: Election) -> None:
    one = election.stand("one", timing=STEADY)
    await one.leads()
    two = election.stand("two", timing=SLOW)
    await eventually(lambda: two.elector.holder == "one")
    await one.elector.step_aside(2_000)
    await two.leads()
    assert one.elector.lost()
    await two.elector.step_aside(60_000)
    await one.leads()


async def test_who_steps_aside_and_is_not_followed_takes_it_back(election: Election) -> None:
    one = election.stand("one", timing=STEADY)
    await one.leads()
    await one.elector.step_aside(300)
    await one.leads()
    assert one.changes == [(True, False), (False, True), (True, False)]
