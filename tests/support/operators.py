"""`channelbeat operator` as real processes: an installation is a Lease, a layers file, and as many replicas as a test starts.

    with installed(kube, {"default": url}, namespace=namespace, folder=tmp_path) as us:
        one, two = us.pair()                                 # or us.replica(); ready, which us.start() does not wait for
        us.leader().kill()                                   # or stop(), freeze() and thaw()
        two.hears("takes over")

They die with the test run, and what they logged is kept for whoever looks into a failure.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml
from prometheus_client.parser import text_string_to_metric_families

from channelbeat.local import tether
from support.cluster import ControlPlane
from support.cluster_api import Api, Refused
from support.waiting import until

HERE: Final = "127.0.0.1"
LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
ROOMY: Final = {"capacity": 1_000_000, "expiry": "1h"}
"""Layers whose messages wait until the test has counted them."""
LOOK: Final = 0.02
LONG: Final = 40.0
"""Seconds: the machine may be busy with other things."""


class Operator:
    """One process; it starts at once. `name` is that of its pod."""

    def __init__(self, name: str, options: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.name, self._said = name, folder / f"{name}.log"
        with socket.create_server((HERE, 0)) as free:
            self.address = f"{HERE}:{free.getsockname()[1]}"
        typed = [sys.executable, "-P", "-m", "channelbeat", "operator", "--listen", self.address, "--log-format", "json", *options]
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                tether.command(typed, signal_=signal.SIGKILL),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, "POD_NAME": name, **environment},
                cwd=folder,
                process_group=0,
            )

    @property
    def lines(self) -> list[str]:
        """All it wrote, to stdout and stderr."""
        text = self._said.read_text(errors="replace")
        return text[: text.rfind("\n") + 1].splitlines()

    @property
    def log(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def with_words(self, words: str) -> list[str]:
        return [line for line in self.lines if words in line]

    def hears(self, words: str, times: int = 1, within: float = LONG) -> list[str]:
        """Waits for so many lines with these words."""
        until(lambda: len(self.with_words(words)) >= times, within, what=f"{times} x {words!r} in {self}", every=LOOK)
        return self.with_words(words)

    def signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """With -9."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, within: float = LONG) -> int:
        """SIGTERM; its exit status."""
        self.signal(signal.SIGTERM)
        return self.ends(within)

    def ends(self, within: float = LONG) -> int:
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not ended within {within:g} s: {self}") from None

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def page(self, path: str) -> tuple[int, str]:
        """HTTP status and text; 0 and why not, when there is no answer."""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def healthz(self) -> bool:
        return self.page("/healthz")[0] == 200

    def readyz(self) -> bool:
        return self.page("/readyz")[0] == 200

    def metric(self, name: str, **labels: str) -> float:
        """The sum of its samples that have these labels."""
        families = text_string_to_metric_families(self.page("/metrics")[1])
        return sum(one.value for family in families for one in family.samples if one.name == name and labels.items() <= one.labels.items())

    def leads(self) -> bool:
        """By its own word."""
        return self.metric("channelbeat_leader") == 1

    def wait(self) -> "Operator":
        """Until it is ready."""

        def ready() -> bool:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self}"
            return self.readyz()

        until(ready, LONG, what=f"{self.name} to be ready: {self}", every=LOOK)
        return self

    def __repr__(self) -> str:
        return "\n".join([self.name, *self.lines[-40:]])


