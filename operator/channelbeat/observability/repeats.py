"""Lets a library's complaint through when it begins, and once a minute while it goes on."""

import logging
import re
import time
from collections.abc import Callable
from typing import Final

LIBRARIES: Final = ("kopf", "aiohttp", "asyncio")
AGAIN: Final = 60.0  # seconds
KINDS: Final = 1_000
"""More kinds of complaint than this are not kept apart from new ones."""

_VARIES: Final = re.compile(r"[:;({].*|[0-9]+", re.DOTALL)


_TRIES: Final = "Request attempt #"
NO_ANSWER: Final = "the watch of schedules has no answer from the API server; it is tried again"
REFUSED: Final = "the watch of schedules is refused by the API server, for want of rights; it is tried again"


class Repeats(logging.Filter):
    """A complaint is of a kind with another if the logger, the exception and the first clause are, numbers apart: kopf says
    `Request attempt #3/9 failed; will retry: GET https://...` for each request and each attempt. `now` is in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._told: dict[tuple[str, str, object], tuple[float, int]] = {}  # when it was let through last, and how many have not been since

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in LIBRARIES:
            return True
        if str(record.msg).startswith(_TRIES):  # its own words are a URL and a connection's key, and it is no error: it goes on
            record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
            record.msg, record.args, record.exc_info = REFUSED if "APIForbidden" in str(record.msg) else NO_ANSWER, None, None
        kind = (record.name, _VARIES.sub("", str(record.msg)), record.exc_info and record.exc_info[0])
        now = self._now()
        told, more = self._told.get(kind, (None, 0))
        if told is not None and now - told < AGAIN:
            self._told[kind] = (told, more + 1)
            return False
        if len(self._told) >= KINDS:
            self._told.clear()
        self._told[kind] = (now, 0)
        if more:
            record.msg, record.args = f"{record.getMessage()} (and {more:,} more like it since this was last said)", None
        return True
