"""How an attempt that did not succeed is told: in the run's record, and in the log."""

import logging
import traceback
from typing import Final

from channelbeat.broker.claims import Done, Taken
from channelbeat.core import instants
from channelbeat.core.runs import State
from channelbeat.worker.desk import Attempt

LONGEST_LINE: Final = 500
LONGEST_TRACE: Final = 4_000

logger: Final = logging.getLogger("channelbeat.worker")


def line(text: str) -> str:
    return _sendable(" ".join(text.split())[:LONGEST_LINE])


def said(error: BaseException) -> str:
    """Its own words; none if it has none, or cannot even say them."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - people's own exceptions, which may do anything
        return ""


def brief(error: BaseException) -> str:
    """`ValueError: boom`."""
    text = said(error)
    return line(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def trace(error: BaseException) -> str:
    """The end of it, which is where it happened."""
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001 - it looks at fields of the exception, some of them people's own
        text = "".join(traceback.format_tb(error.__traceback__))
    return _sendable(text[-LONGEST_TRACE:])


def _sendable(text: str) -> str:
    """Without what UTF-8 has no bytes for."""
    return text.encode(errors="backslashreplace").decode()


def settled(attempt: Attempt, done: Done, taken: Taken, error: BaseException | None) -> None:
    """Say what became of an attempt, if it is worth a word."""
    if taken.settled is None:
        logger.warning("%r: %s, but its claim was another worker's by then: this changes nothing", attempt, done.how)
    elif done.how in ("failed", "timeout", "dead") and attempt.claimed is not None:
        logger.error(
            "run %s: attempt %d of %d: %s; %s",
            attempt.claimed.run,
            attempt.claimed.attempt,
            attempt.claimed.limit + 1,
            done.error,
            _what_next(taken),
            exc_info=error if done.how == "failed" else None,
        )
    elif done.how != "ok":
        logger.warning("%r: %s; it is %s now", attempt, {"back": "given back"}.get(done.how, done.how), taken.settled)


def _what_next(taken: Taken) -> str:
    if taken.next_at is not None:
        return f"it is tried again at {instants.text(taken.next_at)}"
    return "it is dead, and kept" if taken.settled is State.DEAD else f"it is {taken.settled} now"
