"""What the other tests here rely on: the API server goes away and comes back, hangs, forgets its history, and outlives nobody."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import cluster, edges
from support.cluster import ControlPlane
from support.cluster_api import BEATS, Api, Refused
from support.tree import ROOT
from support.waiting import until

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def own() -> Iterator[ControlPlane]:
    """Without our CRD."""
    with cluster.running() as plane:
        yield plane


def test_its_answers_hang(own: ControlPlane) -> None:
    impatient = Api(own.url, ca=own.ca, token=own.token, timeout=0.2)
    own.server.freeze()
    with pytest.raises(ConnectionError, match="Timeout"):
        impatient.get(CONFIG_MAPS)
    own.server.thaw()
    assert own.api.get("/readyz") == "ok"


def test_it_comes_back_with_what_it_had_and_no_history(own: ControlPlane) -> None:
    behind = own.api.get(CONFIG_MAPS)["metadata"]["resourceVersion"]
    own.api.create(CONFIG_MAPS, {"metadata": {"name": "kept"}})
    own.server.kill()
    with pytest.raises(ConnectionError):
        own.api.get(CONFIG_MAPS)
    own.compact()
    own.restart()
    assert own.api.get(f"{CONFIG_MAPS}/kept")["metadata"]["name"] == "kept"
    answer = own.api.get(CONFIG_MAPS, watch="true", resourceVersion=behind, timeoutSeconds="5")
    assert (answer["type"], answer["object"]["code"]) == ("ERROR", 410)


def test_a_user_has_the_rights_that_were_given_and_no_others(kube: ControlPlane, namespace: str) -> None:
    dev = kube.api.as_user("dev")
    with pytest.raises(Refused) as refused:
        dev.get(BEATS.format(namespace))
    assert refused.value.status == 403
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    kube.api.create(
        f"{rbac}/roles", {"metadata": {"name": "read"}, "rules": [{"apiGroups": ["channelbeat.dev"], "resources": ["beatschedules"], "verbs": ["list"]}]}
    )
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "read"}
    kube.api.create(f"{rbac}/rolebindings", {"metadata": {"name": "read"}, "roleRef": reference, "subjects": [{"kind": "User", "name": "dev"}]})
    until(lambda: _may_list(dev, namespace), what="the right to list")


def _may_list(api: Api, namespace: str) -> bool:
    try:
        return bool(api.get(BEATS.format(namespace)))
    except Refused:
        return False


def test_what_a_deleted_schedule_owned_is_collected(controllers: ControlPlane, namespace: str) -> None:
    api, maps = controllers.api, f"/api/v1/namespaces/{namespace}/configmaps"
    owner = api.create(BEATS.format(namespace), edges.manifest("spec.channel", "c") | {"metadata": {"name": "a"}})
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": "a", "uid": owner["metadata"]["uid"]}
    api.create(maps, {"metadata": {"name": "owned", "ownerReferences": [reference]}})
    api.delete(f"{BEATS.format(namespace)}/a")
    until(lambda: "owned" not in [one["metadata"]["name"] for one in api.get(maps)["items"]], 60, what="collected")


@pytest.mark.chaos
def test_none_of_it_outlives_us(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from support.cluster import ControlPlane
plane = ControlPlane(Path({str(tmp_path)!r}))
plane.etcd.start()
print(plane.etcd.pid, flush=True)
input()
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        pid = int(starter.stdout.readline())
        starter.kill()
    until(lambda: not _runs(pid), what="etcd gone")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
