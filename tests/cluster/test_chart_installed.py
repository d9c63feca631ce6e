"""The chart on a real API server: installed, upgraded, rolled back and uninstalled; what it gives the operator is enough, and no more.

No node is here: pods stay pending, and nothing waits for them.
"""

import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from channelbeat.cluster import access, sparing
from channelbeat.cluster import deployment as workers
from channelbeat.cluster.api import Api as ClusterApi
from channelbeat.cluster.pod_template import pod_template
from channelbeat.cluster.scale_targets import ScaleTargets
from channelbeat.core.crews import Crew, made
from channelbeat.core.parse import parse
from channelbeat.errors import ApiUnreachable
from support import cluster
from support.beats import Beats, manifest
from support.chart import CHART, EVERYTHING, LEAST, NAMESPACED, Helm, container, mount, only, yaml_blocks
from support.cluster import CRDS, ControlPlane
from support.cluster_api import BEATS, Api, Refused
from support.operators import Operator
from support.redis import RedisServer
from support.tree import ROOT
from support.waiting import eventually, until

CRD: Final = f"{CRDS}/beatschedules.channelbeat.dev"
HOME: Final = "beat-system"
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/{}/deployments"
PODS: Final = "/api/v1/namespaces/{}/pods"
ACCOUNT: Final = f"system:serviceaccount:{HOME}:d-channelbeat"
STRATEGIC: Final = "application/strategic-merge-patch+json"
SCALE: Final = {"spec": {"replicas": 3}}
POD: Final = {"containers": [{"name": "worker", "image": "shop:1"}]}


class Installed(NamedTuple):
    kube: ControlPlane
    helm: Helm
    shop: str
    """A namespace with a Deployment called web."""


