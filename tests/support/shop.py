"""`manage.py runworker` of the project in tests/worker: its processes and what they say; and what Redis knows of a run."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from channelbeat.broker.keys import Keys
from channelbeat.core.runs import Policy
from channelbeat.local import tether
from support.waiting import until

TESTS = Path(__file__).parents[1]
PROJECT = TESTS / "worker/project"
KEYS = Keys("asgi")


class Shop:
    """One process, started at once."""

    def __init__(self, launcher: "Launcher", pid: int, output: Path) -> None:
        self.pid, self._launcher, self._output = pid, launcher, output
        self._status: int | None = None

    @property
    def lines(self) -> list[str]:
        """All it wrote, to stdout and stderr alike."""
        return self._output.read_text(errors="replace").splitlines() if self._output.exists() else []

    def hears(self, words: str, times: int = 1) -> list[str]:
        """Waits for so many lines with these words."""
        until(lambda: len(self.with_words(words)) >= times, 30, what=f"{times} x {words!r} in {self}")
        return self.with_words(words)

    def with_words(self, words: str) -> list[str]:
        return [line for line in self.lines if words in line]

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._ended() is None:
            os.kill(self.pid, number)

    def ends(self) -> int:
        """Its exit status, minus the signal that killed it."""
        until(lambda: self._ended() is not None, 60, what=f"the end of {self}")
        assert self._status is not None
        return self._status

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.ends()

    def _ended(self) -> int | None:
        if self._status is None:
            self._status = self._launcher.asked({"ended": self.pid})
        return self._status

    def __repr__(self) -> str:
        return "\n".join(["", *self.lines[-30:]])


class Launcher:
    """Loads Django once; see support/launcher.py."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process, self._folder, self._count = process, folder, 0

    def start(self, *argv: str, **settings: Any) -> Shop:
        self._count += 1
        output = self._folder / f"output-{self._count}"
        return Shop(self, self.asked({"argv": argv, "settings": settings, "output": str(output)}), output)

    def asked(self, what: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(what), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "the launcher is dead"
        return json.loads(answer)


@contextmanager
def launched(folder: Path) -> Iterator[Launcher]:
    modules = ["shop.asgi", "channels.management.commands.runworker", "channelbeat.worker.management.commands.runworker"]
    command = tether.command([sys.executable, "-m", "support.launcher", *modules], signal_=signal.SIGKILL)
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "shop.settings", "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Launcher(process, folder)
        finally:
            process.kill()


def layers(url: str) -> dict[str, Any]:
    return {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [{"address": url, "socket_timeout": None}]}}}


def record(redis: "Redis", run: str) -> dict[str, str]:
    """What Redis knows of the run."""
    found: Any = redis.hgetall(KEYS.run(run))
    return {name.decode(): value.decode(errors="replace") for name, value in found.items()}


def state(redis: "Redis", run: str) -> str:
    return record(redis, run).get("state", "")


def policy(redis: "Redis", run: str, **changed: Any) -> None:
    """Give a run that waits another policy, which `send` cannot."""
    redis.hset(KEYS.run(run), "policy", Policy(**changed).text())
