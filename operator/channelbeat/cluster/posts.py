"""What is known of one crew's Deployment while we lead: what it is to be, what was tried, and when to try again."""

import random
from typing import Final

from channelbeat.cluster.making import Call
from channelbeat.cluster.meddling import Watched
from channelbeat.cluster.pace import backoff
from channelbeat.core.finding import Finding
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.scaling import Decision
from channelbeat.core.warming import Starts

LONGEST: Final[Ms] = MINUTE
"""Between two tries."""
QUIET: Final[Ms] = 5 * MINUTE
"""What somebody undoes more rarely is put right at once."""
PATIENCE: Final[Ms] = 30 * SECOND
"""What is being deleted is mostly gone within a second."""
OFTEN: Final = 3
"""Calls without an answer, or with one that is no answer: fewer may be an API server that starts."""
NEVER: Final = ("", -QUIET, 0)


class Post:
    """`decision` None: nothing was decided in this term. `trouble`: what the last look, or the last call, met with; `meddled`: that somebody else scales
    it. `refused`: the hash of what the API server refused. `watched` None: it is not known yet what an earlier leader had set."""

    def __init__(self) -> None:
        self.busy = False
        self.uid = ""
        self.basis: object = None
        self.blocks: object = None
        self.begin_term()

    def begin_term(self) -> None:
        self.decision: Decision | None = None
        self.starts: Starts = ()
        self.watched: Watched | None = None
        self.meddled: Finding | None = None
        self._written: dict[Call, tuple[str, Ms, int]] = {}  # what, when, and how often that was undone
        self.begin_anew()

    def begin_anew(self) -> None:
        """It is to be something else: what was refused may not be now."""
        self.trouble: Finding | None = None
        self.refused = ""
        self._retries: dict[Call, tuple[int, Ms]] = {}
        self._waits_since: Ms | None = None

    def want(self, decision: Decision, starts: Starts) -> bool:
        """Whether that is another number than before."""
        before, self.decision, self.starts = self.decision, decision, starts
        return before is None or before.desired != decision.desired

    def failed(self, call: Call, now: Ms) -> None:
        failures, _ = self._retries.get(call, (0, 0))
        self._retries[call] = failures + 1, now + round(backoff(failures, SECOND, LONGEST) * random.uniform(0.5, 1.0))

    def fails(self, call: Call) -> bool:
        """So often one after the other that it is worth a word."""
        return self._retries.get(call, (0, 0))[0] >= OFTEN

    def done(self, call: Call) -> None:
        self._retries.pop(call, None)

    def wrote(self, call: Call, what: str, now: Ms) -> None:
        """`what`: for whom it was made; the hash and number of what was applied, or the number alone."""
        before, at, undone = self._written.get(call, NEVER)
        self._written[call] = what, now, undone + 1 if what == before and now - at < QUIET else 0

    def not_before(self, call: Call, what: str) -> Ms:
        """When it may be tried. What somebody undoes again and again is done again ever later."""
        _, retry = self._retries.get(call, (0, 0))
        before, at, undone = self._written.get(call, NEVER)
        return max(retry, at + backoff(undone, SECOND, LONGEST)) if undone and what == before else retry

    def has_waited(self, now: Ms, *, waits: bool) -> bool:
        """So long for somebody else that it is worth a word."""
        self._waits_since = None if not waits else now if self._waits_since is None else self._waits_since
        return self._waits_since is not None and now - self._waits_since >= PATIENCE
