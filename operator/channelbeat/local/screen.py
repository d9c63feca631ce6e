"""The live table on a terminal: what is scheduled, when it is next due, how its last run went, what waits and who works."""

import os
from collections.abc import Sequence

from rich.console import Console as Terminal
from rich.live import Live
from rich.table import Table
from rich.text import Text as Styled

from channelbeat.core.instants import HOUR, SECOND, Ms
from channelbeat.core.timing import durations
from channelbeat.local.board import Board
from channelbeat.local.console import clock
from channelbeat.local.output import Piece

FRAME = 6  # lines of the terminal that are not rows


def rows_that_fit() -> int:
    return max(1, os.get_terminal_size(1).lines - FRAME) if os.isatty(1) else 20


class Screen:
    """A sink: text scrolls above the table, which is drawn anew at every write."""

    def __init__(self, terminal: Terminal | None = None) -> None:
        self._terminal = terminal or Terminal(highlight=False, soft_wrap=True)
        self._board = Board(now=0)
        self._live = Live(console=self._terminal, auto_refresh=False, redirect_stdout=False, redirect_stderr=False, get_renderable=lambda: table(self._board))
        self._live.start()

    def show(self, board: Board) -> None:
        """At the next refresh."""
        self._board = board

    def write(self, pieces: Sequence[Piece]) -> None:
        for error, text in pieces:
            written = (text() if callable(text) else text).removesuffix("\n")
            self._terminal.print(Styled.from_ansi(written, style="yellow" if error else ""))
        self._live.refresh()

    def close(self) -> None:
        self._live.stop()


def table(board: Board) -> Table:
    """Times in the user's zone."""
    drawn = Table("SCHEDULE", "EVENT", "NEXT", "LAST", "LATE", "BACKLOG", "WORKER", caption=f"and {board.more:,} more events" if board.more else None)
    for row in board.rows:
        drawn.add_row(
            Styled(row.schedule),
            Styled(row.event),
            _next(row.next, board.now),
            clock(row.last.at // SECOND * SECOND, near=board.now) if row.last else "-",
            f"{row.last.lateness:,} ms" if row.last else "-",
            "-" if row.backlog is None else f"{row.backlog:,}",
            row.worker,
        )
    return drawn


def _next(due: Ms | None, now: Ms) -> str:
    if due is None:
        return "-"
    left = max(0, due - now) // SECOND * SECOND
    return f"{clock(due, near=now)} (in {durations.text(left)})" if left < HOUR else clock(due, near=now)
