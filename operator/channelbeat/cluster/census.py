"""Which objects exist? The first list is read whole, so that everything is known before the watch begins: it takes a third of the time that
the watch would. Later lists, of names, find deletions that no watch tells: when an API server was restarted it has forgotten what
happened before, and the watch begins anew with what is there.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from channelbeat.cluster.answers import key_of
from channelbeat.cluster.api import Api
from channelbeat.cluster.register import Register
from channelbeat.errors import ApiError, ApiRefused, UsageError

log: Final = logging.getLogger("channelbeat.schedules")

EVERY: Final = 600.0  # seconds between two lists
COUNT: Final = 15.0
"""Between two looks at how many there are, which cost next to nothing."""
SOON: Final = 1.0
"""After the watch began anew, when what it had to tell has been seen."""
RETRY: Final = 2.0
AT_ONCE: Final = 20  # objects, before others have their turn


class Census:
    """`namespaces` None: all of them. `selector`: of labels, empty for none."""

    def __init__(self, api: Api, register: Register, *, namespaces: Sequence[str] | None, selector: str) -> None:
        self._api, self._register, self._selector = api, register, selector
        self._wanted = asyncio.Event()
        self._told = ""
        self._dying = 0  # objects that are deleted, and held by somebody's finalizer
        self._paths = {
            namespace: f"/apis/channelbeat.dev/v1alpha1/{f'namespaces/{namespace}/' if namespace else ''}beatschedules"
            for namespace in ([""] if namespaces is None else namespaces)
        }

    def want(self) -> None:
        """The watch begins anew: deletions may be hidden from it."""
        self._wanted.set()

    async def begin(self) -> None:
        """Read everything that exists; tried until the API server answers, and knows our resource."""
        await self._compare(whole=True)
        self._register.all_seen()
        log.info("%d schedules known, %d of them with faults", len(self._register), self._register.faulty())

    async def run(self) -> None:
        """Until cancelled, once it has begun."""
        while True:
            self._wanted.clear()
            await self._reason_to_look()
            await self._compare()

    async def _reason_to_look(self) -> None:
        """Until the watch has begun anew, or there are more or fewer than we know, or it has been long."""
        for _ in range(int(EVERY / COUNT)):
            with suppress(TimeoutError):
                async with asyncio.timeout(COUNT * random.uniform(0.8, 1.2)):
                    await self._wanted.wait()
                    await asyncio.sleep(SOON)
                    return
            if await self._count() not in (None, len(self._register) + self._dying):
                return

    async def _count(self) -> int | None:
        """How many there are; None when the API server does not say."""
        total = 0
        for path in self._paths.values():
            try:
                found = await self._api.get(path, limit="1", labelSelector=self._selector)
            except ApiError:
                return None
            metadata = found.get("metadata") or {}
            more, rest = metadata.get("continue"), metadata.get("remainingItemCount")
            if more and rest is None:
                return None  # it does not count what a selector selects
            total += len(found.get("items") or ()) + (rest or 0)
        return total

    async def _compare(self, *, whole: bool = False) -> None:
        """What is not there any more is forgotten; with `whole`, what is there is read."""
        known = self._register.uids()  # before the list is asked for: what is made meanwhile is in neither
        listed, hidden = await self._list(whole=whole)
        for key, uid in known.items() - listed.items():
            if key.partition("/")[0] not in hidden and self._register.uids().get(key) == uid:
                log.info("schedule %s is gone, though no watch has told it", key)
                self._register.forget(key, uid)

    async def _list(self, *, whole: bool) -> tuple[dict[str, str], set[str]]:
        """Uids by `namespace/name`, and the namespaces that may not be looked into; tried until there is an answer."""
        while True:
            try:
                found = await self._try_to_list(whole=whole)
            except ApiError as error:
                if self._selector and isinstance(error, ApiRefused) and error.status == 400:
                    raise UsageError(f"--selector {self._selector!r}: write it as kubectl get -l takes it ({error})") from None
                self._tell(_sentence(error))
                await asyncio.sleep(RETRY * random.uniform(0.5, 1.0))
            else:
                if found[1]:
                    self._tell(f"schedules of {', '.join(sorted(found[1]))} cannot be listed, for want of rights: those of other namespaces run")
                elif self._told:
                    self._told = ""
                    log.info("the schedules can be listed")
                return found

    async def _try_to_list(self, *, whole: bool) -> tuple[dict[str, str], set[str]]:
        found, hidden, dying = dict[str, str](), set[str](), 0
        for namespace, path in self._paths.items():
            try:
                async for item in self._api.each(path, metadata_only=not whole, labelSelector=self._selector):
                    metadata = item["metadata"]
                    if metadata.get("deletionTimestamp"):
                        dying += 1
                        continue
                    found[key_of(metadata)] = metadata["uid"]
                    if whole:
                        self._register.see(item)
                        if len(found) % AT_ONCE == 0:
                            await asyncio.sleep(0)
            except ApiRefused as error:
                hidden.add(namespace)
                if error.status != 403 or len(hidden) == len(self._paths):
                    raise
        self._dying = dying
        return found, hidden

    def _tell(self, sentence: str) -> None:
        """Once, until it is another."""
        if sentence != self._told:
            self._told = sentence
            log.warning("%s", sentence)


def _sentence(error: ApiError) -> str:
    if isinstance(error, ApiRefused) and error.status == 404:
        return "the API server does not know BeatSchedules: install crds/beatschedules.channelbeat.dev.yaml (kubectl apply --server-side -f, or the chart)"
    return f"schedules cannot be listed: {error}"
