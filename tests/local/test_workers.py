"""Which worker processes there should be."""

import sys
from typing import Any

import pytest

from channelbeat.core.layer import LayerSettings
from channelbeat.core.parse import parse
from channelbeat.core.schedule import BeatSchedule
from channelbeat.local.workers import Job, Place, wanted

LAYERS = {"default": LayerSettings("default", "redis://one"), "second": LayerSettings("second", "redis://two")}
EVENTS = [{"name": "tick", "type": "say", "every": "5s"}]
STOCK = (sys.executable, "manage.py", "runworker")


def schedule(name: str, worker: dict[str, Any] | None = None, **spec: Any) -> BeatSchedule:
    whole = {"events": EVENTS, **spec, **({"worker": {"templateFrom": {"name": "x"}, **worker}} if worker is not None else {})}
    if "group" not in whole:
        whole.setdefault("channel", name)
    parsed = parse({"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "metadata": {"name": name}, "spec": whole})
    assert parsed.schedule, parsed.faults
    return parsed.schedule


def places(*schedules: BeatSchedule) -> list[str]:
    return sorted(map(str, wanted(schedules, LAYERS)))


@pytest.mark.parametrize(
    ("sentence", "schedules", "expected"),
    [
        ("a channel has a worker, with a worker block or without", [schedule("a"), schedule("b", {})], ["a", "b"]),
        ("a group has none", [schedule("a", group="g")], []),
        ("a channel of several schedules has one", [schedule("a", channel="c"), schedule("b", channel="c")], ["c"]),
        ("channels are united", [schedule("a", {"channels": ["a", "x"]}), schedule("b", {"channels": ["b", "x"]})], ["a", "b", "x"]),
        ("each layer has its own", [schedule("a", channel="c"), schedule("b", channel="c", channelLayer={"name": "second"})], ["c", "second:c"]),
        ("an unknown layer has none", [schedule("a", channelLayer={"name": "nope"})], []),
        ("a suspended schedule keeps its worker", [schedule("a", suspend=True)], ["a"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_places(sentence: str, schedules: list[BeatSchedule], expected: list[str]) -> None:
    assert places(*schedules) == expected, sentence


def test_the_command_gets_its_layer_and_its_channel() -> None:
    jobs = wanted([schedule("a"), schedule("b", channelLayer={"name": "second"})], LAYERS)
    assert jobs[Place("default", "a")].argv() == [*STOCK, "a"]
    assert jobs[Place("second", "b")].argv() == [*STOCK, "--layer", "second", "b"]


def processes(*schedules: BeatSchedule) -> dict[str, str]:
    """What each is told, after `runworker`."""
    return {str(place): " ".join(job.argv()).partition("runworker ")[2] for place, job in wanted(schedules, LAYERS).items()}


FLAGS = "--concurrency 1 --drain-timeout 10s --claim 5s"
TRACKED: dict[str, Any] = {"delivery": "AtLeastOnce"}


@pytest.mark.parametrize(
    ("sentence", "schedules", "expected"),
    [
        (
            "a tracked schedule has our worker, with a worker block or without",
            [schedule("a", **TRACKED), schedule("b", {}, **TRACKED)],
            {"a": f"{FLAGS} a", "b": f"{FLAGS} b"},
        ),
        ("one process listens on all its channels, in their order", [schedule("a", {"channels": ["z", "a"]}, **TRACKED)], {"z": f"{FLAGS} z a"}),
        (
            "there are as many as the floor says",
            [schedule("a", {"channels": ["a", "z"], "scaling": {"minReplicas": 2}}, **TRACKED)],
            {"a": f"{FLAGS} a z", "a #2": f"{FLAGS} a z"},
        ),
        (
            "slots and the time to drain are the manifest's",
            [schedule("a", {"concurrency": 4, "drainTimeout": "2m"}, **TRACKED)],
            {"a": "--concurrency 4 --drain-timeout 2m --claim 5s a"},
        ),
        (
            "a layer that is not the default is named before the flags",
            [schedule("a", channelLayer={"name": "second"}, **TRACKED)],
            {"second:a": f"--layer second {FLAGS} a"},
        ),
        ("a channel that is also wanted by BestEffort is ours", [schedule("a", {}, channel="c"), schedule("b", channel="c", **TRACKED)], {"c": f"{FLAGS} c"}),
        (
            "and its other channels stay with it",
            [schedule("a", {"channels": ["a", "z"]}), schedule("b", {"channels": ["b", "z"]}, **TRACKED)],
            {"a": "a", "b": f"{FLAGS} b z"},
        ),
        (
            "a channel of its own is served by the schedule itself, not where another lists it last",
            [schedule("a", {"channels": ["a", "z"]}, **TRACKED), schedule("z", {}, **TRACKED)],
            {"a": f"{FLAGS} a", "z": f"{FLAGS} z"},
        ),
        (
            "a schedule that leaves its workers to others is served where it is listed",
            [schedule("z", {"channels": ["z", "a"]}, **TRACKED), schedule("a", **TRACKED)],
            {"z": f"{FLAGS} z a"},
        ),
        (
            "of two that want the same the first name serves it",
            [schedule("b", {}, channel="c", **TRACKED), schedule("a", {}, channel="c", **TRACKED)],
            {"c": f"{FLAGS} c"},
        ),
        ("the floor of a BestEffort schedule is the cluster's: stock workers double events", [schedule("a", {"scaling": {"minReplicas": 2}})], {"a": "a"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_workers_of_tracked_schedules(sentence: str, schedules: list[BeatSchedule], expected: dict[str, str]) -> None:
    assert processes(*schedules) == expected, sentence
    assert processes(*reversed(schedules)) == expected, "in whatever order they come"


def test_only_ours_has_time_to_drain() -> None:
    jobs = wanted([schedule("a"), schedule("b", **TRACKED), schedule("c", {"drainTimeout": "2m"}, **TRACKED)], LAYERS).values()
    assert {job.place.channel: (job.tracked, job.drain) for job in jobs} == {"a": (False, 0), "b": (True, 10_000), "c": (True, 120_000)}


def test_another_command_is_taken_as_it_is() -> None:
    jobs = wanted([schedule("a", {"command": ["poetry", "run", "python", "manage.py", "runworker"]})], LAYERS)
    assert jobs[Place("default", "a")].argv() == ["poetry", "run", "python", "manage.py", "runworker", "a"]


def test_the_environment_has_plain_values_and_the_url_of_the_layer() -> None:
    env = [{"name": "COLOUR", "value": "blue"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    job = wanted([schedule("a", {"env": env})], LAYERS)[Place("default", "a")]
    assert job.environment({"HOME": "/home"}) == {"HOME": "/home", "PYTHONUNBUFFERED": "1", "COLOUR": "blue", "CHANNELBEAT_REDIS_URL": "redis://one"}
    assert "redis://" not in repr(job)


def test_of_two_ways_to_serve_a_channel_the_one_of_the_first_name_is_taken() -> None:
    first, second = schedule("a", {"command": ["first"]}, channel="c"), schedule("b", {"command": ["second"]}, channel="c")
    assert wanted([second, first], LAYERS)[Place("default", "c")] == Job(Place("default", "c"), ("first",), (), "redis://one")
