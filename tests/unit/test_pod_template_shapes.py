"""A pod template of their own whose shape nobody can work with: what is wrong, where, and what to write instead."""

from typing import Any, Final

import pytest

from channelbeat.cluster.pod_template import pod_template
from channelbeat.core.finding import Finding
from support.rig import schedule

ENV: Final = 'write `env: [{name: NAME, value: "VALUE"}]`'


def found(spec: object = None, worker: dict[str, Any] | None = None, **template: Any) -> dict[str, Any] | Finding:
    """Of a template with a worker and what is said besides."""
    containers = [{"name": "worker", "image": "shop:1", **(worker or {})}]
    pod = {"containers": containers, **spec} if isinstance(spec, dict) else {"containers": containers}
    return pod_template(schedule({"every": "1h"}, worker={"template": {"spec": pod, **template}}))


@pytest.mark.parametrize(
    ("env", "says"),
    [
        pytest.param({"DEBUG": "1"}, f"env: must be a list, not an object: {ENV}", id="as in a compose file"),
        pytest.param(["PASSWORD=secret"], f"env[0]: must be an object, not a string: {ENV}", id="as in another"),
        pytest.param([{"nam": "X", "value": "y"}], f"env[0].name: is required: {ENV}", id="misspelled"),
        pytest.param([{"name": "X"}, {"name": None, "value": "y"}], f"env[1].name: is required: {ENV}", id="without a name"),
        pytest.param([{"name": {"a": 1}}], f"env[0].name: must be a string, not an object: {ENV}", id="an object for a name"),
        pytest.param([{"name": 5}], f"env[0].name: must be a string, not a number: {ENV}", id="a number for a name"),
        pytest.param([None], f"env[0]: must be an object, not null: {ENV}", id="nothing at all"),
        pytest.param("DEBUG=1", f"env: must be a list, not a string: {ENV}", id="words"),
        pytest.param(True, f"env: must be a list, not a boolean: {ENV}", id="a flag"),
    ],
)
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_variables(kind: str, env: object, says: str) -> None:
    refused = found(worker={"env": env}) if kind == "containers" else found({kind: [{"name": "migrate", "image": "shop:1", "env": env}]})
    assert refused == Finding("TemplateRefused", f"spec.worker.template.spec.{kind}[0].{says}")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"initContainers": {"migrate": {"image": "shop:1"}}}, "initContainers: must be a list, not an object"),
        ({"initContainers": "migrate"}, "initContainers: must be a list, not a string"),
        ({"initContainers": ["migrate"]}, "initContainers[0]: must be an object, not a string"),
        ({"initContainers": [{"name": "a"}, None]}, "initContainers[1]: must be an object, not null"),
        ({"initContainers": [["a"]]}, "initContainers[0]: must be an object, not a list"),
        ({"containers": [{"name": "worker"}, "proxy"]}, "containers[1]: must be an object, not a string"),
        ({"containers": [None, {"name": "worker"}]}, "containers[0]: must be an object, not null"),
    ],
)
def test_containers(spec: dict[str, Any], says: str) -> None:
    kind = says.partition("ontainers")[0] + "ontainers"
    assert found(spec) == Finding("TemplateRefused", f"spec.worker.template.spec.{says}: write `{kind}: [{{name: NAME, image: IMAGE}}]`")


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ([], "metadata: must be an object, not a list: write `metadata: {labels: {NAME: VALUE}}`, or leave it out"),
        ("x", "metadata: must be an object, not a string: write `metadata: {labels: {NAME: VALUE}}`, or leave it out"),
        ({"labels": "x"}, "metadata.labels: must be an object, not a string: write `labels: {NAME: VALUE}`, or leave it out"),
        ({"labels": ["a=b"]}, "metadata.labels: must be an object, not a list: write `labels: {NAME: VALUE}`, or leave it out"),
    ],
)
def test_metadata(metadata: object, says: str) -> None:
    assert found(metadata=metadata) == Finding("TemplateRefused", f"spec.worker.template.{says}")


@pytest.mark.parametrize(
    "template",
    [
        {"metadata": None},
        {"metadata": {"labels": None, "annotations": None}},
        {"spec": {"initContainers": None, "volumes": None}},
        {"worker": {"env": None, "args": None, "resources": None}},
        {"spec": {"initContainers": [{"name": "migrate", "env": None}]}},
    ],
)
def test_a_null_says_nothing(template: dict[str, Any]) -> None:
    made = found(**template)
    assert isinstance(made, dict)
    assert "None" not in str(made)


@pytest.mark.parametrize(
    "template",
    [
        {"metadata": {"annotations": []}},
        {"spec": {"volumes": {}}},
        {"spec": {"terminationGracePeriodSeconds": "1h", "initContainers": [{"name": 7, "args": "migrate", "resources": []}]}},
        {"worker": {"args": "x", "resources": "much", "lifecycle": [], "livenessProbe": "none", "volumeMounts": {}, "envFrom": {}}},
    ],
)
def test_what_is_not_worked_with_is_for_the_server_to_tell(template: dict[str, Any]) -> None:
    assert isinstance(found(**template), dict)
