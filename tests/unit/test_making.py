"""What is told of a Deployment that the API server does not make."""

import pytest

from channelbeat.cluster.making import not_answered, told
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
