"""What becomes of messages that real consumers are given."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext
from channels.consumer import AsyncConsumer, SyncConsumer
from channels.exceptions import StopConsumer
from channels.layers import channel_layers
from channels.routing import ChannelNameRouter
from channels_redis.core import RedisChannelLayer

from channelbeat.worker.instance import Ending, Instance
from support.redis import RedisServer
from support.waiting import eventually


class Async(AsyncConsumer):
    count = 0

    async def work(self, message: dict[str, Any]) -> int:
        self.count += 1
        message["seen"].append(self.count)
        return 7  # nobody looks at it

    async def fail(self, message: dict[str, Any]) -> None:
        raise ValueError("boom")

    async def leave(self, message: dict[str, Any]) -> None:
        sys.exit(3)

    async def interrupt(self, message: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    async def stop(self, message: dict[str, Any]) -> None:
        raise StopConsumer

    async def hang(self, message: dict[str, Any]) -> None:
        message["seen"].append("hangs")
        await asyncio.Event().wait()

    async def until(self, message: dict[str, Any]) -> None:
        await message["event"].wait()


class Sync(SyncConsumer):
    count = 0

    def work(self, message: dict[str, Any]) -> int:
        self.count += 1
        message["seen"].append(self.count)
        return 7

    def fail(self, message: dict[str, Any]) -> None:
        raise ValueError("boom")

    def leave(self, message: dict[str, Any]) -> None:
        sys.exit(3)

    def interrupt(self, message: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    def stop(self, message: dict[str, Any]) -> None:
        raise StopConsumer


@pytest.fixture(autouse=True)
async def slot(layer: Any) -> AsyncIterator[None]:
    async with ThreadSensitiveContext():
        yield
    await layer.close_pools()


async def ended(instance: Instance) -> None:
    await eventually(lambda: instance.ended)


CONSUMERS = pytest.mark.parametrize("consumer", [Async, Sync])


@CONSUMERS
class TestBothKinds:
    async def test_it_is_done_when_it_asks_for_the_next_and_lives_on(self, consumer: type[AsyncConsumer]) -> None:
        instance, seen = Instance(consumer.as_asgi(), "c"), list[int]()
        for _ in range(3):
            assert await instance.handle({"type": "work", "seen": seen}, None) == Ending(True, None)
        assert seen == [1, 2, 3]
        assert not instance.ended
        instance.cancel()
        await ended(instance)

    async def test_stop_consumer_is_done_and_the_end(self, consumer: type[AsyncConsumer]) -> None:
        instance = Instance(consumer.as_asgi(), "c")
        assert await instance.handle({"type": "stop"}, None) == Ending(True, None)
        assert instance.ended

    @pytest.mark.parametrize(
        ("type_", "error"),
        [("fail", ValueError), ("leave", SystemExit), ("interrupt", KeyboardInterrupt), ("unknown", ValueError), ("_private", ValueError)],
    )
    async def test_it_failed_when_it_raises(self, consumer: type[AsyncConsumer], type_: str, error: type[BaseException]) -> None:
        instance = Instance(consumer.as_asgi(), "c")
        took, raised = await instance.handle({"type": type_}, None)
        assert took
        assert type(raised) is error
        assert instance.ended

    async def test_one_that_ended_takes_nothing(self, consumer: type[AsyncConsumer]) -> None:
        instance = Instance(consumer.as_asgi(), "c")
        await instance.handle({"type": "stop"}, None)
        assert await instance.handle({"type": "work", "seen": []}, None) == Ending(False, None)


async def test_an_application_without_a_consumer_for_the_channel_fails_untaken() -> None:
    took, error = await Instance(ChannelNameRouter({}), "c").handle({"type": "work"}, None)
    assert (took, str(error)) == (False, "No application configured for channel name 'c'")


async def returns_at_once(scope: Any, receive: Any, send: Any) -> None:
    pass


async def takes_one(scope: Any, receive: Any, send: Any) -> str:
    return str(await receive())


async def answers(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "answer"})


async def takes_pairs(scope: Any, receive: Any, send: Any) -> None:
    while True:
        first, second = await receive(), await receive()
        first["seen"].append(second["type"])


async def looks_now_and_then(scope: Any, receive: Any, send: Any) -> None:
    while True:
        try:
            message = await asyncio.wait_for(receive(), 0.001)
            message["seen"].append(1)
        except TimeoutError:
            pass


@pytest.mark.parametrize(
    ("application", "took", "error"),
    [(returns_at_once, False, None), (takes_one, True, None), (answers, True, NotImplementedError), (takes_pairs, True, None)],
)
async def test_bare_applications(application: Callable[..., Any], took: bool, error: type[BaseException] | None) -> None:
    instance = Instance(application, "c")
    ending = await instance.handle({"type": "x"}, None)
    assert (ending.took, type(ending.error) if ending.error else None) == (took, error)
    instance.cancel()
    await ended(instance)


async def test_an_application_that_gives_up_waiting_loses_nothing() -> None:
    instance, seen = Instance(looks_now_and_then, "c"), list[int]()
    for number in range(50):
        await asyncio.sleep(0.0001 * number)
        assert await instance.handle({"type": "x", "seen": seen}, None) == Ending(True, None)
    assert len(seen) == 50
    instance.cancel()
    await ended(instance)


async def test_a_cancelled_handler_says_so() -> None:
    instance, seen = Instance(Async.as_asgi(), "c"), list[str]()
    handled = asyncio.create_task(instance.handle({"type": "hang", "seen": seen}, None))
    await eventually(lambda: seen)
    instance.cancel()
    took, error = await handled
    assert (took, type(error)) == (True, asyncio.CancelledError)


class TestAConsumerThatLosesItsOwnRedis:
    """Each waits for messages of its own: that dies with Redis, or with redis-py's default time-out."""

    @pytest.fixture
    async def frail(self, redis_server: RedisServer) -> AsyncIterator[None]:
        layer: Any = RedisChannelLayer(hosts=[{"address": redis_server.url, "socket_timeout": 0.05}])
        channel_layers.set("default", layer)
        yield
        await layer.close_pools()

    async def test_has_not_failed_when_the_handler_has_not(self, frail: None) -> None:
        instance, event = Instance(Async.as_asgi(), "c"), asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, event.set)
        assert await instance.handle({"type": "until", "event": event}, None) == Ending(True, None)
        await ended(instance)

    async def test_while_idle_takes_nothing_and_says_nothing(self, frail: None, caplog: pytest.LogCaptureFixture) -> None:
        instance = Instance(Async.as_asgi(), "c")
        await ended(instance)
        assert await instance.handle({"type": "work", "seen": []}, None) == Ending(False, None)
        assert not caplog.records


async def test_another_death_while_idle_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def dies(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("of its own")

    await ended(Instance(dies, "c"))
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.ERROR, "Exception inside application: of its own")]
