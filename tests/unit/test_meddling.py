"""When is somebody else said to scale a Deployment that we scale? Stories, told by what is seen of it."""

from typing import Any, Final

import pytest

from channelbeat.cluster.deployment import MANAGER
from channelbeat.cluster.meddling import WITHIN, Watched, is_ours, look, resumed, was_set, who
from channelbeat.core.instants import MINUTE, SECOND, Ms

HPA: Final = "kube-controller-manager"


def seen(replicas: int | None, manager: str = MANAGER, **entry: Any) -> dict[str, Any]:
    """A Deployment whose replicas `manager` wrote."""
    managed = [
        {"manager": "kubectl-create", "operation": "Update", "fieldsV1": {"f:spec": {"f:template": {}}}, "time": "2026-11-21T09:00:00Z"},
        {"manager": manager, "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}, **entry},
    ]
    metadata = {"namespace": "shop", "name": "web", "uid": "u", "managedFields": managed}
    return {"metadata": metadata, "spec": {} if replicas is None else {"replicas": replicas}}


class Story:
    def __init__(self, *, shared: bool, watched: Watched | None = None) -> None:
        self.shared, self.watched, self.wanted, self.now = shared, watched or Watched(), 0, 1_000_000

    def set(self, replicas: int) -> None:
        """We write it."""
        self.wanted, self.watched = replicas, was_set(self.watched, replicas)

    def sees(self, replicas: int, manager: str = MANAGER, *, after: Ms = SECOND) -> bool:
        """Whether we stop."""
        self.now += after
        self.watched, refusal = look(self.watched, seen(replicas, manager), self.wanted, self.now, shared=self.shared)
        return refusal is not None


@pytest.fixture
def shared() -> Story:
    return Story(shared=True)


@pytest.fixture
def made() -> Story:
    return Story(shared=False)


def test_somebody_elses_is_left_alone_at_once(shared: Story) -> None:
    shared.set(4)
    assert not shared.sees(4)
    assert shared.sees(7, HPA)
    assert shared.sees(7, HPA), "and stays so"


def test_one_of_ours_is_put_right_once(made: Story) -> None:
    made.set(4)
    assert not made.sees(4)
    assert not made.sees(7, "kubectl")
    made.set(4)
    assert not made.sees(4)
    assert made.sees(7, "kubectl", after=WITHIN - 2 * SECOND)


def test_a_change_now_and_then_is_put_right_each_time(made: Story) -> None:
    for _ in range(5):
        made.set(4)
        assert not made.sees(4)
        assert not made.sees(7, "kubectl", after=WITHIN)


def test_one_change_counts_once_however_often_it_is_seen(made: Story) -> None:
    made.set(4)
    assert not made.sees(4)
    for _ in range(5):
        assert not made.sees(7, "kubectl")


@pytest.mark.parametrize("story", [Story(shared=True), Story(shared=False)], ids=["shared", "made"])
def test_what_is_seen_late_is_not_somebody_elses(story: Story) -> None:
    """A status that was written before our scale arrives after it."""
    for number in (4, 6, 2, 8):
        story.set(number)
        for _ in range(3):
            assert not story.sees(3, "helm")
    story = Story(shared=True)
    story.set(4)
    assert not story.sees(4)
    story.set(6)
    assert not story.sees(4), "still what we had"
    story.set(8)
    assert not story.sees(6)
    assert not story.sees(4)
    assert not story.sees(8)


@pytest.mark.parametrize("shared_", [True, False])
def test_it_ends_when_it_is_as_we_want_it(shared_: bool) -> None:
    story = Story(shared=shared_)
    for _ in range(2):
        story.set(4)
        story.sees(4)
        stopped = story.sees(7, HPA)
    assert stopped
    story.wanted = 5
    assert story.sees(6, HPA)
    assert not story.sees(5, HPA)
    story.set(6)
    assert not story.sees(5, HPA), "what it was before we wrote"
    assert not story.sees(6)
    assert story.sees(7, HPA) == shared_, "of one of ours the count begins anew"


def test_a_fresh_start_ends_it(shared: Story) -> None:
    shared.set(4)
    shared.sees(4)
    assert shared.sees(7, HPA)
    shared.watched = Watched()  # spec.worker was edited
    assert not shared.sees(7, HPA)
    shared.set(4)
    assert not shared.sees(7, HPA)
    assert not shared.sees(4)
    assert shared.sees(7, HPA)


def test_somebody_who_sets_what_we_want_meddles_with_nothing(shared: Story) -> None:
    shared.set(4)
    assert not shared.sees(4)
    shared.wanted = 7
    assert not shared.sees(7, "kubectl")
    shared.wanted = 4
    assert not shared.sees(7, "kubectl"), "it is to be scaled to 4 now"


def test_a_clock_that_was_set_back_makes_two_changes_of_one_long_ago(made: Story) -> None:
    made.set(4)
    made.sees(4)
    assert not made.sees(7, HPA)
    made.set(4)
    made.sees(4)
    assert not made.sees(7, HPA, after=-MINUTE)


@pytest.mark.parametrize(
    ("original", "last", "replicas", "manager", "uid", "stops"),
    [
        (3, 5, 5, MANAGER, "u", False),
        (3, 5, 7, "kubectl", "u", True),
        (3, 5, 7, "kubectl", "", True),
        (3, 5, 7, "kubectl", "of one that was deleted", False),
        (3, 9, 5, MANAGER, "u", False),
        (3, 5, 3, "helm", "u", False),
        (0, 5, 0, "kubectl", "u", False),
    ],
)
def test_a_new_leader_begins_with_what_was_recorded(original: int, last: int, replicas: int, manager: str, uid: str, stops: bool) -> None:
    live = seen(replicas, manager)
    assert (look(resumed(original, last, live, uid), live, 2, 0, shared=True)[1] is not None) == stops


@pytest.mark.parametrize(
    ("manager", "operation", "name", "cure"),
    [
        (HPA, "Update", "a HorizontalPodAutoscaler (kube-controller-manager)", "delete the HorizontalPodAutoscaler that names it"),
        ("keda-operator", "Update", "KEDA (keda-operator)", "delete the ScaledObject that names it"),
        ("keda", "Update", "KEDA (keda)", "delete the ScaledObject that names it"),
        ("kubectl", "Update", "kubectl scale", "let whoever does it stop"),
        ("kubectl", "Apply", "kubectl apply", "leave spec.replicas out of the manifest that is applied"),
        ("kubectl-edit", "Update", "kubectl edit", "let whoever does it stop"),
        ("argocd-controller", "Apply", "Argo CD (argocd-controller)", "leave spec.replicas out of the manifest that is applied"),
        ("shop-scaler", "Update", "shop-scaler", "let whoever does it stop"),
    ],
)
def test_who_it_is_and_what_ends_it(manager: str, operation: str, name: str, cure: str) -> None:
    live = seen(7, manager, operation=operation)
    assert who(live) == name
    for shared, instead in ((True, "or take spec.worker.scaleTargetRef out of the schedules that name it"), (False, "and say in spec.worker.scaling")):
        _, refusal = look(Watched(4, there=True, changes=(0,)), live, 4, 1, shared=shared)
        assert refusal is not None
        assert refusal.reason == "ScaledByAnother"
        assert refusal.text.startswith(f"{name} scales the Deployment shop/web, too, to 7 now: {cure}")
        assert instead in refusal.text
        back = "`kubectl scale -n shop deployment/web --replicas=4`"
        assert refusal.text.endswith(f"channelbeat leaves the number alone until it is 4, which it wants now ({back}), or spec.worker is edited")


def test_the_newest_of_several_managers_is_named_and_ours_is_ours() -> None:
    live = seen(7, "helm", time="2026-11-21T09:00:00Z")
    live["metadata"]["managedFields"].append({"manager": "keda", "fieldsV1": {"f:spec": {"f:replicas": {}}}, "time": "2026-11-21T09:00:01Z"})
    assert (who(live), is_ours(live)) == ("KEDA (keda)", False)
    live["metadata"]["managedFields"].append({"manager": MANAGER, "fieldsV1": {"f:spec": {"f:replicas": {}}}})
    assert is_ours(live)
    assert who({"metadata": {}, "spec": {}}) == "somebody"


def test_one_that_says_nothing_of_replicas_has_one() -> None:
    assert look(Watched(4, there=True), seen(None, HPA), 1, 0, shared=True)[1] is None
    assert look(Watched(4, there=True), seen(None, HPA), 4, 0, shared=True)[1] is not None
