"""What a worker's loop and its keeper's thread both see. Each field has one writer, and is replaced, never changed in part."""

import time

from channelbeat.broker.claims import Claimed, Done, Plain
from channelbeat.core.instants import Ms


class Attempt:
    """A slot's turn at one message. The loop writes all but `over`."""

    __slots__ = ("cancelled", "claimed", "done", "over", "reason", "started", "token")

    def __init__(self, item: Claimed | Plain, started: Ms) -> None:
        self.claimed = item if isinstance(item, Claimed) else None
        self.started = started
        self.reason: str | None = None
        """Why it was first asked to end: timeout, cancelled, lost or back."""
        self.cancelled = False
        self.done: Done | None = None
        """What is to be settled: it has ended."""
        self.over: Ms | None = None
        """Since when the keeper knows that it took too long."""

    def __repr__(self) -> str:
        return f"run {self.claimed.run}: attempt {self.claimed.attempt}" if self.claimed is not None else "a message"


class Desk:
    """`deadline`: until when what is under way may go on, once the worker has been told to stop; `stuck`: an attempt does not end."""

    def __init__(self, claim: Ms) -> None:
        self.attempts: dict[int, Attempt] = {}
        """By slot, until they are settled."""
        self.deadline: Ms | None = None
        self.stuck = False
        self.renewed: Ms | None = None
        """When claims were last renewed; the keeper's to write. What cannot be kept is not taken."""
        self._fresh = claim * 3 // 4

    @property
    def stopping(self) -> bool:
        return self.deadline is not None

    @property
    def open(self) -> bool:
        """May messages be taken?"""
        return self.deadline is None and not self.stuck and self.renewed is not None and now() < self.renewed + self._fresh


def now() -> Ms:
    """Steady, of this machine."""
    return time.monotonic_ns() // 1_000_000
