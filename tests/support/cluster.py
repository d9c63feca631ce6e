"""A Kubernetes control plane that tests may stop, freeze and compact: etcd, kube-apiserver and kube-controller-manager.

On 127.0.0.1 and free ports, without root, its data in a short-lived folder, gone when we are. There is no node: pods stay pending.
"""

import base64
import json
import secrets
import signal
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import kill
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from channelbeat.local import tether
from support import cluster_programs
from support.cluster_api import YAML, Api, Refused
from support.tree import ROOT
from support.waiting import until

HERE: Final = "127.0.0.1"
CRD: Final = ROOT / "crds/beatschedules.channelbeat.dev.yaml"
CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
STARTS_WITHIN: Final = 60.0
LOOK: Final = 0.03


class Part:
    """One process of the control plane. To be started in the main thread (see tether.py)."""

    def __init__(self, directory: Path, name: str, arguments: Sequence[str], *, program: str = "") -> None:
        self.name = name
        self._log = directory / f"{name}.log"
        self._command = [program or cluster_programs.program(name), *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = tether.command(self._command, signal_=signal.SIGKILL)
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        kill(self.pid, signal.SIGCONT)

    @property
    def pid(self) -> int:
        assert self._process, f"{self.name} was not started"
        return self._process.pid

    def complain_if_ended(self) -> None:
        if self._process and self._process.poll() is not None:
            last_words = self._log.read_text(errors="replace").splitlines()[-3:]
            raise AssertionError(f"{self.name} ended: {' / '.join(last_words)}")


class ControlPlane:
    """`api` speaks to it as its administrator, `kubeconfig` does so for programs. `also`: arguments of the API server that outdo ours."""

    def __init__(self, directory: Path, *, address: str = HERE, also: Sequence[str] = ()) -> None:
        self.directory = directory
        store, peers, port = _free_ports(3)
        self.url = f"https://{address}:{port}"
        self.ca = directory / "apiserver.crt"  # signed by itself, and written by the API server
        self.token = secrets.token_hex(16)
        self.api = Api(self.url, ca=self.ca, token=self.token)
        self.kubeconfig = self.write_kubeconfig("admin", self.token)
        self._store_url = f"http://{HERE}:{store}"
        self.etcd = Part(directory, "etcd", _etcd(directory, self._store_url, f"http://{HERE}:{peers}"))
        self.server = Part(directory, "kube-apiserver", [*_server(directory, self._store_url, address, port, self.token), *also])
        self.manager: Part | None = None  # $KUBEBUILDER_ASSETS has none: nothing is collected, no Deployment gets its pods
        if cluster_programs.find("kube-controller-manager"):
            self.manager = Part(directory, "kube-controller-manager", _manager(directory, self.kubeconfig))

    def start(self) -> None:
        self.etcd.start()
        self.server.start()
        self.wait()
        if self.manager:
            self.manager.start()

    def kill(self) -> None:
        for part in (self.manager, self.server, self.etcd):
            if part:
                part.kill()
        self.api.close()

    def wait(self) -> None:
        """Until the API server serves."""
        until(self._ready, STARTS_WITHIN, what=f"an API server at {self.url}", every=LOOK)  # it needs the processor more than we do

    def restart(self) -> None:
        """The API server, after `server.kill()`."""
        self.server.start()
        self.wait()

    def compact(self) -> None:
        """Forget all history: a watch that is behind gets 410 Gone from an API server that is started after this."""
        revision = self._ask_store("kv/range", key=base64.b64encode(b"x").decode())["header"]["revision"]
        self._ask_store("kv/compaction", revision=revision, physical=True)

    def install_crd(self) -> None:
        path = f"{CRDS}/{self.api.create(CRDS, CRD.read_text(), content=YAML)['metadata']['name']}"

        def established() -> list[dict[str, Any]]:
            conditions: list[dict[str, Any]] = self.api.get(path).get("status", {}).get("conditions") or []
            return conditions if any((one["type"], one["status"]) == ("Established", "True") for one in conditions) else []

        conditions = until(established, what=f"{path} established")
        # For two seconds after that the server holds creates back, for the sake of other API servers. Here is none.
        self.api.patch(f"{path}/status", {"status": {"conditions": [one | {"lastTransitionTime": "2026-01-01T00:00:00Z"} for one in conditions]}})

    def new_namespace(self, **labels: str) -> str:
        return str(self.api.create("/api/v1/namespaces", {"metadata": {"generateName": "t-", "labels": labels}})["metadata"]["name"])

    def write_kubeconfig(self, name: str, token: str, namespace: str = "default") -> Path:
        """For whoever has that `token`."""
        path = self.directory / f"{name}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": "test", "user": name, "namespace": namespace}}],
            "current-context": name,
        }
        path.write_text(json.dumps(config))
        return path

    def kubectl(self, *typed: str, stdin: str = "", fails: bool = False) -> str:
        """What it prints; `fails`: it is to be refused, and the answer is what it complains about."""
        command = [cluster_programs.program("kubectl"), "--kubeconfig", str(self.kubeconfig), f"--cache-dir={self.directory}/kubectl", *typed]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == fails, f"kubectl {' '.join(typed)}: {done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    def _ready(self) -> bool:
        self.etcd.complain_if_ended()
        self.server.complain_if_ended()
        try:
            return bool(self.api.get("/readyz") == "ok")
        except (OSError, Refused):
            return False

    def _ask_store(self, what: str, **body: object) -> Any:
        request = urllib.request.Request(f"{self._store_url}/v3/{what}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


def _etcd(directory: Path, url: str, peers: str) -> list[str]:
    clients = [f"--listen-client-urls={url}", f"--advertise-client-urls={url}"]
    members = [f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=default={peers}"]
    return [f"--data-dir={directory}/etcd", "--unsafe-no-fsync", "--log-level=warn", *clients, *members]


def _server(directory: Path, store: str, address: str, port: int, token: str) -> list[str]:
    key = ec.generate_private_key(ec.SECP256R1())
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    accounts = directory / "accounts.key"
    accounts.write_bytes(key.private_bytes(*encoding))
    tokens = directory / "tokens.csv"
    tokens.write_text(f"{token},admin,admin,system:masters\n")
    issuer = ["--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={accounts}"]
    return [
        f"--etcd-servers={store}",
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--secure-port={port}",
        f"--cert-dir={directory}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",  # it would complain all the time about an endpoint on the loopback
        *issuer,
        f"--service-account-signing-key-file={accounts}",
    ]


def _manager(directory: Path, kubeconfig: Path) -> list[str]:
    accounts = [f"--service-account-private-key-file={directory}/accounts.key", f"--root-ca-file={directory}/apiserver.crt"]
    speed = ["--kube-api-qps=500", "--kube-api-burst=1000"]
    return [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0", *accounts, *speed]


def _free_ports(count: int) -> list[int]:
    """Free a moment ago: nothing here can listen on port 0 and tell."""
    sockets = [socket.create_server((HERE, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def running() -> Iterator[ControlPlane]:
    """A control plane, without our CRD; Unavailable when its programs are not here."""
    with tempfile.TemporaryDirectory(prefix="cb-cluster-", ignore_cleanup_errors=True) as directory:
        plane = ControlPlane(Path(directory))
        try:
            plane.start()
            yield plane
        finally:
            plane.kill()
