"""What the live table is told, by a real engine on a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from channelbeat.broker.claims import Claimed, Claims, Done
from channelbeat.core.layer import LayerSettings
from channelbeat.core.parse import parse
from channelbeat.core.schedule import BeatSchedule
from channelbeat.local import board
from channelbeat.local.board import Board, Row
from channelbeat.local.console import Console
from channelbeat.local.output import Output, Plain
from channelbeat.local.processes import State
from channelbeat.local.workers import Place
from channelbeat.runtime import Alone, Engine, SystemClock
from support.redis import RedisServer
from support.waiting import eventually


class Shown:
    """A table that is kept up, with room for so many rows."""

    def __init__(self, engine: Engine, console: Console, room: int) -> None:
        self.board = Board(0)
        crews = {Place("default", "c"): [State.RUNNING, State.WAITING]}
        self._task = asyncio.create_task(board.keep_up(engine, console, lambda: crews, room=lambda: room, now=SystemClock().now, show=self._show))

    def _show(self, found: Board) -> None:
        self.board = found

    def row(self, schedule: str) -> Row:
        return next(row for row in self.board.rows if row.schedule == f"default/{schedule}")

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def schedule(name: str, delivery: str, channel: str | None = "c") -> BeatSchedule:
    where = {"channel": channel} if channel else {"group": "g"}
    events = [{"name": "tick", "type": "say", "every": "8760h"}]
    manifest = {"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "metadata": {"name": name}}
    parsed = parse({**manifest, "spec": {**where, "delivery": delivery, "events": events}})
    assert parsed.schedule, parsed.faults
    return parsed.schedule


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with (tmp_path / "out").open("wb") as file:
        output = Output(Plain(out=file.fileno(), err=file.fileno()), gone=lambda: None)
        yield Console(output, "json")
        output.close()


@pytest.fixture
async def engine(redis: "Redis", redis_server: RedisServer, console: Console) -> AsyncIterator[Engine]:
    layers = {"default": LayerSettings("default", redis_server.url)}
    engine = Engine(layers, owner="us", journal=console, clock=SystemClock(), leadership=Alone())
    for each in (schedule("plain", "BestEffort"), schedule("tracked", "AtLeastOnce"), schedule("group", "BestEffort", None)):
        engine.book.put(each)
    running = asyncio.create_task(engine.run())
    await engine.leading("default")
    yield engine
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_waits_and_what_became_of_runs(engine: Engine, console: Console, redis: "Redis") -> None:
    shown = Shown(engine, console, room=10)
    for token, name in ((1, "plain"), (2, "plain"), (1, "tracked"), (2, "tracked"), (3, "tracked")):
        await engine.trigger(f"default/{name}", "tick", SystemClock().now() + token)
    await eventually(
        lambda: [(row.schedule, row.waiting) for row in shown.board.rows] == [("default/plain", 2), ("default/tracked", 3), ("default/group", None)]
    )
    claims = Claims(redis, "asgi", worker="w", host="box:1", claim=60_000, name="default")
    plain, other, run = [(await claims.take(0, f"w:0:{number}", ["c"])).item for number in range(3)]
    assert isinstance(run, Claimed), (plain, other)
    await eventually(lambda: (runs := shown.row("tracked").runs) and (runs.ok, runs.running) == (0, 1))
    await claims.take(0, "w:0:3", [], Done(run.run, run.token, "ok"))
    await eventually(lambda: (runs := shown.row("tracked").runs) and (runs.ok, runs.running) == (1, 0))
    assert (shown.row("plain").runs, shown.row("group").runs) == (None, None)
    assert (shown.row("tracked").crew, shown.row("group").crew) == ([State.RUNNING, State.WAITING], ())
    await shown.close()


async def test_only_what_fits_is_looked_at(engine: Engine, console: Console) -> None:
    shown = Shown(engine, console, room=1)
    await eventually(lambda: len(shown.board.rows) == 1)
    assert shown.board.more == 2
    await shown.close()
