"""Workers on a node: there when something is due, as many as what waits calls for, gone when there is nothing to do; and nothing is lost by that."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import pytest
import yaml

from channelbeat.cluster.sparing import BUSY, COST
from channelbeat.core import instants
from channelbeat.core.instants import SECOND, Ms
from support.arrivals import now
from support.node import LONG
from support.node_crew import COMMAND, SOURCE, Crew, attempts, burst, source, succeeded
from support.node_images import THUMBNAILS
from support.node_release import Release
from support.node_shop import LOOK, Shop
from support.tree import ROOT
from support.waiting import until

EXAMPLE: Final = ROOT / "examples/cluster/thumbnails.yaml"
FIRST_GUESS: Final[Ms] = 30 * SECOND
PROMPT: Final[Ms] = SECOND
"""A pod takes longer than that to start, and who is warm takes less, also on a busy machine; how much less is measured."""
BURST: Final = 2_000
FEW: Final = 3
SOON: Final[Ms] = 10 * SECOND
"""What is due then has been taken in before."""


def example(*events: dict[str, Any], **scaling: Any) -> str:
    """The manifest with this node's image, and other times."""
    manifest = yaml.safe_load(EXAMPLE.read_text())
    spec = manifest["spec"]
    assert (spec["worker"]["scaling"]["minReplicas"], spec["worker"]["scaling"]["maxReplicas"]) == (0, 4)
    spec["events"] = [{**spec["events"][0], **event} for event in events]
    for event in spec["events"]:
        del event["every"]
    (worker,) = spec["worker"]["template"]["spec"]["containers"]
    worker["image"] = THUMBNAILS
    spec["worker"]["scaling"] |= scaling
    return yaml.safe_dump(manifest)


@pytest.mark.slow
def test_workers_are_warm_before_the_due_time_and_gone_after_it(release: Release, shop: Shop, figures: Callable[[str, str], None]) -> None:
    crew = Crew(release, shop, "thumbnails")

    def handled(name: str, due: Ms) -> Ms:
        """How long after it was due."""
        run = f"{shop.beats.key('thumbnails', name)}/{instants.text(due)}"
        until(lambda: succeeded(shop, [shop.beats.key("thumbnails", name)]), LONG, what=f"{run} handled", every=LOOK)
        (_, began, took, how, *_), *others = attempts(shop, run)
        assert (how, others) == ("succeeded", [])
        figures(f"thumbnails, {name}: begun after it was due", f"{int(began) - due} ms")
        figures(f"thumbnails, {name}: handled after it was due", f"{int(began) + int(took) - due} ms")
        return int(began) + int(took) - due

    def warm(name: str, due: Ms) -> Ms:
        """When its worker is to start, before it is due; until it listens, which is before that, too."""
        until(lambda: crew.replicas() == 1, LONG, what="a worker that is called for", every=LOOK)
        early = due - now()
        until(crew.listeners, LONG, what="a worker that listens", every=LOOK)
        there = now()
        assert there < due, "warm only after it was due"
        figures(f"thumbnails, {name}: called for before it was due", f"{early / SECOND:.1f} s")
        figures(f"thumbnails, {name}: from none to the first that listens", f"{(there - due + early) / SECOND:.1f} s")
        return early

    first = now() + FIRST_GUESS + SOON
    second = first + FIRST_GUESS + 2 * SECOND
    times = {"first": first, "learned": second}
    events = [{"name": name, "at": instants.text(due)} for name, due in times.items()]
    shop.kubectl("apply", "-f", "-", stdin=example(*events))
    shop.beats.becomes("WorkersReady=True/ScaledToZero", "thumbnails")
    assert crew.pods() == []
    assert first - now() > FIRST_GUESS, "this machine is too slow for it"

    guessed = warm("first", first)
    assert handled("first", first) < PROMPT
    crew.is_empty()
    figures("thumbnails, first: no pod left after it was due", f"{(now() - first) / SECOND:.1f} s")
    learned = warm("learned", second)
    assert handled("learned", second) < PROMPT
    assert learned < guessed
    crew.is_empty()

    third = now() + SOON
    shop.kubectl("apply", "-f", "-", stdin=example({"name": "cold", "at": instants.text(third)}, warmUp="Disabled"))
    assert handled("cold", third) > PROMPT, "that was no cold start"
    *foreseen, seen = (change.reason for change in crew.changes() if change.after == 1)
    assert (set(foreseen), seen) == ({"Forecast"}, "Load")
    crew.is_empty()


