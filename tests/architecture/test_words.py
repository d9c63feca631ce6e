"""The documents say what the code says: outcomes, notices, fields, commands."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from channelbeat.cli.root import VERBS
from channelbeat.core.outcomes import Kind, Reason, Sign
from channelbeat.core.schedule import Spec
from support.tree import ROOT, shell_lines

MODEL = TypeAdapter(Spec).json_schema(by_alias=True)
MANIFEST = (ROOT / "docs/manifest.md").read_text()
LOCAL = (ROOT / "docs/local.md").read_text()
README = ROOT / "README.md"
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("README.md"))]
TYPED = [(page.name, line) for page in PAGES for line in shell_lines(page)]


@pytest.mark.parametrize("word", [*Kind, *(reason for reason in Reason if reason), *Sign])
def test_docs_local_explains(word: str) -> None:
    assert re.search(rf"^\|.*`{word}`.*\|", LOCAL, re.MULTILINE), f"docs/local.md has no line on {word}"


def test_the_first_screen_has_the_two_commands() -> None:
    first_screen = "\n".join(README.read_text().splitlines()[:30])
    assert "\nmake demo" in first_screen
    assert "\nmake test" in first_screen


@pytest.mark.parametrize("line", [line for _, line in TYPED if line.startswith("make ")])
def test_what_the_pages_make_is_a_target(line: str) -> None:
    assert {word for word in line.split()[1:] if re.fullmatch(r"[a-z]+", word)} <= TARGETS


@pytest.mark.parametrize("line", [line for _, line in TYPED if re.match(r"\S*channelbeat ", line)])
def test_what_the_pages_call_is_a_verb(line: str) -> None:
    assert line.split()[1] in VERBS


def fields(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """`events.retry.limit`: every field of the resource."""
    while "$ref" in schema or "anyOf" in schema or "items" in schema:
        if "$ref" in schema:
            schema = MODEL["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        elif "items" in schema:
            schema = schema["items"]
        else:
            schema = next(choice for choice in schema["anyOf"] if choice != {"type": "null"})
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}{name}"
        yield from fields(inner, f"{path}{name}.")


@pytest.mark.parametrize("field", list(fields(MODEL)))
def test_docs_manifest_explains(field: str) -> None:
    name = field.rsplit(".", 1)[-1]
    assert re.search(rf"[`.{{ ]{name}[`:.,}}]", MANIFEST), f"docs/manifest.md has no word on {field}"
