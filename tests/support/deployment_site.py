"""Workloads on a real API server, for the suite of the port. No node: nobody gets ready. What garbage collection does is done by the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from channelbeat.cluster.deployment import PATH
from channelbeat.cluster.register import Seen
from channelbeat.cluster.workloads import Workloads
from channelbeat.core import instants
from channelbeat.core.schedule import BeatSchedule
from support import beats
from support.cluster import ControlPlane
from support.cluster_api import BEATS, Refused
from support.employing import Employer

NAMESPACE = "default"


class DeploymentSite:
    """A Site. The API server has objects of the schedules' names, for their uids, and we what the test puts."""

    becomes_ready = False

    def __init__(self, employer: Employer) -> None:
        self._employer, self._api = employer, employer.kube.api
        self._there = set[str]()

    @property
    def workloads(self) -> Workloads:
        return self._employer.workloads

    async def put(self, schedule: BeatSchedule) -> None:
        made = self._api.apply(f"{BEATS.format(NAMESPACE)}/{schedule.name}", beats.manifest({"every": "1h"}, name=schedule.name), force="true")
        self._there.add(schedule.key)
        metadata = made["metadata"]
        created = instants.parse(metadata["creationTimestamp"])
        seen = Seen(schedule.key, metadata["uid"], 1, created, schedule, frozenset(), (), None, (), {}, b"")
        self._employer.staffing.seen(seen)

    async def remove(self, key: str) -> None:
        name = key.partition("/")[2]
        self._there.discard(key)
        self._api.delete(f"{BEATS.format(NAMESPACE)}/{name}")
        self._employer.staffing.gone(key)
        with suppress(Refused):  # the garbage collector may have been quicker
            self._api.delete(f"{PATH.format(NAMESPACE)}/{name}-worker")

    def started(self) -> int:
        return len(self._employer.api.writes)

    async def close(self) -> None:
        for key in [*self._there]:
            await self.remove(key)


@asynccontextmanager
async def deployment_site(kube: ControlPlane) -> AsyncIterator[DeploymentSite]:
    async with Employer(kube, NAMESPACE).running(follows=False) as employer:
        site = DeploymentSite(employer)
        try:
            yield site
        finally:
            await site.close()
