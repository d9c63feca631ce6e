"""A manifest becomes a schedule, or says everything that is wrong with it."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelbeat.core import schedule as model
from channelbeat.core.instants import HOUR, MINUTE, SECOND
from channelbeat.core.instants import parse as at
from channelbeat.core.parse import Fault, Parsed, parse
from channelbeat.core.schedule import Event, Missed, Retry, ScaleTarget, Scaling, Spec, TemplateFrom, Worker

EVENT = {"name": "a", "type": "t", "every": "5m"}


def manifest(*events: object, **spec: object) -> dict[str, Any]:
    return {
        "apiVersion": "channelbeat.dev/v1alpha1",
        "kind": "BeatSchedule",
        "metadata": {"name": "t", "namespace": "shop"},
        "spec": {"channel": "c", "events": list(events or [EVENT])} | spec,
    }


def told(parsed: Parsed) -> list[str]:
    return [str(fault) for fault in parsed.faults]


def good(raw: object) -> Spec:
    parsed = parse(raw)
    assert told(parsed) == []
    assert parsed.schedule is not None
    return parsed.schedule.spec


def test_the_least_that_is_needed_and_the_defaults() -> None:
    parsed = parse(manifest())
    assert parsed.key == "shop/t"
    assert parsed.schedule == model.BeatSchedule("shop", "t", Spec(channel="c", events=(Event(name="a", type="t", every=5 * MINUTE),)))
    assert parsed.schedule.key == "shop/t"
    event = parsed.schedule.spec.events[0]
    assert (event.missed, event.overlap, event.retry, event.attempt_timeout) == (Missed(policy="Latest", window=HOUR), "Allow", Retry(), 10 * MINUTE)
    assert (event.fields, event.message, event.jitter, event.suspend, event.time_zone) == ({}, None, None, False, None)
    assert (Retry().limit, Retry().backoff, Retry().max_backoff) == (3, 5 * SECOND, 10 * MINUTE)


def test_everything_that_can_be_said() -> None:
    event = {
        "name": "nightly",
        "type": "thumbnail.generate",
        "cron": "30 2 * * *",
        "timeZone": "UTC",
        "suspend": True,
        "jitter": "30s",
        "fields": {"width": 640, "deep": [None, {"x": 1.5}]},
        "message": {"text": "hello"},
        "notBefore": "2026-01-01T00:00:00Z",
        "notAfter": "2027-01-01T01:00:00+01:00",
        "missed": {"policy": "All", "window": "2h"},
        "overlap": "BufferOne",
        "startDeadline": "1h",
        "attemptTimeout": "1m",
        "retry": {"limit": 0, "backoff": "0s", "maxBackoff": "1m"},
    }
    worker = {
        "templateFrom": {"name": "web", "container": "app"},
        "resources": {"requests": {"cpu": "100m"}},
        "env": [{"name": "A", "value": "1"}],
        "channels": ["d", "c"],
        "command": ["run"],
        "concurrency": 4,
        "drainTimeout": "5m",
        "scaling": {"minReplicas": 1, "maxReplicas": 2, "targetWait": "1s", "eventsPerReplica": 5, "scaleDownAfter": "0s", "warmUp": "45s"},
    }
    spec = good(manifest(event, timeZone="Europe/Berlin", delivery="AtLeastOnce", channelLayer={"name": "fast"}, pauseAfterFailures=5, worker=worker))
    assert spec.events == (
        Event(
            name="nightly",
            type="thumbnail.generate",
            cron="30 2 * * *",
            time_zone="UTC",
            suspend=True,
            jitter=30 * SECOND,
            fields={"width": 640, "deep": [None, {"x": 1.5}]},
            message={"text": "hello"},
            not_before=at("2026-01-01T00:00:00Z"),
            not_after=at("2027-01-01T00:00:00Z"),
            missed=Missed(policy="All", window=2 * HOUR),
            overlap="BufferOne",
            start_deadline=HOUR,
            attempt_timeout=MINUTE,
            retry=Retry(limit=0, backoff=0, max_backoff=MINUTE),
        ),
    )
    assert spec.worker == Worker(
        template_from=TemplateFrom(name="web", container="app"),
        resources={"requests": {"cpu": "100m"}},
        env=({"name": "A", "value": "1"},),
        channels=("d", "c"),
        command=("run",),
        concurrency=4,
        drain_timeout=5 * MINUTE,
        scaling=Scaling(min_replicas=1, max_replicas=2, target_wait=SECOND, events_per_replica=5, scale_down_after=0, warm_up=45 * SECOND),
    )
    assert (spec.time_zone, spec.delivery, spec.channel_layer.name, spec.pause_after_failures) == ("Europe/Berlin", "AtLeastOnce", "fast", 5)


@pytest.mark.parametrize(
    ("what", "raw", "has"),
    [
        ("a group", manifest(channel=None, group="g"), {"channel": None, "group": "g"}),
        ("a scale target", manifest(worker={"scaleTargetRef": {"name": "w"}}), {"worker": Worker(scale_target_ref=ScaleTarget(name="w"))}),
        ("null is as good as absent", manifest(timeZone=None, worker=None, suspend=None), {"time_zone": "UTC", "worker": None, "suspend": False}),
        ("the status is not read", manifest() | {"status": {"anything": [1]}}, {"channel": "c"}),
        ("nor the rest of the metadata", manifest() | {"metadata": {"name": "t", "labels": {"a": "b"}, "uid": 5}}, {"channel": "c"}),
    ],
)
def test_also_good(what: str, raw: object, has: dict[str, object]) -> None:
    spec = good(raw)
    assert {name: getattr(spec, name) for name in has} == has, what


def test_in_what_is_handed_through_null_is_a_value() -> None:
    event = good(manifest(EVENT | {"fields": {"a": None}, "message": {"b": [None]}})).events[0]
    assert (event.fields, event.message) == ({"a": None}, {"b": [None]})


def test_without_a_namespace_it_is_in_default() -> None:
    assert parse(manifest() | {"metadata": {"name": "t"}}).key == "default/t"


def test_a_faulty_event_costs_itself_alone_and_keeps_its_place() -> None:
    parsed = parse(manifest(EVENT, {"name": "b", "type": "t", "every": "5x"}, {"name": "c", "type": "t", "evry": "5m"}, 7))
    assert parsed.schedule is not None
    assert [event.name for event in parsed.schedule.spec.events] == ["a"]
    assert parsed.parked == {"b", "c"}
    assert parsed.faults == (
        Fault("spec.events[1].every", "must be a duration from 100ms to 8760h, such as 30s, 5m or 1h30m (a day is 24h), not '5x'"),
        Fault("spec.events[2].evry", "no such field: did you mean every?"),
        Fault("spec.events[3]", "must be an object, not 7"),
    )


@pytest.mark.parametrize(
    ("what", "first", "second", "runs", "parked", "paths"),
    [
        ("both good", {}, {"every": "1m"}, [5 * MINUTE], [], ["spec.events[1].name"]),
        ("the second faulty", {}, {"every": "1x"}, [5 * MINUTE], [], ["spec.events[1].every", "spec.events[1].name"]),
        ("the first faulty", {"every": "1x"}, {}, [], ["a"], ["spec.events[0].every", "spec.events[1].name"]),
    ],
)
def test_of_two_events_with_one_name_none_but_the_first_runs(
    what: str, first: dict[str, str], second: dict[str, str], runs: list[int], parked: list[str], paths: list[str]
) -> None:
    parsed = parse(manifest(EVENT | first, EVENT | second))
    assert parsed.schedule is not None
    assert [event.every for event in parsed.schedule.spec.events] == runs, what
    assert (sorted(parsed.parked), [fault.path for fault in parsed.faults]) == (parked, paths), what


def test_when_all_its_events_are_faulty_the_schedule_still_keeps_their_places() -> None:
    parsed = parse(manifest({"name": "b", "type": "t"}))
    assert parsed.schedule is not None
    assert parsed.schedule.spec.events == ()
    assert parsed.parked == {"b"}


def test_a_fault_outside_the_events_costs_the_schedule_and_hides_none_of_theirs() -> None:
    parsed = parse(manifest({"name": "B", "type": "t"}, channel="a b", timeZone="Mars/Phobos", suspend="yes", delivery="Exactly", sparkle=1))
    assert (parsed.schedule, parsed.key) == (None, "shop/t")
    assert [fault.path for fault in parsed.faults] == [
        *("spec.channel", "spec.timeZone", "spec.suspend", "spec.delivery", "spec.sparkle", "spec.events[0].name", "spec.events[0]")
    ]


SPEC_FIELDS = "channel, group, timeZone, suspend, delivery, channelLayer, pauseAfterFailures, events and worker"


@pytest.mark.parametrize(
    ("raw", "faults"),
    [
        (None, ["must be an object that begins with apiVersion and kind, not null"]),
        ([1], ["must be an object that begins with apiVersion and kind, not a list"]),
        (
            {},
            [
                "apiVersion: is required: write channelbeat.dev/v1alpha1",
                "kind: is required: write BeatSchedule",
                "metadata: is required",
                "spec: is required",
            ],
        ),
        (manifest() | {"metadata": []}, ["metadata: must be an object, not a list"]),
        (manifest() | {"metadata": {"name": 5, "namespace": "a.b"}}, [
            "metadata.namespace: must be lower case letters, digits and '-', and must start and end with a letter or digit, not 'a.b'",
            "metadata.name: must be text, not 5; quote it",
        ]),
        (manifest() | {"spec": 5}, ["spec: must be an object, not 5"]),
        (manifest() | {"Spec": {}}, ["Spec: no such field: did you mean spec?"]),
        (manifest(**{"a\nb": 1}), [f"spec['a\\nb']: no such field: there are {SPEC_FIELDS}"]),
        (manifest(EVENT | {"fields": {"x": {1: 2}}}), ["spec.events[0].fields: must have text as keys, not 1; quote the key"]),
        (manifest(EVENT | {"fields": {"x": ["\ud800"]}}), [
            "spec.events[0].fields: has half a character (a lone surrogate) at x[0], which no message can carry"
        ]),
        (manifest(EVENT | {"fields": {"x": {"\ud800": 1}}}), ["spec.events[0].fields: must have text as keys, not '\\ud800'; quote the key"]),
        (manifest(EVENT | {"fields": {"x": float("nan")}}), ["spec.events[0].fields: has a number at x that JSON cannot carry; quote it"]),
        (manifest(EVENT | {"fields": {"x": b""}}), [
            "spec.events[0].fields: has a bytes at x; a message carries text, numbers, true, false, null, lists and objects"
        ]),
        (manifest(events=None), ["spec.events: is required"]),
        (manifest(events="abc"), ["spec.events: must be a list, not 'abc'"]),
        (manifest(channelLayer=[]), ["spec.channelLayer: must be an object, not a list"]),
        (manifest(worker={"templateFrom": {"name": "a", "kind": "Deployment", "nam": 1}}), [
            "spec.worker.templateFrom.kind: no such field: there are name and container",
            "spec.worker.templateFrom.nam: no such field: did you mean name?",
        ]),
        (manifest(worker={"templateFrom": {"name": "a"}, "channels": []}), [
            "spec.worker.channels: must not be empty",
            "spec.worker.channels: must contain spec.channel, 'c'",
        ]),
        (manifest(worker={"templateFrom": {"name": "a"}, "command": ["x"] * 33}), ["spec.worker.command: must have at most 32 items"]),
    ],
)  # fmt: skip
def test_strange_input_is_told_in_sentences_too(raw: object, faults: list[str]) -> None:
    parsed = parse(raw)
    assert told(parsed) == faults


def nested(depth: int) -> list[Any]:
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    return deep


@pytest.mark.parametrize(("depth", "faults"), [(62, []), (63, ["spec.events[0].fields: must not be nested deeper than 64"])])
def test_a_message_has_a_depth(depth: int, faults: list[str]) -> None:
    assert told(parse(manifest(EVENT | {"fields": {"x": nested(depth)}}))) == faults


@pytest.mark.parametrize("where", ["fields", "message", "missed", "name", "nonsense"])
def test_however_deep_it_is_nested(where: str) -> None:
    deep = nested(100_000)
    parsed = parse(
        manifest(EVENT | {where: {"x": deep}}, worker={"template": {"x": deep}, "scaling": {"x": deep}}) | {"metadata": {"name": deep}, "kind": deep}
    )
    assert parsed.schedule is None
    assert all(str(fault) for fault in parsed.faults)


# --- anything at all: replaces parts of a full manifest by whatever there is
ODD: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(max_size=3), st.dates()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.none()), inner, max_size=3),
        st.tuples(inner),
    ),
    max_leaves=8,
)
FULL = manifest(
    {"name": "n", "type": "t", "cron": "0 3 * * *", "fields": {"a": [1]}, "message": {"b": {}}, "missed": {"policy": "All"}, "retry": {"limit": 1}},
    {"name": "m", "type": "t", "every": "1m", "jitter": "1s", "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2027-01-01T00:00:00Z"},
    delivery="AtLeastOnce",
    channelLayer={"name": "x"},
    worker={"template": {"spec": {"containers": [{"name": "worker"}]}}, "channels": ["c"], "scaling": {"minReplicas": 0, "warmUp": "Auto"}},
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in inner for place in places(item, (*at, key)))]


def replaced(value: Any, at: tuple[Any, ...], by: Any) -> Any:
    if not at:
        return by
    if isinstance(value, list):
        return [replaced(item, at[1:], by) if i == at[0] else item for i, item in enumerate(value)]
    return {key: replaced(item, at[1:], by) if key == at[0] else item for key, item in value.items()}


@settings(max_examples=1_500, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(places(FULL)), ODD), min_size=1, max_size=3), ODD)
def test_nothing_makes_it_stumble(changes: list[tuple[tuple[Any, ...], Any]], extra: Any) -> None:
    raw: Any = FULL
    for place, by in changes:
        try:
            raw = replaced(raw, place, by)
        except AttributeError:  # an earlier change took the place away
            continue
    if isinstance(raw, dict):
        raw = raw | {"spec": {**raw["spec"], "extra": extra}} if isinstance(raw.get("spec"), dict) else raw
    parsed = parse(raw)
    assert (parsed.schedule is None) == any(not fault.path.startswith("spec.events[") for fault in parsed.faults)
    for fault in parsed.faults:
        str(fault).encode()
        assert str(fault).isprintable()
