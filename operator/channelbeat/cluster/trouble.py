"""The API server does not do what the elector asks: what is told of that, once, and when is it asked again?"""

import logging
import random
from typing import Final

from channelbeat.cluster.answers import TOO_MANY
from channelbeat.cluster.pace import backoff
from channelbeat.core.instants import Ms
from channelbeat.errors import ApiError, ApiRefused

log: Final = logging.getLogger("channelbeat.leader")

SLOWEST: Final = 10  # renewals between two tries of what is refused


class Trouble:
    """`namespace`: of the Lease. `deadline`: after which silence is worth a word of those who stand by."""

    def __init__(self, namespace: str, *, renewal: Ms, deadline: Ms) -> None:
        self._namespace, self._renewal, self._deadline = namespace, renewal, deadline
        self._failures = 0
        self._silent_since: Ms | None = None
        self._told = ""

    def failed(self, error: ApiError, *, leading: bool, valid: bool, now: Ms) -> Ms:
        """When to try again: soon where there was no answer, later and later where it was no."""
        self._failures += 1
        if isinstance(error, ApiRefused) and error.status != TOO_MANY:
            self._tell("refused", self._with_cure(error), leading)
            pause = backoff(self._failures - 1, self._renewal, SLOWEST * self._renewal)
        else:
            self._silent_since = now if self._silent_since is None else self._silent_since
            if not valid and (leading or now >= self._silent_since + self._deadline):
                self._tell("silent", str(error), leading)
            pause = min(self._renewal // 4 << min(self._failures - 1, 2), self._renewal)
        return now + round(pause * random.uniform(0.5, 1.0))

    @property
    def silent(self) -> bool:
        """There was no answer to what was asked last."""
        return self._silent_since is not None

    def answered(self) -> bool:
        """Whether this ends a silence."""
        ended, self._silent_since = self._silent_since is not None, None
        return ended

    def over(self, *, leading: bool) -> None:
        """What was asked was done."""
        self._failures = 0
        if self._told:
            log.info("the API server does again what it is asked: %s", "still leads" if leading else "stands by")
            self._told = ""

    def forget(self) -> None:
        """Something else is to be told, which says the same."""
        self._told = ""

    def _tell(self, about: str, sentence: str, leading: bool) -> None:
        if self._told != about:
            self._told = about
            log.warning("%s; %s", sentence, "goes on sending, fenced by the epoch" if leading else "stands by")

    def _with_cure(self, error: ApiRefused) -> str:
        if error.status != 403:
            return str(error)
        rights = "get, watch, create and update on leases.coordination.k8s.io"
        return f"{error}: give our ServiceAccount {rights} in the namespace {self._namespace}, as the chart does"
