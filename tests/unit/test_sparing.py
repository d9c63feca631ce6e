"""Which pods are given the annotation that says that they go last, and from which it is taken."""

from typing import Any

import pytest

from channelbeat.cluster.sparing import BUSY, COST, MOST, changes


def pod(name: str, cost: str | None = None, *, phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **({"annotations": {COST: cost}} if cost is not None else {}), **metadata}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("pods", "busy", "changed"),
    [
        ([], ["a"], {}),
        ([pod("a"), pod("b")], [], {}),
        ([pod("a"), pod("b")], ["a"], {"a": BUSY}),
        ([pod("a", BUSY), pod("b")], ["a"], {}),
        ([pod("a", BUSY), pod("b")], ["b"], {"a": None, "b": BUSY}),
        ([pod("a", BUSY)], [], {"a": None}),
        ([pod("a", "5")], [], {}),
        ([pod("a", "5")], ["a"], {"a": BUSY}),
        ([pod("a", annotations={"other": "x"}), pod("b", annotations=None)], ["a", "b"], {"a": BUSY, "b": BUSY}),
        ([pod("a", deletionTimestamp="2026-11-21T09:00:00Z"), pod("b", phase="Failed"), pod("c", phase="Succeeded")], ["a", "b", "c"], {}),
        ([pod("a", phase="Pending")], ["a"], {"a": BUSY}),
    ],
)
def test_only_what_differs_is_written(pods: list[dict[str, Any]], busy: list[str], changed: dict[str, str | None]) -> None:
    assert changes(pods, busy) == changed


def test_of_very_many_so_many_are_spared_and_those_who_are_stay_so() -> None:
    pods = [pod(f"p-{number:03}", BUSY if number >= 100 else None) for number in range(130)]
    changed = changes(pods, {one["metadata"]["name"] for one in pods})
    assert changed == {f"p-{number:03}": BUSY for number in range(MOST - 30)}
    assert changes(pods, ()) == {f"p-{number:03}": None for number in range(100, 130)}
