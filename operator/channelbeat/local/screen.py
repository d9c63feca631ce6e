"""The live table on a terminal: what is scheduled, when it is next due, how its last run went, what waits and who works."""

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.console import Console as Terminal
from rich.live import Live
from rich.table import Table
from rich.text import Text as Styled

from channelbeat.core.instants import HOUR, SECOND, Ms
from channelbeat.core.timing import durations
from channelbeat.local.board import Board, Row
from channelbeat.local.console import clock
from channelbeat.local.output import Piece
from channelbeat.local.processes import State

FRAME = 4  # lines of the terminal that are not rows
NAMES = ("SCHEDULE", "EVENT")
COUNTS = ("RUN", "RETRY", "OK", "DEAD")
NARROW = 90  # characters


def rows_that_fit() -> int:
    return max(1, os.get_terminal_size(1).lines - FRAME) if os.isatty(1) else 20


class Screen:
    """A sink: text scrolls above the table, which is drawn anew at every write."""

    def __init__(self, terminal: Terminal | None = None) -> None:
        self._terminal = terminal or Terminal(highlight=False, soft_wrap=True)
        self._board = Board(now=0)
        self._live = Live(console=self._terminal, auto_refresh=False, redirect_stdout=False, redirect_stderr=False, get_renderable=self._table)
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

    def _table(self) -> Table:
        return table(self._board, self._terminal.width)


def table(board: Board, width: int) -> Table:
    """Times in the user's zone. What becomes of runs is shown once a schedule is tracked; where it is narrow, names are cut, and then the
    last time is left out."""
    tracked = any(row.runs for row in board.rows)
    columns = [column for column in _columns(board.now) if tracked or column.header not in COUNTS]
    if tracked and width < NARROW:
        columns = [column for column in columns if column.header != "LAST"]
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, caption=f"and {board.more:,} more events" if board.more else None)
    for header, least, right, _ in columns:  # a name is one word, so it is cut, not wrapped
        drawn.add_column(header, min_width=least, justify="right" if right else "left", no_wrap=header not in NAMES, overflow="ellipsis")
    for row in board.rows:
        drawn.add_row(*(Styled(column.cell(row)) for column in columns))
    return drawn


class _Column(NamedTuple):
    """`least`: a width that most cells have, so that it does not jump about."""

    header: str
    least: int
    right: bool
    cell: Callable[[Row], str]


def _columns(now: Ms) -> tuple[_Column, ...]:
    return (
        _Column("SCHEDULE", 8, False, lambda row: row.schedule),
        _Column("EVENT", 5, False, lambda row: row.event),
        _Column("NEXT", 9, False, lambda row: _next(row, now)),
        _Column("LAST", 14, False, lambda row: _last(row, now)),
        _Column("WAIT", 4, True, lambda row: _number(row.waiting)),
        _Column("RUN", 3, True, lambda row: _number(row.runs and row.runs.running)),
        _Column("RETRY", 5, True, lambda row: _number(row.runs and row.runs.retrying)),
        _Column("OK", 5, True, lambda row: _number(row.runs and row.runs.ok)),
        _Column("DEAD", 4, True, lambda row: _number(row.runs and row.runs.dead)),
        _Column("WORKER", 7, False, lambda row: _crew(row.crew)),
    )


def _next(row: Row, now: Ms) -> str:
    if row.runs and row.runs.paused is not None:
        return "paused"
    if row.next is None:
        return "-"
    left = max(0, row.next - now) // SECOND * SECOND
    return f"in {durations.text(left)}" if left < HOUR else clock(row.next // SECOND * SECOND, near=now)


def _last(row: Row, now: Ms) -> str:
    return f"{clock(row.last.at // SECOND * SECOND, near=now)} +{row.last.lateness:,}ms" if row.last else "-"


def _number(of: int | None) -> str:
    return "-" if of is None else f"{of:,}"


def _crew(crew: Sequence[State]) -> str:
    """`running`, `3 running`, `2/3 running`."""
    match sum(state is State.RUNNING for state in crew), len(crew):
        case _, 0:
            return "-"
        case _, 1:
            return crew[0]
        case running, several:
            return f"{running if running == several else f'{running}/{several}'} running"
