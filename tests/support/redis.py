"""A real Redis server that tests may stop, kill, freeze, wipe and put back in time."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import kill
from pathlib import Path

from channelbeat.local.embedded_redis import Server

KEPT = ("appendonlydir", "appendonly.aof")  # as Redis 7 and 6 call what they write


class RedisServer(Server):
    """What it acknowledged is in its file at once (not on the disk), so it survives `kill`."""

    def restart(self) -> None:
        """Stopped cleanly and started on its data."""
        self.stop()
        self.start()
        self.wait()

    def crash(self) -> None:
        """kill -9 and started on its data."""
        self.kill()
        self.start()
        self.wait()

    def wipe(self) -> None:
        """kill -9 and started on nothing."""
        self.kill()
        self._forget()
        self.start()
        self.wait()

    def snapshot(self) -> Path:
        """What it holds now, for `restore`."""
        copy = Path(tempfile.mkdtemp(dir=self.directory, prefix="snapshot-"))
        for kept in KEPT:
            if (source := self.directory / kept).is_dir():
                shutil.copytree(source, copy / kept)
            elif source.exists():
                shutil.copy(source, copy / kept)
        return copy

    def restore(self, snapshot: Path) -> None:
        """kill -9 and started on what it held at the `snapshot`; newer writes are lost."""
        self.kill()
        self._forget()
        shutil.copytree(snapshot, self.directory, dirs_exist_ok=True)
        self.start()
        self.wait()

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        kill(self.pid, signal.SIGCONT)

    def _forget(self) -> None:
        for kept in KEPT:
            shutil.rmtree(self.directory / kept, ignore_errors=True)
            (self.directory / kept).unlink(missing_ok=True)


@contextmanager
def running(*options: str) -> Iterator[RedisServer]:
    """A server with a short-lived folder of its own; `options` as on Redis's command line."""
    with tempfile.TemporaryDirectory(prefix="cb-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        server = RedisServer(Path(directory), "--appendfsync", "no", *options)  # everysec may put off writing to the file, too
        server.start()
        try:
            server.wait()
            yield server
        finally:
            server.kill()
