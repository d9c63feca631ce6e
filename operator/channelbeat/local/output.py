"""Writes what is to be read, in a thread: a reader that stalls (`| less`, Ctrl-S) must not hold up what is due.

Text waits in a bounded list; what does not fit is left out, and how much it was is said when there is room again.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

ROOM: Final = 20_000  # pieces; one is a batch of outcomes or a line
LAST_WORD: Final = 2.0  # seconds that a stalled reader holds up our end

Text: TypeAlias = str | Callable[[], str]
"""Whole lines, each with its newline; or what makes them, in the thread."""


class Piece(NamedTuple):
    error: bool
    text: Text


class Sink(Protocol):
    """Where text goes; called in one thread. OSError means that nobody reads any more."""

    def write(self, pieces: Sequence[Piece]) -> None: ...
    def close(self) -> None: ...


class Output:
    """`gone` is called (in the thread) when nobody reads any more."""

    def __init__(self, sink: Sink, *, gone: Callable[[], None], refresh: float | None = None, room: int = ROOM) -> None:
        self._sink = sink
        self._gone = gone
        self._refresh = refresh
        self._room = room
        self._pieces: deque[Piece] = deque()
        self._left_out = 0
        self._some = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)  # a reader that never reads must not keep us
        self._thread.start()

    def put(self, text: Text, *, error: bool = False) -> None:
        with self._some:
            if len(self._pieces) >= self._room:
                self._left_out += 1
                return
            self._pieces.append(Piece(error, text))
            self._some.notify()

    def close(self) -> None:
        """Waits for what was put, as long as somebody reads it."""
        with self._some:
            self._closed = True
            self._some.notify()
        self._thread.join(LAST_WORD)

    def _run(self) -> None:
        try:
            while (pieces := self._next()) is not None:
                self._sink.write(pieces)
        except OSError:
            self._gone()
        with contextlib.suppress(OSError):
            self._sink.close()

    def _next(self) -> list[Piece] | None:
        """What waits; nothing at all when it is time to refresh; None at the end."""
        with self._some:
            if not self._pieces and not self._closed:
                self._some.wait(self._refresh)
            if not self._pieces and self._closed:
                return None
            pieces = [*self._pieces]
            self._pieces.clear()
            if self._left_out:
                pieces.append(Piece(True, f"channelbeat: {self._left_out:,} pieces of output were left out: they were not read fast enough\n"))
                self._left_out = 0
            return pieces


class Plain:
    """Two file descriptors, past Python's buffers (whose locks a stalled thread would hold at the end)."""

    def __init__(self, out: int = 1, err: int = 2) -> None:
        self._out, self._err = out, err

    def write(self, pieces: Sequence[Piece]) -> None:
        for error, text in pieces:
            data = (text() if callable(text) else text).encode(errors="replace")
            while data:
                data = data[os.write(self._err if error else self._out, data) :]

    def close(self) -> None:
        """They are not ours."""
