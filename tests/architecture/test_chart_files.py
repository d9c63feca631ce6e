"""The chart's files agree: with the CRD, with the command, with each other and with docs/install.md."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from channelbeat import __version__
from support import chart
from support.chart import CHART
from support.cluster import CRD
from support.tree import ROOT

PAGE: Final = (ROOT / "docs/install.md").read_text()
COMMENTED: Final = (CHART / "values.yaml").read_text()


def test_the_charts_crd_is_the_crd() -> None:
    assert (CHART / "files/crd.yaml").read_bytes() == CRD.read_bytes(), f"cp {CRD.relative_to(ROOT)} {CHART.relative_to(ROOT)}/files/crd.yaml"


def test_the_chart_installs_the_version_it_stands_beside() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__
    assert f"ARG VERSION={__version__}\n" in (ROOT / "Dockerfile").read_text()


def every_object(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield path, schema
        for name, inner in schema.items():
            yield from every_object(inner, f"{path}/{name}")


def test_the_schema_refuses_whatever_it_does_not_know() -> None:
    named = dict(every_object(chart.SCHEMA))
    assert len(named) > 10
    # Kubernetes' own objects in lists: the API server judges them.
    assert [path for path, one in named.items() if one.get("additionalProperties") is not False] == []


def test_each_value_has_a_default_and_each_default_a_description() -> None:
    def same(schema: dict[str, Any], defaults: dict[str, Any], path: str = "") -> Iterator[str]:
        for name in (schema["properties"].keys() ^ defaults.keys()) - {"global"}:
            yield f"{path}{name}"
        for name, inner in schema["properties"].items():
            if "properties" in inner:
                yield from same(inner, defaults[name], f"{path}{name}.")

    assert list(same(chart.SCHEMA, chart.VALUES)) == []


@pytest.mark.parametrize("value", list(chart.values()), ids=lambda value: value.name)
def test_the_comment_over_a_value_says_what_its_schema_says(value: chart.Value) -> None:
    *parents, name = value.name.split(".")
    section = COMMENTED
    for parent in parents:
        section = section.partition(f"\n{parent}:\n")[2].partition("\n\n")[0]
    found = re.search(rf"((?:^ *# .*\n)+) *{name}:", section, re.MULTILINE)
    assert found, f"no comment over {value.name}"
    assert " ".join(line.strip().removeprefix("# ") for line in found[1].splitlines()) == value.description


def test_the_page_has_the_values() -> None:
    assert chart.table() in PAGE, "PYTHONPATH=tests python -m support.chart prints what is to stand there"


def test_the_layer_in_the_comments_is_one_with_all_settings() -> None:
    example = COMMENTED.partition("\nlayers: {}\n")[2].partition("\n\n")[0]
    layers = yaml.safe_load(re.sub(r"^  # ?", "", example, flags=re.MULTILINE))
    (schema,) = chart.SCHEMA["properties"]["layers"]["patternProperties"].values()
    assert layers["default"].keys() == schema["properties"].keys()
