"""YAML and JSON as kubectl reads them, and what is said of text that is neither."""

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from channelbeat import documents
from channelbeat.core import scalars
from channelbeat.documents.notation import compose


def values(stream: str) -> list[Any]:
    found = list(documents.read(stream))
    assert [one.problem for one in found] == [""] * len(found)
    return [one.value for one in found]


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        *[(word, True) for word in ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")],
        *[(word, False) for word in ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")],
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, word) for word in ("tRue", "yEs", "nil", "none", "None", "+", ".", "..", "_1", "a", "<<a")],
        *[("0", 0), ("-0", 0), ("+5", 5), ("007", 7), ("010", 8), ("0o10", 8), ("0O17", 15), ("08", 8), ("09.5", 9.5), ("-010", -8)],
        *[("0x1F", 31), ("-0XfF", -255), ("0b101", 5), ("-0b1", -1), ("1_000", 1000), ("0x_1F", 31), ("0b12", "0b12"), ("0xg", "0xg"), ("1a", "1a")],
        *[("1.5", 1.5), ("1.0", 1), ("-1.", -1), (".5", 0.5), ("+.5", 0.5), ("1e3", 1000), ("1E-2", 0.01), ("1_0.5", 10.5), ("._5", "._5"), ("1e", "1e")],
        *[("1e999", "1e999"), ("9" * 400, "9" * 400), ("9223372036854775808", 2**63), ("1e30", 1e30), (".inf", math.inf), ("-.Inf", -math.inf)],
        *[("1:30", "1:30"), ("190:20:30", "190:20:30"), ("2026-11-21", "2026-11-21"), ("2026-11-21T02:30:00Z", "2026-11-21T02:30:00Z"), ("0.1.2", "0.1.2")],
    ],
)
def test_what_a_word_without_quotes_means(plain: str, value: object) -> None:
    assert (scalars.resolve(plain), type(scalars.resolve(plain))) == (value, type(value))
    assert values(f"a: {plain}\n") == [{"a": value}]


def test_not_a_number_is_one() -> None:
    assert math.isnan(scalars.resolve(".nan"))


