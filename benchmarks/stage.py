"""A control plane, a Redis and operators, as they run in a cluster, and what is seen of them from outside.

The control plane is that of the tests, without its controller manager, which would take a share of the processor. Operators run from
compiled modules, as in the image, wherever this Python is told to write none.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from benchmarks.machine import cpu_seconds, redis
from support import arrivals, cluster
from support.arrivals import Channel
from support.cluster import ControlPlane
from support.cluster_api import BEATS, Api
from support.operators import Installation, Operator, installed

CONNECTIONS: Final = 8
POLL: Final = 0.02
_REQUESTS: Final = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


class Call(NamedTuple):
    """Of the API server: PUT, `leases`; PATCH, `beatschedules/status`."""

    verb: str
    what: str

    @property
    def writes(self) -> bool:
        return self.verb not in ("GET", "LIST", "WATCH", "CONNECT")


@dataclass(frozen=True, slots=True)
class Use:
    """Of a process: seconds of CPU so far; megabytes resident now, and at most so far."""

    cpu: float
    memory: float
    most: float


class Stage:
    def __init__(self, plane: ControlPlane, url: str, folder: Path) -> None:
        self.plane, self.api, self.url, self._folder = plane, plane.api, url, folder
        self._compiled = str(folder / "compiled")

    @contextmanager
    def installed(self, timing: str = "3s/1s") -> Iterator[Installation]:
        """For a namespace of its own, whose messages are in channels of its own."""
        namespace = self.plane.new_namespace()
        folder = self._folder / namespace
        folder.mkdir()
        layers = {"default": {"url": self.url, "prefix": namespace}}
        stack = ExitStack()
        try:
            yield stack.enter_context(installed(self.plane, layers, folder, namespace=namespace, timing=timing))
        finally:
            with redirect_stdout(StringIO()):  # it would print what they logged
                stack.close()

    def start(self, us: Installation, *options: str) -> Operator:
        """A replica, for which nobody waits."""
        return us.start(*options, PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=self._compiled)

    @contextmanager
    def channel(self, us: Installation, name: str) -> Iterator[Channel]:
        with arrivals.channel(self.url, name, us.namespace) as channel:
            yield channel

    def compile(self) -> None:
        """What an operator imports."""
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": self._compiled}
        subprocess.run([sys.executable, "-m", "channelbeat", "operator", "--help"], env=environment, stdout=subprocess.DEVNULL, check=True)

    def make(self, path: str, bodies: Sequence[dict[str, Any]]) -> None:
        """Creates them, over several connections."""

        def share(first: int) -> None:
            api = Api(self.plane.url, ca=self.plane.ca, token=self.plane.token)
            for body in bodies[first::CONNECTIONS]:
                api.create(path, body)
            api.close()

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(share, range(CONNECTIONS)))

    def make_schedules(self, us: Installation, bodies: Sequence[dict[str, Any]]) -> None:
        self.make(BEATS.format(us.namespace), bodies)

    def calls(self) -> Counter[Call]:
        """All that the API server was asked for so far, by whomever."""
        found = Counter[Call]()
        for labels, value in _REQUESTS.findall(self.api.get("/metrics")):
            of = dict(_LABEL.findall(labels))
            found[Call(of["verb"], "/".join(filter(None, (of["resource"], of["subresource"]))))] += int(float(value))
        return found


@contextmanager
def staged() -> Iterator[Stage]:
    with redis() as server, cluster.running() as plane, tempfile.TemporaryDirectory(prefix="cb-bench-", ignore_cleanup_errors=True) as folder:
        if plane.manager:
            plane.manager.kill()
        plane.install_crd()
        stage = Stage(plane, server.url, Path(folder))
        stage.compile()
        yield stage


def used(operator: Operator) -> Use:
    pid = operator.process.pid
    most = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return Use(cpu_seconds(pid), psutil.Process(pid).memory_info().rss / 2**20, int(most[1]) / 2**10 if most else 0)


def when(operator: Operator, condition: Callable[[], bool], within: float, what: str) -> float:
    """The moment (time.time) from which it is so."""
    deadline = time.monotonic() + within
    while not condition():
        if operator.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"not within {within:g} s: {what}\n{operator}")
        time.sleep(POLL)
    return time.time()


def progress(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)
