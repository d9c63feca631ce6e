"""A dispatcher that is killed (-9) again and again in a burst, and started again at once: nothing lost, nothing doubled."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgpack
import pytest
from redis import Redis

from channelbeat.core import instants
from channelbeat.core.instants import SECOND, Ms
from channelbeat.local import tether
from channelbeat.runtime import SystemClock
from support.redis import RedisServer
from support.times import NOON
from support.waiting import until

pytestmark = pytest.mark.chaos

KILLS = 15
SPEED = 10
SCHEDULES, EVENTS = 10, 100
PROGRESS = SCHEDULES * EVENTS * 5 // 3
"""Messages of one life: no whole number of rounds."""
LONG = 60
"""Seconds: the clock runs ahead of a busy machine, and there is the more to catch up with."""


@contextmanager
def dispatchers(url: str, origin: Ms) -> Iterator["subprocess.Popen[str]"]:
    """What starts them."""
    script, tests = Path(__file__).with_name("dispatcher.py"), Path(__file__).parents[1]
    command = tether.command([sys.executable, str(script), url, *map(str, (origin, SPEED, SCHEDULES, EVENTS))], signal_=signal.SIGKILL)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(tests)}) as nursery:
        try:
            yield nursery
        finally:
            nursery.kill()


def begin(nursery: "subprocess.Popen[str]") -> int:
    """The process id of a new one."""
    print("go", file=_given(nursery.stdin), flush=True)
    return int(_given(nursery.stdout).readline())


def end(nursery: "subprocess.Popen[str]", child: int, how: signal.Signals) -> int:
    """How it ended."""
    os.kill(child, how)
    return int(_given(nursery.stdout).readline())


def _given(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def fences(redis: "Redis") -> list[Ms]:
    state: Any = redis.hgetall("channelbeat:asgi:state")
    return [int(value.split(b" ")[0]) for field, value in state.items() if not field.startswith(b":")]


def test_killed_again_and_again_in_a_burst(own_redis: RedisServer) -> None:
    origin = SystemClock().now()
    with Redis.from_url(own_redis.url) as redis, dispatchers(own_redis.url, origin) as nursery:
        for life in range(KILLS):
            before = redis.zcard("asgic")
            child = begin(nursery)
            until(lambda before=before: redis.zcard("asgic") >= before + PROGRESS, LONG, what=f"the progress of life {life}")  # type: ignore[misc]
            assert end(nursery, child, signal.SIGKILL) == -signal.SIGKILL
        killed = NOON + (SystemClock().now() - origin) * SPEED
        child = begin(nursery)
        until(lambda: min(fences(redis)) >= killed, LONG, what="the last to be up to date")
        assert end(nursery, child, signal.SIGTERM) == 0
        beats = [msgpack.unpackb(member[12:])["beat"] for member in redis.zrange("asgic", 0, -1)]
    dues = defaultdict[tuple[str, str], list[Ms]](list)
    for beat in beats:
        dues[beat["schedule"], beat["event"]].append(instants.parse(beat["due"]))
    assert len(dues) == SCHEDULES * EVENTS
    for event, found in dues.items():
        assert found == list(range(found[0], found[-1] + 1, SECOND)), f"{event} has a gap, comes twice or out of order"
        assert found[-1] >= killed
