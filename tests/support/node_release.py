"""The operator on the node, installed by typing what docs/install.md says, with this node's images and Redis in place of REGISTRY and HOST."""

import json
import re
import shlex
import urllib.request
from pathlib import Path
from typing import Any, Final

import yaml
from prometheus_client.parser import text_string_to_metric_families

from support.chart import yaml_blocks
from support.cluster_api import Refused
from support.node import LONG, Node
from support.node_images import OPERATOR
from support.operators import LEASES, ROOMY
from support.tree import ROOT
from support.waiting import until

PAGE: Final = ROOT / "docs/install.md"
HOME: Final = "beat-system"
NAME: Final = "channelbeat"
PODS: Final = ("-l", f"app.kubernetes.io/name={NAME},app.kubernetes.io/component!=test")
LOOK: Final = 0.1


class Release:
    """Two replicas with the layer `default`; `printed` is what the commands of the page have said."""

    def __init__(self, node: Node, url: str, folder: Path) -> None:
        self.node, self.folder = node, folder
        (folder / "helm").symlink_to(ROOT / "helm")
        values = yaml.safe_load(yaml_blocks(PAGE)[0])
        values["image"] |= {"repository": OPERATOR.rpartition(":")[0], "pullPolicy": "Never"}
        values["layers"]["default"] |= ROOMY
        (folder / "values.yaml").write_text(yaml.safe_dump(values))
        self.printed = "\n".join(node.shell(script, folder) for script in (*_typed("2. The Secret", url), *_typed("3. The chart", url)))
        self.restarts = node.kubectl("get", "pods", "-n", HOME, *PODS, "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}")

    def upgrade(self, **values: Any) -> str:
        """helm upgrade with these in place of the page's; until it is rolled out."""
        file = self.folder / "upgrade.yaml"
        file.write_text(yaml.safe_dump(values))
        return self.node.shell(
            f"helm upgrade {NAME} helm/channelbeat --namespace {HOME} --values values.yaml --values upgrade.yaml && "
            f"kubectl rollout status deployment/{NAME} --namespace {HOME} --timeout={LONG:g}s",
            self.folder,
        )

    def point_at(self, url: str) -> None:
        """The Secret of the layer has another URL from now on; the kubelet brings it in its time."""
        made = f"kubectl create secret generic redis --namespace {HOME} --from-literal=url={shlex.quote(url)} --dry-run=client -o yaml"
        self.node.shell(f"{made} | kubectl apply -f -", self.folder)

    def pods(self) -> list[str]:
        """Names of those that are not being deleted."""
        found = json.loads(self.node.kubectl("get", "pods", "-n", HOME, *PODS, "-o", "json"))["items"]
        return [one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]]

    def holder(self) -> str:
        """Who has the Lease, a pod's name and something random; empty while nobody has."""
        try:
            lease = self.node.api.get(f"{LEASES.format(HOME)}/{NAME}")
        except Refused:
            return ""
        return str(lease["spec"].get("holderIdentity") or "")

    def leader(self, *, but: str = "") -> str:
        """Wait for one, another holder than that; the name of its pod."""
        until(lambda: self.holder() not in ("", but), LONG, what=f"a leader, not {but}", every=LOOK)
        return self.holder().rpartition("_")[0]

    def is_ready(self) -> None:
        """Wait until both replicas are."""
        self.node.kubectl("rollout", "status", "-n", HOME, f"deployment/{NAME}", f"--timeout={LONG:g}s")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the leader's samples that have these labels."""
        pod = self.node.api.get(f"/api/v1/namespaces/{HOME}/pods/{self.leader()}")
        with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8080/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return sum(one.value for family in families for one in family.samples if one.name == name and labels.items() <= one.labels.items())

    def logs(self, *options: str) -> str:
        return self.node.kubectl("logs", "-n", HOME, *PODS, "--prefix", "--tail=-1", "--max-log-requests=20", *options)


def _typed(title: str, url: str) -> list[str]:
    """The ```sh blocks of a section, each as a script."""
    section = PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert blocks, f"{PAGE.name} has no commands under {title!r}"
    return [block.replace("redis://:PASSWORD@HOST:6379/0", url) for block in blocks]