def test_a_worker_that_is_stopped_while_it_starts_hears_of_it(release: Release, shop: Shop) -> None:
    """It has over ten minutes to drain, and is gone as soon as it has started."""
    crew = Crew(release, shop, "slow")
    source(shop)
    worker = {"templateFrom": {"name": SOURCE}, "command": COMMAND, "env": [{"name": "SLEEPS", "value": "6"}]}
    event = {"name": "never", "at": instants.text(now() + 1_000 * FIRST_GUESS)}
    scaling = {"minReplicas": 1, "scaleDownAfter": "0s"}
    shop.beats.put(event, name="slow", channel=shop.channel("slow"), delivery="AtLeastOnce", worker={**worker, "scaling": scaling})
    until(lambda: any(one["status"].get("phase") == "Running" for one in crew.pods()), LONG, what="a pod that runs", every=LOOK)
    assert not crew.listeners(), "this machine is too slow for it"
    shop.beats.patch("slow", worker={"scaling": {"minReplicas": 0}})
    crew.is_empty()


@pytest.mark.chaos
@pytest.mark.slow
def test_a_burst_is_handled_while_workers_come_go_change_and_are_killed(release: Release, shop: Shop, figures: Callable[[str, str], None]) -> None:
    crew, concurrency, takes = Crew(release, shop, "crew"), 2, 50
    source(shop)
    before, due = instants.text(now() + SOON), now() + SOON + 20 * SECOND
    known: list[dict[str, Any]] = [{"name": f"known-{i}", "at": before, "fields": {"takes": takes}} for i in range(20)]
    scaling = {"minReplicas": 0, "maxReplicas": 10, "targetWait": "10s", "scaleDownAfter": "2s", "warmUp": "Disabled"}
    crew.put(*known, channel="burst", concurrency=concurrency, **scaling)
    events = burst(shop, BURST, due, channel="burst", takes=takes)
    until(lambda: succeeded(shop, [shop.beats.key("crew", one["name"]) for one in known]) == len(known), LONG, what="a few handled", every=LOOK)
    assert now() < due, "this machine is too slow for it"
    uid = crew.live()["metadata"]["uid"]

    def reaches(number: int) -> None:
        until(lambda: succeeded(shop, events) >= number, LONG, what=f"{number} handled, not {succeeded(shop, events)}", every=LOOK)

    reaches(BURST // 10)
    pods = crew.pods()
    shop.kubectl("set", "env", f"deployment/{SOURCE}", "VERSION=2")  # the Deployment that is copied: its next version
    reaches(BURST // 3)
    killed, *forced = (one.pod for one in crew.listeners()[:3])
    shop.kubectl("delete", "pod", *forced, "--grace-period=0", "--force")
    shop.node.kill_container(shop.namespace, killed)
    reaches(BURST // 2)
    shop.beats.patch("crew", worker={"scaling": {"maxReplicas": FEW}})
    crew.has(FEW)
    left = BURST - succeeded(shop, events)
    assert left, "nobody was at work when others had to go"
    reaches(BURST)
    figures(f"{BURST:,} of {takes} ms: all handled after they were due", f"{(now() - due) / SECOND:.1f} s")
    crew.is_empty()

    executions = [one for one in shop.executions() if not one.event.startswith("known")]
    times = Counter(one.run for one in executions)
    again = {run for run, number in times.items() if number > 1}
    print(f"{left} were left at {FEW} workers; {len(again)} handled again; {max(one.attempt for one in executions)} attempts at most")
    assert succeeded(shop, events) == len(times) == BURST
    assert again <= {one.run for one in executions if one.pod in (killed, *forced)}, "handled twice, and nobody was killed over it"
    assert len({one.pod.split("-")[-2] for one in executions}) == 2, "two versions"
    assert crew.live()["metadata"]["uid"] == uid

    changes = crew.changes()
    print(*changes, sep="\n")
    called, *_ = (change for change in changes if change.after > 1)
    figures(f"{BURST:,} of {takes} ms: workers of concurrency {concurrency} called for", f"{called.after}: {called.sentence}")
    assert called.reason == "Load"
    assert called.after in called.by_formula(concurrency)
    assert len(pods) >= called.after


@pytest.mark.slow
def test_who_is_at_work_stays_when_others_go(release: Release, shop: Shop) -> None:
    crew = Crew(release, shop, "crew")
    source(shop)
    at = instants.text(now() + SOON)
    takes = {"long": 40_000, "short": 500, "shorter": 500}
    events = [{"name": name, "at": at, "fields": {"takes": ms}} for name, ms in takes.items()]
    crew.put(*events, channel="work", minReplicas=0, maxReplicas=3, eventsPerReplica=1, scaleDownAfter="2s", warmUp="Disabled")
    crew.has(3)
    crew.has(1)
    (busy,) = {one.pod for one in crew.listeners() if one.busy}
    costs = {pod["metadata"]["name"]: pod["metadata"].get("annotations", {}).get(COST) for pod in crew.pods()}
    assert {name for name, cost in costs.items() if cost == BUSY} == {busy}, costs
    until(lambda: succeeded(shop, [shop.beats.key("crew", "long")]), LONG, what="the long one handled", every=LOOK)
    crew.is_empty()
    assert [(one.pod, one.attempt) for one in shop.executions() if one.event == "long"] == [(busy, 1)]


@pytest.mark.slow
def test_a_deployment_of_two_schedules_has_what_both_need_and_then_its_own_number(release: Release, shop: Shop) -> None:
    names, own, each = ("first", "second"), 2, 10
    shop.work("shared", *names, replicas=own)
    crew, due = Crew(release, shop, names[0], "shared"), instants.text(now() + SOON)
    events: list[dict[str, Any]] = [{"name": f"e{i}", "at": due, "fields": {"takes": 1_000}} for i in range(each)]
    # Whether or not it is known how long one takes, ten of them call for two.
    scaling = {"minReplicas": 0, "maxReplicas": 3, "targetWait": "5s", "eventsPerReplica": 5, "scaleDownAfter": "2s", "warmUp": "Disabled"}
    for name in names:
        worker = {"scaleTargetRef": {"name": "shared"}, "scaling": scaling}
        shop.beats.put(*events, name=name, channel=shop.channel(name), delivery="AtLeastOnce", worker=worker)
    crew.has(4)
    keys = [shop.beats.key(name, event["name"]) for name in names for event in events]
    until(lambda: succeeded(shop, keys) == len(keys), LONG, what="all handled", every=LOOK)
    crew.has(0)
    shop.beats.delete(names[0])
    shop.beats.delete(names[1])
    crew.has(own)
    assert max(change.after for change in crew.changes()) == 4
    assert set(shop.handled().values()) == {1}


@pytest.mark.slow
def test_the_operator_is_upgraded_in_the_middle(release: Release, shop: Shop) -> None:
    crew, number = Crew(release, shop, "crew"), 1_500
    source(shop)
    far = {"name": "far", "at": "2100-01-01T00:00:00Z"}
    crew.put(far, channel="burst", concurrency=2, minReplicas=0, maxReplicas=4, targetWait="30s", eventsPerReplica=300, scaleDownAfter="2s")
    due = now() + SOON + 2 * SECOND
    events = burst(shop, number, due, channel="burst", takes=200)
    assert now() < due, "this machine is too slow for it"
    until(lambda: succeeded(shop, events), LONG, what="the first handled", every=LOOK)
    before, pods = crew.live(), set(release.pods())
    release.upgrade(podAnnotations={"upgraded": str(now())})
    through = succeeded(shop, events)
    print(f"{through} handled during the upgrade")
    assert 0 < through < number, "it was not in the middle"
    until(lambda: succeeded(shop, events) == number, LONG, what=f"{number} handled", every=LOOK)
    assert not pods & set(release.pods())
    crew.is_empty()
    after = crew.live()
    assert [after["metadata"][what] for what in ("uid", "creationTimestamp")] == [before["metadata"][what] for what in ("uid", "creationTimestamp")]
    assert after["spec"]["template"] == before["spec"]["template"]
    assert shop.handled() == Counter(dict.fromkeys(shop.handled(), 1))
    assert len(shop.handled()) == number
