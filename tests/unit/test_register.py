"""What the register makes of what a watch tells: the book's contents, and what its listeners hear."""

from collections.abc import Mapping
from typing import Any

import pytest

from channelbeat.cluster.register import Register, Seen
from channelbeat.core.definition import Definition
from channelbeat.core.layer import LayerSettings
from channelbeat.engine.book import Book

LAYERS = {"default": LayerSettings("default", "redis://a"), "narrow": LayerSettings("narrow", "redis://b", allowed_namespaces=("ops",))}


class Lanes:
    """Where the book's definitions go."""

    def __init__(self) -> None:
        self.events: dict[str, Definition] = {}
        self.told: list[str] = []

    def put(self, definition: Definition) -> None:
        self.events[definition.key] = definition
        self.told.append(f"put {definition.key}")

    def remove(self, layer: str, key: str) -> None:
        self.events.pop(key, None)
        self.told.append(f"remove {key}")

    def park(self, layer: str, key: str) -> None:
        self.events.pop(key, None)
        self.told.append(f"park {key}")

    def complete(self) -> None:
        self.told.append("complete")


class World:
    def __init__(self) -> None:
        self.lanes = Lanes()
        self.heard: list[Seen | str] = []
        self.register = Register(Book(self.lanes), LAYERS, [self])

    def seen(self, seen: Seen) -> None:
        self.heard.append(seen)

    def gone(self, key: str) -> None:
        self.heard.append(key)

    @property
    def last(self) -> Seen:
        assert isinstance(self.heard[-1], Seen)
        return self.heard[-1]


@pytest.fixture
def world() -> World:
    return World()


