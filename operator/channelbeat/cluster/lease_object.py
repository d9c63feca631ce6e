"""How is one Lease read, written and watched? Each call is bounded; what it means is decided in lease.py. An answer that cannot be a Lease,
or has not the holder who was written into it, is none: ApiUnreachable."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from channelbeat.cluster import lease
from channelbeat.cluster.api import Api
from channelbeat.core.instants import SECOND, Ms
from channelbeat.errors import ApiRefused, ApiUnreachable

log: Final = logging.getLogger("channelbeat.leader")

LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
WATCH: Final = 60  # seconds, after which it is begun anew
PAUSE: Final = 0.25  # seconds between two watches; twice as many after each that told nothing
LONGEST_PAUSE: Final = 4.0


class LeaseObject:
    """`within`: how long a call may take."""

    def __init__(self, api: Api, namespace: str, name: str, *, within: Ms) -> None:
        self._api, self._name, self._within = api, name, within / SECOND
        self._all = LEASES.format(namespace)
        self._path = f"{self._all}/{name}"

    async def get(self) -> dict[str, Any] | None:
        """None: there is none."""
        try:
            return self._lease(await self._api.get(self._path, timeout=self._within))
        except ApiRefused as error:
            if error.status != 404:
                raise
            return None

    async def create(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """None: there is one already."""
        try:
            return self._lease(await self._api.create(self._all, {**body, "metadata": {"name": self._name}}, timeout=self._within), of=body)
        except ApiRefused as error:
            if error.status != 409:
                raise
            return None

    async def replace(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """None: it is not as `body` believes it to be, or is gone."""
        try:
            return self._lease(await self._api.replace(self._path, body, timeout=self._within), of=body)
        except ApiRefused as error:
            if error.status not in (404, 409):
                raise
            return None

    def _lease(self, answer: dict[str, Any], of: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if not lease.is_one(answer) or (of is not None and lease.read(answer).holder != lease.read(of).holder):
            raise ApiUnreachable(f"what is answered about {self._path} is no Lease, or not the one that was written: is it an API server that answers?")
        return answer

    async def changes(self) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """(ADDED, MODIFIED or DELETED, the Lease), for ever. It may be silent for long, or for good: nothing may rest on it."""
        told, pause = False, PAUSE
        while True:
            events = self._api.watch(self._all, since="", fieldSelector=f"metadata.name={self._name}", timeoutSeconds=str(WATCH))
            try:
                async with aclosing(events):
                    async for kind, raw in events:
                        pause = PAUSE
                        if kind != "BOOKMARK" and lease.is_one(raw):
                            yield kind, raw
            except ApiRefused as error:
                if not told:
                    log.warning("%s: hand-overs are found by reading, which is slower", error)
                told = True
            except ApiUnreachable as error:
                log.debug("%s", error)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LONGEST_PAUSE)
