"""As many processes as are called for: started, ended with the idle ones first, and told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channelbeat.core.parse import parse
from channelbeat.core.scaling import Decision, Reason
from channelbeat.core.schedule import BeatSchedule
from support.process_site import SLEEPS, ProcessSite, process_site
from support.waiting import eventually

DRAINS = ["sh", "-c", "trap 'while [ ! -e \"drained $POD_NAME\" ]; do sleep 0.05; done; exit' TERM; echo $POD_NAME; while :; do sleep 0.05; done"]


def schedule(name: str = "prints", worker: dict[str, Any] | None = None, delivery: str = "AtLeastOnce") -> BeatSchedule:
    """Nothing of a Django project."""
    spec: dict[str, Any] = {"channel": name, "delivery": delivery, "events": [{"name": "tick", "type": "say", "every": "5s"}]}
    if worker is not None:
        spec["worker"] = {"templateFrom": {"name": "x"}, "command": [*SLEEPS], **worker}
    parsed = parse({"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "metadata": {"name": name}, "spec": spec})
    assert parsed.schedule, parsed.faults
    return parsed.schedule


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProcessSite]:
    monkeypatch.setattr("channelbeat.local.workers.COMMAND", SLEEPS)
    async with process_site(tmp_path) as site:
        yield site


async def are(shop: ProcessSite, replicas: int, ready: int) -> None:
    await eventually(lambda: shop.observed() == (replicas, ready), what=f"{replicas} and {ready}, not {shop.observed()}")


async def test_nobody_is_started_until_so_many_are_called_for_and_that_is_told_with_the_reason(shop: ProcessSite) -> None:
    shop.use(schedule(worker={}))
    await are(shop, 0, 0)
    assert shop.states() == []
    shop.want(2, "2 are called for")
    await are(shop, 2, 2)
    await eventually(lambda: sorted(shop.lines) == ["[prints #2] prints #2", "[prints] prints"])
    shop.want(2, "and again")
    shop.want(0, "nothing waits")
    await are(shop, 0, 0)
    assert shop.states() == []
    assert shop.said == ["workers of default/prints 0 -> 2: 2 are called for", "workers of default/prints 2 -> 0: nothing waits"]


async def test_nothing_is_known_of_a_crew_until_its_project_was_found_to_hear_us(shop: ProcessSite) -> None:
    shop.led.clear()
    shop.use(schedule(worker={}))
    await asyncio.sleep(0)
    assert shop.observed() is None
    shop.led.set()
    await are(shop, 0, 0)


async def test_one_without_a_worker_block_has_one_process_and_nothing_is_decided_or_told(shop: ProcessSite) -> None:
    shop.use(schedule(), schedule("other", {"scaling": {"minReplicas": 1}}))
    await eventually(lambda: shop.states() == ["running"])
    assert [crew.key for crew in shop.workloads.crews()] == ["default/other"]
    assert shop.states("other") == []
    assert shop.said == []


async def test_without_tracked_runs_there_is_one_process_a_channel_however_many_are_called_for(shop: ProcessSite) -> None:
    shop.use(schedule(worker={"channels": ["prints", "more"]}, delivery="BestEffort"))
    await are(shop, 0, 0)
    shop.want(3, "3 are called for")
    await are(shop, 3, 1)
    assert (shop.states(), shop.states("more")) == (["running"], ["running"])
    shop.want(2, "2 are called for")
    assert shop.observed() == (2, 1)
    shop.want(0, "nothing is due")
    await are(shop, 0, 0)
    assert shop.said == ["workers of default/prints 0 -> 1: 3 are called for", "workers of default/prints 1 -> 0: nothing is due"]


async def test_those_that_are_idle_are_ended_first(shop: ProcessSite) -> None:
    shop.use(schedule(worker={}))
    shop.want(4)
    await are(shop, 4, 4)
    shop.busy = {"prints #2", "prints #4"}
    shop.want(3)
    assert shop.places() == ["prints", "prints #2", "prints #4"]
    shop.want(2)
    assert shop.places() == ["prints #2", "prints #4"]
    shop.want(1)
    assert shop.places() == ["prints #2"]
    shop.want(3)
    await are(shop, 3, 3)
    assert "prints #2" in shop.places()


async def test_nobody_waits_for_one_that_drains(shop: ProcessSite, tmp_path: Path) -> None:
    shop.use(schedule(worker={"command": DRAINS, "drainTimeout": "10m"}))
    shop.want(1)
    await eventually(lambda: shop.lines == ["[prints] prints"])
    shop.want(0)
    await are(shop, 0, 0)
    shop.want(1)
    await eventually(lambda: shop.lines == ["[prints] prints", "[prints #2] prints #2"])
    assert shop.places() == ["prints #2"]
    (tmp_path / "drained prints").touch()
    await eventually(lambda: not shop.workers.ending())
    shop.want(2)
    assert shop.places() == ["prints", "prints #2"], "its place is free again"
    await eventually(lambda: len(shop.lines) == 3)
    shop.want(1)
    shop.want(2)
    assert shop.places() == ["prints", "prints #3"]


async def test_an_edit_keeps_the_number_and_replaces_the_processes(shop: ProcessSite) -> None:
    shop.use(schedule(worker={}))
    shop.want(2)
    await are(shop, 2, 2)
    shop.use(schedule(worker={"concurrency": 3}))
    assert shop.observed() is None, "it is looked at anew"
    await are(shop, 2, 2)
    assert len(shop.said) == 1


async def test_a_worker_block_that_comes_or_goes_takes_over_the_process_that_is_there(shop: ProcessSite) -> None:
    shop.use(schedule())
    await eventually(lambda: shop.states() == ["running"])
    shop.use(schedule(worker={}))
    await are(shop, 1, 1)
    shop.want(3)
    assert shop.said == ["workers of default/prints 1 -> 3: because"]
    shop.use(schedule())
    await eventually(lambda: shop.states() == ["running"] and not shop.workers.ending())
    assert shop.places() == ["prints"]


async def test_a_delivery_that_changes_leaves_no_more_than_it_may_have(shop: ProcessSite) -> None:
    shop.use(schedule(worker={}))
    shop.want(3)
    await are(shop, 3, 3)
    shop.use(schedule(worker={}, delivery="BestEffort"))
    await are(shop, 3, 1)
    shop.use(schedule(worker={}))
    await are(shop, 3, 3)


async def test_a_schedule_that_is_removed_takes_its_processes_with_it_and_no_others(shop: ProcessSite) -> None:
    shop.use(schedule(worker={}), schedule("other", {}))
    gone = shop.crew()
    shop.want(2)
    shop.want(1, key="default/other")
    await are(shop, 2, 2)
    shop.use(schedule("other", {}))
    await eventually(lambda: not shop.states() and not shop.workers.ending())
    assert shop.places() == ["other"]
    assert shop.workloads.observe(gone) is None
    shop.workloads.want(gone, Decision(5, Reason.LOAD, "late"), ())
    assert shop.places() == ["other"]
