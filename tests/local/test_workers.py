"""Which worker processes there should be."""

import sys
from collections.abc import Iterable
from typing import Any

import pytest

from channelbeat.core import scaling
from channelbeat.core.layer import LayerSettings
from channelbeat.core.parse import parse
from channelbeat.core.schedule import BeatSchedule
from channelbeat.local.workers import Job, Place, teams

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


def wanted(schedules: list[BeatSchedule], numbers: Iterable[int] = (1,)) -> dict[Place, Job]:
    """If so many of each are called for."""
    return {place: job for team in teams(schedules, LAYERS) for place, job in team.processes(numbers).items()}


def places(*schedules: BeatSchedule) -> list[str]:
    return sorted(map(str, wanted([*schedules])))


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
    jobs = wanted([schedule("a"), schedule("b", channelLayer={"name": "second"})])
    assert jobs[Place("default", "a")].argv() == [*STOCK, "a"]
    assert jobs[Place("second", "b")].argv() == [*STOCK, "--layer", "second", "b"]


def processes(*schedules: BeatSchedule) -> dict[str, str]:
    """What each is told, after `runworker`."""
    return {str(place): " ".join(job.argv()).partition("runworker ")[2] for place, job in wanted([*schedules]).items()}


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
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_workers_of_tracked_schedules(sentence: str, schedules: list[BeatSchedule], expected: dict[str, str]) -> None:
    assert processes(*schedules) == expected, sentence
    assert processes(*reversed(schedules)) == expected, "in whatever order they come"


def test_a_tracked_schedule_has_as_many_processes_as_are_called_for_each_on_all_its_channels() -> None:
    [team] = teams([schedule("a", {"channels": ["a", "z"]}, **TRACKED)], LAYERS)
    assert {str(place): job.channels for place, job in team.processes([1, 3]).items()} == {"a": ("a", "z"), "a #3": ("a", "z")}
    assert team.processes([]) == {}
    assert team.most(3) == 3


def test_any_other_has_one_for_each_channel_once_any_is_called_for() -> None:
    """Two stock workers on a channel double events: more is for a cluster."""
    [team] = teams([schedule("a", {"channels": ["a", "z"]})], LAYERS)
    assert [*map(str, team.processes([1]))] == ["a", "z"]
    assert [team.most(replicas) for replicas in (0, 1, 5)] == [0, 1, 1]


def test_processes_are_told_apart_by_what_they_call_themselves() -> None:
    jobs = [*wanted([schedule("a", **TRACKED), schedule("b", channelLayer={"name": "second"})], [1, 2]).values()]
    assert [job.environment({"POD_NAME": "ours"})["POD_NAME"] for job in jobs] == ["a", "a #2", "second:b", "second:b #2"]


@pytest.mark.parametrize(
    ("sentence", "schedules", "expected"),
    [
        ("without a worker block there is always one", [schedule("a"), schedule("b", **TRACKED)], {"default/a": None, "default/b": None}),
        ("with one the number is decided", [schedule("a", {}), schedule("b", {}, **TRACKED)], {"default/a": ["a"], "default/b": ["b"]}),
        (
            "by what there is in the channels that it got",
            [schedule("a", {"channels": ["a", "z"]}, **TRACKED), schedule("z", {}, **TRACKED)],
            {"default/a": ["a"], "default/z": ["z"]},
        ),
        ("who got none has no processes", [schedule("a", {}, channel="c"), schedule("b", {}, channel="c")], {"default/a": ["c"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whose_number_is_decided(sentence: str, schedules: list[BeatSchedule], expected: dict[str, list[str] | None]) -> None:
    found = {team.schedule: team.crew for team in teams(schedules, LAYERS)}
    assert {key: crew and [place.channel for place in crew.members[0].places] for key, crew in found.items()} == expected, sentence
    assert all(crew is None or (crew.key, crew.shared, crew.members[0].schedule.key) == (key, False, key) for key, crew in found.items())


def test_a_crew_is_of_the_layer_of_its_schedule() -> None:
    [team] = teams([schedule("a", {}, channelLayer={"name": "second"})], LAYERS)
    assert team.crew is not None
    assert team.crew.members[0].places == (scaling.Place("second", "a"),)


def test_only_ours_has_time_to_drain() -> None:
    jobs = wanted([schedule("a"), schedule("b", **TRACKED), schedule("c", {"drainTimeout": "2m"}, **TRACKED)]).values()
    assert {job.place.channel: (job.tracked, job.drain) for job in jobs} == {"a": (False, 0), "b": (True, 10_000), "c": (True, 120_000)}


def test_another_command_is_taken_as_it_is() -> None:
    jobs = wanted([schedule("a", {"command": ["poetry", "run", "python", "manage.py", "runworker"]})])
    assert jobs[Place("default", "a")].argv() == ["poetry", "run", "python", "manage.py", "runworker", "a"]


def test_the_environment_has_plain_values_and_the_url_of_the_layer() -> None:
    env = [{"name": "COLOUR", "value": "blue"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    job = wanted([schedule("a", {"env": env})])[Place("default", "a")]
    assert job.environment({"HOME": "/home"}) == {
        "HOME": "/home",
        "PYTHONUNBUFFERED": "1",
        "COLOUR": "blue",
        "CHANNELBEAT_REDIS_URL": "redis://one",
        "POD_NAME": "a",
    }
    assert "redis://" not in repr(job)


def test_of_two_ways_to_serve_a_channel_the_one_of_the_first_name_is_taken() -> None:
    first, second = schedule("a", {"command": ["first"]}, channel="c"), schedule("b", {"command": ["second"]}, channel="c")
    assert wanted([second, first])[Place("default", "c")] == Job(Place("default", "c"), ("first",), (), "redis://one")