def thing(
    *events: Mapping[str, Any], uid: str = "1", generation: int = 1, status: object = None, annotations: Mapping[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": "shop", "name": "a", "uid": uid, "generation": generation, "creationTimestamp": "2026-11-21T01:00:00Z"}
    if annotations:
        metadata["annotations"] = annotations
    named = [{"name": f"e{number}", "type": "x", **event} for number, event in enumerate(events or ({"every": "1m"},))]
    made: dict[str, Any] = {
        "apiVersion": "channelbeat.dev/v1alpha1",
        "kind": "BeatSchedule",
        "metadata": metadata,
        "spec": {"channel": "c", **spec, "events": named},
    }
    return made | ({"status": status} if status else {})


def test_what_is_seen_runs(world: World) -> None:
    world.register.see(thing({"every": "1m"}, {"every": "2m"}))
    assert set(world.lanes.events) == {"shop/a/e0", "shop/a/e1"}
    assert world.last.runs
    assert world.last.names == ("e0", "e1")


def test_it_makes_up_for_nothing_before_it_was_made(world: World) -> None:
    world.register.see(thing())
    assert world.lanes.events["shop/a/e0"].created == 1_795_222_800_000


def test_what_changes_neither_spec_nor_requests_is_of_no_account(world: World) -> None:
    world.register.see(thing())
    world.register.see(thing(annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}"}))
    assert world.lanes.told == ["put shop/a/e0"]
    assert len(world.heard) == 1


def test_a_new_status_is_told_and_reads_nothing_anew(world: World) -> None:
    world.register.see(thing())
    world.register.see(thing(status={"next": "soon"}))
    assert world.lanes.told == ["put shop/a/e0"]
    assert world.last.status == b'{"next":"soon"}'


def test_a_new_request_is_told_and_reads_nothing_anew(world: World) -> None:
    world.register.see(thing())
    asked = {"trigger.channelbeat.dev/e0": "2026-11-21T01:00:00Z"}
    world.register.see(thing(annotations=asked | {"other": "x"}))
    assert world.lanes.told == ["put shop/a/e0"]
    assert world.last.annotations == asked


def test_an_edit_is_taken_up(world: World) -> None:
    world.register.see(thing({"every": "1m"}))
    world.register.see(thing({"every": "5m"}, generation=2))
    assert world.lanes.events["shop/a/e0"].event.every == 300_000


def test_a_faulty_event_stands_still_and_the_others_run(world: World) -> None:
    world.register.see(thing({"every": "1m"}, {"cron": "0 0 31 2 *"}))
    assert set(world.lanes.events) == {"shop/a/e0"}
    assert world.last.parked == {"e1"}
    assert [fault.path for fault in world.last.faults] == ["spec.events[1].cron"]
    assert world.register.faulty() == 1


def test_a_faulty_schedule_is_parked_and_mended(world: World) -> None:
    world.register.see(thing())
    world.register.see(thing(generation=2, delivery="Perhaps"))
    assert world.lanes.told[-1] == "park shop/a/e0"
    assert not world.last.runs
    world.register.see(thing(generation=3))
    assert set(world.lanes.events) == {"shop/a/e0"}


@pytest.mark.parametrize(("layer", "reason"), [("nope", "NoSuchLayer"), ("narrow", "NamespaceNotAllowed")])
def test_a_layer_that_is_not_for_it_is_refused(world: World, layer: str, reason: str) -> None:
    world.register.see(thing(channelLayer={"name": layer}))
    assert not world.lanes.events
    assert world.last.refusal is not None
    assert world.last.refusal.reason == reason
    assert world.register.faulty() == 1


def test_it_runs_when_the_layer_comes_and_stands_still_when_it_goes(world: World) -> None:
    world.register.see(thing(channelLayer={"name": "late"}))
    world.register.use_layers(LAYERS | {"late": LayerSettings("late", "redis://c")}, ["late"])
    assert set(world.lanes.events) == {"shop/a/e0"}
    assert world.last.refusal is None
    world.register.use_layers(LAYERS, ["late"])
    assert not world.lanes.events
    assert world.lanes.told[-1] == "park shop/a/e0"


def test_layers_that_did_not_change_disturb_nobody(world: World) -> None:
    world.register.see(thing())
    world.register.use_layers(LAYERS | {"late": LayerSettings("late", "redis://c")}, ["late"])
    assert world.lanes.told == ["put shop/a/e0"]


def test_what_is_deleted_is_gone(world: World) -> None:
    world.register.see(thing())
    world.register.forget("shop/a", "1")
    assert not world.lanes.events
    assert world.heard[-1] == "shop/a"
    assert len(world.register) == 0


def test_what_is_being_deleted_is_gone_and_its_end_is_no_news(world: World) -> None:
    world.register.see(thing())
    dying = thing(generation=2)
    dying["metadata"]["deletionTimestamp"] = "2026-11-21T02:00:00Z"
    world.register.see(dying)
    world.register.forget("shop/a", "1")
    assert world.lanes.told == ["put shop/a/e0", "remove shop/a/e0"]


def test_a_late_word_of_a_deletion_leaves_its_successor(world: World) -> None:
    world.register.see(thing())
    world.register.see(thing(uid="2"))
    world.register.forget("shop/a", "1")
    assert set(world.lanes.events) == {"shop/a/e0"}
    assert world.lanes.told == ["put shop/a/e0", "remove shop/a/e0", "put shop/a/e0"], "it makes up for nothing of the first one's"


def test_a_fault_of_ours_in_one_does_not_stop_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumbles(manifest: Mapping[str, Any]) -> Any:
        raise RuntimeError("boom")

    with monkeypatch.context() as patch:
        patch.setattr("channelbeat.cluster.register.parse", stumbles)
        world.register.see(thing())
    assert world.last.refusal is not None
    assert world.last.refusal.reason == "InternalFault"
    world.register.see(thing(generation=2))
    assert set(world.lanes.events) == {"shop/a/e0"}


def test_complete_is_told_once(world: World) -> None:
    world.register.all_seen()
    world.register.all_seen()
    assert world.lanes.told == ["complete"]
    assert world.register.complete


def test_another_spec_under_the_same_uid_and_generation_is_taken_up(world: World) -> None:
    """As when etcd was put back, and edited again, between two looks."""
    world.register.see(thing({"every": "1m"}, generation=6))
    world.register.see(thing({"every": "5m"}, generation=6))
    assert world.lanes.events["shop/a/e0"].event.every == 300_000
    asked = {"trigger.channelbeat.dev/e0": "2026-11-21T01:00:00Z"}
    world.register.see(thing({"every": "7m"}, generation=6, annotations=asked))
    assert world.lanes.events["shop/a/e0"].event.every == 420_000
    assert world.last.annotations == asked


def test_the_order_in_which_a_spec_is_written_is_of_no_account(world: World) -> None:
    one = thing()
    world.register.see(one)
    world.register.see({**one, "spec": dict(reversed(one["spec"].items()))})
    assert world.lanes.told == ["put shop/a/e0"]


@pytest.mark.parametrize("spec", [None, [], "x", {"events": "x"}, {"events": [1, {"name": 2}]}])
def test_what_the_api_server_should_not_have_let_through_is_faulty(world: World, spec: object) -> None:
    world.register.see(thing() | {"spec": spec})
    assert world.last.faults
    assert not world.lanes.events
