"""Twenty events a second while pods go away: each is enqueued once, and those that are tracked are handled."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import pytest

from support.arrivals import CLEAN, Arrival, audit, gap
from support.node import NAME
from support.node_release import HOME, Release
from support.node_shop import Shop, Store
from support.waiting import until

EVERY: Final = 100
ENOUGH: Final = 20
"""Arrivals before the fault, and after it."""
LONG: Final = 120.0
ALL: Final = {"every": f"{EVERY}ms", "missed": {"policy": "All"}}  # Redis may be away for longer than what is merely late


def leader_is_killed(release: Release, store: Store) -> None:
    release.node.kill_container(HOME, release.leader())


def leader_is_deleted_by_force(release: Release, store: Store) -> None:
    release.node.kubectl("delete", "pod", "-n", HOME, release.leader(), "--grace-period=0", "--force")


def leader_is_deleted(release: Release, store: Store) -> None:
    release.node.kubectl("delete", "pod", "-n", HOME, release.leader())


def leader_is_drained(release: Release, store: Store) -> None:
    kubectl = release.node.kubectl
    kubectl("label", "pod", "-n", HOME, release.leader(), "drained=yes")
    print(kubectl("drain", NAME, "--pod-selector=drained=yes", "--delete-emptydir-data", f"--timeout={LONG:g}s"))
    kubectl("uncordon", NAME)


def redis_is_restarted(release: Release, store: Store) -> None:
    store.restart()


def redis_is_killed(release: Release, store: Store) -> None:
    store.crash()


OF_LEADERS: Final = [leader_is_killed, leader_is_deleted_by_force, leader_is_deleted, leader_is_drained]
OF_REDIS: Final = [redis_is_restarted, redis_is_killed]


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.parametrize("fault", OF_LEADERS + OF_REDIS, ids=lambda one: one.__name__)
def test_nothing_is_lost_or_doubled_while(fault: Callable[[Release, Store], None], release: Release, store: Store, shop: Shop) -> None:
    release.is_ready()
    shop.work("workers", "work", replicas=2)
    unheard = shop.unheard("plain")
    shop.beats.put(ALL, name="tracked", channel=shop.channel("work"), delivery="AtLeastOnce")
    shop.beats.put(ALL, name="plain", channel=shop.channel("plain"))
    tracked, plain = shop.beats.key("tracked"), shop.beats.key("plain")
    since = unheard.flows([plain], LONG)
    unheard.get(ENOUGH, within=LONG)
    until(shop.executions, LONG, what="a run handled", every=0.1)
    leader, holder = release.leader(), release.holder()

    fault(release, store)
    if fault in OF_LEADERS:
        print(f"after {leader} leads {release.leader(but=holder)}")
    unheard.get(len(unheard.arrivals()) + ENOUGH, within=LONG)
    through = unheard.flows([plain], LONG)

    def unhandled() -> list[str]:
        handled = [Arrival(tracked, run.rpartition("/")[2], 0, {}) for run in shop.handled()]
        return audit(handled, [tracked], every=EVERY, since=since, through=through).lost

    with suppress(AssertionError):
        until(lambda: not unhandled(), LONG, every=0.5)
    assert unhandled() == []
    executions = shop.executions()
    print(f"{len(executions)} handled, nothing arrived for {gap(unheard.arrivals())} ms; attempts: {Counter(one.attempt for one in executions)}")
    assert audit(unheard.arrivals(), [plain], every=EVERY, since=since, through=through) == CLEAN
    assert {one: times for one, times in Counter((one.run, one.attempt) for one in executions).items() if times > 1} == {}
