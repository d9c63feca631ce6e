"""What the chart renders from which values, and which values it refuses; nothing is installed here."""

import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest
import yaml

from channelbeat import __version__, layers
from support import chart
from support.chart import CHART, EVERYTHING, LEAST, NAMESPACED, Helm, Values, container, mount, only, yaml_blocks
from support.cluster import CRD
from support.tree import ROOT

TRUSTING: Final = {**LEAST, "admissionPolicy": {"install": False}, "workers": {"trustAuthors": True}}
SEVERAL: Final = {**LEAST, "watch": {"namespaces": ["shop", "blog"]}}
SCALING: Final = {**LEAST, "workers": {"create": False}}
ALL: Final = {"least": LEAST, "everything": EVERYTHING, "namespaced": NAMESPACED, "trusting": TRUSTING, "several": SEVERAL, "scaling": SCALING}
EACH: Final = pytest.mark.parametrize("values", ALL.values(), ids=ALL.keys())
SECRET: Final = {"existingSecret": {"name": "redis"}}


@pytest.fixture
def charts(helm: str, tmp_path: Path) -> Helm:
    return Helm(helm, tmp_path)


def rules(rendered: list[dict[str, Any]]) -> dict[tuple[str, str], set[str]]:
    """Verbs by API group and resource, of all that is bound to the operator; a name it is restricted to is added, `leases=NAME`."""
    bound = {one["roleRef"]["name"] for one in rendered if one["kind"].endswith("RoleBinding")}
    found: dict[tuple[str, str], set[str]] = {}
    for role in (one for one in rendered if one["kind"] in ("Role", "ClusterRole") and one["metadata"]["name"] in bound):
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    key = (group, "=".join([resource, *rule.get("resourceNames", [])]))
                    found[key] = found.get(key, set()) | set(rule["verbs"])
    return found


@EACH
def test_it_has_no_faults_that_helm_finds(charts: Helm, values: Values) -> None:
    assert "0 chart(s) failed" in charts.run("lint", "--strict", str(CHART), values=values)


@EACH
def test_nobody_gets_a_right_on_secrets_or_a_right_without_a_name(charts: Helm, values: Values) -> None:
    roles = [one for one in charts.render(values) if one["kind"] in ("Role", "ClusterRole")]
    assert roles
    for rule in (rule for role in roles for rule in role["rules"]):
        words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert not words & {"*", "secrets", "escalate", "bind", "impersonate", "serviceaccounts/token", "pods/exec", "pods/log"}, rule


def test_the_operators_rights_are_these(charts: Helm) -> None:
    everywhere = {
        ("channelbeat.dev", "beatschedules"): {"get", "list", "watch"},
        ("channelbeat.dev", "beatschedules/status"): {"patch"},
        ("", "events"): {"create"},
        ("apps", "deployments"): {"get", "list", "watch"},
        ("apps", "deployments/scale"): {"get", "patch", "update"},
        ("", "pods"): {"get", "list", "watch"},
        ("coordination.k8s.io", "leases"): {"create"},
        ("coordination.k8s.io", "leases=d-channelbeat"): {"get", "watch", "update"},
        ("", "configmaps"): {"create"},
        ("", "configmaps=d-channelbeat-targets"): {"get", "patch"},
    }
    making = everywhere | {("apps", "deployments"): {"get", "list", "watch", "create", "patch"}, ("", "pods"): {"get", "list", "watch", "patch"}}
    assert rules(charts.render(LEAST)) == rules(charts.render(TRUSTING)) == rules(charts.render(SEVERAL)) == making
    assert rules(charts.render(SCALING)) == rules(charts.render(NAMESPACED)) == everywhere


def test_the_page_explains_each_of_them(charts: Helm) -> None:
    rows = re.findall(r"^\| `([a-z/]+)`(?:, [a-z ]+)? \| ([a-z, ]+) \|", (ROOT / "docs/security.md").read_text(), re.MULTILINE)
    explained: dict[str, set[str]] = {}
    for resource, verbs in rows:
        explained[resource] = explained.get(resource, set()) | set(verbs.split(", "))
    given: dict[str, set[str]] = {}
    for (_, resource), verbs in rules(charts.render(LEAST)).items():
        resource = resource.partition("=")[0]
        given[resource] = given.get(resource, set()) | verbs
    assert explained == given


