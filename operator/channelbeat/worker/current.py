"""What a consumer may know of the run it is handling, wherever in its code it asks: in its own thread, or further down."""

import json
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

LARGEST_RESULT: Final = 10_000
"""Bytes, as UTF-8."""


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """`attempt` counts from 1; `due` is aware, in UTC; `event` is NAMESPACE/SCHEDULE/EVENT, None for a run made with `send`."""

    id: str
    attempt: int
    due: datetime
    event: str | None
    channel: str
    _result: list[str] = field(default_factory=list, repr=False, compare=False)

    def set_result(self, result: object) -> None:
        """Keep a text, or what JSON can say, with the run for as long as that is remembered; the last one counts, if the attempt succeeds.

        Raises TypeError for what JSON cannot say, ValueError for more than 10 kB.
        """
        text = result if isinstance(result, str) else json.dumps(result)
        size = len(text.encode())
        if size > LARGEST_RESULT:
            raise ValueError(f"run {self.id}: its result has {size:,} bytes, and may have {LARGEST_RESULT:,}: store it elsewhere, and give its place")
        self._result[:] = [text]

    @property
    def result(self) -> str:
        """Empty for none."""
        return self._result[0] if self._result else ""


class Place:
    """Where an application looks for its run: it lives from message to message, in one context, and so does this."""

    __slots__ = ("run",)

    def __init__(self) -> None:
        self.run: CurrentRun | None = None


_place: ContextVar[Place] = ContextVar("channelbeat.worker.place")


def within(place: Place) -> Context:
    """A context to run an application in."""
    context = copy_context()
    context.run(_place.set, place)
    return context


def current_run() -> CurrentRun | None:
    """The run that is being handled here; None outside a consumer, and for messages that are no runs of channelbeat's own queue."""
    place = _place.get(None)
    return place.run if place is not None else None
