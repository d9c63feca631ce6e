"""What a Lease means to us, as tables."""

from typing import Any

import pytest

from channelbeat.cluster import lease
from channelbeat.cluster.lease import Record, Sight, Step, Wait
from channelbeat.core import instants

ME, DURATION = "me", 3_000
NOW = instants.parse("2026-11-21T01:30:00.250Z")


def record(holder: str, duration: int | None = 3_000, **more: Any) -> Record:
    return Record(**{"version": "7", "holder": holder, "duration": duration, "acquired": "a", "renewed": "r", "transitions": 4, **more})


@pytest.mark.parametrize(
    ("sight", "leading", "now", "decision"),
    [
        pytest.param(None, False, 0, Step.LOOK, id="nothing was seen yet"),
        pytest.param(Sight(None, 100, ever=False), False, 100, Step.CREATE, id="there never was one"),
        pytest.param(Sight(None, 100, ever=True), True, 100, Step.CREATE, id="ours was deleted"),
        pytest.param(Sight(None, 100, ever=True), False, 3_099, Wait(3_100), id="the leader's was deleted, and it may make it anew"),
        pytest.param(Sight(None, 100, ever=True), False, 3_100, Step.CREATE, id="nobody has made it anew"),
        pytest.param(Sight(record(ME), 100, ever=True), True, 101, Step.TAKE, id="ours is renewed"),
        pytest.param(Sight(record(ME), 100, ever=True), False, 101, Step.TAKE, id="ours, though the answer was lost"),
        pytest.param(Sight(record(""), 100, ever=True), False, 100, Step.TAKE, id="handed over"),
        pytest.param(Sight(record(""), 100, ever=True), True, 100, Step.TAKE, id="emptied by somebody while we lead"),
        pytest.param(Sight(record("x"), 100, ever=True), False, 3_099, Wait(3_100), id="another's"),
        pytest.param(Sight(record("x"), 100, ever=True), False, 3_100, Step.TAKE, id="another's, unchanged for too long"),
        pytest.param(Sight(record("x", 10_000), 100, ever=True), False, 9_000, Wait(10_100), id="its own duration counts"),
        pytest.param(Sight(record("x", 1_000), 100, ever=True), False, 1_100, Step.TAKE, id="its own, when shorter too"),
        pytest.param(Sight(record("x", 3_600_000), 100, ever=True), False, 60_000, Wait(60_100), id="a minute at most"),
        pytest.param(Sight(record("x", None), 100, ever=True), False, 3_000, Wait(3_100), id="it says none: as long as ours"),
    ],
)
def test_what_is_to_be_done(sight: Sight | None, leading: bool, now: int, decision: lease.Decision) -> None:
    assert lease.decide(sight, me=ME, leading=leading, duration=DURATION, patience=0, now=now) == decision


@pytest.mark.parametrize(
    ("sight", "now", "decision"),
    [
        (Sight(record("x"), 100, ever=True), 9_000, Wait(9_500)),
        (Sight(None, 100, ever=True), 9_000, Wait(9_500)),
        (Sight(record("x"), 100, ever=True), 9_500, Step.TAKE),
        (Sight(record(""), 100, ever=True), 9_000, Step.TAKE),
    ],
)
def test_a_holder_that_had_no_chance_to_speak_is_waited_for(sight: Sight, now: int, decision: lease.Decision) -> None:
    assert lease.decide(sight, me=ME, leading=False, duration=DURATION, patience=9_500, now=now) == decision


@pytest.mark.parametrize(
    ("before", "then", "since"),
    [
        (record("x"), record("x"), 100),
        (record("x"), record("x", version="9"), 100),
        (None, None, 100),
        (record("x"), record("x", renewed="r2"), 200),
        (record("x"), record("y"), 200),
        (record("x"), record("x", 9_000), 200),
        (record("x"), None, 200),
        (None, record("x"), 200),
    ],
)
def test_a_holder_lives_while_its_record_changes(before: Record | None, then: Record | None, since: int) -> None:
    assert lease.see(Sight(before, 100, ever=True), then, 200) == Sight(then, since, ever=True)


def test_that_there_was_one_is_remembered() -> None:
    first = lease.see(None, None, 1)
    assert not first.ever
    second = lease.see(first, record("x"), 2)
    assert second.ever
    assert lease.see(second, None, 3).ever


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, Record("", "", None, "", "", 0)),
        ({"metadata": {"resourceVersion": "5"}, "spec": None}, Record("5", "", None, "", "", 0)),
        ({"spec": {"holderIdentity": None, "leaseDurationSeconds": 0}}, Record("", "", None, "", "", 0)),
        ({"spec": {"holderIdentity": "x", "leaseDurationSeconds": 15, "leaseTransitions": 2}}, Record("", "x", 15_000, "", "", 2)),
        ({"metadata": [], "spec": "x"}, Record("", "", None, "", "", 0)),
        ({"spec": {"holderIdentity": ["x"], "leaseDurationSeconds": "15", "leaseTransitions": "x"}}, Record("", "['x']", None, "", "", 0)),
        ({"spec": {"leaseDurationSeconds": True, "leaseTransitions": 1e999, "acquireTime": 5}}, Record("", "", None, "5", "", 0)),
    ],
)
def test_anything_may_stand_in_it(raw: dict[str, Any], expected: Record) -> None:
    assert lease.read(raw) == expected


NEW = "2026-11-21T01:30:00.250000Z"


@pytest.mark.parametrize(
    ("spec", "acquired", "transitions"),
    [
        (None, NEW, 0),
        ({}, NEW, 1),
        ({"holderIdentity": ""}, NEW, 1),
        ({"holderIdentity": "x", "acquireTime": "then", "leaseTransitions": 4}, NEW, 5),
        ({"holderIdentity": ME, "acquireTime": "then", "leaseTransitions": 4}, "then", 4),
        ({"holderIdentity": ME}, NEW, 0),
    ],
)
def test_it_is_counted_as_client_go_counts(spec: dict[str, Any] | None, acquired: str, transitions: int) -> None:
    written = lease.ours(None if spec is None else {"spec": spec}, ME, 600, NOW)["spec"]
    assert written == {"holderIdentity": ME, "leaseDurationSeconds": 1, "acquireTime": acquired, "renewTime": NEW, "leaseTransitions": transitions}


@pytest.mark.parametrize("spec", ["x", 5, [], True])
def test_a_spec_that_is_none_is_written_anew(spec: Any) -> None:
    assert lease.ours({"spec": spec}, ME, 3_000, NOW)["spec"]["holderIdentity"] == ME
    assert lease.released({"spec": spec}, NOW)["spec"]["holderIdentity"] == ""


def test_what_is_written_is_what_was_read_but_for_the_holder() -> None:
    raw = {"metadata": {"uid": "u", "resourceVersion": "5", "labels": {"a": "b"}}, "spec": {"holderIdentity": "x", "strategy": "s", "leaseTransitions": 3}}
    taken = lease.ours(raw, ME, 3_000, NOW)
    assert taken["metadata"] == raw["metadata"]
    assert (taken["spec"]["strategy"], taken["spec"]["leaseDurationSeconds"]) == ("s", 3)
    left = lease.released(taken, NOW)
    assert left["metadata"] == raw["metadata"]
    assert left["spec"] == {**taken["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}


@pytest.mark.parametrize(("version", "than", "newer"), [("10", "9", True), ("9", "9", False), ("9", "10", False), ("a", "9", None), ("", "9", None)])
def test_versions_are_numbers_that_grow(version: str, than: str, newer: bool | None) -> None:
    assert lease.is_newer(version, than) is newer
