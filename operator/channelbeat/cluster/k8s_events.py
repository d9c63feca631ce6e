"""What is told by Kubernetes Events, which `kubectl describe` shows. Nothing rests on them: one that the API server does not take is dropped.
What is wrong with workers, and that it is over, is told in the log besides."""

import logging
from collections import Counter, deque
from collections.abc import Coroutine, Mapping
from typing import Any, Final

from channelbeat.cluster.api import Api
from channelbeat.cluster.register import Seen
from channelbeat.core import instants
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.news import News
from channelbeat.core.parse import API_VERSION, KIND
from channelbeat.core.reasons import OF_WORKERS, Why
from channelbeat.errors import ApiError

log: Final = logging.getLogger("channelbeat.workers")

WAITING: Final = 200
"""So many may wait for their turn; of more, the oldest are dropped."""
COMPONENT: Final = "channelbeat"
LOGGED: Final = OF_WORKERS | {Why.ALL_READY, Why.SCALED_TO_ZERO, Why.STARTING}


class Events:
    """`writes` counts them by what became of them."""

    def __init__(self, api: Api, writes: Counter[str]) -> None:
        self._api, self._writes = api, writes
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def tell(self, seen: Seen, news: News, now: Ms) -> None:
        namespace, _, name = seen.key.partition("/")
        if news.reason in LOGGED:
            level = logging.WARNING if news.type == "Warning" else logging.INFO
            names = {"namespace": namespace, "schedule": name, "reason": news.reason}
            log.log(level, "workers of %s: %s: %s", seen.key, news.reason, news.message, extra=names)
        at = instants.text(now - now % SECOND)
        regarding = {"apiVersion": API_VERSION, "kind": KIND, "namespace": namespace, "name": name, "uid": seen.uid}
        body = {
            "metadata": {"generateName": f"{name}.", "namespace": namespace},
            "involvedObject": regarding,
            "type": news.type,
            "reason": news.reason,
            "message": news.message,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
        }
        if len(self._waiting) == WAITING:
            self._waiting.popleft()
            self._writes["event dropped"] += 1
        self._waiting.append((f"/api/v1/namespaces/{namespace}/events", body))

    def post(self) -> Coroutine[Any, Any, None]:
        """Takes the oldest that waits, and posts it."""
        return self._post(*self._waiting.popleft())

    async def _post(self, path: str, body: Mapping[str, Any]) -> None:
        try:
            await self._api.create(path, body)
        except ApiError:
            self._writes["event dropped"] += 1
        else:
            self._writes["event"] += 1
