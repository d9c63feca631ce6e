"""What changed files mean for the book, as a story of readings: each line is a moment, what was found, and what comes of it."""

from collections.abc import Iterable
from typing import Any

import pytest

from channelbeat.core.layer import LayerSettings
from channelbeat.core.parse import parse
from channelbeat.local.intake import Action, Document, Fault, Intake, Park, Put

LAYERS = {"default": LayerSettings("default", "redis://x"), "narrow": LayerSettings("narrow", "redis://x", allowed_namespaces=("shop",))}


def document(name: str, where: str = "a.yaml", every: str = "5s", event: dict[str, Any] | None = None, **spec: Any) -> Document:
    events = [{"name": "tick", "type": "say", "every": every}, *([event] if event else [])]
    manifest = {
        "apiVersion": "channelbeat.dev/v1alpha1",
        "kind": "BeatSchedule",
        "metadata": {"name": name},
        "spec": {"channel": "prints", "events": events, **spec},
    }
    parsed = parse(manifest)
    return Document(where, parsed.key, parsed.schedule, tuple(map(str, parsed.faults)), parsed.parked)


def nameless(where: str = "a.yaml") -> Document:
    return Document(where, None, None, ("metadata.name: is required",))


def told(actions: Iterable[Action]) -> list[str]:
    """`put default/one`, `park ...`, `remove ...`, and faults as they are."""
    found = []
    for action in actions:
        match action:
            case Fault(text):
                found.append(text)
            case Put(schedule):
                found.append(f"put {schedule.key}")
            case Park(key):
                found.append(f"park {key}")
            case _:
                found.append(f"remove {action.key}")
    return found


@pytest.fixture
def intake() -> Intake:
    return Intake(LAYERS)


def test_new_changed_and_unchanged(intake: Intake) -> None:
    one, two = document("one"), document("two")
    assert told(intake.read("a", [one, two], (), 0)) == ["put default/one", "put default/two"]
    assert told(intake.read("a", [one, two], (), 10)) == []
    assert told(intake.read("a", [one, document("two", every="6s")], (), 20)) == ["put default/two"]


def test_what_is_removed_counts_after_two_seconds(intake: Intake) -> None:
    told(intake.read("a", [document("one"), document("two")], (), 0))
    assert told(intake.read("a", [document("one")], (), 1000)) == []
    assert told(intake.passed(2999)) == []
    assert told(intake.passed(3000)) == ["remove default/two"]
    assert told(intake.passed(9000)) == []


@pytest.mark.parametrize("how", ["the file is gone", "the file is empty"])
def test_a_file_that_comes_back_in_time_was_never_away(intake: Intake, how: str) -> None:
    told(intake.read("a", [document("one")], (), 0))
    assert told(intake.gone("a", 1000) if how == "the file is gone" else intake.read("a", [], (), 1000)) == []
    assert told(intake.read("a", [document("one")], (), 2900)) == []
    assert told(intake.passed(9000)) == []


def test_a_file_that_is_gone_for_good(intake: Intake) -> None:
    told(intake.read("a", [document("one")], (), 0))
    assert told(intake.gone("a", 1000)) == []
    assert told(intake.passed(3000)) == ["remove default/one"]


def test_a_move_between_files_is_no_removal_in_either_order(intake: Intake) -> None:
    told(intake.read("a", [document("one")], (), 0))
    assert told(intake.read("a", [], (), 1000)) == []
    assert told(intake.read("b", [document("one", "b.yaml")], (), 1500)) == []
    assert told(intake.passed(9000)) == []
    assert told(intake.read("c", [document("one", "c.yaml")], (), 10_000)) == ["c.yaml: default/one is already in b.yaml, which runs: rename one of them"]
    assert told(intake.read("b", [], (), 11_000)) == []
    assert told(intake.passed(20_000)) == []


def test_the_same_name_twice_names_both_and_the_first_found_keeps_running(intake: Intake) -> None:
    told(intake.read("a", [document("one")], (), 0))
    fault = "b.yaml: default/one is already in a.yaml, which runs: rename one of them"
    assert told(intake.read("b", [document("one", "b.yaml", every="9s")], (), 10)) == [fault]
    assert told(intake.read("a", [document("one", every="7s")], (), 20)) == ["put default/one"], "still the one of a.yaml, and told once"
    assert told(intake.read("a", [], (), 30)) == ["put default/one"], "now the one of b.yaml"


