"""Which workers handle whose events, and who makes none because another does."""

from dataclasses import replace
from typing import Any

import pytest

from channelbeat.core.crews import Crew, Member, crews, guests, member
from channelbeat.core.scaling import Place
from channelbeat.core.schedule import Scaling
from support.rig import schedule

TEMPLATE = {"template": {"spec": {"containers": [{"name": "worker", "image": "shop:1"}]}}}


def of(name: str, created: int = 0, *, namespace: str = "default", worker: Any = TEMPLATE, **spec: Any) -> Member:
    found = schedule({"every": "1m"}, name=name, **({} if worker is None else {"worker": worker}), **spec)
    object.__setattr__(found, "namespace", namespace)
    return member(found, f"uid-{name}", created)


def sharing(name: str, target: str, created: int = 0, **spec: Any) -> Member:
    return of(name, created, worker={"scaleTargetRef": {"name": target}}, **spec)


def told(*members: Member) -> dict[str, tuple[list[str], bool]]:
    """By the crew's key: its schedules, and whether it is shared."""
    return {crew.key: ([one.schedule.key for one in crew.members], crew.shared) for crew in crews(members)[0]}


@pytest.mark.parametrize(
    ("members", "found"),
    [
        pytest.param([], {}, id="none"),
        pytest.param([of("a", worker=None)], {}, id="its workers are somebody else's"),
        pytest.param([of("a")], {"default/a-worker": (["default/a"], False)}, id="one of its own"),
        pytest.param(
            [of("a", channel="x"), of("b", channel="y")],
            {"default/a-worker": (["default/a"], False), "default/b-worker": (["default/b"], False)},
            id="each its own",
        ),
        pytest.param([of("a", 2), of("b", 1)], {"default/b-worker": (["default/b"], False)}, id="for one channel: the older"),
        pytest.param([of("b", 1), of("a", 1)], {"default/a-worker": (["default/a"], False)}, id="just as old: by name"),
        pytest.param([of("a", 1, namespace="shop"), of("b", 2)], {"shop/a-worker": (["shop/a"], False)}, id="for one channel, across namespaces"),
        pytest.param(
            [of("a", 1), of("b", 2, channelLayer={"name": "other"})],
            {"default/a-worker": (["default/a"], False), "default/b-worker": (["default/b"], False)},
            id="one channel of two layers is two",
        ),
        pytest.param(
            [of("a", 1, channel="x"), of("b", 2, channel="y", worker={**TEMPLATE, "channels": ["y", "x"]}), of("c", 3, channel="y")],
            {"default/a-worker": (["default/a"], False), "default/c-worker": (["default/c"], False)},
            id="who makes none takes no channel from others",
        ),
        pytest.param(
            [sharing("a", "web", 2), sharing("b", "web", 1, channel="y"), sharing("c", "other")],
            {"default/web": (["default/b", "default/a"], True), "default/other": (["default/c"], True)},
            id="shared by those that name it",
        ),
        pytest.param(
            [sharing("a", "web", namespace="shop"), sharing("b", "web")],
            {"shop/web": (["shop/a"], True), "default/web": (["default/b"], True)},
            id="of one name in two namespaces",
        ),
        pytest.param(
            [of("a", 1), sharing("b", "web", 2)],
            {"default/a-worker": (["default/a"], False), "default/web": (["default/b"], True)},
            id="to scale somebody's workers is not to make some",
        ),
        pytest.param([of("a", 2), sharing("b", "a-worker", 1)], {"default/a-worker": (["default/a"], False)}, id="what we make is nobody's target"),
    ],
)
def test_crews(members: list[Member], found: dict[str, tuple[list[str], bool]]) -> None:
    assert told(*members) == found
    assert told(*reversed(members)) == found


@pytest.mark.parametrize(
    ("worker", "channels"),
    [
        (TEMPLATE, ["c"]),
        ({**TEMPLATE, "channels": ["urgent", "c"]}, ["urgent", "c"]),
        ({"scaleTargetRef": {"name": "web"}}, ["c"]),
        (None, ["c"]),
    ],
)
def test_where_its_workers_listen(worker: Any, channels: list[str]) -> None:
    assert of("a", worker=worker, channelLayer={"name": "fast"}).places == tuple(Place("fast", channel) for channel in channels)