@pytest.mark.parametrize(("name", "told"), [("least", None), ("trusting", None), ("several", None), ("scaling", "false"), ("namespaced", "false")])
def test_an_operator_that_may_make_no_workers_is_told_so(charts: Helm, name: str, told: str | None) -> None:
    environment = {one["name"]: one.get("value") for one in container(charts.render(ALL[name]))["env"]}
    assert environment.get("CHANNELBEAT_WORKERS_CREATE") == told


def test_with_namespaces_the_rights_are_given_there_and_nowhere_else(charts: Helm) -> None:
    rendered = charts.render({**SEVERAL, "rbac": {"aggregate": False}})
    assert {one["kind"] for one in rendered} & {"ClusterRole", "ClusterRoleBinding"} == set()
    assert sorted(one["metadata"]["namespace"] for one in rendered if one["kind"] == "RoleBinding") == ["beats", "blog", "shop"]
    assert container(rendered)["args"][1:3] == ["--namespace=shop", "--namespace=blog"]


def test_two_releases_of_one_name_share_no_cluster_wide_name(charts: Helm) -> None:
    one, two = (
        {f"{each['kind']} {each['metadata']['name']}" for each in charts.render(LEAST, namespace=name) if "namespace" not in each["metadata"]} for name in "ab"
    )
    assert one & two == {"CustomResourceDefinition beatschedules.channelbeat.dev"}


def test_the_crd_comes_whole_and_stays(charts: Helm) -> None:
    rendered, ours = only(charts.render(EVERYTHING), "CustomResourceDefinition"), yaml.safe_load(CRD.read_text())
    assert rendered["spec"] == ours["spec"]
    assert rendered["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep", "who": "admins"}


@EACH
def test_the_layers_file_is_one_that_the_operator_reads(charts: Helm, tmp_path: Path, values: Values) -> None:
    mounted = mount(charts.render(values), tmp_path, dict.fromkeys(("url", "redis-url"), "redis://:secret@redis:6379/0") | {"symmetric": "k1\nk2"})
    read = layers.read(mounted / "layers.yaml", refuse=lambda settings: None)
    assert read.keys() == values["layers"].keys()
    assert {layer.url for layer in read.values()} == {"redis://:secret@redis:6379/0"}
    if values is EVERYTHING:
        big = read["big.layer_2"]
        assert (big.prefix, big.expiry, big.capacity, big.channel_capacity) == ("shop", 3600, 10_000_000, {"thumbnails-*": 1_000_000})
        assert (big.serializer_format, big.random_prefix_length, big.encryption_keys) == ("json", 0, ("k1", "k2"))
        assert big.allowed_namespaces == ("shop", "blog")


def test_the_keys_of_a_secret_have_the_names_that_the_page_says(charts: Helm, tmp_path: Path) -> None:
    values = {"layers": {"default": {**SECRET, "encryptionKeysSecret": {"name": "redis"}}}}
    mounted = mount(charts.render(values), tmp_path, {"url": "redis://redis", "keys": "k1"})
    layer = layers.read(mounted / "layers.yaml", refuse=lambda settings: None)["default"]
    assert (layer.url, layer.encryption_keys) == ("redis://redis", ("k1",))