@pytest.mark.parametrize(
    ("what", "stream", "expected"),
    [
        ("quotes make text", "a: ['y', \"010\", !!str 5, ! 6]", [{"a": ["y", "010", "5", "6"]}]),
        ("a block is text", "a: |\n  y\nb: >-\n  1\n  2\n", [{"a": "y\n", "b": "1 2"}]),
        ("keys become text, after they were read", "{n: 1, on: 2, 1: 3, 0x10: 4}", [{"false": 1, "true": 2, "1": 3, "16": 4}]),
        ("documents are separated by ---", "a: 1\n---\na: 2\n--- # more\na: 3\n", [{"a": 1}, {"a": 2}, {"a": 3}]),
        ("empty ones are passed over", "# licence\n---\n---\n\n---\na: 1\n---\n~\n---\n", [{"a": 1}]),
        ("nothing at all", "", []),
        ("JSON", '{"a": [1, 2.0, "y", null, true]}', [{"a": [1, 2, "y", None, True]}]),
        ("JSON, one after another", '{"a": 1}\n{"a": 2}{"a": 3}\n', [{"a": 1}, {"a": 2}, {"a": 3}]),
        ("JSON and YAML", '{"a": 1}\n---\na: 2\n', [{"a": 1}, {"a": 2}]),
        ("YAML in braces", "{a: 1, b: [x, y]}", [{"a": 1, "b": ["x", True]}]),
        ("tabs in JSON", '{\n\t"a": 1\n}', [{"a": 1}]),
        ("anchors", "a: &x {b: [1]}\nc: *x\n", [{"a": {"b": [1]}, "c": {"b": [1]}}]),
        ("merges: what follows them wins", "a: &x {b: 1, c: 2}\nd: {b: 0, <<: *x, c: 3}\n", [{"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}]),
        (
            "merges of several: the first wins",
            "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y]}",
            [{"a": {"b": 1}, "c": {"b": 2, "d": 3}, "e": {"b": 1, "d": 3}}],
        ),
        ("a List is opened", "kind: List\nitems: [{a: 1}, {kind: BeatScheduleList, items: [{a: 2}]}]", [{"a": 1}, {"a": 2}]),
        ("a List of nothing", "kind: List\nitems: []", []),
        ("something that only looks like one", "kind: [List]\nitems: [1]", [{"kind": ["List"], "items": [1]}]),
    ],
)
def test_a_stream(what: str, stream: str, expected: list[Any]) -> None:
    assert repr(values(stream)) == repr(expected), what  # 2 is not 2.0 here


def test_each_object_has_its_place() -> None:
    stream = '# first\n---\na: 1\n---\n\nkind: List\nitems:\n- a: 2\n- kind: List\n  items: [{a: 3}]\n---\na: [\n---\n{"a": 4}\n'
    assert [(one.number, one.line, one.item, one.value) for one in documents.read(stream)] == [
        (1, 3, "", {"a": 1}),
        (2, 6, "items[0]", {"a": 2}),
        (2, 6, "items[1].items[0]", {"a": 3}),
        (3, 13, "", None),
        (4, 14, "", {"a": 4}),
    ]


@pytest.mark.parametrize(
    ("what", "stream", "problem"),
    [
        ("a key twice", "a: 1\nb: 2\na: 3", "line 3: the key 'a' is given twice; keep one"),
        ("a key twice, in two ways", "1: 1\n'1': 3", "line 2: the key '1' is given twice; keep one"),
        ("a key twice, in JSON", '{"a": 1,\n"a": 2}', "line 2: the key 'a' is given twice; keep one"),
        (
            "a tab",
            "a:\n\tb: 1",
            "line 2: found character that cannot start any token; indent with spaces instead of tabs, and quote text that begins with @, % or `",
        ),
        (
            "a colon",
            "a: b: c",
            "line 1: mapping values are not allowed in this context; quote text that has a colon and a space in it, and look at the indentation",
        ),
        ("a quote left open", "a: 'b\nc: 1\n", "line 3: found unexpected end of stream; a quote or a bracket is not closed"),
        ("text after ---", "--- {a: 1}\n", "line 1: nothing but a comment may follow `---` on its line, not '{a: 1}'"),
        ("a longer line", "a: 1\n----\n", "line 2: nothing but a comment may follow `---` on its line, not '-'"),
        ("a tag", "a: !!binary aGk=", "line 1: the tag tag:yaml.org,2002:binary is not supported; leave it out"),
        ("an alias of nothing", "a: *x", "line 1: *x stands for nothing: no &x is complete before it"),
        ("an alias of itself", "a: &x [*x]", "line 1: *x stands for nothing: no &x is complete before it"),
        ("a merge of no object", "<<: 5", "line 1: `<<` takes an object, or a list of objects"),
        ("an empty key", "~: 1", "line 1: a key must be text; quote it"),
        ("a list as a key", "[a]: 1", "line 1: a key must be text; quote it"),
        ("a control character", "a: 1\nb: \x07", "line 2: the character '\\x07' is not allowed in YAML; write it as an escape in double quotes"),
        ("too deep", "[" * 101 + "]" * 101, "line 1: is nested deeper than 100; flatten it"),
        ("far too deep", "[" * 100_000, "line 1: is nested deeper than 100; flatten it"),
        ("far too deep, in JSON", '{"a":' * 100_000, "line 1: is nested deeper than 100; flatten it"),
    ],
)
def test_a_problem_is_told_with_its_line_and_cure_and_hides_nothing_else(what: str, stream: str, problem: str) -> None:
    found = list(documents.read(stream))
    assert [one.problem for one in found if one.problem] == [problem], what
    assert [one.value for one in documents.read(f"{stream}\n---\nz: 1\n")][-1] == {"z": 1}


def test_aliases_cannot_grow_without_end() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    assert [one.problem for one in documents.read(bomb)] == ["line 7: aliases make more than 1,000,000 values of it; write it out, or split it"]


@pytest.mark.parametrize(
    ("what", "data", "text"),
    [
        ("UTF-8", "a: é\r\nb: 1\r\n".encode(), "a: é\nb: 1\n"),
        ("with a mark", b"\xef\xbb\xbfa: 1", "a: 1"),
        ("UTF-16 with its mark", "a: é".encode("utf-16"), "a: é"),
    ],
)
def test_a_file_is_text(what: str, data: bytes, text: str) -> None:
    assert documents.text(data) == text, what


def test_another_encoding_is_told_with_its_line() -> None:
    with pytest.raises(documents.Unreadable, match="line 2: is not UTF-8 text; save the file as UTF-8"):
        documents.text("a: 1\nb: é\n".encode("latin-1"))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)
PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]))
WORDS = st.one_of(
    st.text(), st.sampled_from(["y", "n", "on", "010", "1_0", "1:30", "2026-11-21", "~", "", "<<", "=", ".5", "0x1", " a ", "a\nb", "---", "- a", "null"])
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.dictionaries(WORDS, st.one_of(JSON, WORDS, st.lists(WORDS)), min_size=1))
def test_what_is_written_reads_back(value: dict[str, Any]) -> None:
    plain = json.loads(json.dumps(value), parse_float=scalars.number)
    (written,) = [one.value for one in documents.read(documents.write([plain]))] if plain.get("kind") != "List" else [plain]
    assert written == plain


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.dictionaries(PRINTABLE, st.one_of(st.none(), st.booleans(), st.integers(), st.floats(0, 1), PRINTABLE, st.lists(PRINTABLE)), min_size=1))
def test_json_means_the_same_whether_read_as_json_or_as_yaml(value: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert compose(text)[1] == next(documents.read(text)).value


@settings(max_examples=1_000, derandomize=True, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab: -[]{},&*!|>'\"%@`#\n\t?~.<01\x00é\u2028")))
def test_any_text_is_read_or_told(text: str) -> None:
    for one in documents.read(text):
        assert one.line >= 1
        assert one.problem or one.value is not None


def test_the_c_parser_and_the_one_in_python_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = "a: &x [1, y, 'z']\nb: {<<: {c: 1}, d: *x}\n---\na: [\n"
    fast = list(documents.read(stream))
    monkeypatch.setattr("channelbeat.documents.notation._PARSER", yaml.SafeLoader)
    slow = list(documents.read(stream))
    assert [(one.number, one.value, bool(one.problem)) for one in fast] == [(one.number, one.value, bool(one.problem)) for one in slow]
