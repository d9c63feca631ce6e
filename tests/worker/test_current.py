"""What `current_run` answers, and where."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from channels.consumer import AsyncConsumer, SyncConsumer

from channelbeat.worker import CurrentRun, current_run
from channelbeat.worker.instance import Instance

DUE = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)


def run(number: int = 1) -> CurrentRun:
    return CurrentRun(f"shop/a/b/{number}", number, DUE, "shop/a/b", "c")


class Async(AsyncConsumer):
    async def look(self, message: dict[str, Any]) -> None:
        message["seen"] += [current_run(), await self.deeper(), await sync_to_async(current_run)(), await asyncio.create_task(self.deeper())]

    async def deeper(self) -> CurrentRun | None:
        await asyncio.sleep(0)
        return current_run()


class Sync(SyncConsumer):
    def look(self, message: dict[str, Any]) -> None:
        assert threading.current_thread() is not threading.main_thread()
        message["seen"] += [current_run()] * 4


@pytest.fixture(autouse=True)
async def slot(layer: Any) -> AsyncIterator[None]:
    async with ThreadSensitiveContext():
        yield
    await layer.close_pools()


@pytest.mark.parametrize("consumer", [Async, Sync])
async def test_one_instance_sees_the_run_of_each_message(consumer: type[AsyncConsumer]) -> None:
    instance, seen = Instance(consumer.as_asgi(), "c"), list[CurrentRun | None]()
    first, third = run(1), run(3)
    for expected in (first, None, third):  # a plain message is no run
        await instance.handle({"type": "look", "seen": seen}, expected)
        assert [found is expected for found in seen] == [True] * 4
        seen.clear()
    assert current_run() is None
    instance.cancel()


async def test_two_instances_see_their_own() -> None:
    seen = [list[CurrentRun | None](), list[CurrentRun | None]()]
    instances, runs = [Instance(Async.as_asgi(), "c") for _ in seen], [run(1), run(2)]
    await asyncio.gather(*(instance.handle({"type": "look", "seen": those}, own) for instance, those, own in zip(instances, seen, runs, strict=True)))
    assert [{found.id for found in those if found} for those in seen] == [{"shop/a/b/1"}, {"shop/a/b/2"}]
    for instance in instances:
        instance.cancel()


def test_outside_there_is_none() -> None:
    assert current_run() is None


@pytest.mark.parametrize(
    ("result", "kept"),
    [("as it is", "as it is"), ({"made": 3}, '{"made": 3}'), ([1, None], "[1, null]"), (7, "7"), ("", ""), ("ü" * 5_000, "ü" * 5_000)],
)
def test_a_result_is_kept(result: object, kept: str) -> None:
    found = run()
    found.set_result("an earlier one")
    found.set_result(result)
    assert found.result == kept


@pytest.mark.parametrize(
    ("result", "error", "says"),
    [
        ("x" * 10_001, ValueError, "its result has 10,001 bytes, and may have 10,000"),
        ("ü" * 5_001, ValueError, "10,002 bytes"),
        (["x" * 10_000], ValueError, "10,004 bytes"),
        ({1, 2}, TypeError, "set is not JSON serializable"),
        ("\ud800", ValueError, "surrogates"),
    ],
)
def test_a_result_is_refused(result: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        run().set_result(result)
