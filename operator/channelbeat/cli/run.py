"""`channelbeat run`: one run, and what may be done about it."""

import difflib
import json
import sys
from typing import Final, Literal, NoReturn

import click

from channelbeat.broker.runs import Runs
from channelbeat.cli import telling
from channelbeat.cli.runs import newest
from channelbeat.cli.store import Ask, with_runs
from channelbeat.core.runs import FINAL, Run, State
from channelbeat.errors import ChannelbeatError, UsageError
from channelbeat.running.control import key
from channelbeat.runtime import SystemClock

SIMILAR: Final = 500
"""How many runs are looked at for one that may have been meant."""


@click.group("run")
def command() -> None:
    """Show one run of an AtLeastOnce schedule, try a dead one again, or cancel one.

    A run is called NAMESPACE/NAME/EVENT/TIME, as in shop/thumbnails/nightly/2026-11-21T01:30:00Z: `channelbeat runs` lists them.
    """


@command.command(short_help="Say all that is known of a run.")
@click.argument("run")
@with_runs
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show(run: str, output: Literal["text", "json"], ask: Ask[Run]) -> None:
    """Every attempt of RUN: where, when, how long, and how it ended; where it waits, and until when."""
    found = ask(lambda store: _get(store, run))
    click.echo(json.dumps(telling.all_facts(found), indent=2) if output == "json" else "\n".join(telling.full(found, SystemClock().now())))


@command.command(short_help="Queue a dead run again, or all of them.")
@click.argument("run", metavar="RUN | [SCHEDULE]", default="")
@click.option("--all-dead", is_flag=True, help="All dead runs, of SCHEDULE if it is given.")
@with_runs
def retry(run: str, all_dead: bool, ask: Ask[State | int]) -> None:
    """Queue a dead RUN again, with all its attempts before it.

    Exits with 1 when it is not dead.
    """
    if all_dead:
        number = ask(lambda store: _retry_all(store, key(run) if run else ""))
        click.echo(f"{number:,} dead run{'' if number == 1 else 's'} queued again")
        return
    if not run:
        raise UsageError("name the run (`channelbeat runs --state dead` lists those that can be tried again), or say --all-dead")
    state = ask(lambda store: _retry(store, run))
    _done(state is State.DEAD, f"{run} queued again", f"{run} is {state}: only a dead run can be tried again")


@command.command(short_help="Cancel a run that waits, or is running.")
@click.argument("run")
@with_runs
def cancel(run: str, ask: Ask[State]) -> None:
    """Cancel RUN: one that waits will not start, the worker of one that is running is asked to end it.

    Exits with 1 when it has ended.
    """
    state = ask(lambda store: _cancel(store, run))
    done = "is running: its worker is asked to end it (a sync consumer finishes first)" if state is State.RUNNING else "cancelled"
    _done(state not in FINAL, f"{run} {done}", f"{run} is {state}: there is nothing to cancel")


def _done(done: bool, said: str, else_: str) -> None:
    click.echo(said if done else else_, err=not done)
    sys.exit(0 if done else 1)


async def _get(store: Runs, id_: str) -> Run:
    return await store.get(id_) or await _unknown(store, id_)


async def _retry(store: Runs, id_: str) -> State:
    return (await store.retry([id_]))[0] or await _unknown(store, id_)


async def _cancel(store: Runs, id_: str) -> State:
    return await store.cancel(id_) or await _unknown(store, id_)


async def _retry_all(store: Runs, within: str) -> int:
    dead = [run.id async for run in store.each([State.DEAD], within)]
    return sum(state is State.DEAD for state in await store.retry(dead))


async def _unknown(store: Runs, id_: str) -> NoReturn:
    """ChannelbeatError with the runs that may have been meant: of the event that the id names, else of any."""
    event = "/".join(id_.split("/")[:3])
    candidates = await newest(store, list(State), event, SIMILAR) or await newest(store, list(State), "", SIMILAR)
    near = difflib.get_close_matches(id_, [run.id for run in candidates], n=3)
    meant = "".join(f"\n  {one}" for one in near)
    raise ChannelbeatError(
        f"no run {id_} is known (one that has ended is forgotten after an hour, a dead one after a week)" + (f"; near it:{meant}" if near else "")
    )
