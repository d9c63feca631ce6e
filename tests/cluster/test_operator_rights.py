"""A ServiceAccount with the rights it needs, and what becomes of it when they are taken away."""

from collections.abc import Callable
from typing import Any

import pytest

from support.arrivals import CLEAN, Channel, audit, now
from support.beats import Beats
from support.cluster import ControlPlane
from support.operators import Installation
from support.waiting import until

pytestmark = pytest.mark.chaos

EVERY = 100
LEASE = 3_000
RULES: list[dict[str, Any]] = [
    {"apiGroups": ["channelbeat.dev"], "resources": ["beatschedules"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["channelbeat.dev"], "resources": ["beatschedules/status"], "verbs": ["patch"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "watch", "create", "update"]},
    {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
]


class Account:
    """Of the operator, in a namespace."""

    def __init__(self, kube: ControlPlane, namespace: str) -> None:
        self._api, self.namespace = kube.api, namespace
        self._rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self._api.create(accounts, {"metadata": {"name": "operator"}})
        self._api.create(f"{self._rbac}/roles", {"metadata": {"name": "operator"}, "rules": RULES})
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = self._api.create(f"{accounts}/operator/token", asked)["status"]["token"]
        self.kubeconfig = kube.write_kubeconfig("operator", token, namespace)

    def grant(self) -> None:
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"}
        subject = {"kind": "ServiceAccount", "name": "operator", "namespace": self.namespace}
        self._api.create(f"{self._rbac}/rolebindings", {"metadata": {"name": "operator"}, "roleRef": role, "subjects": [subject]})

    def revoke(self) -> None:
        self._api.delete(f"{self._rbac}/rolebindings/operator")


def test_rights_are_taken_away_while_it_runs(
    install: Callable[..., Installation], kube: ControlPlane, own_redis: Any, namespace: str, beats: Beats, channel: Channel
) -> None:
    account = Account(kube, namespace)
    account.grant()
    us = install(kube, own_redis.url, namespace, kubeconfig=account.kubeconfig, timing="3s/1s")
    events = [beats.put({"every": "100ms"}, name=name) for name in ("one", "two")]
    one, two = us.pair()
    us.leader()
    since = channel.flows(events)
    beats.becomes("Ready=True", "one")
    account.revoke()
    (us.leader()).hears("forbidden")
    channel.reaches(now() + 3 * LEASE, events)
    assert one.healthz()
    assert two.healthz()
    account.grant()
    until(lambda: len(us.leaders()) == 1, 30, what="one leader")
    events.append(beats.put({"every": "100ms"}, name="three"))
    channel.flows(events)
    beats.becomes("Ready=True", "three")
    through = channel.reaches(now() + 500, events)
    assert audit(channel.arrivals(), events[:2], every=EVERY, since=since, through=through) == CLEAN


def test_no_rights_when_it_starts(
    install: Callable[..., Installation], kube: ControlPlane, own_redis: Any, namespace: str, beats: Beats, channel: Channel
) -> None:
    account = Account(kube, namespace)
    us = install(kube, own_redis.url, namespace, kubeconfig=account.kubeconfig)
    event = beats.put({"every": "100ms"})
    one = us.start()
    one.hears("forbidden")
    assert one.healthz()
    assert not one.readyz()
    account.grant()
    one.wait()
    channel.flows([event])


def test_a_namespace_that_may_not_be_looked_into_holds_up_no_other(
    install: Callable[..., Installation], kube: ControlPlane, own_redis: Any, namespace: str, beats: Beats, channel: Channel
) -> None:
    account = Account(kube, namespace)
    account.grant()
    event = beats.put({"every": "100ms"})
    other = kube.new_namespace()
    one = install(kube, own_redis.url, namespace, kubeconfig=account.kubeconfig).replica("--namespace", other)
    one.hears(f"schedules of {other} cannot be listed")
    channel.flows([event])
