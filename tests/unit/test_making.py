"""What is to be done about a Deployment whose number is left to somebody else, and what is told of one that the API server does not make, or that cannot
be made out."""

from typing import Any

import pytest

from channelbeat.cluster import making
from channelbeat.cluster.deployment import APPLIED, MANAGER
from channelbeat.cluster.live import Live, live
from channelbeat.cluster.making import Call, not_answered, told
from channelbeat.cluster.staffing import Part
from channelbeat.core.crews import Crew, member
from channelbeat.errors import ApiRefused, ApiUnreachable
from support.rig import schedule

TEMPLATE = {"template": {"spec": {"containers": [{"name": "worker", "image": "shop:1"}]}}}
CREW = Crew("default/t-worker", (member(schedule({"every": "1h"}, worker=TEMPLATE), "u", 0),), shared=False)


@pytest.mark.parametrize(
    ("status", "words", "reason", "cure"),
    [
        pytest.param(
            403,
            'deployments.apps "t-worker" is forbidden: exceeded quota: q, requested: count/deployments.apps=1',
            "Quota",
            "kubectl describe quota -n default",
            id="a quota of Deployments",
        ),
        pytest.param(
            403,
            'deployments.apps "t-worker" is forbidden: unable to create new content in namespace default because it is being terminated',
            "NotAllowed",
            "namespace default is being deleted",
            id="a namespace that goes",
        ),
        pytest.param(403, 'User "u" cannot create resource "deployments"', "NotAllowed", "give our ServiceAccount create", id="a right"),
        pytest.param(403, 'admission webhook "policy" denied the request: no tag', "TemplateRefused", "correct it there", id="a policy"),
        pytest.param(422, 'Deployment.apps "t-worker" is invalid: spec.x: Required value', "TemplateRefused", "spec.x: Required value", id="a fault"),
    ],
)
def test_a_refusal_is_told_with_its_cure(status: int, words: str, reason: str, cure: str) -> None:
    refusal = told(CREW, ApiRefused(f"the API server refuses it: {words}", status, "Forbidden", words))
    assert refusal.reason == reason
    assert cure in refusal.text


def test_an_answer_that_is_none_is_told_without_passwords() -> None:
    refusal = not_answered(CREW, ApiUnreachable("the API server stumbles over POST: 500 failed calling webhook: https://me:secret@hook/: EOF"))
    assert refusal.reason == "NotAllowed"
    assert "secret" not in refusal.text
    assert "failed calling webhook" in refusal.text


@pytest.mark.parametrize("env", [{"DEBUG": "1"}, [{"nam": "X", "value": "y"}]])
def test_a_template_that_cannot_be_worked_with_changes_nothing_and_what_is_there_is_scaled(env: object) -> None:
    template = {"spec": {"containers": [{"name": "worker", "image": "shop:1", "env": env}]}}
    crew = Crew("default/t-worker", (member(schedule({"every": "1h"}, worker={"template": template}), "u", 0),), shared=False)
    step = making.step(crew, seen("u", MANAGER), None, 2)
    assert (step.call, step.body, step.trouble and step.trouble.reason) == (Call.SCALE, None, "TemplateRefused")
    step = making.step(crew, None, None, 2)
    assert (step.call, step.trouble and step.trouble.reason) == (None, "TemplateRefused")


def seen(owner: str, number: str) -> Live:
    """Four replicas, by the manager `number`; something else was applied to it than is to be."""
    fields: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    metadata: dict[str, Any] = {"namespace": "default", "name": "t-worker", "uid": "d", "annotations": {APPLIED: "before"}}
    metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    metadata["managedFields"] = [
        {"manager": MANAGER, "operation": "Apply", "fieldsV1": fields if number == MANAGER else {"f:spec": {}}},
        {"manager": number, "operation": "Update", "fieldsV1": fields},
    ]
    return live({"metadata": metadata, "spec": {"replicas": 4, "template": {}}}, Part(whole=True, template=False))


@pytest.mark.parametrize(
    ("manager", "replicas", "applied"),
    [("kubectl", 2, 2), ("kubectl", None, None), (MANAGER, None, 4)],
    ids=["it is for us to say", "it is theirs", "it is theirs, and as we applied it"],
)
def test_the_template_is_applied_whosever_the_number_is(manager: str, replicas: int | None, applied: int | None) -> None:
    step = making.step(CREW, seen("u", manager), None, replicas)
    assert (step.call, (step.body or {})["spec"].get("replicas")) == (Call.APPLY, applied)


@pytest.mark.parametrize(("replicas", "call"), [(2, Call.SCALE), (4, None), (None, None)])
def test_a_number_that_is_left_to_others_is_not_scaled_to(replicas: int | None, call: Call | None) -> None:
    """Neither of ours whose template is refused, nor of somebody else's."""
    assert making.scaled(seen("u", "kubectl"), replicas).call == call
    assert making.target(CREW, seen("u", "kubectl"), replicas).call == call
