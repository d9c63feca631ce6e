"""`channelbeat runs` and `channelbeat run`, on a real Redis: each run was brought to where it is by what does it in earnest."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis.asyncio import Redis

from channelbeat.broker import connect
from channelbeat.broker.claims import Claims, Done
from channelbeat.broker.putting import AsyncOneOffs
from channelbeat.broker.sending import RedisBroker
from channelbeat.cli.root import root
from channelbeat.core.batch import Adopt, Send, Tracked, queue_of
from channelbeat.core.instants import HOUR, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.runs import Policy
from support.redis import RedisServer

T: Ms = 1_700_000_000_000  # long gone by


@dataclass(frozen=True)
class Store:
    """A layer, and what is done to its runs."""

    url: str
    prefix: str = "asgi"

    def sent(self, event: str, *dues: Ms, channel: str = "c", limit: int = 3) -> None:
        """A run `EVENT/DUE` for each due time."""

        async def send() -> None:
            broker = RedisBroker(LayerSettings("default", self.url, prefix=self.prefix), owner="us")
            await broker.lead()
            policy = Policy(limit=limit, backoff=HOUR, max_backoff=HOUR).text()
            runs = [(due, Tracked(f"{event}/{due}", policy)) for due in dues]
            sends = [Send(event, T + due, "h", "enqueued", False, queue_of(channel), {"type": "x"}, run) for due, run in runs]
            answers = await broker.enqueue([Adopt(event, T, "h", "new"), *sends])
            assert {answer.value for answer in answers.answers} == {"s"}
            await broker.close()

        asyncio.run(send())

    def put(self, run: str, delay: Ms | None = None) -> None:
        """A one-off."""
        self._with_redis(lambda redis: AsyncOneOffs(redis, self.prefix, name="default").put(run, "c", b"", delay=delay))

    def worked(self, done: Callable[[str, str], Done] | None = None, channel: str = "c") -> str:
        """A worker takes the next run of the channel, and ends it so; answers which."""

        async def work(redis: Redis) -> str:
            claims = Claims(redis, self.prefix, worker="w", host="box:17", claim=HOUR, name="default")
            item: Any = (await claims.take(0, f"w:0:{channel}", [channel])).item
            if done:
                await claims.take(0, f"w:0:{channel}'s end", [], done(item.run, item.token))
            return str(item.run)

        run: str = self._with_redis(work)
        return run

    def _with_redis(self, use: Callable[[Redis], Awaitable[Any]]) -> Any:
        async def used() -> Any:
            async with connect.client(self.url, timeout=5) as redis:
                return await use(redis)

        return asyncio.run(used())

    def call(self, *arguments: str) -> Result:
        return CliRunner().invoke(root, [*arguments, "--redis", self.url, *(("--prefix", self.prefix) if self.prefix != "asgi" else ())])

    def listed(self, *arguments: str) -> list[str]:
        """Of the table `RUN STATE`, in order; what is no row as it is."""
        done = self.call("runs", *arguments)
        assert done.exit_code == 0, done.output
        return [" ".join(line.split()[:2]) if line.count("   ") > 1 else line for line in done.stdout.splitlines() if not line.startswith("RUN ")]


def ok(run: str, token: str) -> Done:
    return Done(run, token, "ok", result="42")


def failed(run: str, token: str) -> Done:
    return Done(run, token, "failed", error="ValueError: boom", trace="Traceback\n  boom")


@pytest.fixture
def store(redis: Redis, redis_server: RedisServer) -> Store:
    return Store(redis_server.url)


@pytest.fixture
def full(store: Store) -> Store:
    """One in each place."""
    store.sent("shop/a/tick", 1, channel="one")
    store.worked(ok, "one")
    store.sent("shop/a/tick", 2, channel="two", limit=0)
    store.worked(failed, "two")
    store.sent("shop/a/tock", 1, channel="three")
    store.worked(failed, "three")
    store.sent("shop/ab/tick", 1, channel="four")
    store.worked(channel="four")
    store.sent("default/b/tick", 1)
    store.put("mine", HOUR)
    return store


EVERY = ["mine delayed", "default/b/tick/1 queued", "shop/ab/tick/1 running", "shop/a/tock/1 retrying", "shop/a/tick/2 dead", "shop/a/tick/1 succeeded"]


@pytest.mark.parametrize(
    ("sentence", "arguments", "rows"),
    [
        ("all of them, newest first", [], EVERY),
        ("of a schedule, not of one whose name begins like its", ["shop/a"], EVERY[3:]),
        ("of an event", ["shop/a/tick"], EVERY[4:]),
        ("a name alone is in the namespace default", ["b"], EVERY[1:2]),
        ("in some states", ["--state", "dead", "--state", "running"], [EVERY[2], EVERY[4]]),
        ("both", ["shop/a", "--state", "retrying"], EVERY[3:4]),
        ("none of a schedule", ["shop/nope"], ["no run of shop/nope"]),
        ("none in a state", ["shop/a", "--state", "expired", "--state", "queued"], ["no run of shop/a is expired or queued"]),
        ("no more than asked for, and the rest is counted as far as it can", ["--limit", "2"], [*EVERY[:2], "… and at least 3 more: --limit"]),
        ("those of a schedule are not", ["shop/a", "--limit", "1"], [EVERY[3], "… and more: --limit"]),
        ("as many as there are", ["--limit", "6"], EVERY),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_which_runs_are_listed(full: Store, sentence: str, arguments: list[str], rows: list[str]) -> None:
    assert full.listed(*arguments) == rows, sentence


def test_when_all_can_be_counted_the_rest_is_said_exactly(store: Store) -> None:
    store.sent("shop/a/tick", *range(1, 1_503))
    assert store.listed("--limit", "1", "--state", "queued")[1:] == ["… and 1,501 more: --limit"]
    assert store.listed("--limit", "1", "--state", "queued", "--state", "delayed")[1:] == ["… and at least 1,501 more: --limit"], "not apart from retrying"


def test_nothing_at_all_is_said(store: Store) -> None:
    assert store.listed() == ["no run"]


def test_for_programs_a_list_is_an_object_a_line(full: Store) -> None:
    runs = [json.loads(line) for line in full.call("runs", "-o", "json").stdout.splitlines()]
    assert [f"{run['run']} {run['state']}" for run in runs] == EVERY
    assert (runs[2]["worker"], runs[2]["attempts"], runs[2]["maxAttempts"]) == ("box:17", 1, 4)
    assert (runs[3]["error"], runs[3]["schedule"], runs[3]["event"]) == ("ValueError: boom", "shop/a", "tock")


def test_one_run(full: Store) -> None:
    shown = full.call("run", "show", "shop/a/tock/1").stdout
    assert [words for words in ("Event:     shop/a tock", "State:     retrying, in ", "Attempts:  1/4", "Traceback\n  boom") if words not in shown] == []
    assert re.search(r"\n1 +box:17 +\S+ +\d+ms +failed +ValueError: boom\n", shown)
    run = json.loads(full.call("run", "show", "shop/a/tick/1", "-o", "json").stdout)
    assert (run["state"], run["result"], [attempt["how"] for attempt in run["history"]]) == ("succeeded", "42", ["succeeded"])


@pytest.mark.parametrize("verb", ["show", "retry", "cancel"])
def test_a_mistyped_run_is_told_with_those_near_it(full: Store, verb: str) -> None:
    done = full.call("run", verb, "shop/a/tick/3")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: no run shop/a/tick/3 is known")
    assert sorted(done.stderr.splitlines()[1:]) == ["  shop/a/tick/1", "  shop/a/tick/2"]
    assert "near it:\n  shop/a/tick/2" in full.call("run", verb, "shp/a/tick/2").stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said", "after"),
    [
        (["retry", "shop/a/tick/2"], 0, "shop/a/tick/2 queued again", "shop/a/tick/2 queued"),
        (["retry", "shop/a/tick/1"], 1, "shop/a/tick/1 is succeeded: only a dead run can be tried again", "shop/a/tick/1 succeeded"),
        (["retry", "--all-dead"], 0, "1 dead run queued again", "shop/a/tick/2 queued"),
        (["retry", "--all-dead", "shop/a"], 0, "1 dead run queued again", "shop/a/tick/2 queued"),
        (["retry", "--all-dead", "shop/ab"], 0, "0 dead runs queued again", "shop/a/tick/2 dead"),
        (["cancel", "default/b/tick/1"], 0, "default/b/tick/1 cancelled", "default/b/tick/1 cancelled"),
        (["cancel", "mine"], 0, "mine cancelled", "mine cancelled"),
        (["cancel", "shop/ab/tick/1"], 0, "shop/ab/tick/1 is running: its worker is asked to end it", "shop/ab/tick/1 running"),
        (["cancel", "shop/a/tick/2"], 1, "shop/a/tick/2 is dead: there is nothing to cancel", "shop/a/tick/2 dead"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_done_about_a_run(full: Store, arguments: list[str], status: int, said: str, after: str) -> None:
    done = full.call("run", *arguments)
    assert (done.exit_code, done.output.startswith(said)) == (status, True), done.output
    assert after in full.listed()


def test_another_prefix_is_another_layer(full: Store) -> None:
    assert Store(full.url, "shop").listed() == ["no run"]


def test_a_layer_of_a_file(full: Store, tmp_path: Path) -> None:
    path = tmp_path / "layers.yaml"
    path.write_text(f"default: {{url: {full.url}}}\nother: {{url: {full.url}, prefix: other}}")
    runner = CliRunner()
    assert "default/b/tick/1" in runner.invoke(root, ["runs", "--layers", str(path)]).stdout
    assert runner.invoke(root, ["runs", "--layers", str(path), "--layer", "other"]).stdout == "no run\n"
    nope = runner.invoke(root, ["runs", "--layers", str(path), "--layer", "nope"])
    assert (nope.exit_code, "has no layer 'nope' (there is default, other)" in nope.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["runs", "--redis", "redis://127.0.0.1:1"], 1, "layer 'default': Redis does not answer"),
        (["runs", "--redis", "sentinel://h"], 2, "--redis: Redis Sentinel is not supported yet"),
        (["runs", "--prefix", "x"], 2, "--prefix belongs to --redis URL"),
        (["runs", "--state", "asleep"], 2, "'asleep' is not one of"),
        (["run", "retry", "--redis", "redis://127.0.0.1:1"], 2, "name the run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_asked_is_told(arguments: list[str], status: int, said: str) -> None:
    done = CliRunner().invoke(root, arguments)
    assert (done.exit_code, said in done.stderr) == (status, True), done.output
