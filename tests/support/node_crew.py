"""The workers that the operator makes for a schedule on the node, and what Redis and the operator's log say of them.

source(shop)
crew = Crew(release, shop, "crew")                                              # of the schedule `crew`
crew.put({"at": ..., "fields": {"takes": 50}}, channel="work", maxReplicas=4)
crew.has(4)                                                                     # waits for a Deployment of four
"""

import asyncio
import json
import re
from collections.abc import Collection
from math import ceil
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from channelbeat.broker.keys import Keys
from channelbeat.broker.upkeep import Upkeep
from channelbeat.core import instants
from channelbeat.core.instants import Ms
from channelbeat.core.measures import Listener
from support.cluster_api import Refused
from support.node import LONG
from support.node_release import Release
from support.node_shop import LOOK, Shop
from support.waiting import until

SOURCE: Final = "web"
COMMAND: Final = ["python3", "manage.py", "runworker", "--claim", "5s"]
KEYS: Final = Keys("asgi")
EVENTS: Final = 100
"""A schedule has no more."""
_MEASURED: Final = re.compile(r"([\d,]+) waiting and ([\d,]+) in flight \(([\d.e+]+) ms each, targetWait ([\d.]+)s\)")


class Change(NamedTuple):
    """A line of the operator's log: how many workers there are to be, and why."""

    before: int
    after: int
    reason: str
    sentence: str

    def by_formula(self, concurrency: int) -> range:
        """How many its own figures call for, which are rounded there."""
        found = _MEASURED.search(self.sentence)
        assert found, f"no figures in {self.sentence!r}"
        waiting, in_flight = (int(one.replace(",", "")) for one in found.group(1, 2))
        share = (waiting + in_flight) * min(float(found.group(3)) / (float(found.group(4)) * 1_000), 1) / concurrency
        return range(ceil(share * 0.99), ceil(share * 1.01) + 1)


class Crew:
    """`deployment`: of that name the one that is scaled; the one that the operator makes, unless another is named."""

    def __init__(self, release: Release, shop: Shop, schedule: str, deployment: str = "") -> None:
        self.release, self.shop, self.schedule = release, shop, schedule
        self.deployment = deployment or f"{schedule}-worker"

    def put(self, *events: dict[str, Any], channel: str, concurrency: int = 1, **scaling: Any) -> None:
        """The schedule, with workers that are copied from the Deployment `web` (see `source`)."""
        worker = {"templateFrom": {"name": SOURCE}, "command": COMMAND, "concurrency": concurrency, "drainTimeout": "5s"}
        channel = self.shop.channel(channel)
        self.shop.beats.put(*events, name=self.schedule, channel=channel, delivery="AtLeastOnce", worker={**worker, "scaling": scaling})

    def live(self) -> dict[str, Any]:
        """The Deployment; nothing while there is none."""
        try:
            found: dict[str, Any] = self.shop.node.api.get(f"/apis/apps/v1/namespaces/{self.shop.namespace}/deployments/{self.deployment}")
        except Refused as refused:
            if refused.status != 404:
                raise
            return {}
        return found

    def replicas(self) -> int | None:
        """By its spec."""
        live = self.live()
        return int(live["spec"]["replicas"]) if live else None

    def has(self, replicas: int, within: float = LONG) -> None:
        """Waits until it is to have so many."""
        until(lambda: self.replicas() == replicas, within, what=f"{self.deployment} of {replicas}; it has {self.replicas()}", every=LOOK)

    def is_empty(self, within: float = LONG) -> None:
        """Waits until there is neither a pod nor to be one."""
        self.has(0, within)
        until(lambda: not self.pods(), within, what="no pods", every=LOOK)

    def pods(self) -> list[dict[str, Any]]:
        """All that are left of it."""
        live = self.live()
        if not live:
            return []
        labels = ",".join(f"{key}={value}" for key, value in live["spec"]["selector"]["matchLabels"].items())
        found: list[dict[str, Any]] = self.shop.node.api.get(f"/api/v1/namespaces/{self.shop.namespace}/pods", labelSelector=labels)["items"]
        return found

    def listeners(self) -> list[Listener]:
        """Its workers that Redis knows, but those that are being stopped."""

        async def asked() -> list[Listener]:
            async with Redis.from_url(self.shop.store.url) as redis:
                return await Upkeep(redis, KEYS, expiry=60, name="default", claim=30_000).listeners()

        mine = {pod["metadata"]["name"] for pod in self.pods() if "deletionTimestamp" not in pod["metadata"]}
        return [one for one in asyncio.run(asked()) if one.pod in mine]

    def changes(self) -> list[Change]:
        """What the operator decided of it, in the order of time."""
        namespace, found = self.shop.namespace, list[tuple[str, Change]]()
        for line in self.release.logs().splitlines():
            said = json.loads(line[line.index("{") :]) if "channelbeat.workers" in line and "{" in line else {}
            if (said.get("namespace"), said.get("deployment")) == (namespace, self.deployment) and "to" in said:
                found.append((said["time"], Change(said["from"], said["to"], said["reason"], said["message"].partition("): ")[2])))
        return [change for _, change in sorted(found, key=lambda one: one[0])]


def source(shop: Shop) -> None:
    """The Deployment whose pods are copied, which has none itself."""
    shop.work(SOURCE, "nobody", replicas=0)


def burst(shop: Shop, number: int, at: Ms, *, channel: str, takes: Ms) -> list[str]:
    """So many tracked events that are due at once. Their keys."""
    keys = []
    for first in range(0, number, EVENTS):
        name = f"burst-{first}"
        events: list[dict[str, Any]] = [{"name": f"e{i}", "at": instants.text(at), "fields": {"takes": takes}} for i in range(min(EVENTS, number - first))]
        shop.beats.put(*events, name=name, channel=shop.channel(channel), delivery="AtLeastOnce")
        keys += [shop.beats.key(name, one["name"]) for one in events]
    return keys


def succeeded(shop: Shop, events: Collection[str]) -> int:
    """How many runs of these have, by what Redis counts."""
    if not events:
        return 0
    found: Any = shop.store.client.hmget(f"{KEYS.root}stats", [f"{event} ok" for event in events])
    return sum(int(one or 0) for one in found)


def attempts(shop: Shop, run: str) -> list[list[str]]:
    """Of a run, as Redis has them: worker, when it began (ms), how long it took (ms), how it ended."""
    record: Any = shop.store.client.hgetall(KEYS.run(run))
    return [record[name].decode().split(" ", 4) for name in sorted(record) if re.fullmatch(rb"a\d+", name)]