def test_how_many_workers_there_may_be() -> None:
    assert of("a", worker={**TEMPLATE, "scaling": {"maxReplicas": 3}}).scaling == Scaling(max_replicas=3)
    assert of("a", worker=None).scaling == Scaling(min_replicas=1, max_replicas=1)


def test_a_group_has_no_workers() -> None:
    assert member(schedule({"every": "1m"}, group="g"), "u", 0).places == ()


@pytest.mark.parametrize(
    ("members", "schedule", "reason", "says"),
    [
        ([of("b", 1), of("a", 1)], "default/b", "ChannelTaken", ["default/a, which was created in the same second and comes first by its name, makes"]),
        (
            [of("a", 1, namespace="shop"), of("b", 2)],
            "default/b",
            "ChannelTaken",
            ["shop/a, which was created earlier", "'c'", "layer 'default'", "scaleTargetRef"],
        ),
        ([of("a", 2), sharing("b", "a-worker", 1)], "default/b", "TargetTaken", ["default/a-worker", "default/a:", "spec.worker.channels"]),
    ],
)
def test_a_refusal_names_the_other_schedule_and_the_cure(members: list[Member], schedule: str, reason: str, says: list[str]) -> None:
    _, refused = crews(members)
    assert [*refused] == [schedule]
    assert refused[schedule].reason == reason
    for words in says:
        assert words in refused[schedule].text


def test_a_crew_is_equal_to_one_of_the_same_members() -> None:
    one = of("a")
    assert crews([one])[0] == crews([one])[0] == [Crew("default/a-worker", (one,), shared=False)]


def sending(*members: Member) -> dict[str, list[str]]:
    """By the crew's key: the guests, of all these schedules."""
    found = guests(crews(members)[0], [one.schedule for one in members])
    return {key: [one.schedule for one in those] for key, those in found.items()}


WIDE = {**TEMPLATE, "channels": ["x", "y"]}


@pytest.mark.parametrize(
    ("members", "found"),
    [
        pytest.param([of("a"), of("b", worker=None)], {"default/a-worker": ["default/b"]}, id="without workers"),
        pytest.param([of("a"), of("b", 1), of("c", 2)], {"default/a-worker": ["default/b", "default/c"]}, id="with workers that are refused"),
        pytest.param([of("a"), of("b", worker=None, namespace="shop")], {"default/a-worker": ["shop/b"]}, id="from another namespace"),
        pytest.param([of("a"), of("b", worker=None, channel="y")], {}, id="not to another channel"),
        pytest.param([of("a"), of("b", worker=None, channelLayer={"name": "other"})], {}, id="not to another layer"),
        pytest.param([of("a"), of("b", worker=None, group="c")], {}, id="not to a group"),
        pytest.param([of("a", channel="x", worker=WIDE), of("b", worker=None, channel="y")], {"default/a-worker": ["default/b"]}, id="to any of its channels"),
        pytest.param([sharing("a", "web"), sharing("b", "web"), of("c", worker=None)], {"default/web": ["default/c"]}, id="of workers that are shared"),
        pytest.param([sharing("a", "web"), sharing("b", "web")], {}, id="who shares them is no guest"),
        pytest.param([sharing("a", "web"), sharing("b", "other")], {}, id="nor who has others for the same channel"),
        pytest.param([sharing("a", "web", 1), of("b", 2), of("c", worker=None)], {"default/b-worker": ["default/c"]}, id="of one crew, if several listen"),
        pytest.param([of("b", worker=None)], {}, id="of nobody"),
    ],
)
def test_who_has_no_workers_is_a_guest_of_those_that_listen_on_its_channel(members: list[Member], found: dict[str, list[str]]) -> None:
    assert sending(*members) == found


def test_who_does_not_handle_its_own_is_a_guest_elsewhere() -> None:
    """In local mode each channel goes to one of those that list it."""
    one, other = of("a", channel="x", worker=WIDE), of("b", channel="y", worker=WIDE)
    one, other = replace(one, places=(Place("default", "y"),)), replace(other, places=(Place("default", "x"),))
    found = guests([Crew("one", (one,), shared=False), Crew("other", (other,), shared=False)], [one.schedule, other.schedule])
    assert {key: [sender.schedule for sender in those] for key, those in found.items()} == {"one": ["default/b"], "other": ["default/a"]}
    assert (one.handles_its_own, of("a").handles_its_own) == (False, True)
