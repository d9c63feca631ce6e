"""What the engine knows of an event: where it goes, and how its runs are to be handled."""

import subprocess
import sys
from typing import Any

import pytest

from channelbeat.core.definition import Definition, compile_schedule
from channelbeat.core.runs import Policy
from support.rig import schedule

PLAIN = {"every": "5s"}


def definition(event: dict[str, Any] | None = None, **spec: Any) -> Definition:
    return compile_schedule(schedule(PLAIN | (event or {}), **spec))[0]


def tracked(event: dict[str, Any] | None = None, **spec: Any) -> Definition:
    return definition(event, delivery="AtLeastOnce", **spec)


def policy(event: dict[str, Any] | None = None, **spec: Any) -> Policy:
    found = tracked(event, **spec).policy
    assert found is not None
    return found


def version(event: dict[str, Any] | None = None, pause: int = 3) -> str:
    return policy(event, pauseAfterFailures=pause).version


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param({}, Policy(), id="the defaults are the policy's own"),
        pytest.param({"retry": {"limit": 0}}, Policy(limit=0), id="a single attempt"),
        pytest.param({"retry": {"limit": 9, "backoff": "100ms", "maxBackoff": "1m"}}, Policy(9, 100, 60_000), id="retries"),
        pytest.param({"attemptTimeout": "1s"}, Policy(timeout=1000), id="an attempt's time"),
        pytest.param({"startDeadline": "1h"}, Policy(start_deadline=3_600_000), id="a deadline"),
        pytest.param({"overlap": "Skip"}, Policy(overlap="Skip"), id="no overlap"),
        pytest.param({"overlap": "BufferOne"}, Policy(overlap="BufferOne"), id="one that waits"),
    ],
)
def test_how_a_run_is_to_be_handled(event: dict[str, Any], expected: Policy) -> None:
    assert policy(event) == expected
    made = tracked(event).tracked("default/t/e/now")
    assert made is not None
    assert (made.run, Policy.read(made.policy)) == ("default/t/e/now", expected)


def test_a_message_under_best_effort_is_nobody_s_run() -> None:
    plain = definition()
    assert (plain.policy, plain.tracked("default/t/e/now"), plain.may_be_declined) == (None, None, False)


@pytest.mark.parametrize(
    ("spec", "target"),
    [
        ({}, "c"),
        ({"delivery": "BestEffort"}, "c"),
        ({"delivery": "AtLeastOnce"}, "queue:c"),
        ({"group": "g"}, None),
    ],
)
def test_where_it_goes(spec: dict[str, Any], target: str | None) -> None:
    assert definition(**spec).target == target


def test_a_group_is_never_tracked() -> None:
    with pytest.raises(AssertionError, match="must be BestEffort with group"):
        schedule(PLAIN, group="g", delivery="AtLeastOnce")


@pytest.mark.parametrize(
    ("event", "spec", "declined"),
    [
        ({}, {}, False),
        ({"overlap": "Skip"}, {}, True),
        ({"overlap": "BufferOne"}, {}, True),
        ({}, {"pauseAfterFailures": 1}, True),
        ({"retry": {"limit": 0}, "startDeadline": "1s"}, {}, False),
    ],
)
def test_whether_the_layer_may_decide_without_a_run(event: dict[str, Any], spec: dict[str, Any], declined: bool) -> None:
    assert tracked(event, **spec).may_be_declined == declined


@pytest.mark.parametrize(
    "edit",
    [
        {"fields": {"n": 2}},
        {"message": {"n": 1}},
        {"type": "other"},
        {"every": "6s"},
        {"suspend": True},
        {"retry": {"limit": 4}},
        {"overlap": "Skip"},
        {"missed": {"policy": "All"}},
        {"jitter": "1s"},
        {"name": "other"},
    ],
    ids=lambda edit: next(iter(edit)),
)
def test_any_edit_of_the_event_is_another_version(edit: dict[str, Any]) -> None:
    before = {"fields": {"n": 1, "m": {"a": [1, "x", None, True, 0.5]}}}
    assert version(before) != version(before | edit)


def test_so_is_another_number_of_failures_but_nothing_else_of_the_schedule() -> None:
    assert version(pause=3) != version(pause=4)
    assert policy(pauseAfterFailures=3, timeZone="Europe/Berlin").version == version()


def test_the_order_of_keys_says_nothing() -> None:
    assert version({"fields": {"a": 1, "b": 2}}) == version({"fields": {"b": 2, "a": 1}})


def test_without_pausing_there_are_no_versions() -> None:
    assert policy().version == "-"


def test_a_version_is_the_same_in_every_process() -> None:
    there = "import test_definition as t; print(t.version({'fields': {'n': 'ä', 'm': {}}}))"
    paths = [*sys.path, __file__.rpartition("/")[0]]
    answer = subprocess.run([sys.executable, "-c", f"import sys; sys.path[:] = {paths!r}; {there}"], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == version({"fields": {"n": "ä", "m": {}}})


def test_events_that_are_handled_alike_share_their_policy() -> None:
    one, other = tracked(), tracked({"name": "other", "every": "7s"})
    assert one.policy is other.policy
    first, second = one.tracked("a"), other.tracked("b")
    assert first is not None
    assert second is not None
    assert first.policy is second.policy
