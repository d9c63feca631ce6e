"""Which pods go first when a Deployment is scaled in? Those with nothing in hand: the busy ones are given an annotation that the Deployment's controller
looks at, just before. Only what differs is written."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from channelbeat.cluster.api import Api
from channelbeat.errors import ApiRefused

log: Final = logging.getLogger("channelbeat.workers")

COST: Final = "controller.kubernetes.io/pod-deletion-cost"
BUSY: Final = "1000000"
"""Known as ours by its value: another one was written by somebody else, and is his to take off."""
MOST: Final = 50
"""Pods that are spared, so that a scale-in is no burst of writes."""


def changes(pods: Iterable[Mapping[str, Any]], busy: Collection[str]) -> dict[str, str | None]:
    """The annotation by the name of each pod that has to have another one; None: none. Those that have it already come first."""
    costs = {pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get(COST) for pod in pods if _lives(pod)}
    spared = sorted((name for name in costs if name in busy), key=lambda name: (costs[name] != BUSY, name))[:MOST]
    freed = [name for name, cost in costs.items() if cost == BUSY and name not in spared]
    return {name: BUSY for name in spared if costs[name] != BUSY} | dict.fromkeys(freed)


async def spare(api: Api, namespace: str, pods: Iterable[Mapping[str, Any]], busy: Collection[str]) -> None:
    """`pods` as they were listed just now, `busy` the names of those with work in hand. ApiUnreachable: try again, before the scale-in. What the API
    server refuses is told in the log, and keeps nobody from scaling in."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    patches = {name: api.merge(f"{path}/{name}", {"metadata": {"annotations": {COST: cost}}}) for name, cost in changes(pods, busy).items()}
    answers = await asyncio.gather(*patches.values(), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, ApiRefused) and answer.status != 404]  # 404: gone, and so not busy
    if refused:
        log.info("busy pods may be stopped in place of idle ones, because %d of %s cannot be marked: %s", len(refused), namespace, refused[0])
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, ApiRefused):
            raise answer


def _lives(pod: Mapping[str, Any]) -> bool:
    """One that is going or has ended is no longer chosen from."""
    return "deletionTimestamp" not in pod["metadata"] and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
