"""What the operator's own log looks like: a JSON object a line for programs, or plain lines for people; on stderr, without passwords.

| key | meaning |
|---|---|
| time, level, logger, message | always; RFC 3339 in UTC with milliseconds, and debug, info, warning or error |
| namespace, schedule, event, run, due, outcome, reason, latenessMs, count, layer, sign, deployment, from, to | where the line is about such |
| exception | the traceback, if there is one |
"""

import logging
from collections.abc import Mapping
from typing import Any, Final, Literal, Self, TypeAlias

from pythonjsonlogger.json import JsonFormatter

from channelbeat.core import instants
from channelbeat.core.instants import SECOND
from channelbeat.core.masking import masked
from channelbeat.observability.lines import Lines
from channelbeat.observability.repeats import LIBRARIES, Repeats

Style: TypeAlias = Literal["json", "text"]

KEYS: Final = ("namespace", "schedule", "event", "run", "due", "outcome", "reason", "latenessMs", "count", "layer", "sign", "deployment", "from", "to")
"""The extras that are written; others, of libraries, are not."""


class Log:
    """The log as it is set up, until it is closed: then everything is as it was before."""

    def __init__(self, lines: Lines, level: str) -> None:
        self._lines, root = lines, logging.getLogger()
        self._before = (root.level, [*root.handlers], {name: logging.getLogger(name).level for name in LIBRARIES})
        root.handlers[:] = [lines]
        root.setLevel(level.upper())
        for name in LIBRARIES:
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.captureWarnings(capture=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """What was said is written first, as long as somebody reads it."""
        level, handlers, levels = self._before
        logging.captureWarnings(capture=False)
        root = logging.getLogger()
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, its in levels.items():
            logging.getLogger(name).setLevel(its)
        self._lines.close()


def set_up(style: Style, level: str, *, descriptor: int = 2) -> Log:
    """From now on, until it is closed, all that is logged goes to `descriptor` (stderr). `level` is debug, info, warning or error."""
    lines = Lines(_Json() if style == "json" else _Text(), descriptor=descriptor)
    lines.addFilter(Repeats())
    return Log(lines, level)


def _time(record: logging.LogRecord) -> str:
    moment = instants.to_datetime(int(record.created * SECOND))
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


class _Text(logging.Formatter):
    """`2026-11-21T00:36:42.007Z warning channelbeat.journal: shop/thumbnails nightly missed (Superseded), due ...`."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        return f"{_time(record)} {record.levelname.lower()} {record.name}: {record.message}"


class _Json(JsonFormatter):
    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: Mapping[str, Any]) -> None:
        log_data |= {"time": _time(record), "level": record.levelname.lower(), "logger": record.name, "message": masked(record.message)}
        log_data |= {key: value for key in KEYS if (value := record.__dict__.get(key)) is not None}
        if trace := "\n".join(str(message_dict[part]) for part in ("exc_info", "stack_info") if message_dict.get(part)):
            log_data["exception"] = masked(trace)
