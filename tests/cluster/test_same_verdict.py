"""The API server refuses what `channelbeat validate` refuses, and nothing else. What only one of them can judge is listed here."""

import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml

from channelbeat.core.parse import parse
from support import edges
from support.cluster import CRD, ControlPlane
from support.cluster_api import BEATS, YAML, Refused
from support.tree import ROOT

CORPUS: Final = ROOT / "tests/manifests"
BEYOND_64_BITS: Final = "fields-integer-beyond-64-bits"  # the one bad manifest that the server takes, with other digits
OF_ANOTHER_TYPE: Final = {
    "every-int",
    "metadata-nameless",
    "spec-missing",
    "warmup-off-is-yaml-false",
    "worker-image",
    "zone-empty",
    "zone-number",
}  # so no rule is asked

DEEP: Final[object] = reduce(lambda inner, _: {"a": inner}, range(65), cast(object, 1))

ONLY_VALIDATE_REFUSES: Final[list[tuple[str, str, object]]] = [
    ("an integer beyond 64 bits: rounded before a rule sees it", "spec.events.0.fields", {"n": 2**70}),
    ("half a character: replaced before a rule sees it", "spec.events.0.fields", {"a": "\ud800"}),
    ("nesting: no rule sees inside a payload", "spec.events.0.fields", DEEP),
    ("a month behind a step: beyond what a rule may cost", "spec.events.0.cron", "0 0 31 2-4/2 *"),
]
ONLY_THE_SERVER_REFUSES: Final[list[tuple[str, str, object]]] = [
    ("a list is a map by name: two containers of one", "spec.worker.template", {"spec": {"containers": [{"name": "worker"}, {"name": "a"}, {"name": "a"}]}}),
    ("a list is a map by name: a container without", "spec.worker.template", {"spec": {"containers": [{"name": "worker"}, {"image": "a"}]}}),
    ("a list is a map by name: two variables of one", "spec.worker.env", [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
    (
        "what a rule reads is bounded: containers",
        "spec.worker.template",
        {"spec": {"containers": [{"name": "worker"}, *({"name": f"a{i}"} for i in range(64))]}},
    ),
    ("what a rule reads is bounded: a moment", "spec.events.0.at", f"2026-11-21T02:30:00.{'0' * 64}Z"),
    ("Python reads an offset of 60 minutes", "spec.events.0.at", "2026-11-21T02:30:00+01:60"),
    ("null is an absent field, but not where there is none", "spec.worker.templateFrom", {"name": "x", "kind": None}),
]


def corpus(kind: str) -> list[Path]:
    return sorted((CORPUS / kind).glob("*.yaml"))


def refusal(kube: ControlPlane, manifest: object, *, content: str = "application/json") -> Refused | None:
    """What the server says to it; None when it would take it."""
    try:
        kube.api.create(BEATS.format("default"), manifest, content=content, dryRun="All", fieldValidation="Strict")
    except Refused as refused:
        return refused
    return None


def as_text(path: Path) -> str:
    return path.read_text().replace("namespace: shop", "namespace: default")


def messages(schema: object) -> Iterator[str]:
    """Of all rules of the CRD."""
    if isinstance(schema, dict):
        yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", ()))
        for inner in schema.values():
            yield from messages(inner)


SAID_BY_RULES: Final = tuple(set(messages(yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"])))


@pytest.mark.parametrize("path", [*corpus("good"), *corpus("update")], ids=lambda path: path.name)
def test_the_server_takes_a_good_manifest(kube: ControlPlane, path: Path) -> None:
    assert refusal(kube, as_text(path), content=YAML) is None


@pytest.mark.parametrize("path", corpus("bad"), ids=lambda path: path.name)
def test_the_server_refuses_a_bad_manifest_in_the_same_words(kube: ControlPlane, path: Path) -> None:
    refused = refusal(kube, as_text(path), content=YAML)
    assert (refused is None) == (path.stem == BEYOND_64_BITS)
    expected = [line.removeprefix("# expect: ").partition(": ")[2] for line in path.read_text().splitlines() if line.startswith("# expect: ")]
    said = tuple(sentence for sentence in SAID_BY_RULES if sentence in str(refused))
    unsaid = [what for what in expected if what.startswith(SAID_BY_RULES) and not what.startswith(said)]
    assert unsaid == [] or path.stem in OF_ANOTHER_TYPE


@pytest.mark.parametrize("field", edges.FIELDS)
def test_at_the_edges_of_a_field_both_say_the_same(kube: ControlPlane, field: str) -> None:
    apart, taken = {}, 0
    for value, manifest in edges.at(field):
        faults, refused = parse(manifest).faults, refusal(kube, manifest)
        taken += not refused
        if bool(faults) != bool(refused) and (field, value) not in [(at, it) for _, at, it in ONLY_THE_SERVER_REFUSES]:
            apart[repr(value)] = str(faults[0] if faults else refused)
    assert apart == {}
    assert taken, "each was refused: the manifest around it is not good"


@pytest.mark.parametrize(("why", "field", "value"), ONLY_VALIDATE_REFUSES)
def test_only_validate_refuses(kube: ControlPlane, why: str, field: str, value: object) -> None:
    manifest = edges.manifest(field, value)
    assert parse(manifest).faults, why
    assert refusal(kube, manifest) is None, why


@pytest.mark.parametrize(("why", "field", "value"), ONLY_THE_SERVER_REFUSES)
def test_only_the_server_refuses(kube: ControlPlane, why: str, field: str, value: object) -> None:
    manifest = edges.manifest(field, value)
    assert parse(manifest).faults == (), why
    assert refusal(kube, manifest), why


@pytest.mark.parametrize("seed", range(4))
def test_of_random_cron_expressions_both_say_the_same(kube: ControlPlane, seed: int) -> None:
    apart, good = {}, 0
    crons = list(edges.crons(seed, 500))
    for batch in (crons[begin : begin + 50] for begin in range(0, len(crons), 50)):
        manifest = edges.manifest("spec.events", [{"name": f"e{i}", "type": "t", "cron": cron} for i, cron in enumerate(batch)])
        refused = refusal(kube, manifest)
        by_server = {int(i) for field, _ in (refused.causes if refused else ()) for i in re.findall(r"events\[(\d+)\]", field)}
        by_us = {fault.path: str(fault) for fault in parse(manifest).faults}
        for i, cron in enumerate(batch):
            fault = by_us.get(f"spec.events[{i}].cron", "")
            good += not fault
            if bool(fault) != (i in by_server) and not _behind_a_step(cron, fault):
                apart[cron] = fault or "refused by the server"
    assert apart == {}
    assert 100 < good < 400


def _behind_a_step(cron: str, fault: str) -> bool:
    return "no month it names" in fault and "/" in "".join(cron.split()[2:4])


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 31 4,Jun,9,11 ?", "0 0 30,31 feb */1", "0 0 30-31 2 1,*", "0 0 31,30 02 *"])
def test_a_day_that_no_month_has_is_seen_by_both(kube: ControlPlane, cron: str) -> None:
    manifest: dict[str, Any] = edges.manifest("spec.events.0.cron", cron)
    for said in (parse(manifest).faults[0], refusal(kube, manifest)):
        assert "would never fire, because no month it names has a day 3" in str(said)