def deployment(name: str, **metadata: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": POD}
    return {"metadata": {"name": name, **metadata}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


@pytest.fixture(scope="module")
def installed(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The chart as it comes, as release `d`, in a namespace of the strictest kind."""
    with cluster.running() as kube:
        ours = Helm(helm, tmp_path_factory.mktemp("helm"), kube.kubeconfig)
        strict = {"pod-security.kubernetes.io/enforce": "restricted"}
        kube.api.create("/api/v1/namespaces", {"metadata": {"name": HOME, "labels": strict}})
        ours.run("install", "d", str(CHART), "--namespace", HOME, values=LEAST)
        shop = kube.new_namespace()
        kube.api.create(DEPLOYMENTS.format(shop), deployment("web"))
        yield Installed(kube, ours, shop)


@pytest.fixture
def bare(helm: str, tmp_path: Path) -> Iterator[tuple[ControlPlane, Helm]]:
    """A control plane that has not heard of us."""
    with cluster.running() as kube:
        yield kube, Helm(helm, tmp_path, kube.kubeconfig)


def exists(api: Api, path: str) -> bool:
    try:
        return bool(api.get(path))
    except Refused as refused:
        if refused.status not in (404, 429):  # 429: a resource that is being made known
            raise
        return False


def give(api: Api, namespace: str, user: str, *rules: tuple[str, str, str]) -> None:
    """Rights by (group, resource or resource=NAME, verbs); a role of the cluster's by ("", "ClusterRole", name)."""
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    for number, (group, resource, verbs) in enumerate(rules):
        name, (resource, _, only_one) = f"{user}-{number}", resource.partition("=")
        reference = {"kind": "ClusterRole", "name": verbs, "apiGroup": "rbac.authorization.k8s.io"}
        if resource != "ClusterRole":
            rule = {"apiGroups": [group], "resources": [resource], "verbs": verbs.split(), **({"resourceNames": [only_one]} if only_one else {})}
            api.create(f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": name}, "rules": [rule]})
            reference |= {"kind": "Role", "name": name}
        api.create(f"{RBAC}/namespaces/{namespace}/rolebindings", {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects})


# ---- its life


@pytest.mark.slow
def test_it_lives_through_upgrade_rollback_and_uninstalling_and_schedules_outlive_it(bare: tuple[ControlPlane, Helm], tmp_path: Path) -> None:
    kube, helm = bare
    newer = tmp_path / "channelbeat"
    shutil.copytree(CHART, newer)
    crd = newer / "files/crd.yaml"
    crd.write_text(crd.read_text().replace("description: What is sent, when, and who handles it.", "description: Newer."))

    def described() -> str:
        return str(kube.api.get(CRD)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["description"])

    helm.run("install", "d", str(CHART), "--namespace", HOME, "--create-namespace", values=LEAST)
    until(lambda: exists(kube.api, BEATS.format("default")), what="the resource")
    Beats(kube, "default").put({"every": "1m"})
    assert described() != "Newer."
    helm.run("upgrade", "d", str(newer), "--namespace", HOME, values={**LEAST, "replicas": 3})
    assert described() == "Newer."
    assert kube.api.get(f"{DEPLOYMENTS.format(HOME)}/d-channelbeat")["spec"]["replicas"] == 3
    helm.run("rollback", "d", "1", "--namespace", HOME)
    assert described() != "Newer."
    helm.run("uninstall", "d", "--namespace", HOME)
    assert not exists(kube.api, f"{DEPLOYMENTS.format(HOME)}/d-channelbeat")
    assert Beats(kube, "default").get()
    assert "invalid ownership metadata" in helm.run("install", "e", str(CHART), "--namespace", HOME, values=LEAST, fails=True)
    helm.run("install", "e", str(CHART), "--namespace", HOME, "--take-ownership", values=LEAST)
    assert kube.api.get(CRD)["metadata"]["annotations"]["meta.helm.sh/release-name"] == "e"


def test_the_server_takes_everything_that_can_be_rendered(installed: Installed) -> None:
    rendered = [
        one for one in installed.helm.render({**EVERYTHING, "fullnameOverride": "all"}, namespace=HOME) if one["kind"] != "ServiceMonitor"
    ]  # nobody knows that kind here
    answer = installed.kube.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(rendered))
    assert answer.count("serverside-applied") == len(rendered)


def test_its_pods_pass_the_strictest_standard(installed: Installed) -> None:
    rendered = installed.helm.render(LEAST, namespace=HOME)
    template = only(rendered, "Deployment")["spec"]["template"]
    api, pods = installed.kube.api, PODS.format(HOME)
    of_ours = {"metadata": {"name": "ours", "labels": template["metadata"]["labels"]}, "spec": template["spec"]}
    assert api.create(pods, of_ours, dryRun="All")
    assert api.create(pods, only(rendered, "Pod"), dryRun="All")
    of_ours["spec"]["containers"][0]["securityContext"]["capabilities"] = {}
    with pytest.raises(Refused, match="violates PodSecurity"):
        api.create(pods, of_ours, dryRun="All")


@pytest.mark.slow
def test_somebody_with_rights_in_one_namespace_installs_it_there(bare: tuple[ControlPlane, Helm]) -> None:
    """As docs/install.md says it: the CRD and one ClusterRole are an administrator's, the rest is not."""
    kube, helm = bare
    (role,) = (one for one in yaml_blocks(ROOT / "docs/install.md") if "kind: ClusterRole\n" in one)
    kube.install_crd()
    kube.kubectl("apply", "-f", "-", stdin=role)
    shop = kube.new_namespace()
    give(kube.api, shop, "dev", ("", "ClusterRole", "admin"), ("", "ClusterRole", yaml.safe_load(role)["metadata"]["name"]))
    values = {**NAMESPACED, "watch": {"namespaces": [shop]}}
    assert "dev" in helm.run("install", "d", str(CHART), "--namespace", shop, "--kube-as-user", "dev", values={**values, "crds": {"install": True}}, fails=True)
    helm.run("install", "e", str(CHART), "--namespace", shop, "--kube-as-user", "dev", values=values)
    assert exists(kube.api, f"{DEPLOYMENTS.format(shop)}/e-channelbeat")


# ---- who may write what into spec.worker

EVENTS: Final = [{"every": "1m"}]
TEMPLATE: Final = {"template": {"spec": POD}}
OTHER_IMAGE: Final = {"template": {"spec": {"containers": [{"name": "worker", "image": "evil:1"}]}}}
WEB, OTHER = {"templateFrom": {"name": "web"}}, {"templateFrom": {"name": "db"}}
TO_WEB, TO_OTHER = {"scaleTargetRef": {"name": "web"}}, {"scaleTargetRef": {"name": "db"}}
BEAT_RIGHTS: Final = ("channelbeat.dev", "beatschedules", "get list create update patch delete")
USERS: Final = {
    "dev": [BEAT_RIGHTS],
    "editor": [BEAT_RIGHTS, ("", "ClusterRole", "edit")],
    "maker": [BEAT_RIGHTS, ("apps", "deployments", "create"), ("apps", "deployments=web", "get")],
    "scaler": [BEAT_RIGHTS, ("apps", "deployments/scale=web", "update")],
}
NO_MAKING, NO_READING, NO_SCALING = "may not create Deployments in namespace", "may not read the Deployment", "may not scale the Deployment"


@pytest.fixture(scope="module")
def users(installed: Installed) -> dict[str, Api]:
    for user, rules in USERS.items():
        give(installed.kube.api, installed.shop, user, *rules)
    users = {user: installed.kube.api.as_user(user) for user in USERS}
    # Policies are in force some time after they were stored.
    until(lambda: refusal(users["dev"], installed.shop, TEMPLATE), 30, what="the policy in force", every=0.05)
    return users


def beat(worker: dict[str, Any] | None, **metadata: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"worker": worker} if worker else {}
    return manifest(*EVENTS, **spec) | {"metadata": metadata}


def refusal(api: Api, namespace: str, worker: dict[str, Any] | None) -> str:
    """Why a new schedule with these workers is not taken; "" where it would be."""
    try:
        api.create(BEATS.format(namespace), beat(worker, name="new"), dryRun="All")
    except Refused as refused:
        if refused.status != 403:
            raise
        return str(refused)
    return ""


@pytest.mark.parametrize(
    ("user", "worker", "said"),
    [
        ("dev", None, ""),
        ("dev", WEB, NO_MAKING),
        ("dev", TEMPLATE, NO_MAKING),
        ("dev", TO_WEB, NO_SCALING),
        ("editor", WEB, ""),
        ("editor", TEMPLATE, ""),
        ("editor", TO_WEB, ""),
        ("maker", TEMPLATE, ""),
        ("maker", WEB, ""),
        ("maker", OTHER, NO_READING),
        ("maker", TO_WEB, NO_SCALING),
        ("scaler", TO_WEB, ""),
        ("scaler", TO_OTHER, NO_SCALING),
        ("scaler", TEMPLATE, NO_MAKING),
    ],
    ids=str,
)
def test_a_new_schedule_asks_for_its_authors_rights(installed: Installed, users: dict[str, Api], user: str, worker: dict[str, Any] | None, said: str) -> None:
    answer = refusal(users[user], installed.shop, worker)
    assert said in answer if said else answer == ""
    if said:
        assert f"user {user} {said}" in answer
        assert installed.shop in answer


@pytest.mark.parametrize(
    ("before", "change", "said"),
    [
        (TEMPLATE, {"worker": OTHER_IMAGE}, NO_MAKING),
        (TEMPLATE, {"worker": {"command": ["sh", "-c", "evil"]}}, NO_MAKING),
        (TEMPLATE, {"worker": {"scaling": {"maxReplicas": 100}}}, NO_MAKING),
        (WEB, {"worker": {"env": [{"name": "A", "value": "b"}]}}, NO_MAKING),
        (WEB, {"worker": {"templateFrom": {"name": "db"}}}, NO_MAKING),
        (WEB, {"worker": {"templateFrom": None, **TEMPLATE}}, NO_MAKING),
        (TO_WEB, {"worker": TO_OTHER}, NO_SCALING),
        (None, {"worker": TEMPLATE}, NO_MAKING),
        (TEMPLATE, {"events": [{"name": "e", "type": "work", "every": "5m"}]}, ""),
        (TO_WEB, {"suspend": True}, ""),
        (TEMPLATE, {"worker": None}, ""),
    ],
    ids=str,
)
def test_an_edit_asks_if_it_changes_anything_of_the_worker(
    installed: Installed, users: dict[str, Api], before: dict[str, Any] | None, change: dict[str, Any], said: str
) -> None:
    name = installed.kube.api.create(BEATS.format(installed.shop), beat(before, generateName="edited-"))["metadata"]["name"]
    path = f"{BEATS.format(installed.shop)}/{name}"
    if said:
        with pytest.raises(Refused, match=f"user dev {said}"):
            users["dev"].patch(path, {"spec": change})
    else:
        users["dev"].patch(path, {"spec": change})
    users["editor"].patch(path, {"spec": change})


@pytest.mark.parametrize("user", ["system:serviceaccount:kube-system:generic-garbage-collector", "system:serviceaccount:kube-system:namespace-controller"])
def test_who_clears_up_is_in_nobodys_way_and_may_not_more_than_others(installed: Installed, users: dict[str, Api], user: str) -> None:
    """The collector removes owners and finalizers of what it collects."""
    api = installed.kube.api.as_user(user)
    body = beat(TEMPLATE, generateName="collected-", finalizers=["foregroundDeletion"])
    made = installed.kube.api.create(BEATS.format(installed.shop), body)["metadata"]
    path = f"{BEATS.format(installed.shop)}/{made['name']}"
    binding = {"metadata": {"generateName": "collector-"}, "roleRef": {"kind": "Role", "name": "dev-0", "apiGroup": "rbac.authorization.k8s.io"}}
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    installed.kube.api.create(f"{RBAC}/namespaces/{installed.shop}/rolebindings", {**binding, "subjects": [subject]})
    until(lambda: readable(api, path), what="the right")
    with pytest.raises(Refused, match=NO_MAKING):
        api.patch(path, {"spec": {"worker": OTHER_IMAGE}})
    api.delete(path)
    assert api.patch(path, {"metadata": {"finalizers": None}})
    assert not exists(installed.kube.api, path)


def readable(api: Api, path: str) -> bool:
    try:
        return bool(api.get(path))
    except Refused:
        return False


def test_roles_that_people_have_already_reach_schedules(installed: Installed) -> None:
    """The cluster's own view, edit and admin; a controller adds ours up."""
    if not installed.kube.manager:
        pytest.skip("no kube-controller-manager: nothing adds roles up")

    def verbs(role: str, resource: str) -> set[str]:
        rules = installed.kube.api.get(f"{RBAC}/clusterroles/{role}").get("rules") or []
        return {verb for rule in rules if rule["apiGroups"] == ["channelbeat.dev"] and resource in rule["resources"] for verb in rule["verbs"]}

    reading, writing = {"get", "list", "watch"}, {"create", "update", "patch", "delete", "deletecollection"}
    wanted = [("admin", "", reading | writing), ("view", "", reading), ("edit", "", reading | writing), ("edit", "/status", reading)]
    for role, part, those in wanted:  # each is added up by itself
        until(lambda role=role, part=part, those=those: verbs(role, f"beatschedules{part}") == those, 30, what=f"{role} added up", every=0.05)  # type: ignore[misc]


# ---- what the operator may


def token(kube: ControlPlane, namespace: str, account: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    return str(kube.api.create(path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})["status"]["token"])


def turned_away(operator: Api, namespace: str) -> bool:
    try:
        operator.create(DEPLOYMENTS.format(namespace), deployment("free"), dryRun="All")
    except Refused as refused:
        return OF_OTHERS in str(refused)
    return False


@pytest.fixture(scope="module")
def operator(installed: Installed, users: dict[str, Api]) -> Iterator[Api]:
    """The API as the operator's account speaks to it."""
    api = Api(installed.kube.url, ca=installed.kube.ca, token=token(installed.kube, HOME, "d-channelbeat"))
    until(lambda: turned_away(api, installed.shop), 30, what="its policy in force", every=0.05)
    yield api
    api.close()


def may(kube: ControlPlane, namespace: str, verb: str, what: str, name: str = "") -> bool:
    resource, _, part = what.partition("/")
    resource, _, group = resource.partition(".")
    asked = {"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": part, "name": name}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": ACCOUNT, "resourceAttributes": asked}}
    return bool(kube.api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", body)["status"]["allowed"])


@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "update", "patch", "delete"])
def test_secrets_are_out_of_the_operators_reach(installed: Installed, verb: str) -> None:
    assert not may(installed.kube, HOME, verb, "secrets")
    assert not may(installed.kube, installed.shop, verb, "secrets")
    assert not may(installed.kube, "", verb, "secrets", "redis")


def test_the_operator_has_no_rights_that_lead_to_others(installed: Installed) -> None:
    for verb, what in [
        ("create", "pods"),
        ("delete", "pods"),
        ("create", "pods/exec"),
        ("get", "pods/log"),
        ("delete", "deployments.apps"),
        ("create", "serviceaccounts/token"),
        ("impersonate", "users"),
        ("bind", "clusterroles.rbac.authorization.k8s.io"),
        ("patch", "beatschedules.channelbeat.dev"),
        ("get", "configmaps"),
        ("list", "namespaces"),
    ]:
        assert not may(installed.kube, installed.shop, verb, what), (verb, what)
    for verb, name, allowed in [("create", "", True), ("get", RECORD, True), ("patch", RECORD, True), ("patch", "another", False), ("list", "", False)]:
        assert may(installed.kube, HOME, verb, "configmaps", name) == allowed, (verb, name)
    assert not may(installed.kube, installed.shop, "create", "configmaps")
    assert may(installed.kube, HOME, "update", "leases.coordination.k8s.io", "d-channelbeat")
    assert not may(installed.kube, HOME, "update", "leases.coordination.k8s.io", "another")
    assert not may(installed.kube, installed.shop, "create", "leases.coordination.k8s.io")


RECORD: Final = "d-channelbeat-targets"
OWNER: Final = {"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "name": "t", "uid": "u", "controller": True}
COST: Final = {"controller.kubernetes.io/pod-deletion-cost": "100"}
OF_OTHERS: Final = "changes no Deployment but those that a BeatSchedule owns"
OF_A_POD: Final = "changes nothing of a pod but the annotation"


def test_the_operator_changes_no_deployment_but_its_own(installed: Installed, operator: Api) -> None:
    path = DEPLOYMENTS.format(installed.shop)
    with pytest.raises(Refused, match=OF_OTHERS):
        operator.create(path, deployment("free"))
    assert operator.create(path, deployment("t-worker", ownerReferences=[OWNER]), dryRun="All")
    for change in ({"metadata": {"ownerReferences": [OWNER]}}, {"spec": {"template": {"spec": {"containers": [{"name": "worker", "image": "evil:1"}]}}}}):
        with pytest.raises(Refused, match=OF_OTHERS):
            operator.patch(f"{path}/web", change)
    assert operator.patch(f"{path}/web/scale", SCALE, dryRun="All")


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({"metadata": {"annotations": COST}}, True),
        ({"metadata": {"annotations": {**COST, "kept": "no"}}}, False),
        ({"metadata": {"annotations": {"kept": None}}}, False),
        ({"metadata": {"annotations": {"new": "yes"}}}, False),
        ({"metadata": {"labels": {"app": "other"}}}, False),
        ({"metadata": {"ownerReferences": [OWNER]}}, False),
        ({"spec": {"activeDeadlineSeconds": 1}}, False),
        ({"metadata": {"finalizers": ["evil/stays"]}}, False),
        ({"spec": {"containers": [{"name": "worker", "image": "evil:1"}]}}, False),
    ],
    ids=str,
)
def test_the_operator_changes_nothing_of_a_pod_but_its_cost(installed: Installed, operator: Api, change: dict[str, Any], taken: bool) -> None:
    pods = PODS.format(installed.shop)
    body = {"metadata": {"generateName": "p-", "labels": {"app": "web"}, "annotations": {"kept": "yes"}}, "spec": {**POD, "serviceAccountName": "none"}}
    account = f"/api/v1/namespaces/{installed.shop}/serviceaccounts"
    if not exists(installed.kube.api, f"{account}/none"):
        installed.kube.api.create(account, {"metadata": {"name": "none"}})
    name = installed.kube.api.create(pods, body)["metadata"]["name"]
    if taken:
        assert operator.patch(f"{pods}/{name}", change)
        assert operator.patch(f"{pods}/{name}", {"metadata": {"annotations": dict.fromkeys(COST)}})
    else:
        with pytest.raises(Refused, match=OF_A_POD):
            operator.patch(f"{pods}/{name}", change, content=STRATEGIC)


async def test_workers_as_the_operator_makes_them_pass(installed: Installed, operator: Api) -> None:
    """Made, changed and scaled; not if somebody else has one of that name, or has taken it over."""
    path, kube = DEPLOYMENTS.format(installed.shop), installed.kube
    raw = beat({"templateFrom": {"name": "web"}}, name="passes")
    uid = kube.api.create(BEATS.format(installed.shop), raw)["metadata"]["uid"]
    schedule = parse({**raw, "metadata": {"name": "passes", "namespace": installed.shop}}).schedule
    assert schedule is not None
    template = pod_template(schedule, kube.api.get(f"{path}/web"))
    assert isinstance(template, dict)
    ours, strict = f"{path}/{made(schedule)}", {"manager": workers.MANAGER, "force": "true", "fieldValidation": "Strict"}
    own = operator.create(path, workers.created(schedule, uid, template), fieldValidation="Strict")["metadata"]["uid"]
    for replicas, image in ((0, "shop:1"), (2, "shop:1"), (2, "shop:2")):
        template["spec"]["containers"][0]["image"] = image
        body = workers.applied(schedule, uid, template, replicas)
        operator.apply(ours, workers.sent(body, own, (4_200, 3_900)), **strict)
        live = kube.api.get(ours)
        assert workers.same(live, body)
        assert (live["spec"]["replicas"], live["spec"]["template"]["spec"]["containers"][0]["image"]) == (replicas, image)
    assert operator.patch(f"{ours}/scale", SCALE)["spec"]["replicas"] == 3
    kube.api.patch(ours, {"metadata": {"ownerReferences": None}})
    stranger = deployment("stranger")
    stranger["spec"] |= {"selector": body["spec"]["selector"], "template": {**stranger["spec"]["template"], "metadata": template["metadata"]}}
    kube.api.create(path, stranger)
    for taken in (ours, f"{path}/stranger"):
        body = {**body, "metadata": {**body["metadata"], "name": taken.rpartition("/")[2]}}
        with pytest.raises(Refused, match=OF_OTHERS):
            operator.apply(taken, body, **strict)


@pytest.fixture
async def account(installed: Installed, operator: Api) -> AsyncIterator[ClusterApi]:
    """The same for the operator's own code."""
    api = ClusterApi(access.find(installed.kube.write_kubeconfig("account", operator.token, HOME)))
    yield api
    await api.close()


async def test_deployments_of_others_are_scaled_and_given_back_with_its_rights(installed: Installed, account: ClusterApi) -> None:
    """The record is the ConfigMap that its Role names, which is called like the Lease that its pods are told."""
    kube, path = installed.kube, DEPLOYMENTS.format(installed.shop)
    kube.api.create(path, {**deployment("scaled"), "spec": {**deployment("scaled")["spec"], "replicas": 2, "paused": True}})
    (lease,) = (one for one in container(installed.helm.render(LEAST, namespace=HOME))["args"] if one.startswith("--lease="))
    targets = ScaleTargets(account, namespace=HOME, name=lease.removeprefix("--lease="))
    crew = Crew(f"{installed.shop}/scaled", (), shared=True)
    for replicas in (5, 0):
        await targets.scale(crew, replicas)
        assert kube.api.get(f"{path}/scaled")["spec"]["replicas"] == replicas
    assert kube.api.get(f"/api/v1/namespaces/{HOME}/configmaps/{RECORD}")["data"]

    async def given_back() -> bool:
        with suppress(ApiUnreachable):  # its controller has just changed it
            await targets.release([])
        return bool(kube.api.get(f"{path}/scaled")["spec"]["replicas"] == 2)

    await eventually(given_back)


async def test_busy_pods_are_spared_with_its_rights(installed: Installed, account: ClusterApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="channelbeat.workers")
    kube, pods, names = installed.kube, PODS.format(installed.shop), ("spared-a", "spared-b", "spared-c")
    if not exists(kube.api, f"/api/v1/namespaces/{installed.shop}/serviceaccounts/none"):
        kube.api.create(f"/api/v1/namespaces/{installed.shop}/serviceaccounts", {"metadata": {"name": "none"}})
    for name in names:
        body = {"metadata": {"name": name, "annotations": {"kept": "yes"}}, "spec": {**POD, "serviceAccountName": "none"}}
        kube.api.create(pods, body)

    def listed() -> list[dict[str, Any]]:
        return [kube.api.get(f"{pods}/{name}") for name in names]

    def spared() -> list[str]:
        return [one["metadata"]["name"] for one in listed() if sparing.COST in one["metadata"]["annotations"]]

    for busy in (["spared-a", "spared-b"], ["spared-b", "spared-c"], []):
        await sparing.spare(account, installed.shop, listed(), busy)
        assert spared() == busy
        before = [one["metadata"]["resourceVersion"] for one in listed()]
        await sparing.spare(account, installed.shop, listed(), busy)
        assert [one["metadata"]["resourceVersion"] for one in listed()] == before, "nothing is written that is so already"
    gone = listed()
    kube.api.delete(f"{pods}/spared-a", gracePeriodSeconds="0")
    until(lambda: not exists(kube.api, f"{pods}/spared-a"), what="the pod gone")
    await sparing.spare(account, installed.shop, gone, names)
    assert caplog.records == []


def forbidden(kube: ControlPlane) -> int:
    """How many requests the API server has answered with 403."""
    lines = re.findall(r'^apiserver_request_total\{.*?code="403".*?\} (\d+)$', kube.api.get("/metrics"), re.MULTILINE)
    return sum(map(int, lines))


def told(kube: ControlPlane, namespace: str) -> list[str]:
    events = kube.api.get(f"/api/v1/namespaces/{namespace}/events")["items"]
    return [one["reason"] for one in events if one["involvedObject"]["kind"] == "BeatSchedule"]


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["cluster", "namespace"])
def test_what_the_chart_gives_the_operator_is_enough(
    installed: Installed, users: dict[str, Api], redis_server: RedisServer, tmp_path: Path, scope: str
) -> None:
    """A real one, with the account, the arguments and the files of the chart's pod; it sends, leads, reports, and is refused nothing."""
    kube = installed.kube
    release = HOME
    values: dict[str, Any] = LEAST
    if scope == "namespace":
        release = kube.new_namespace()
        values = {**NAMESPACED, "watch": {"namespaces": [release]}}
        installed.helm.run("install", "d", str(CHART), "--namespace", release, values=values)
    rendered = installed.helm.render(values, namespace=release)
    mount(rendered, tmp_path, {"url": redis_server.url})
    options = [one for one in container(rendered)["args"][1:] if not one.startswith(("--listen", "--layers"))]
    kubeconfig = kube.write_kubeconfig(f"{scope}-operator", token(kube, release, "d-channelbeat"), release)
    before = forbidden(kube)
    beats = Beats(kube, release)
    beats.put({"every": "1s"})
    replica = Operator("d-0", [*options, f"--layers={tmp_path}/layers.yaml", f"--kubeconfig={kubeconfig}"], tmp_path, {"POD_NAMESPACE": release})
    try:
        replica.wait()
        beats.becomes("Ready=True")
        until(lambda: beats.status().get("lastScheduleTime"), 30, what=f"something sent: {replica}", every=0.05)
        beats.put({"every": "1h"}, name="lost", channelLayer={"name": "nowhere"})
        beats.becomes("Ready=False", "lost")
        until(lambda: told(kube, release), 30, what=f"an Event: {replica}", every=0.05)
        beats.annotate(e="2026-01-01T00:00:00Z")  # answered in the status: Expired
        until(lambda: beats.event().get("lastHandledTrigger"), 30, what=f"the trigger answered: {replica}", every=0.05)
        assert replica.stop() == 0
        assert not kube.api.get(f"/apis/coordination.k8s.io/v1/namespaces/{release}/leases/d-channelbeat")["spec"].get("holderIdentity")
    finally:
        replica.kill()
    assert replica.with_words("orbidden") == []
    assert forbidden(kube) == before
