"""One-off runs from a project's own code: where they go, what is refused, what is said."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from channelbeat.errors import Unreachable
from channelbeat.worker import acancel, asend, cancel, send, sending
from support.shop import record, state

EVENT = {"type": "thumbnail.generate", "width": 640}
NIGHT = datetime(2126, 11, 21, 1, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def default(layer: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(sending, "_warned", {})
    yield
    await layer.close_pools()


def body(store: "Redis", layer: Any, run: str) -> Any:
    return layer.deserialize(store.get(f"channelbeat:asgi:body:{run}"))


def test_a_run_is_queued_with_its_id(store: "Redis", layer: Any) -> None:
    run = send("thumbnails", EVENT)
    assert run.startswith("once/thumbnails/")
    assert state(store, run) == "queued"
    assert body(store, layer, run) == {**EVENT, "beat": {"v": 1, "run": run}}
    assert store.zcard("channelbeat:asgi:queue:thumbnails") == 1


async def test_the_async_form_does_the_same(store: "Redis") -> None:
    run = await asend("thumbnails", EVENT, key="a b/c")
    assert run == "once/thumbnails/a b/c"
    assert state(store, run) == "queued"
    assert await acancel(run) == "queued"
    assert state(store, run) == "cancelled"
    assert await acancel("once/no/such") is None


async def test_any_number_at_once(store: "Redis") -> None:
    """The layer's own pool has a hundred connections."""
    runs = await asyncio.gather(*(asend("thumbnails", EVENT) for _ in range(300)))
    assert len(set(runs)) == 300


@pytest.mark.parametrize("when", [{"delay": 60}, {"delay": 0.5}, {"delay": timedelta(days=1)}, {"at": NIGHT}], ids=str)
def test_later(store: "Redis", when: dict[str, Any]) -> None:
    assert state(store, send("thumbnails", EVENT, **when)) == "delayed"


@pytest.mark.parametrize("when", [{"delay": 0}, {"delay": timedelta(0)}, {"at": datetime(2001, 1, 1, tzinfo=UTC)}], ids=str)
def test_now(store: "Redis", when: dict[str, Any]) -> None:
    assert state(store, send("thumbnails", EVENT, **when)) == "queued"


def test_at_is_kept_to_the_millisecond(store: "Redis") -> None:
    run = send("thumbnails", EVENT, at=NIGHT.replace(microsecond=123_456))
    assert record(store, run)["due"] == str(int(NIGHT.timestamp()) * 1_000 + 123)


def test_a_key_makes_it_unique(store: "Redis") -> None:
    assert send("thumbnails", EVENT, key="order-7") == send("thumbnails", EVENT, key="order-7") == "once/thumbnails/order-7"
    assert store.zcard("channelbeat:asgi:queue:thumbnails") == 1
    assert send("thumbnails", EVENT) != send("thumbnails", EVENT)


def test_what_waits_is_cancelled(store: "Redis") -> None:
    run = send("thumbnails", EVENT, delay=60)
    assert cancel(run) == "delayed"
    assert state(store, run) == "cancelled"
    assert cancel("once/no/such") is None


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"channel": "no spaces"}, ValueError, "'no spaces' is no channel"),
    ({"channel": 7}, ValueError, "7 is no channel"),
    ({"channel": "one!process"}, ValueError, "one process's own"),
    ({"event": ["type"]}, TypeError, "an event is a dict"),
    ({"event": {}}, ValueError, "no 'type'"),
    ({"event": {"type": ""}}, ValueError, "no 'type'"),
    ({"event": {"type": 7}}, ValueError, "no 'type'"),
    ({"event": {"type": "x", "beat": {}}}, ValueError, "'beat' is channelbeat's own"),
    ({"event": {"type": "x", "when": NIGHT}}, TypeError, "the event 'x' cannot be sent: can not serialize 'datetime"),
    ({"event": {"type": "x", "n": 2**70}}, TypeError, "the event 'x' cannot be sent"),
    ({"event": {"type": "x", 3: 1}}, TypeError, "the event 'x' cannot be sent: int is not allowed for map key"),
    ({"delay": 1, "at": NIGHT}, ValueError, "which of them"),
    ({"delay": -1}, ValueError, "seconds from 0 up"),
    ({"delay": 1e306}, ValueError, "at most ten years"),
    ({"delay": timedelta(days=3654)}, ValueError, "at most ten years"),
    ({"delay": timedelta(seconds=-1)}, ValueError, "seconds from 0 up"),
    ({"delay": float("nan")}, ValueError, "seconds from 0 up"),
    ({"delay": float("inf")}, ValueError, "seconds from 0 up"),
    ({"delay": "5m"}, TypeError, "seconds or a timedelta"),
    ({"delay": True}, TypeError, "seconds or a timedelta"),
    ({"at": NIGHT.replace(tzinfo=None)}, ValueError, "no time zone"),
    ({"at": 1_800_000_000}, TypeError, "at is a datetime"),
    ({"key": ""}, ValueError, "1 to 200 printable"),
    ({"key": 201 * "x"}, ValueError, "1 to 200 printable"),
    ({"key": "a\nb"}, ValueError, "1 to 200 printable"),
    ({"layer": "other"}, ValueError, "CHANNEL_LAYERS has no 'other': it has 'default'"),
]


@pytest.mark.parametrize(("what", "error", "says"), REFUSED, ids=[says + str(number) for number, (_, _, says) in enumerate(REFUSED)])
def test_is_refused(store: "Redis", what: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        send(**{"channel": "thumbnails", "event": EVENT, **what})
    assert store.keys() == []


def test_a_redis_that_is_away_is_told(layer: Any) -> None:
    layer.hosts = [{"address": "redis://127.0.0.1:1"}]
    with pytest.raises(Unreachable, match="layer 'default': Redis does not answer"):
        send("thumbnails", EVENT)


class TestWithoutALeader:
    def test_it_is_said_once_a_minute(self, store: "Redis", caplog: pytest.LogCaptureFixture) -> None:
        store.hset("channelbeat:asgi:state", ":leaderSeen", 1)
        send("thumbnails", EVENT)
        send("thumbnails", EVENT)
        (said,) = [entry.getMessage() for entry in caplog.records]
        assert said.startswith("layer 'default': there is no leader, it was last seen ")
        assert said.endswith(" s ago: delayed runs and retries wait until channelbeat runs")
        sending._warned["default"] -= 60_000
        send("thumbnails", EVENT)
        assert len(caplog.records) == 2

    def test_ever(self, caplog: pytest.LogCaptureFixture) -> None:
        send("thumbnails", EVENT)
        assert "there is no leader: delayed" in caplog.text

    def test_with_one_nothing_is_said(self, store: "Redis", caplog: pytest.LogCaptureFixture) -> None:
        seconds, _ = store.time()
        store.hset("channelbeat:asgi:state", ":leaderSeen", seconds * 1_000)
        send("thumbnails", EVENT)
        assert not caplog.records


def test_a_forked_process_has_a_connection_of_its_own(store: "Redis") -> None:
    send("thumbnails", EVENT)
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            for key in range(20):
                send("thumbnails", EVENT, key=f"{number}-{key}")
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert store.zcard("channelbeat:asgi:queue:thumbnails") == 81


def test_both_forms_from_one_loop_after_the_other(store: "Redis") -> None:
    for _ in range(2):
        asyncio.run(asend("thumbnails", EVENT))
    assert store.zcard("channelbeat:asgi:queue:thumbnails") == 2


def test_it_is_imported_without_settings() -> None:
    done = subprocess.run([sys.executable, "-c", "from channelbeat.worker import send, current_run; current_run()"], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
