"""The outside reader, a process of its own: when do messages appear in Redis, and is each there once?

`python -m benchmarks.arrivals URL KIND N DUE LIMIT`: it watches the keys of N messages due at DUE (seconds since the epoch) until all are
there, or none has come for QUIET seconds since the latest, or LIMIT seconds have passed; then it reads them and prints an
Arrivals as JSON. What was there before DUE is deleted: some peers send everything once when they start. It only counts while it watches,
by one short script each POLL, the same for all. A queue is a ZSET of the channel layer (`zset`, one of CHANNELS) or Celery's list (`list`).
"""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import msgpack
from redis import Redis

from benchmarks.tables import quantile

CHANNELS = [f"channel-{number}" for number in range(100)]
POLL = 0.002
QUIET = 12.0
CLEARED_BEFORE = 1.0
COUNT = """
local found = 0
for _, key in ipairs(KEYS) do found = found + redis.call(ARGV[1], key) end
return found
"""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """`arrived` are different ones, `doubled` those beyond; p50, p99 and last are seconds after due, of those that arrived."""

    arrived: int
    doubled: int
    p50: float
    p99: float
    last: float


def watching(url: str, kind: str, number: int, due: float, limit: float) -> "subprocess.Popen[str]":
    """The reader, started; `answer` has what it found."""
    command = [sys.executable, "-m", "benchmarks.arrivals", url, kind, str(number), str(due), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def answer(reader: "subprocess.Popen[str]") -> Arrivals:
    said, _ = reader.communicate()
    return Arrivals(**json.loads(said))


def main(url: str, kind: str, number: int, due: float, limit: float) -> None:
    keys = [f"asgi{channel}" for channel in CHANNELS] if kind == "zset" else ["celery"]
    with Redis.from_url(url) as redis:
        time.sleep(max(0.0, due - CLEARED_BEFORE - time.time()))
        redis.delete(*keys)
        late = _watch(redis, keys, "ZCARD" if kind == "zset" else "LLEN", number, due, limit)
        found = list(_members(redis, keys) if kind == "zset" else _tasks(redis))
    late.sort()
    arrived = len(set(found))
    worst = (quantile(late, 0.5), quantile(late, 0.99), late[-1]) if late else (limit, limit, limit)
    print(json.dumps(asdict(Arrivals(arrived, len(found) - arrived, *worst))))


def _watch(redis: "Redis", keys: list[str], command: str, number: int, due: float, limit: float) -> list[float]:
    """Seconds after due at which each message was first seen."""
    count = redis.register_script(COUNT)
    late: list[float] = []
    latest = due
    while len(late) < number:
        there: Any = count(keys=keys, args=[command])
        now = time.time()
        if there > len(late):
            late += [now - due] * (there - len(late))
            latest = now
        if now > due + limit or (late and now > latest + QUIET):
            break
        time.sleep(POLL)
    return late


def _members(redis: "Redis", keys: list[str]) -> Iterable[int]:
    for key in keys:
        for member in redis.zrange(key, 0, -1):
            yield msgpack.unpackb(member[12:])["message"]["i"]


def _tasks(redis: "Redis") -> Iterable[int]:
    tasks: Any = redis.lrange("celery", 0, -1)
    for task in tasks:
        yield json.loads(base64.b64decode(json.loads(task)["body"]))[0][0]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
