"""`channelbeat runs`"""

import json
from collections.abc import Collection
from itertools import chain
from typing import Final, Literal, NamedTuple

import click

from channelbeat.broker.runs import Runs
from channelbeat.cli import telling
from channelbeat.cli.store import Ask, with_runs
from channelbeat.core.runs import Run, State
from channelbeat.running.control import key
from channelbeat.runtime import SystemClock

PLACES: Final = (
    frozenset({State.RUNNING}),
    frozenset({State.RETRYING, State.DELAYED, State.BUFFERED}),
    frozenset({State.QUEUED}),
    frozenset({State.DEAD}),
)
"""States whose runs are kept together, and can be counted together."""
HISTORY: Final = frozenset({State.SUCCEEDED, State.EXPIRED, State.CANCELLED})


class Found(NamedTuple):
    """The newest of those asked for. `left`: how many more there are, None if none; if not `exactly`, at least that many."""

    runs: list[Run]
    left: int | None = None
    exactly: bool = False


@click.command("runs")
@click.argument("schedule", default="")
@click.option("--state", "states", type=click.Choice([*map(str, State)]), multiple=True, help="Only runs in this state; may be given several times.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many, at most.")
@with_runs
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="json: an object for each run.")
def command(schedule: str, states: tuple[str, ...], limit: int, output: Literal["text", "json"], ask: Ask[Found]) -> None:
    """List runs of AtLeastOnce schedules, newest first: those not done, those done within the hour, and a week's dead ones.

    SCHEDULE is NAMESPACE/NAME, or NAME for default/NAME; NAMESPACE/NAME/EVENT is one event of it.
    """
    within, wanted = key(schedule) if schedule else "", frozenset(map(State, states or State))
    found = ask(lambda store: _look(store, wanted, within, limit))
    if output == "json":
        for run in found.runs:
            click.echo(json.dumps(telling.facts(run)))
        return
    for line in telling.table(found.runs, SystemClock().now()):
        click.echo(line)
    if not found.runs:
        click.echo(f"no run{f' of {within}' if within else ''}{f' is {_or(states)}' if states else ''}")
    elif found.left is not None:
        number = f"{'' if found.exactly else 'at least '}{found.left:,} " if found.left else ""
        click.echo(f"… and {number}more: --limit")


async def _look(store: Runs, wanted: Collection[State], within: str, limit: int) -> Found:
    parts = [some for place in (*PLACES, HISTORY) if (some := place.intersection(wanted))]
    found = [run for some in parts for run in await newest(store, some, within, limit + 1)]
    shown = sorted(found, key=lambda run: run.enqueued, reverse=True)[:limit]
    if len(found) == len(shown):
        return Found(shown)
    countable = frozenset(chain(*(place for place in PLACES if place.issubset(wanted) and not within)))
    left = sum((await store.count(countable)).values()) - sum(run.state in countable for run in shown)
    return Found(shown, max(0, left), countable.issuperset(wanted))


async def newest(store: Runs, states: Collection[State], within: str, limit: int) -> list[Run]:
    """At most so many."""
    found: list[Run] = []
    async for run in store.each(states, within):
        found.append(run)
        if len(found) == limit:
            break
    return found


def _or(words: Collection[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
