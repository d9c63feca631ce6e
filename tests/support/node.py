"""A whole node, inside a room (node_room.py): the control plane with a scheduler, and containerd, a kubelet and a proxy that run its pods."""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from support import cluster_programs, node_room
from support.chart import Helm
from support.cluster import LOOK, ControlPlane, Part
from support.cluster_api import Refused
from support.node_images import PAUSE
from support.node_room import ADDRESS
from support.node_tools import PLUGINS
from support.waiting import until

NAME: Final = "node"
PODS: Final = "10.77.0.0/24"
LONG: Final = 120.0
"""Seconds, for whatever a node has to do: the machine may be small, and busy."""
IN_SERVER: Final = ("--endpoint-reconciler-type=lease", "--kubelet-preferred-address-types=InternalIP")
NETWORK: Final = {  # each pod on a link of its own: whatever it says passes the node's rules, and so Services work
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {"type": "ptp", "ipMasq": False, "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
CONTAINERD: Final = """
version = 2
root = "{room}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{room}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{room}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""
SOCKET: Final = "/run/containerd.sock"


def _kubelet(room: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},  # nobody else is in here
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node_room.cgroup(room),
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "enforceNodeAllocatable": [],
        "volumePluginDir": f"{room}/volume-plugins",
        "resolvConf": f"{room}/resolv.conf",
        "clusterDNS": [ADDRESS],  # where nobody listens: without one, each pod gets a warning
        "clusterDomain": "cluster.local",
        "syncFrequency": "5s",  # how soon a changed Secret is in its volume
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "100Mi"},
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
    }


class Node(ControlPlane):
    """`helm` and `kubectl` as a user has them; `environment` is for a shell that finds both."""

    def __init__(self, room: Path) -> None:
        super().__init__(room, address=ADDRESS, also=IN_SERVER)
        self.helm = Helm(cluster_programs.program("helm"), room / "helm", self.kubeconfig)
        folders = {str(Path(cluster_programs.program(name)).parent) for name in ("helm", "kubectl")}
        ours = {"KUBECONFIG": str(self.kubeconfig), "CONTAINERD_ADDRESS": SOCKET, "HOME": str(room)}
        self.environment = {**os.environ, **ours, "PATH": os.pathsep.join([*sorted(folders), os.environ["PATH"]])}
        local = ["--bind-address=127.0.0.1", "--leader-elect=false"]
        self.scheduler = Part(room, "kube-scheduler", [f"--kubeconfig={self.kubeconfig}", *local])
        self.containerd = Part(room, "containerd", ["--config", self._written("containerd.toml", self._containerd())], program="containerd")
        identity = [f"--kubeconfig={self.kubeconfig}", f"--hostname-override={NAME}"]
        config = self._written("kubelet.yaml", yaml.safe_dump(_kubelet(room)))
        self.kubelet = Part(room, "kubelet", [*identity, f"--config={config}", f"--node-ip={ADDRESS}", f"--cert-dir={room}/kubelet"])
        quiet = ["--proxy-mode=iptables", "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0"]
        self.proxy = Part(room, "kube-proxy", [*identity, f"--bind-address={ADDRESS}", *quiet])

    def start(self) -> None:
        self._written("cni/pods.conflist", json.dumps(NETWORK))
        self._written("resolv.conf", f"nameserver {ADDRESS}\n")
        self.containerd.start()
        until(Path(SOCKET).exists, LONG, what="containerd", every=LOOK)
        archives = json.loads((self.directory / "images.json").read_text()).values()
        with ThreadPoolExecutor() as pool:
            imported = [pool.submit(self._ctr, "images", "import", archive) for archive in archives]
            super().start()
            self.scheduler.start()
            self.proxy.start()
            for one in imported:
                one.result()
        self.kubelet.start()
        until(self._is_ready, LONG, what="a node that is ready", every=LOOK)

    def wait_for(self, what: str, *typed: str) -> None:
        """Until `kubectl wait --for=WHAT ...` is content."""
        self.kubectl("wait", f"--for={what}", f"--timeout={LONG:g}s", *typed)

    def shell(self, script: str, folder: Path) -> str:
        """What a person types into a terminal, and all that it prints; it stops at the first command that fails."""
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def tag(self, image: str, other: str) -> None:
        """Another name for an image, such as that of its next version."""
        self._ctr("images", "tag", "--force", image, other)

    def kill_container(self, namespace: str, pod: str) -> None:
        """Its first process, with -9; the kubelet starts another in the same pod."""
        status = self.api.get(f"/api/v1/namespaces/{namespace}/pods/{pod}")["status"]["containerStatuses"][0]
        self._ctr("task", "kill", "--signal", "SIGKILL", status["containerID"].rpartition("/")[2])

    def volume(self, name: str, *, owner: int) -> Path:
        """A PersistentVolume of that name for the claim of that name, as a folder of the node."""
        folder = self.directory / "volumes" / name
        folder.mkdir(parents=True)
        os.chown(folder, owner, owner)
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": name,
            "hostPath": {"path": str(folder), "type": "Directory"},
        }
        self.api.create("/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": spec})
        return folder

    def report(self) -> str:
        """What somebody who looks into a failure wants to see first: objects, events, and the last words of each pod. It never raises."""
        try:
            return "\n".join(self._seen())
        except (AssertionError, OSError, Refused) as error:
            return f"the node does not say how it is: {error}"

    def _seen(self) -> Iterator[str]:
        for what in ("pods -A -o wide", "deployments -A", "beatschedules -A -o wide"):
            yield self.shell(f"kubectl get {what} || true", self.directory)
        yield self.shell("kubectl get events -A --sort-by=.lastTimestamp | tail -n 60", self.directory)
        for pod in self.api.get("/api/v1/pods")["items"]:
            where, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
            yield f"{where}/{name}:\n{self.shell(f'kubectl logs -n {where} {name} --all-containers --tail=20 || true', self.directory)}"

    def kill(self) -> None:
        for part in (self.kubelet, self.proxy, self.scheduler):
            part.kill()
        super().kill()
        self.containerd.kill()

    def _containerd(self) -> str:
        return CONTAINERD.format(room=self.directory, socket=SOCKET, pause=PAUSE, plugins=PLUGINS)

    def _written(self, name: str, text: str) -> str:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    def _ctr(self, *typed: str) -> None:
        command = ["ctr", "--address", SOCKET, "--namespace", "k8s.io", *typed]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"

    def _is_ready(self) -> bool:
        for part in (self.containerd, self.kubelet, self.proxy, self.scheduler):
            part.complain_if_ended()
        nodes = self.api.get("/api/v1/nodes")["items"]
        return any((one["type"], one["status"]) == ("Ready", "True") for node in nodes for one in node["status"].get("conditions", []))


@contextmanager
def running(room: Path) -> Iterator[Node]:
    node = Node(room)
    try:
        node.start()
        yield node
    finally:
        node.kill()
