"""The CRD and the model say the same: fields, types, bounds, defaults, and the sentences about what is wrong."""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from channelbeat.core.parse import MOST_EVENTS, parse
from channelbeat.core.schedule import Spec
from channelbeat.core.timing import durations
from support.tree import ROOT

Facts = dict[str, Any]

CRD: dict[str, Any] = yaml.safe_load((ROOT / "crds/beatschedules.channelbeat.dev.yaml").read_text())["spec"]
VERSION: dict[str, Any] = CRD["versions"][0]
WHOLE: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]
IN_CRD: dict[str, Any] = WHOLE["properties"]["spec"]
IN_MODEL: dict[str, Any] = TypeAdapter(Spec).json_schema(by_alias=True)

BOTH_SAY = ("type", "format", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties")
OPEN = "x-kubernetes-preserve-unknown-fields"
SENTENCES = [
    line.removeprefix("# expect: ") for path in (ROOT / "tests/manifests").glob("*/*.yaml") for line in path.read_text().splitlines() if "# expect: " in line
]


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """`$ref` and `X | null` are followed; what a field says beside them counts, too."""
    while "$ref" in schema or "anyOf" in schema:
        followed = IN_MODEL["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else next(it for it in schema["anyOf"] if it != {"type": "null"})
        schema = {**followed, **{key: value for key, value in schema.items() if key not in ("$ref", "anyOf")}}
    return {**schema, "enum": [schema["const"]]} if "const" in schema else schema


def nodes(schema: Mapping[str, Any], path: str = "spec", *, inside_open: bool = False) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each field by its path. What stands inside an open object is there for rules to see, and no field of the model."""
    schema = resolved(schema)
    yield path, schema
    if OPEN in schema and not inside_open:
        return
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}", inside_open=inside_open)
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]", inside_open=inside_open)


def facts(schema: Mapping[str, Any]) -> dict[str, Facts]:
    """A moment's format is judged by a rule in the CRD, for which its length has to be bounded."""
    return {
        path: {"type": "string", "maxLength": 64, "required": []}
        if node.get("format") == "date-time"
        else {key: node[key] for key in BOTH_SAY if key in node} | {"required": sorted(node.get("required", ()))}
        for path, node in nodes(schema)
    }


def test_every_field_is_the_same_in_both() -> None:
    model = facts(IN_MODEL)
    model["spec.events"] |= {"minItems": 1, "maxItems": MOST_EVENTS}  # in the model a list without its faulty events
    assert facts(IN_CRD) == model


def test_there_are_defaults_for_columns_and_selectors_alone() -> None:
    defaulted = {path: node["default"] for path, node in nodes(WHOLE, "", inside_open=True) if "default" in node}
    assert defaulted == {
        ".spec.timeZone": "UTC",
        ".spec.suspend": False,
        ".spec.delivery": "BestEffort",
        ".spec.channelLayer": {"name": "default"},
        ".spec.channelLayer.name": "default",
    }


def stored(schema: Mapping[str, Any], value: Any) -> Any:
    """What the API server makes of it."""
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name not in value and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                value[name] = stored(inner, value[name])
    return value


@pytest.mark.parametrize("layer", [{}, {"channelLayer": {}}])
def test_what_the_api_server_stores_means_what_was_written(layer: dict[str, Any]) -> None:
    written = {"channel": "c", "events": [{"name": "e", "type": "t", "cron": "@daily"}], "worker": {"scaleTargetRef": {"name": "w"}}} | layer
    kept = stored(IN_CRD, copy.deepcopy(written))
    assert kept.keys() - written.keys() >= {"timeZone", "suspend", "delivery"}
    as_written, as_stored = (
        parse({"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "metadata": {"name": "x"}, "spec": it}) for it in (written, kept)
    )
    assert as_written.schedule is not None
    assert as_written == as_stored


DEFAULTS = [(path, node["default"]) for path, node in nodes(IN_MODEL) if not isinstance(node.get("default"), dict | None)]


def test_most_fields_have_a_default() -> None:
    assert len(DEFAULTS) > 15


@pytest.mark.parametrize(("path", "default"), DEFAULTS)
def test_the_description_tells_the_default(path: str, default: Any) -> None:
    node = dict(nodes(IN_CRD))[path]
    if isinstance(default, int) and node["type"] == "string":
        told = durations.text(default)
    else:
        told = str(default).lower() if isinstance(default, bool) else f"[{', '.join(default)}]" if isinstance(default, list | tuple) else str(default)
    assert f"Defaults to {told}." in node["description"] or default in ([], ())


@pytest.mark.parametrize(("path", "node"), list(nodes(WHOLE, "", inside_open=True)), ids=lambda it: it if isinstance(it, str) else "")
def test_kubectl_explain_has_a_word_on_it(path: str, node: Mapping[str, Any]) -> None:
    assert path == ".metadata" or node.get("description", "").endswith((".", ").")), path


def rules(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(node.get("x-kubernetes-validations", ()))


RULES = [(path, rule) for path, node in nodes(WHOLE, "", inside_open=True) for rule in rules(node)]
OF_THE_SERVER_ALONE = "oldSelf."
SAID_OF_SEVERAL = {"overlap, startDeadline, attemptTimeout and retry need": "needs", "metadata.name must": "must"}


def test_there_are_rules() -> None:
    assert len(RULES) > 50


@pytest.mark.parametrize(("path", "rule"), [it for it in RULES if OF_THE_SERVER_ALONE not in it[1]["rule"] or "optionalOldSelf" in it[1]])
def test_a_rule_has_a_sentence_that_validate_says_too(path: str, rule: Mapping[str, Any]) -> None:
    """And so a bad manifest in the corpus, with which tests/cluster shows that the rule refuses it."""
    said = rule["message"]
    for ours, theirs in SAID_OF_SEVERAL.items():
        said = said.replace(ours, theirs)
    field = f"{path}{rule.get('fieldPath', '')}".removeprefix(".")
    told = [what for at, _, what in (it.partition(": ") for it in SENTENCES) if re.sub(r"\[\d+\]", "[]", at).startswith(field)]
    assert any(what.startswith(said) or said.startswith(what.partition(", not ")[0]) for what in told)


def test_lists_are_maps_by_name_so_that_several_may_own_a_schedule() -> None:
    keys = {path: node.get("x-kubernetes-list-map-keys") for path, node in nodes(WHOLE, "", inside_open=True) if node.get("x-kubernetes-list-type") == "map"}
    assert keys == {
        ".spec.events": ["name"],
        ".spec.worker.template.spec.containers": ["name"],
        ".spec.worker.env": ["name"],
        ".status.conditions": ["type"],
        ".status.eventStatuses": ["name"],
    }


def test_the_columns() -> None:
    columns = [(column["name"].upper(), column.get("priority", 0)) for column in VERSION["additionalPrinterColumns"]]
    assert [name for name, priority in columns if not priority] == ["READY", "CHANNEL", "EVENTS", "NEXT", "LAST", "WORKERS", "SUSPEND", "AGE"]
    assert [name for name, priority in columns if priority] == ["REASON", "ZONE", "DELIVERY", "LAYER", "MESSAGE"]
    assert all(column["description"] for column in VERSION["additionalPrinterColumns"])


def test_its_names() -> None:
    names = CRD["names"]
    assert (names["kind"], names["shortNames"], names["categories"], CRD["scope"]) == ("BeatSchedule", ["beat"], ["channelbeat"], "Namespaced")
    assert VERSION["subresources"] == {"status": {}}