def test_the_same_name_twice_in_one_file(intake: Intake) -> None:
    found = told(intake.read("a", [document("one", "a.yaml:1"), document("one", "a.yaml:2", every="9s")], (), 0))
    assert found == ["put default/one", "a.yaml:2: default/one is already in a.yaml:1, which runs: rename one of them"]


def test_unreadable_keeps_the_last_good_state_and_is_told_once(intake: Intake) -> None:
    told(intake.read("a", [document("one"), document("two")], (), 0))
    assert told(intake.read("a", [document("one")], ["a.yaml: not YAML"], 1000)) == ["a.yaml: not YAML"]
    assert [intake.whole] == [False]
    assert told(intake.read("a", [], ["a.yaml: not YAML"], 2000)) == []
    assert told(intake.passed(9000)) == []
    assert told(intake.read("a", [document("one")], (), 10_000)) == []
    assert [intake.whole] == [True]
    assert told(intake.passed(12_000)) == ["remove default/two"]


def test_what_is_readable_of_a_file_that_never_was_whole_runs(intake: Intake) -> None:
    assert told(intake.read("a", [document("one")], ["a.yaml: not YAML"], 0)) == ["a.yaml: not YAML", "put default/one"]
    assert told(intake.read("a", [document("one"), document("two")], ["a.yaml: not YAML"], 10)) == ["put default/two"]


def test_a_document_without_a_readable_name_may_be_the_one_that_is_missing(intake: Intake) -> None:
    told(intake.read("a", [document("one"), document("two")], (), 0))
    assert told(intake.read("a", [document("one"), nameless()], (), 1000)) == ["a.yaml: metadata.name: is required", "park default/two"]
    assert told(intake.passed(9000)) == []
    assert not intake.whole
    assert told(intake.read("a", [document("one"), document("two")], (), 10_000)) == ["put default/two"]
    told(intake.read("a", [nameless()], (), 20_000))
    assert told(intake.gone("a", 30_000)) == []
    assert told(intake.passed(32_000)) == ["remove default/one", "remove default/two"]


def test_a_broken_schedule_is_parked_and_never_stops_another(intake: Intake) -> None:
    told(intake.read("a", [document("one"), document("two")], (), 0))
    broken = document("one", timeZone="Mars/Olympus")
    found = told(intake.read("a", [broken, document("two", every="6s")], (), 10))
    assert found[0] == "park default/one"
    assert "a.yaml: spec.timeZone: " in found[1]
    assert found[2:] == ["put default/two"]


def test_a_broken_event_costs_that_event(intake: Intake) -> None:
    actions = list(intake.read("a", [document("one", event={"name": "bad", "type": "say"})], (), 0))
    put, fault = actions
    assert isinstance(put, Put)
    assert put.parked == {"bad"}
    assert isinstance(fault, Fault)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (
            {"channelLayer": {"name": "nope"}},
            "spec.channelLayer.name: no layer is called 'nope' (there is default, narrow): "
            "name one of them, or add it to the layers (--layers FILE, or the Helm value `layers`)",
        ),
        (
            {"channelLayer": {"name": "narrow"}},
            "spec.channelLayer.name: layer 'narrow' may not be used from namespace 'default': add that to its allowedNamespaces",
        ),
    ],
)
def test_a_good_manifest_that_cannot_run_here_is_parked_with_a_sentence(intake: Intake, spec: dict[str, Any], fault: str) -> None:
    assert told(intake.read("a", [document("one", **spec)], (), 0)) == ["park default/one", f"a.yaml: {fault}"]
    assert told(intake.read("a", [document("one")], (), 10)) == ["put default/one"]
    assert told(intake.read("a", [document("one", **spec)], (), 20)) == ["park default/one", f"a.yaml: {fault}"], "told again, as it is new again"


def test_documents_of_a_file_still_being_read_need_not_wait(intake: Intake) -> None:
    one, two = document("one"), document("two")
    assert told(intake.begun("a", one, 0)) == ["put default/one"]
    assert told(intake.read("a", [one, two], (), 10)) == ["put default/two"]
    told(intake.read("b", [document("other", "b.yaml")], (), 20))
    assert told(intake.begun("c", document("other", "c.yaml", every="9s"), 30)) == [], "somebody else's name waits for the whole picture"


def test_when_to_look_again(intake: Intake) -> None:
    told(intake.read("a", [document("one")], (), 0))
    assert intake.looks_removed() is None
    told(intake.gone("a", 1000))
    assert intake.looks_removed() == 3000