def test_the_pods_may_as_little_as_pods_can(charts: Helm) -> None:
    rendered = charts.render(LEAST)
    pod = only(rendered, "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    least = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    assert container(rendered)["securityContext"] == least
    assert {"name": "tmp", "mountPath": "/tmp"} in container(rendered)["volumeMounts"]
    assert next(one for one in pod["volumes"] if one["name"] == "tmp")["emptyDir"]
    assert only(rendered, "ServiceAccount")["automountServiceAccountToken"] is False
    test = only(rendered, "Pod")["spec"]
    assert (test["automountServiceAccountToken"], test["containers"][0]["securityContext"]) == (False, least)


def test_the_probes_ask_where_the_operator_listens(charts: Helm) -> None:
    one = container(charts.render(LEAST))
    assert "--listen=0.0.0.0:8080" in one["args"]
    assert one["ports"] == [{"name": "http", "containerPort": 8080}]
    asked = {name: (one[name]["httpGet"]["path"], one[name]["httpGet"]["port"]) for name in ("livenessProbe", "readinessProbe")}
    assert asked == {"livenessProbe": ("/healthz", "http"), "readinessProbe": ("/readyz", "http")}


def test_a_replica_goes_only_when_another_is_ready_and_they_are_apart_if_they_can_be(charts: Helm) -> None:
    spec = only(charts.render(LEAST), "Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["template"]["spec"]["affinity"]["podAntiAffinity"].keys() == {"preferredDuringSchedulingIgnoredDuringExecution"}
    assert [one["whenUnsatisfiable"] for one in spec["template"]["spec"]["topologySpreadConstraints"]] == ["ScheduleAnyway"]
    assert "PodDisruptionBudget" not in {one["kind"] for one in charts.render({**LEAST, "replicas": 1})}, "it would hold up every drain"


@EACH
def test_whatever_selects_the_pods_selects_them_and_no_others(charts: Helm, values: Values) -> None:
    rendered = charts.render(values)
    pods, test = only(rendered, "Deployment")["spec"]["template"]["metadata"]["labels"], only(rendered, "Pod")["metadata"]["labels"]
    selectors = [label_selectors(one) for one in rendered if one["kind"] not in ("CustomResourceDefinition", "ServiceMonitor")]
    service = only(rendered, "Service")
    monitors = [one["spec"]["selector"]["matchLabels"] for one in rendered if one["kind"] == "ServiceMonitor"]
    for selector in (one for several in (*selectors, [service["spec"]["selector"]]) for one in several if "app.kubernetes.io/name" in one):
        assert selector.items() <= pods.items()
        assert not selector.items() <= test.items()
    assert [selector for selector in monitors if not selector.items() <= service["metadata"]["labels"].items()] == []


def label_selectors(value: Any) -> list[dict[str, str]]:
    """Every `matchLabels` somewhere in it."""
    if isinstance(value, list):
        return [found for one in value for found in label_selectors(one)]
    if isinstance(value, dict):
        return [found for name, one in value.items() for found in ([one] if name == "matchLabels" else label_selectors(one))]
    return []


@pytest.mark.parametrize("values", [LEAST, SEVERAL], ids=["cluster", "namespaces"])
def test_the_policies_deny_everywhere_and_when_in_doubt(charts: Helm, values: Values) -> None:
    rendered = charts.render(values)
    policies = [one for one in rendered if one["kind"] == "ValidatingAdmissionPolicy"]
    assert [(one["spec"]["failurePolicy"], one["spec"].get("paramKind")) for one in policies] == [("Fail", None)] * 2
    bindings = [one["spec"] for one in rendered if one["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert bindings == [{"policyName": one["metadata"]["name"], "validationActions": ["Deny"]} for one in policies]


@pytest.mark.parametrize("status", [200, 503])
def test_helm_test_asks_the_service_whether_a_replica_is_ready(charts: Helm, status: int) -> None:
    rendered = charts.render(LEAST)
    (ask,) = only(rendered, "Pod")["spec"]["containers"]
    assert ask["command"] == ["python3", "-c"]
    paths: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        server.timeout = 5  # seconds that it waits for a question
        asking = Thread(target=server.handle_request)
        asking.start()
        # As the kubelet names them.
        prefix = only(rendered, "Service")["metadata"]["name"].upper().replace("-", "_")
        environment = {f"{prefix}_SERVICE_HOST": "127.0.0.1", f"{prefix}_SERVICE_PORT": str(server.server_port)}
        asked = subprocess.run([sys.executable, "-c", *ask["args"]], env=environment, capture_output=True, check=False)
        asking.join()
    assert (asked.returncode == 0, paths) == (status == 200, ["/readyz"])


def test_labels_of_everything_are_on_everything_and_ours_win(charts: Helm) -> None:
    theirs = {"team": "platform", "app.kubernetes.io/name": "theirs"}
    rendered = charts.render(
        {**EVERYTHING, "extraObjects": [], "commonLabels": theirs, "podLabels": theirs, "serviceMonitor": {"create": True, "labels": theirs}}
    )
    pods = only(rendered, "Deployment")["spec"]["template"]
    for one in (*(each for each in rendered if each["kind"] != "Pod"), pods):
        assert (one["metadata"]["labels"]["team"], one["metadata"]["labels"]["app.kubernetes.io/name"]) == ("platform", "channelbeat"), one


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replcas": 1}, "additional properties 'replcas' not allowed"),
        ({"watch": {"namespace": "shop"}}, "at '/watch': additional properties 'namespace' not allowed"),
        ({"watch": {"namespaces": "shop"}}, "at '/watch/namespaces': got string, want array"),
        ({"layers": {"default": {"existingSecret": {"name": "redis"}, "expirry": 60}}}, "at '/layers/default': additional properties 'expirry' not allowed"),
        ({"layers": {"default": {"existingSecret": {"key": "url"}}}}, "at '/layers/default/existingSecret': missing property 'name'"),
        ({"layers": {"default": {"url": "redis://redis"}}}, "additional properties 'url' not allowed"),
        ({"layers": {"../etc": SECRET}}, "at '/layers': additional properties '../etc' not allowed"),
        ({"replicas": "2"}, "at '/replicas': got string, want integer"),
        ({"replicas": 0}, "at '/replicas': minimum: got 0, want 1"),
        ({"lease": {"duration": "3 s"}}, "at '/lease/duration': '3 s' does not match pattern"),
        ({"lease": {"duration": "900ms", "renewal": "100ms"}}, "make the duration at least 1s"),
        ({"lease": {"duration": "3s", "renewal": "1s501ms"}}, "lease.duration is 3s and lease.renewal 1s501ms"),
        ({"log": {"level": "verbose"}}, "at '/log/level': value must be one of 'debug', 'info', 'warning', 'error'"),
        ({"image": {"digest": "latest"}}, "at '/image/digest': 'latest' does not match pattern"),
        ({"crds": {"keep": True}}, "at '/crds': additional properties 'keep' not allowed"),
        ({"layers": {}}, "layers is empty, so no schedule could send anything: put the URL of your Redis into a Secret and name it"),
        ({"workers": {"create": False, "trustAuthors": True}, "admissionPolicy": {"install": False}}, "workers.create=false forbids it: take one of them back"),
        ({"workers": {"trustAuthors": True}}, "take trustAuthors back"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.create=false needs serviceAccount.name"),
        ({"serviceMonitor": {"create": True}, "service": {"create": False}}, "set service.create=true"),
        (
            {"watch": {"namespaces": ["shop"]}, "layers": {"default": SECRET, "b": {**SECRET, "allowedNamespaces": ["blog"]}}},
            "layers.b.allowedNamespaces has none of watch.namespaces (shop)",
        ),
    ],
    ids=str,
)
def test_values_that_cannot_be_meant_are_refused_with_words(charts: Helm, values: Values, said: str) -> None:
    assert said in charts.refuses({**LEAST, **values} if values != {"layers": {}} else {})


@pytest.mark.parametrize("value", ["image.tag", "nodeSelector", "priorityClassName", "affinity", "podSecurityContext"])
def test_a_value_set_to_null_is_as_if_it_were_left_out(charts: Helm, value: str) -> None:
    parent, _, name = value.rpartition(".")
    assert only(charts.render({**LEAST, **({parent: {name: None}} if parent else {name: None})}), "Deployment")


def test_the_values_on_the_page_are_good_ones(charts: Helm) -> None:
    least, namespaced = (yaml.safe_load(block) for block in yaml_blocks(ROOT / "docs/install.md") if block.startswith("# values.yaml\n"))
    assert container(charts.render(least))["image"] == f"REGISTRY/channelbeat:{__version__}"
    assert namespaced == NAMESPACED


def test_the_notes_say_what_comes_next(charts: Helm) -> None:
    def notes(values: Values) -> str:
        return charts.run("install", "d", str(CHART), "--dry-run=client", "--namespace", "beats", values=values).partition("NOTES:")[2]

    assert "helm test d --namespace beats" in notes(LEAST)
    assert "kubectl get beatschedules --all-namespaces" in notes(LEAST)
    assert "redis (url): the URL of layer default" in notes(LEAST)
    assert "makes no Deployments" not in notes(LEAST)
    assert "It makes no Deployments (without the admission policy" in notes(NAMESPACED)
    assert "crds.install=false: have somebody with the rights apply" in notes(NAMESPACED)
    assert "whoever may write a BeatSchedule may run any pod" in notes(TRUSTING)


@pytest.mark.parametrize("value", [one for one in chart.values() if isinstance(one.default, bool)], ids=lambda value: value.name)
def test_every_switch_switches_something(charts: Helm, value: chart.Value) -> None:
    parent, _, name = value.name.rpartition(".")
    base = TRUSTING if value.name == "workers.trustAuthors" else SEVERAL
    other = {**base, parent: {**base.get(parent, {}), name: not base.get(parent, {}).get(name, value.default)}}
    if value.name == "serviceAccount.create":
        other[parent]["name"] = "d-channelbeat"
    assert charts.render(base) != charts.render(other)
