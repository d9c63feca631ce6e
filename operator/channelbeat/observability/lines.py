"""Writes log records in a thread, so that whoever reads them slowly holds up nothing that is due.

Records wait in a bounded list; what does not fit is left out, and how much it was is said when there is room again.
"""

import contextlib
import logging
import os
import threading
from collections import deque
from copy import copy
from typing import Final

ROOM: Final = 20_000
LAST_WORD: Final = 2.0  # seconds that a stalled reader holds up our end


class Lines(logging.Handler):
    """`descriptor` is written to past Python's buffers, whose locks a stalled thread would hold at the end."""

    def __init__(self, formatter: logging.Formatter, *, descriptor: int = 2, room: int = ROOM) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._descriptor, self._room = descriptor, room
        self._records: deque[logging.LogRecord] = deque()
        self._left_out = 0
        self._some = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)  # a reader that never reads must not keep us
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        kept = copy(record)  # other handlers have the record, too
        try:
            kept.msg, kept.args = record.getMessage(), None  # now, because what it speaks of may change
        except Exception:  # noqa: BLE001 - a wrong format string of somebody's
            kept.msg, kept.args = f"{record.msg} {record.args}", None
        with self._some:
            if len(self._records) >= self._room:
                self._left_out += 1
                return
            self._records.append(kept)
            self._some.notify()

    def close(self) -> None:
        """Waits for what was said, as long as somebody reads it."""
        with self._some:
            self._closed = True
            self._some.notify()
        self._thread.join(LAST_WORD)
        super().close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # nobody reads any more: what is said goes nowhere, and harms nobody
            while (records := self._next()) is not None:
                for record in records:
                    self._write(self._text(record))
        self._room = 0

    def _next(self) -> list[logging.LogRecord] | None:
        """What waits; None at the end."""
        with self._some:
            while not self._records and not self._closed:
                self._some.wait()
            if not self._records:
                return None
            records = [*self._records]
            self._records.clear()
            if self._left_out:
                records.append(_of_ours(f"{self._left_out:,} lines of the log were left out: they were not read fast enough"))
                self._left_out = 0
            return records

    def _text(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as fault:  # noqa: BLE001 - one record must not silence all that follow
            return self.format(_of_ours(f"a line of {record.name} cannot be written ({type(fault).__name__})"))

    def _write(self, line: str) -> None:
        data = f"{line}\n".encode(errors="replace")
        while data:
            data = data[os.write(self._descriptor, data) :]


def _of_ours(text: str) -> logging.LogRecord:
    return logging.LogRecord("channelbeat.log", logging.WARNING, __file__, 0, text, None, None)
