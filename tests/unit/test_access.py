"""How the API server is reached: pods, kubeconfigs, credential plugins, and what is wrong with them."""

import base64
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from channelbeat.cluster import access
from channelbeat.cluster.access import Access
from channelbeat.errors import UsageError

POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def token(claims: Mapping[str, Any]) -> str:
    """Signed by nobody."""
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims, {}))


def bound(uid: str) -> str:
    return token({"kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "channelbeat", "uid": uid}}})


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    folder = tmp_path / "mounted"
    folder.mkdir()
    (folder / "token").write_text(bound("u-1") + "\n")
    (folder / "ca.crt").write_text("-----BEGIN CERTIFICATE-----")
    (folder / "namespace").write_text("shop")
    return folder


def config(tmp_path: Path, user: Mapping[str, Any] | None = None, *, name: str = "config", cluster: Mapping[str, Any] | None = None, **more: Any) -> Path:
    path = tmp_path / name
    whole = {
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": "https://api:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {"token": "secret"}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
            {"name": "there", "context": {"cluster": "c", "user": "u"}},
        ],
        **more,
    }
    path.write_text(json.dumps(whole))
    return path


def shown(found: Access) -> Any:
    return found.for_kopf()


def test_a_pod_needs_no_dns(mounted: Path) -> None:
    found = access.find(mounted=mounted, environ=POD)
    assert (found.server, found.namespace, found.account) == ("https://10.96.0.1:443", "shop", "u-1")
    assert found.headers() == {"Authorization": f"Bearer {bound('u-1')}"}
    assert shown(found).ca_path == str(mounted / "ca.crt")
    assert access.find(mounted=mounted, environ={"KUBERNETES_SERVICE_HOST": "fd00::1"}).server == "https://[fd00::1]:443"


def test_its_token_is_read_again(mounted: Path) -> None:
    found = access.find(mounted=mounted, environ=POD)
    (mounted / "token").write_text("new")
    assert found.fresh().headers() == {"Authorization": "Bearer new"}
    (mounted / "token").unlink()
    with pytest.raises(UsageError, match=r"the token of our ServiceAccount in .* cannot be read: No such file"):
        found.fresh()


def test_a_named_kubeconfig_comes_before_the_pod_and_the_pod_before_others(mounted: Path, tmp_path: Path) -> None:
    named = config(tmp_path)
    environ = POD | {"KUBECONFIG": str(named)}
    assert access.find(named, mounted=mounted, environ=POD).server == "https://api:6443"
    assert access.find(context="here", mounted=mounted, environ=environ).server == "https://api:6443"
    assert access.find(mounted=mounted, environ=environ).server == "https://10.96.0.1:443"
    assert access.find(mounted=mounted, environ={"KUBECONFIG": str(named)}).server == "https://api:6443"
    assert access.find(mounted=tmp_path / "none", environ=environ).server == "https://api:6443"


def test_a_pod_without_a_token_is_told_the_cure(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="set automountServiceAccountToken"):
        access.find(mounted=tmp_path, environ=POD)


def test_without_anything_the_cure_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no kubeconfig .*\.kube/config: name one with --kubeconfig, or in \$KUBECONFIG"):
        access.find(mounted=tmp_path, environ={"HOME": str(tmp_path)})
    (tmp_path / ".kube").mkdir()
    config(tmp_path / ".kube")
    assert access.find(mounted=tmp_path, environ={"HOME": str(tmp_path)}).server == "https://api:6443"


def test_a_context_is_chosen(tmp_path: Path) -> None:
    assert access.find(config(tmp_path)).namespace == "shop"
    assert access.find(config(tmp_path), "there").namespace == "default"
    with pytest.raises(UsageError, match="has no context 'nowhere': there is here, there"):
        access.find(config(tmp_path), "nowhere")


def test_of_several_files_the_first_to_name_a_thing_counts(tmp_path: Path) -> None:
    second = config(tmp_path, {"token": "second"}, name="second", users=[{"name": "v", "user": {"token": "v"}}])
    first = config(tmp_path, name="first", clusters=[], contexts=[{"name": "here", "context": {"cluster": "c", "user": "v"}}])
    found = access.find(environ={"KUBECONFIG": f"{tmp_path / 'none'}:{first}:{second}"})
    assert (found.server, found.namespace, found.headers()) == ("https://api:6443", "default", {"Authorization": "Bearer v"})


def test_paths_begin_at_their_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")
    user = {"tokenFile": "token", "token": "no", "client-certificate": "c.pem", "client-key": "k.pem"}
    found = shown(access.find(config(tmp_path, user, cluster={"certificate-authority": "pki/ca.pem"})))
    assert (found.ca_path, found.certificate_path, found.private_key_path) == tuple(str(tmp_path / name) for name in ("pki/ca.pem", "c.pem", "k.pem"))
    assert found.token == "from a file"


def test_data_wins_over_a_path(tmp_path: Path) -> None:
    cluster = {"certificate-authority": "ca.pem", "certificate-authority-data": "Y2E="}
    user = {"client-certificate-data": "Yw==", "client-key-data": "aw==", "username": "u", "password": "p"}
    found = shown(access.find(config(tmp_path, user, cluster=cluster | {"proxy-url": "http://proxy:3128", "insecure-skip-tls-verify": True})))
    assert (found.ca_path, found.ca_data, found.certificate_data, found.private_key_data) == (None, "Y2E=", "Yw==", "aw==")
    assert (found.username, found.password, found.proxy_url, found.insecure) == ("u", "p", "http://proxy:3128", True)


def test_it_is_read_as_yaml_too(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("current-context: a\nclusters: [{name: c, cluster: {server: https://api}}]\ncontexts: [{name: a, context: {cluster: c}}]\n")
    found = access.find(path)
    assert (found.server, found.headers()) == ("https://api", {})


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"user": {"auth-provider": {"name": "gcp"}}}, "logs in by auth-provider, which Kubernetes gave up in 1.26: use"),
        ({"user": {"token": "t", "as": "somebody"}}, "plays somebody else"),
        ({"user": {"tokenFile": "none"}}, "the token file .*none cannot be read: No such file"),
        ({"cluster": {"tls-server-name": "x"}}, "tls-server-name, which is not supported"),
        ({"cluster": {"server": ""}}, "cluster c has no server"),
        ({"current-context": ""}, "no current context: choose one with --context"),
        ({"clusters": None}, "has no cluster 'c': there is none"),
        ({"contexts": {"here": {}}}, "is no kubeconfig: it needs lists"),
        ({"user": {"exec": {"command": "no-such-program", "installHint": "get it"}}}, r"not on this machine: install it \(get it\)"),
        ({"user": {"exec": {"command": "false"}}}, "logs in by false, which failed with 1: it said nothing"),
        ({"user": {"exec": {"command": "true"}}}, "printed no ExecCredential"),
    ],
)
def test_what_is_wrong_with_a_kubeconfig_is_told(tmp_path: Path, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as refused:
        access.find(config(tmp_path, **more))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("content", "sentence"), [("a: [", "config: line 2"), ("- 1", "is no kubeconfig"), ("", "no current context")])
