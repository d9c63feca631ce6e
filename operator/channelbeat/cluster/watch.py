"""Follows the BeatSchedules of a cluster, by kopf: everything that is seen goes to the register.

`on.event` alone, whose handler does no I/O: nothing is written to any object, and there are no finalizers. kopf ends for some errors of
the API server; then it is begun anew, beside everything else that goes on.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

import kopf

from channelbeat.cluster.access import Access
from channelbeat.cluster.answers import key_of
from channelbeat.cluster.register import Register

log: Final = logging.getLogger("channelbeat.schedules")

PAUSE: Final = 2.0  # seconds before kopf is begun anew
STOPS_WITHIN: Final = 8.0


class Scope(NamedTuple):
    """Which schedules. `namespaces` None: of all; `selector`: of labels, empty for none."""

    namespaces: Sequence[str] | None
    selector: str


async def watch(access: Access, register: Register, scope: Scope, *, listed: Callable[[], None], signals: Callable[[], None]) -> None:
    """Until cancelled. `listed` is called when what is there was listed anew, and deletions may be hidden; `signals` is to put back the
    signal handlers, which kopf replaces with its own."""
    while True:
        stop = asyncio.Event()
        tasks = await kopf.spawn_tasks(
            registry=_registry(access, register, listed),
            settings=_settings(scope.selector),
            standalone=True,
            clusterwide=scope.namespaces is None,
            namespaces=scope.namespaces or (),
            stop_flag=stop,
        )
        signals()
        running = asyncio.create_task(kopf.run_tasks(tasks, ignored=_Others()), name="kopf")
        try:
            await asyncio.wait([running])
        finally:
            stop.set()  # not cancelled: it would leave its connections open
            await asyncio.wait([running], timeout=STOPS_WITHIN)
            running.cancel()
        fault = None if running.cancelled() else running.exception()
        log.warning("the watch of schedules ended (%s): it is begun anew", fault or "for no reason given")
        await asyncio.sleep(PAUSE * random.uniform(0.5, 1.0))


def _registry(access: Access, register: Register, listed: Callable[[], None]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, errors=kopf.ErrorsMode.TEMPORARY, backoff=PAUSE)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return (await asyncio.to_thread(access.fresh)).for_kopf()  # reads files, and may run a plugin

    @kopf.on.event("channelbeat.dev", "v1alpha1", "beatschedules", registry=registry)
    async def seen(event: Any, **_: Any) -> None:
        metadata = event["object"]["metadata"]
        if event["type"] == "DELETED":
            register.forget(key_of(metadata), metadata["uid"])
        else:
            register.see(event["object"])
            if event["type"] is None:
                listed()

    return registry


def _settings(selector: str) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # asks for no right on CRDs and namespaces
    settings.posting.enabled = False
    settings.persistence.progress_storage = _NoProgress()
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.process.ultimate_exiting_timeout = None  # it would kill us ten minutes after it was begun anew
    settings.queueing.idle_timeout = 0.02  # an object costs nothing soon after it was seen
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = 270
    settings.watching.connect_timeout = 5
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = _Backoffs()
    if selector:
        settings.watching.label_selectors["channelbeat.dev", "v1alpha1", "beatschedules"] = selector
    return settings


class _NoProgress(kopf.StatusProgressStorage):
    """Of handlers that we do not have: kopf would look for it in each object."""

    def fetch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


class _NoDiffs(kopf.AnnotationsDiffBaseStorage):
    """The same: kopf would copy each object deeply."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None


class _Backoffs:
    """Seconds between tries of a request: for ever, each series anew."""

    def __iter__(self) -> Iterator[float]:
        pause = 0.25
        while True:
            yield pause * random.uniform(0.5, 1.0)
            pause = min(2 * pause, 4.0)


class _Others(Collection["asyncio.Task[Any]"]):
    """Every task there is: kopf cancels at its end whatever it does not find here."""

    def __contains__(self, task: object) -> bool:
        return True

    def __iter__(self) -> Iterator["asyncio.Task[Any]"]:
        return iter(())

    def __len__(self) -> int:
        return 0