class Installation:
    """What the chart would install into `namespace`, for the schedules there. `layers` by name: a URL, or all settings of it."""

    def __init__(
        self, kube: ControlPlane, layers: Mapping[str, Any], folder: Path, *, namespace: str, lease: str, kubeconfig: Path | None, timing: str
    ) -> None:
        self.kube, self.namespace, self.lease_name, self._folder, self._timing = kube, namespace, lease, folder, timing
        self.kubeconfig = kubeconfig or kube.kubeconfig
        self.layers_file = folder / f"{lease}-layers.yaml"
        self.use_layers(layers)
        self.replicas: list[Operator] = []

    @cached_property
    def api(self) -> Api:
        return self.kube.api

    def use_layers(self, layers: Mapping[str, Any]) -> None:
        """As the kubelet does it when a mounted Secret has changed: the new file takes the place of the old one at once."""
        text = yaml.safe_dump({name: {**ROOMY, **({"url": one} if isinstance(one, str) else one)} for name, one in layers.items()})
        new = self.layers_file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.layers_file)

    def start(self, *options: str, scope: tuple[str, ...] = (), **environment: str) -> Operator:
        """One more replica, for which nobody waits. `scope` instead of our namespace: --all-namespaces, say."""
        duration, renewal = self._timing.split("/")
        lease = ["--lease", self.lease_name, "--lease-namespace", self.namespace, "--lease-duration", duration, "--lease-renewal", renewal]
        where = ["--kubeconfig", str(self.kubeconfig), "--layers", str(self.layers_file)]
        typed = [*where, *(scope or ("--namespace", self.namespace)), *lease, *options]
        self.replicas.append(Operator(f"{self.lease_name}-{len(self.replicas)}", typed, self._folder, environment))
        return self.replicas[-1]

    def replica(self, *options: str, scope: tuple[str, ...] = (), **environment: str) -> Operator:
        """One more, which is ready."""
        return self.start(*options, scope=scope, **environment).wait()

    def pair(self) -> tuple[Operator, Operator]:
        """Two more, which are ready; either may lead."""
        one, two = self.start(), self.start()
        return one.wait(), two.wait()

    @property
    def lease_path(self) -> str:
        return f"{LEASES.format(self.namespace)}/{self.lease_name}"

    def lease(self) -> dict[str, Any]:
        """The Lease's spec; empty while there is none."""
        try:
            found: dict[str, Any] = self.api.get(self.lease_path).get("spec", {})
        except Refused:
            return {}
        return found

    def holder(self) -> str:
        return str(self.lease().get("holderIdentity") or "")

    def holds(self, one: Operator) -> bool:
        """Has it the Lease?"""
        return self.holder().startswith(one.name)

    def leader(self, *besides: Operator) -> Operator:
        """Who has the Lease, once somebody has it; somebody else than `besides`."""

        def found() -> list[Operator]:
            return [one for one in self.replicas if one not in besides and self.holds(one)]

        return until(found, LONG, what=f"a leader: {self.lease()} {self.replicas}", every=LOOK)[0]

    def leaders(self) -> list[Operator]:
        """Who says that it leads."""
        return [one for one in self.replicas if one.process.poll() is None and one.leads()]

    def close(self) -> None:
        for one in self.replicas:
            one.thaw()
            one.kill()
            print(f"---- {one.name}, ended with {one.process.returncode}:", *one.lines[-60:], sep="\n")


@contextmanager
def installed(
    kube: ControlPlane,
    layers: Mapping[str, Any] | str,
    folder: Path,
    *,
    namespace: str,
    lease: str = "beats",
    kubeconfig: Path | None = None,
    timing: str = "1500ms/500ms",
) -> Iterator[Installation]:
    """`layers` may be the URL of the one called default; `timing`: the Lease's duration, and how often it is renewed."""
    named = {"default": layers} if isinstance(layers, str) else layers
    installation = Installation(kube, named, folder, namespace=namespace, lease=lease, kubeconfig=kubeconfig, timing=timing)
    try:
        yield installation
    finally:
        installation.close()


@contextmanager
def running_operator(kube: ControlPlane, layers: Mapping[str, Any] | str, folder: Path, *, namespace: str, **options: Any) -> Iterator[Operator]:
    """An installation of one replica, which is ready; `options` as of `installed`."""
    with installed(kube, layers, folder, namespace=namespace, **options) as installation:
        yield installation.replica()
