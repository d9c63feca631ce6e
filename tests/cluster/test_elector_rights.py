"""Who leads when rights are missing, or are taken away."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from support import electors
from support.cluster import ControlPlane
from support.electors import Election
from support.waiting import eventually

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/"


@pytest.fixture
async def election(kube: ControlPlane, namespace: str) -> AsyncIterator[Election]:
    async with electors.held(kube, namespace) as election:
        yield election


class Rights:
    """Of a ServiceAccount of the namespace's own."""

    def __init__(self, election: Election) -> None:
        self._api, self._path = election.kube.api, RBAC.format(election.namespace)
        accounts = f"/api/v1/namespaces/{election.namespace}/serviceaccounts"
        self._api.create(accounts, {"metadata": {"name": "sender"}})
        self.token: str = self._api.create(f"{accounts}/sender/token", {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        subject = {"kind": "ServiceAccount", "name": "sender", "namespace": election.namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lead"}
        self._api.create(f"{self._path}rolebindings", {"metadata": {"name": "lead"}, "roleRef": reference, "subjects": [subject]})
        self.give([])

    def give(self, verbs: list[str]) -> None:
        rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}] if verbs else []
        self._api.apply(
            f"{self._path}roles/lead",
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "lead"}, "rules": rules},
            force="true",
        )


ALL = ["get", "watch", "create", "update"]


async def test_the_rights_it_asks_for_suffice(election: Election) -> None:
    rights = Rights(election)
    rights.give(ALL)
    one = election.stand("one", token=rights.token, timing=electors.SLOW)
    await one.leads()
    election.overwrite(holderIdentity="stranger")
    await eventually(one.elector.lost)  # by the watch


async def test_without_rights_it_stands_by_says_so_once_and_leads_when_it_has_them(election: Election, caplog: pytest.LogCaptureFixture) -> None:
    rights = Rights(election)
    one = election.stand("one", token=rights.token, api=electors.Deaf)
    await eventually(lambda: any("forbidden" in message for message in caplog.messages))
    await asyncio.sleep(1.5)
    assert one.elector.lost()
    (told,) = [message for message in caplog.messages if "forbidden" in message]
    assert "give our ServiceAccount get, watch, create and update on leases.coordination.k8s.io" in told
    assert told.endswith("stands by")
    rights.give(ALL)
    await one.leads()


async def test_a_leader_whose_rights_are_taken_goes_on_sending(election: Election, caplog: pytest.LogCaptureFixture) -> None:
    rights = Rights(election)
    rights.give(ALL)
    one = election.stand("one", token=rights.token)
    await one.leads()
    rights.give([])
    await eventually(lambda: not one.elector.valid())
    begun = time.monotonic()
    while time.monotonic() - begun < 1:
        assert not one.elector.lost()
        await asyncio.sleep(0.01)
    told = [message for message in caplog.messages if "forbidden" in message and message.endswith("goes on sending, fenced by the epoch")]
    assert len(told) == 1
    rights.give(ALL)
    await one.leads()
    assert not any(lost for _, lost in one.changes)


async def test_without_rights_it_learns_of_another_leader_when_it_has_them_again(election: Election) -> None:
    rights = Rights(election)
    rights.give(ALL)
    one = election.stand("one", token=rights.token, api=electors.Deaf)
    await one.leads()
    rights.give([])
    two = election.stand("two")
    await two.leads()
    assert not one.elector.lost()
    rights.give(["get"])
    await eventually(one.elector.lost)
    assert one.elector.holder == "two"
