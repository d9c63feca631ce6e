"""Runs are sent from wherever Django code may be, and each is handled once by a worker of the same project."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.redis import RedisServer
from support.runworker import Shop, opened

TWICE = [*(f"task {n}" for n in range(5)), "a thread of async code", "sync code in a loop"]
SENT = Counter(
    [
        *TWICE * 2,
        *["a sync view"] * 3,
        *["an async view"] * 3,
        "a view that is called again and again",
        "async_to_sync",
        *(f"thread {n}" for n in range(5)),
        *(f"process {n}{kind}" for n in range(3) for kind in ("", ", async")),
        "four at once",
    ]
)


@pytest.fixture
def shop(own_redis: RedisServer, tmp_path: Path) -> Iterator[Shop]:
    with opened("ours", own_redis.url, tmp_path) as shop:
        yield shop


async def test_from_views_loops_threads_and_forked_processes(shop: Shop) -> None:
    sending = shop.start(command="sendruns")
    assert sending.ends() == 0, sending.output
    assert "one key: 1 run\n" in sending.output
    assert "'was': 'delayed'" in sending.output
    worker = shop.start("raw", "--concurrency", "2")
    records = await shop.recorded("raw", SENT.total())
    assert Counter(message["from"] for _, message in records) == SENT
    again = shop.start(command="sendruns")
    assert again.ends() == 0
    once = ["a view that is called again and again", "four at once"]
    expected = SENT + SENT - Counter(once)
    records = await shop.recorded("raw", expected.total())
    assert Counter(message["from"] for _, message in records) == expected
    assert len({message["beat"]["run"] for _, message in records}) == len(records)
    assert worker.status is None
