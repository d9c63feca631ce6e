"""`manage.py runworker` of the project in tests/compat, stock and ours: its processes, what they print, and what its consumers record.

shop = stack.enter_context(opened("ours", url, folder))
worker = shop.start("sync-look", "async-look")              # a child of a launcher (launcher.py); or shop.manage(...), a real manage.py
await shop.send("sync-look", {"type": "look"})
await shop.recorded("sync-look", 1)
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from channels_redis.core import RedisChannelLayer
from redis import Redis

from channelbeat.local import tether
from support.waiting import eventually, until

Flavour: TypeAlias = Literal["stock", "ours"]
TESTS = Path(__file__).parents[1]
PROJECT = TESTS / "compat/project"


class Runworker:
    """One process."""

    def __init__(self, pid: int, output: Path, ask: Callable[[], int | None]) -> None:
        self.pid, self._output, self._ask = pid, output, ask
        self._status: int | None = None

    @property
    def output(self) -> str:
        """All it printed, and logged."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    @property
    def status(self) -> int | None:
        """Its exit status, minus the signal that killed it; None while it lives."""
        if self._status is None:
            self._status = self._ask()
        return self._status

    def signal(self, number: signal.Signals) -> None:
        if self.status is None:
            os.kill(self.pid, number)

    def ends(self) -> int:
        """Its exit status, once it has one."""
        until(lambda: self.status is not None, 15, what=f"the end of {self.pid}: {self.output[-2000:]}")
        assert self._status is not None
        return self._status

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.ends()


class Shop:
    """The project with one of the two commands, on a Redis and in a folder of its own."""

    def __init__(self, flavour: Flavour, url: str, folder: Path, stack: ExitStack) -> None:
        self.flavour, self.url, self._folder, self._stack = flavour, url, folder, stack
        self.record, self.database = folder / "record", folder / "db.sqlite3"
        self.redis = stack.enter_context(Redis.from_url(url))
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "PYTHONPATH": str(TESTS),
            "WORKER": flavour,
            "REDIS": url,
            "RECORD": str(self.record),
            "DATABASE": str(self.database),
            "XDG_RUNTIME_DIR": str(folder),
            "TMPDIR": str(folder),
        }
        self._launcher: subprocess.Popen[str] | None = None
        self._outputs = 0
        self._records, self._read = defaultdict[str, list[list[Any]]](list), 0
        self.record.touch()
        with sqlite3.connect(self.database) as made:  # as `migrate` would, without waiting for another process
            made.execute("CREATE TABLE shop_note (id INTEGER PRIMARY KEY AUTOINCREMENT, text VARCHAR(100) NOT NULL)")
        made.close()

    def manage(self, *argv: str) -> Runworker:
        """`manage.py runworker ARGV`, from the beginning."""
        output = self._output()
        command = tether.command([sys.executable, "manage.py", "runworker", *argv], signal_=signal.SIGKILL)
        with output.open("wb") as file:
            process = subprocess.Popen(command, cwd=PROJECT, env=self._environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        return self._kept(Runworker(process.pid, output, process.poll))

    def start(self, *argv: str, command: str = "runworker", **settings: Any) -> Runworker:
        """The same, or another `command`, without the time that it takes to load Django; `settings` are changed."""
        output = self._output()
        pid = self._asked({"argv": [command, *argv], "settings": settings, "output": str(output)})
        return self._kept(Runworker(pid, output, lambda: self._asked({"ended": pid})))

    def _asked(self, what: dict[str, Any]) -> Any:
        if self._launcher is None:
            command = tether.command([sys.executable, "-m", "support.launcher", "shop.asgi", "channels.management.commands.runworker"], signal_=signal.SIGKILL)
            self._launcher = subprocess.Popen(command, cwd=PROJECT, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._stack.callback(_ended, self._launcher)
        assert self._launcher.stdin is not None
        assert self._launcher.stdout is not None
        print(json.dumps(what), file=self._launcher.stdin, flush=True)
        answer = self._launcher.stdout.readline()
        assert answer, "the launcher is dead"
        return json.loads(answer)

    def _kept(self, worker: Runworker) -> Runworker:
        self._stack.callback(worker.kill)
        return worker

    def _output(self) -> Path:
        self._outputs += 1
        return self._folder / f"output-{self._outputs}"

    async def send(self, channel: str, *messages: dict[str, Any], layer: str = "asgi", url: str = "") -> None:
        """As any code of the project would."""
        async with channel_layer(url or self.url, layer) as found:
            for message in messages:
                await found.send(channel, message)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        async with channel_layer(self.url) as found:
            await found.group_send(group, message)

    def waiting(self, channel: str) -> int:
        """How many messages are in Redis."""
        count: Any = self.redis.zcard(f"asgi{channel}")
        return int(count)

    def records(self, channel: str) -> list[list[Any]]:
        """What consumers of the channel recorded: what, and a value."""
        with self.record.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if line.endswith(b"\n"):  # else it is being written
                    name, *rest = json.loads(line)
                    self._records[name].append(rest)
                    self._read += len(line)
        return list(self._records[channel])

    async def recorded(self, channel: str, count: int) -> list[list[Any]]:
        """The first `count`, once they are there."""
        await eventually(lambda: len(self.records(channel)) >= count, what=f"{count} records of {channel}: {self.records(channel)}")
        return self.records(channel)[:count]

    def notes(self) -> list[str]:
        connection = sqlite3.connect(self.database)
        try:
            return [text for (text,) in connection.execute("SELECT text FROM shop_note ORDER BY id")]
        finally:
            connection.close()


@asynccontextmanager
async def channel_layer(url: str, prefix: str = "asgi") -> AsyncIterator[Any]:
    """As the project has it; it lives in one loop."""
    layer = RedisChannelLayer(hosts=[url], prefix=prefix, capacity=10_000)
    try:
        yield layer
    finally:
        await layer.close_pools()


def _ended(process: "subprocess.Popen[str]") -> None:
    with process:
        process.kill()


@contextmanager
def opened(flavour: Flavour, url: str, folder: Path) -> Iterator[Shop]:
    with ExitStack() as stack:
        yield Shop(flavour, url, folder, stack)
