"""The corpus of manifests, and which files and documents are looked at."""

import io
from pathlib import Path

import pytest

from channelbeat import manifests
from channelbeat.errors import UsageError

CORPUS = Path(__file__).parents[1] / "manifests"
GOOD = "apiVersion: channelbeat.dev/v1alpha1\nkind: BeatSchedule\nmetadata: {name: %s}\nspec: {channel: c, events: [{name: a, type: t, every: 1m}]}\n"


def corpus(kind: str) -> list[Path]:
    return sorted((CORPUS / kind).glob("*.yaml"))


def faults(found: list[manifests.Found]) -> list[str]:
    return [str(fault) for one in found for fault in one.faults()]


@pytest.mark.parametrize("path", [*corpus("good"), *corpus("update")], ids=lambda path: path.name)
def test_a_good_manifest_of_the_corpus_has_no_fault(path: Path) -> None:
    (found,) = manifests.read(path)
    assert faults([found]) == []
    assert found.parsed.schedule is not None


@pytest.mark.parametrize("path", corpus("bad"), ids=lambda path: path.name)
def test_a_bad_manifest_of_the_corpus_has_exactly_the_sentences_it_expects(path: Path) -> None:
    expected = [line.removeprefix("# expect: ") for line in path.read_text().splitlines() if line.startswith("# expect: ")]
    assert expected
    assert faults(manifests.read(path)) == expected


def test_the_corpus_is_there() -> None:
    assert [len(corpus(kind)) > least for kind, least in (("good", 35), ("bad", 100), ("update", 10))] == [True, True, True]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.yaml", "a.yml", "c.json", "notes.txt", ".hidden.yaml", "deep/d.yaml", ".git/e.yaml", "deep/.venv/f.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(GOOD % "x")
    return tmp_path


def names(paths: list[Path], folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in paths]


def test_a_folder_is_searched_for_manifests_hidden_ones_left_out(folder: Path) -> None:
    assert names(manifests.files([folder]), folder) == ["a.yml", "b.yaml", "c.json", "deep/d.yaml"]


def test_a_file_is_taken_whatever_its_name_and_each_once(folder: Path) -> None:
    assert names(manifests.files([folder / "notes.txt", folder / "deep", folder / "deep/d.yaml"]), folder) == ["notes.txt", "deep/d.yaml"]


def test_a_path_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: no such file or folder; name a manifest, or a folder with manifests"):
        manifests.files([tmp_path / "nowhere"])


def test_standard_input_is_a_file_called_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((GOOD % "x").encode())))
    assert [one.place for one in manifests.read(*manifests.files([Path("-")]))] == ["-:1"]


@pytest.mark.parametrize(
    ("what", "document", "ours"),
    [
        ("another kind", "apiVersion: apps/v1\nkind: Deployment\n", False),
        ("no manifest at all", "services: {web: {image: a}}\n", False),
        ("a list", "- a\n", False),
        ("a word", "hello\n", False),
        ("a misspelt kind", "apiVersion: v1\nkind: Beatshedule\n", True),
        ("no kind, but our version", "apiVersion: channelbeat.dev/v1alpha1\n", True),
        ("our kind in another version", "apiVersion: channelbeat.dev/v2\nkind: BeatSchedule\n", True),
        ("a kind that is none", "apiVersion: [1]\nkind: {}\n", False),
    ],
)
def test_what_is_not_ours_is_passed_over(tmp_path: Path, what: str, document: str, ours: bool) -> None:
    (tmp_path / "a.yaml").write_text(f"{document}---\n{GOOD % 'x'}")
    assert [one.document for one in manifests.read(tmp_path / "a.yaml")] == ([1, 2] if ours else [2]), what


def test_each_has_its_place_in_the_file(tmp_path: Path) -> None:
    item = "\n".join(f"  {line}" for line in (GOOD % "w").splitlines()).replace("  ", "- ", 1)
    (tmp_path / "a.yaml").write_text(f"{GOOD % 'x'}---\na: [\n---\nkind: List\nitems:\n{item.replace('every: 1m', 'every: 1x')}\n")
    first, broken, listed = manifests.read(tmp_path / "a.yaml")
    assert (first.place, first.parsed.key, faults([first])) == (f"{tmp_path}/a.yaml:1", "default/x", [])
    assert (broken.document, broken.line, broken.parsed.schedule) == (2, 7, None)
    assert faults([broken]) == ["line 7: did not find expected node content; look at the indentation and the quotes there and above"]
    assert (listed.document, listed.item, set(listed.parsed.parked)) == (3, "items[0]", {"a"})
    assert faults([listed])[0].startswith("items[0].spec.events[0].every: must be a duration")


def test_a_file_that_cannot_be_read_is_told_as_its_first_document(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: \xff\n")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "gone")
    assert faults(manifests.read(tmp_path / "a.yaml")) == ["line 1: is not UTF-8 text; save the file as UTF-8"]
    assert faults(manifests.read(tmp_path / "b.yaml")) == ["cannot be read: No such file or directory"]


def test_a_name_in_two_places_is_found_even_when_one_of_them_is_faulty(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD % "x" + "---\n" + GOOD % "w")
    (tmp_path / "b.yaml").write_text((GOOD % "x").replace("channel: c", "channel: '!'"))
    found = [one for path in manifests.files([tmp_path]) for one in manifests.read(path)]
    assert {key: [one.place for one in places] for key, places in manifests.twice(found).items()} == {
        "default/x": [f"{tmp_path}/a.yaml:1", f"{tmp_path}/b.yaml:1"]
    }
