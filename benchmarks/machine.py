"""What it was measured on, and what processes use of it."""

import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from redis import Redis

from channelbeat.local.embedded_redis import Server, find


def described() -> str:
    """`2 cores of ..., 23 GB, Python 3.11.7, Redis 7.0.15 (...), load 0.1`"""
    server = subprocess.run([find(), "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"v=([\d.]+)", server)
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores of {_processor()}, {memory:.0f} GB, Python {platform.python_version()}, "
        f"{Path(find()).name} {version[1] if version else '?'}, load {load:.1f} before the start"
    )


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.machine()


@contextmanager
def redis() -> Iterator[Server]:
    """The server for all: what `channelbeat local` embeds, on a unix socket, with an append-only file that is synced each second."""
    with tempfile.TemporaryDirectory(prefix="cb-bench-", ignore_cleanup_errors=True) as directory:
        server = Server(Path(directory))
        server.start()
        try:
            server.wait()
            yield server
        finally:
            server.kill()


def cpu_seconds(pid: int) -> float:
    """Of a process and its children, those that ended included; 0 when it has ended."""
    try:
        process = psutil.Process(pid)
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


def redis_cpu(client: "Redis") -> float:
    used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
