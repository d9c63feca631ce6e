"""Is a worker alive? It leaves the time in a small file, and `python -m channelbeat.heartbeat CHANNEL...`, a probe, looks at it.

The file is in memory where that can be had, which a container with a read-only disk still has. Neither Django nor Redis is asked.
"""

import argparse
import hashlib
import os
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

FOLDERS: Final = ("/dev/shm", os.environ.get("TMPDIR", "/tmp"))
LOOK: Final = 0.1  # seconds
_SECOND: Final = 1_000


class Beat(NamedTuple):
    """A process's last sign, by CLOCK_MONOTONIC, and how long it may be the last; in ms. `began`: which of those that had its number it is."""

    pid: int
    began: str
    at: int
    lasts: int


class Heartbeat:
    """A worker's own; `lasts`, in ms: one that has not been heard of for so long is dead."""

    def __init__(self, channels: Collection[str], layer: str, lasts: int) -> None:
        folder = next((folder for folder in FOLDERS if os.access(folder, os.W_OK)), FOLDERS[-1])
        self._path = os.path.join(folder, f"{_name(channels, layer)}{os.getpid()}")
        self._lasts, self._next, self._began = lasts, 0, _began(os.getpid())
        for path, beat in _beats(channels, layer):
            if not _exists(beat):
                with suppress(OSError):
                    os.unlink(path)

    def beat(self) -> None:
        """Often is not too often. Raises OSError when there is nowhere to write."""
        now = _now()
        if now < self._next:
            return
        self._next = now + min(self._lasts // 3, 5 * _SECOND)
        fresh = f"{self._path}.new"
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(file, f"{os.getpid()} {self._began} {now} {self._lasts}".encode())
        finally:
            os.close(file)
        os.rename(fresh, self._path)

    def leave(self) -> None:
        with suppress(OSError):
            os.unlink(self._path)


def fault(channels: Collection[str], layer: str) -> str | None:
    """Why no worker of this user for these channels and this layer is alive; None when one is."""
    beats = [beat for _, beat in _beats(channels, layer)]
    if any(_exists(beat) and _now() - beat.at <= beat.lasts for beat in beats):
        return None
    what = f"no worker for {' '.join(channels)} on layer {layer!r} is alive"
    if not beats:
        return f"{what}: none of this user's was started here, or it has ended; the channels and the layer must be those it was started with"
    latest = max(beats, key=lambda beat: beat.at)
    if not _exists(latest):
        return f"{what}: process {latest.pid} has died"
    return f"{what}: process {latest.pid} was last heard of {(_now() - latest.at) / _SECOND:.0f} s ago"


def waited(channels: Collection[str], layer: str, seconds: float) -> str | None:
    """As `fault`, once there is none, or after so many seconds."""
    ends, pause = _now() + seconds * _SECOND, threading.Event()
    while (found := fault(channels, layer)) and _now() < ends:
        pause.wait(LOOK)
    return found


def _beats(channels: Collection[str], layer: str) -> Iterator[tuple[str, Beat]]:
    name = _name(channels, layer)
    for folder in FOLDERS:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(name) and entry.name.removeprefix(name).isdigit():
                    with suppress(OSError, ValueError):
                        yield entry.path, _read(entry.path)


def _read(path: str) -> Beat:
    with open(path, encoding="ascii") as file:
        if os.fstat(file.fileno()).st_uid != os.getuid():
            raise ValueError("another user's")
        pid, began, at, lasts = file.read().split()
    return Beat(int(pid), began, int(at), int(lasts))


def _name(channels: Collection[str], layer: str) -> str:
    listened = "\0".join([layer, *sorted(set(channels))])
    return f"channelbeat-{os.getuid()}-{hashlib.blake2s(listened.encode(), digest_size=8).hexdigest()}-"


def _exists(beat: Beat) -> bool:
    try:
        os.kill(beat.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _began(beat.pid) == beat.began


def _began(pid: int) -> str:
    """When a process began, in ticks since the machine did; "-" where there is no /proc. A container that is started again finds the files of the one
    before it, whose worker had its number, 1, too."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return "-"


def _now() -> int:
    return time.monotonic_ns() // 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m channelbeat.heartbeat", description="Exit status 0 if a worker for these channels is alive here.")
    parser.add_argument("channels", nargs="+")
    parser.add_argument("--layer", default="default")
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="for at most so long until one is")
    asked = parser.parse_args()
    sys.exit(waited(asked.channels, asked.layer, asked.wait))


if __name__ == "__main__":
    main()