def test_files_that_are_none_are_told(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(UsageError, match=sentence):
        access.find(tmp_path / "config")


def test_a_credential_plugin_is_run_and_run_again(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(
        '#!/bin/sh\necho x >> "$RUNS"\nprintf \'{"status": {"token": "%s-%s-%s"}}\' "$1" "$(wc -l < "$RUNS")" "$(echo "$KUBERNETES_EXEC_INFO" | grep -c https://api)"\n'
    )
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "runs").touch()
    spec = {"command": "./plugin", "args": ["a"], "env": [{"name": "RUNS", "value": str(tmp_path / "runs")}], "provideClusterInfo": True}
    found = access.find(config(tmp_path, {"exec": spec}))
    assert found.headers() == {"Authorization": "Bearer a-1-1"}
    assert found.fresh().headers() == {"Authorization": "Bearer a-2-1"}


def test_nothing_secret_is_shown(mounted: Path, tmp_path: Path) -> None:
    assert bound("u-1") not in repr(access.find(mounted=mounted, environ=POD))
    assert "secret" not in repr(access.find(config(tmp_path)))


def test_an_installation_has_one_owner_and_each_its_own(mounted: Path, tmp_path: Path) -> None:
    here = access.find(mounted=mounted, environ=POD)
    assert access.owner(here, "shop/channelbeat") == access.owner(here, "shop/other") == "u-1"
    (mounted / "token").write_text(token({"kubernetes.io/serviceaccount/service-account.uid": "u-2"}))
    assert access.owner(here.fresh(), "shop/channelbeat") == "u-2"
    outside = access.find(config(tmp_path, {"token": bound("u-3")}))
    owner = access.owner(outside, "shop/channelbeat")
    assert len(owner) == 32
    assert owner == access.owner(outside.fresh(), "shop/channelbeat")
    assert owner != access.owner(outside, "shop/other")
    for unreadable in ("opaque", "a.b.c", token({"kubernetes.io": {}})):
        (mounted / "token").write_text(unreadable)
        assert len(access.owner(here.fresh(), "shop/channelbeat")) == 32


def test_a_kubeconfig_that_is_no_yaml_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("users: [{name: u, user: {token: *hidden}}]\n")
    with pytest.raises(UsageError, match=r"config: line 1, column 33: ") as refused:
        access.find(tmp_path / "config")
    assert "hidden" not in str(refused.value)
