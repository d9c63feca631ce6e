"""Whom schedules have as workers: when somebody is told that it may be another, and what is the same as before."""

from typing import Any, Final

import pytest

from channelbeat.cluster.register import Register
from channelbeat.cluster.staffing import Staffing
from channelbeat.core.layer import LayerSettings
from channelbeat.engine.book import Book
from support.beats import manifest
from support.employing import Nobody

LAYERS: Final = {"default": LayerSettings("default", "redis://a")}
NOWHERE: Final[dict[str, Any]] = {"channelLayer": {"name": "nowhere"}}
WEB: Final[dict[str, Any]] = {"worker": {"scaleTargetRef": {"name": "web"}}}
API: Final[dict[str, Any]] = {"worker": {"scaleTargetRef": {"name": "api"}}}
OWN: Final[dict[str, Any]] = {"worker": {"template": {"spec": {"containers": [{"name": "worker", "image": "shop:1"}]}}}}
COPY: Final[dict[str, Any]] = {"worker": {"templateFrom": {"name": "web"}}}
UNREADABLE: Final[dict[str, Any]] = {"worker": 7}


class World:
    def __init__(self) -> None:
        self.staffing, self.told, self.generation = Staffing(), 0, 0
        self.staffing.changed = self.tell
        self.register = Register(Book(Nobody()), LAYERS, [self.staffing])

    def tell(self) -> None:
        self.told += 1

    def put(self, spec: dict[str, Any] | None, *, again: bool = False) -> bool:
        """Schedule n/t is so, or gone; whether anybody was told. `again`: only what is asked of it has changed."""
        told = self.told
        self.generation += not again
        if spec is None:
            self.register.forget("n/t", "u")
        else:
            raw = manifest({"cron": "0 2 * * *"}, **spec)
            asked = {"trigger.channelbeat.dev/e": str(self.generation)} if again else {}
            metadata = {"namespace": "n", "uid": "u", "generation": self.generation, "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": asked}
            self.register.see({**raw, "metadata": {**raw["metadata"], **metadata}})
        return self.told > told


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (NOWHERE | WEB, None, True),
        (NOWHERE | WEB, {}, True),
        (NOWHERE | WEB, NOWHERE | API, True),
        (NOWHERE | WEB, NOWHERE, True),
        (NOWHERE | WEB, UNREADABLE, True),
        (NOWHERE | WEB, WEB, True),
        (NOWHERE | OWN, {}, True),
        (UNREADABLE, None, True),
        (UNREADABLE, {}, True),
        (UNREADABLE, NOWHERE | OWN, True),
        (NOWHERE | WEB, NOWHERE | WEB, False),
        (UNREADABLE, UNREADABLE, False),
        ({}, {}, False),
        ({}, {"suspend": True}, False),
        (OWN, NOWHERE | OWN, False),
        (OWN, UNREADABLE, False),
        (OWN, None, True),
        (OWN, {}, True),
    ],
)
def test_somebody_is_told_when_another_deployment_may_be_scaled_or_left_over(
    world: World, before: dict[str, Any], after: dict[str, Any] | None, told: bool
) -> None:
    assert world.put(before)
    assert world.put(after) is told


@pytest.mark.parametrize("spec", [{}, OWN, WEB, NOWHERE | WEB, UNREADABLE])
def test_nobody_is_told_of_one_that_is_seen_again(world: World, spec: dict[str, Any]) -> None:
    world.put(spec)
    assert not world.put(spec, again=True)


def test_what_a_refused_schedule_names_is_scaled_until_that_is_gone(world: World) -> None:
    world.put(NOWHERE | WEB)
    assert "n/web" in world.staffing.scaled()
    assert "n/api" not in world.staffing.scaled()
    world.put(UNREADABLE)
    assert "n/api" in world.staffing.scaled(), "it may name any"
    world.put(None)
    assert "n/web" not in world.staffing.scaled()
    assert "n/api" not in world.staffing.scaled()


def test_a_crew_is_the_same_object_until_its_schedule_is_touched(world: World) -> None:
    world.put(COPY)
    (first,) = world.staffing.crews()
    world.put(COPY, again=True)
    (second,) = world.staffing.crews()
    assert second is first


def test_an_edit_that_was_taken_back_makes_another_crew(world: World) -> None:
    """The Deployment that it copies was of no account for a moment, and may have been forgotten."""
    world.put(COPY)
    (first,) = world.staffing.crews()
    world.put(OWN)
    world.put(COPY)
    assert not world.staffing.current(first)
    (second,) = world.staffing.crews()
    assert second == first
    assert second is not first
    assert world.staffing.current(second)
