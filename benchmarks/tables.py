"""What a benchmark prints: a Markdown table under a heading, and what is to be said of it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """`notes` are sentences below: whether the aim was reached, and where the time goes."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        cells = [list(self.columns), *map(list, self.rows)]
        widths = [max(len(row[place]) for row in cells) for place in range(len(self.columns))]
        lines = ["| " + " | ".join(self._aligned(row, widths)) + " |" for row in cells]
        lines.insert(1, "|" + "|".join("-" * (width + 1) + (":" if place else "-") for place, width in enumerate(widths)) + "|")
        return "\n".join([f"## {self.title}", "", *lines, *(f"\n{note}" for note in self.notes)])

    @staticmethod
    def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
        return [cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))]


def aim(what: str, *, reached: bool) -> str:
    return f"Aim: {what}: {'reached' if reached else 'not reached'}."


def seconds(value: float) -> str:
    """Three digits that count."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def ratio(value: float) -> str:
    return f"{value:.1f}x" if value < 10 else f"{value:.0f}x"


def quantile(values: Sequence[float], share: float) -> float:
    """Of sorted values: the least that at least `share` of them do not exceed."""
    return values[max(0, -int(-len(values) * share // 1) - 1)]
