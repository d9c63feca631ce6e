"""Deployments of others, on a real API server: what they had before is recorded before they are scaled, and given back once nobody names them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any, Final

import pytest

from channelbeat.cluster import access, meddling, scale_targets, sparing
from channelbeat.cluster.api import Api
from channelbeat.cluster.scale_targets import ScaleTargets
from channelbeat.core.crews import Crew, member
from channelbeat.core.parse import parse
from channelbeat.errors import ApiRefused, ApiUnreachable
from support.beats import manifest
from support.cluster import ControlPlane
from support.waiting import eventually

MAPS: Final = "/api/v1/namespaces/{}/configmaps"
RECORD: Final = f"{MAPS}/beat-targets"
DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/{}/deployments"
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}"


class Telling(Api):
    """It remembers what it was asked, and may hold back what changes a scale."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.asked: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def _call(self, method: str, path: str, *rest: Any, **options: Any) -> dict[str, Any]:
        self.asked.append(f"{method} {path.rpartition('/namespaces/')[2]}")
        if method == "PATCH" and path.endswith("/scale"):
            await self.hold.wait()
        return await super()._call(method, path, *rest, **options)


class Shop:
    """A namespace with Deployments, and with the record in it."""

    def __init__(self, kube: ControlPlane, namespace: str, stack: AsyncExitStack) -> None:
        self.kube, self.namespace, self._stack = kube, namespace, stack

    def leader(self, token: str = "") -> tuple[ScaleTargets, Telling]:
        """Whoever has the `token`; an administrator."""
        kubeconfig = self.kube.write_kubeconfig(f"{self.namespace}-leader", token, self.namespace) if token else self.kube.kubeconfig
        api = Telling(access.find(kubeconfig))
        self._stack.push_async_callback(api.close)
        return ScaleTargets(api, namespace=self.namespace, name="beat"), api

    def deploy(self, replicas: int, name: str = "web") -> None:
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "shop:1"}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, "paused": True}
        self.kube.api.create(DEPLOYMENTS.format(self.namespace), {"metadata": {"name": name}, "spec": spec}, fieldManager="helm")

    def path(self, name: str = "web") -> str:
        return f"{DEPLOYMENTS.format(self.namespace)}/{name}"

    def live(self, name: str = "web") -> dict[str, Any]:
        live: dict[str, Any] = self.kube.api.get(self.path(name))
        return live

    def replicas(self, name: str = "web") -> int:
        return int(self.live(name)["spec"]["replicas"])

    def uid(self) -> str:
        return str(self.live()["metadata"]["uid"])

    def deploy_anew(self, replicas: int) -> None:
        """In the place of one of the name."""
        self.kube.api.delete(self.path())
        self.deploy(replicas)

    def by_hand(self, replicas: int, name: str = "web") -> None:
        self.kube.kubectl("scale", "deployment", name, f"--replicas={replicas}", "--namespace", self.namespace)

    def crew(self, name: str = "web", *schedules: str) -> Crew:
        members = []
        for schedule in schedules or ("thumbnails",):
            raw = manifest({"every": "1m"}, name=schedule, worker={"scaleTargetRef": {"name": name}})
            parsed = parse({**raw, "metadata": {"name": schedule, "namespace": self.namespace}}).schedule
            assert parsed is not None
            members.append(member(parsed, "uid", 0))
        return Crew(self.key(name), tuple(members), shared=True)

    def key(self, name: str = "web") -> str:
        return f"{self.namespace}/{name}"

    def record(self) -> dict[str, Any]:
        """Its entries by the Deployment's name; nothing when there is no ConfigMap."""
        maps = self.kube.api.get(MAPS.format(self.namespace))["items"]
        data = next((one.get("data") or {} for one in maps if one["metadata"]["name"] == "beat-targets"), {})
        return {key.removeprefix(f"{self.namespace}."): json.loads(text) for key, text in data.items()}

    def write(self, **data: str) -> None:
        """Somebody writes into the record."""
        self.kube.api.patch(RECORD.format(self.namespace), {"data": {f"{self.namespace}.{name}": text for name, text in data.items()}})


async def released_but(targets: ScaleTargets, shop: Shop, namespace: str) -> bool:
    """All but those of that namespace."""
    with suppress(ApiUnreachable):
        await targets.release([])
    return all(key.startswith(f"{namespace}.") for key in shop.kube.api.get(RECORD.format(shop.namespace)).get("data") or {})


@pytest.fixture
async def shop(kube: ControlPlane, namespace: str) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        yield Shop(kube, namespace, stack)


async def released(targets: ScaleTargets, shop: Shop, *named: str) -> None:
    """A Deployment that is changed by its controller at that moment is looked at again with the next call."""

    async def done() -> bool:
        with suppress(ApiUnreachable):
            await targets.release({shop.key(name) for name in named})
        return shop.record().keys() <= set(named)

    await eventually(done)


async def test_what_it_had_is_recorded_before_the_first_scale_and_kept(shop: Shop) -> None:
    shop.deploy(3)
    targets, api = shop.leader()
    await targets.scale(shop.crew("web", "a", "b"), 5)
    assert shop.record() == {"web": {"original": 3, "last": 5, "schedules": ["a", "b"], "uid": shop.uid()}}
    assert shop.replicas() == 5
    writes = [asked.removeprefix(f"{shop.namespace}/") for asked in api.asked if not asked.startswith("GET")]
    assert writes == ["POST " + f"{shop.namespace}/configmaps", "PATCH " + f"{shop.namespace}/deployments/web/scale"]
    await targets.scale(shop.crew("web", "b"), 2)
    assert (shop.record()["web"], shop.replicas()) == ({"original": 3, "last": 2, "schedules": ["b"], "uid": shop.uid()}, 2)


async def test_a_scale_that_is_tried_again_does_not_write_the_record_again(shop: Shop) -> None:
    shop.deploy(3)
    targets, api = shop.leader()
    await targets.scale(shop.crew(), 5)
    api.asked.clear()
    await targets.scale(shop.crew(), 5)
    assert api.asked == [f"PATCH {shop.namespace}/deployments/web/scale"]


@pytest.mark.parametrize("original", [0, 1, 3])
async def test_the_original_is_given_back_when_nobody_names_it_any_more(shop: Shop, original: int) -> None:
    shop.deploy(original)
    targets, _ = shop.leader()
    await targets.scale(shop.crew(), 4)
    await targets.release([shop.key()])
    assert (shop.replicas(), [*shop.record()]) == (4, ["web"])
    await released(targets, shop)
    assert (shop.replicas(), shop.record()) == (original, {})
    await targets.scale(shop.crew(), 4)
    assert shop.record()["web"]["original"] == original


async def test_it_is_given_back_from_zero_too(shop: Shop) -> None:
    shop.deploy(2)
    targets, _ = shop.leader()
    await targets.scale(shop.crew(), 0)
    await released(targets, shop)
    assert shop.replicas() == 2


async def test_the_next_leader_gives_back_what_the_first_has_scaled(shop: Shop) -> None:
    shop.deploy(3)
    first, _ = shop.leader()
    await first.scale(shop.crew(), 5)
    second, _ = shop.leader()
    await second.scale(shop.crew(), 6)
    assert shop.record()["web"] == {"original": 3, "last": 6, "schedules": ["thumbnails"], "uid": shop.uid()}
    third, _ = shop.leader()
    await released(third, shop)
    assert shop.replicas() == 3


async def test_a_number_that_somebody_has_changed_is_his(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="channelbeat.workers")
    shop.deploy(3)
    targets, _ = shop.leader()
    await targets.scale(shop.crew(), 2)
    await targets.scale(shop.crew(), 5)
    shop.by_hand(2)  # as we had it once
    await released(targets, shop)
    assert shop.replicas() == 2
    assert f"no schedule names the Deployment {shop.key()} any more; it keeps its 2 replicas, because kubectl scale has changed them" in caplog.text


async def test_one_that_was_deleted_is_forgotten_and_the_others_are_given_back(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    targets, _ = shop.leader()
    for name in ("web", "db", "mail"):
        shop.deploy(3, name)
        await targets.scale(shop.crew(name), 5)
    shop.kube.api.delete(shop.path("db"))
    await released(targets, shop, "mail")
    assert ([*shop.record()], shop.replicas("web"), shop.replicas("mail")) == (["mail"], 3, 5)
    assert caplog.records == []


async def test_what_was_recorded_and_never_written_is_given_back_all_the_same(shop: Shop) -> None:
    """A leader that died in between: the number is still the one that we wrote before."""
    shop.deploy(3)
    first, _ = shop.leader()
    await first.scale(shop.crew(), 5)
    shop.write(web=json.dumps({"original": 3, "last": 9}))
    second, _ = shop.leader()
    await released(second, shop)
    assert shop.replicas() == 3


async def test_nothing_to_do_costs_nothing(shop: Shop) -> None:
    targets, api = shop.leader()
    for _ in range(100):
        await targets.release([])
    assert api.asked == [f"GET {shop.namespace}/configmaps/beat-targets"]
    shop.deploy(3)
    await targets.scale(shop.crew(), 5)
    api.asked.clear()
    for _ in range(100):
        await targets.release([shop.key()])
    assert api.asked == []


async def test_a_new_term_reads_what_another_leader_has_written(shop: Shop) -> None:
    shop.deploy(3)
    one, _ = shop.leader()
    other, _ = shop.leader()
    await one.release([])
    await other.scale(shop.crew(), 5)
    await one.release([])
    assert shop.replicas() == 5
    one.forget()
    await released(one, shop)
    assert shop.replicas() == 3


@pytest.mark.parametrize("there", [False, True], ids=["the first to record anything", "beside another entry"])
async def test_of_two_leaders_the_later_finds_the_original(shop: Shop, there: bool) -> None:
    shop.deploy(3)
    shop.deploy(1, "db")
    one, _ = shop.leader()
    other, _ = shop.leader()
    if there:
        await one.scale(shop.crew("db"), 2)
    await one.release([shop.key("db")])
    await other.release([shop.key("db")])
    await one.scale(shop.crew(), 5)
    await other.scale(shop.crew(), 7)  # what it knows of the record is older
    assert (shop.record()["web"]["original"], shop.record()["web"]["last"], shop.replicas()) == (3, 7, 7)
    await one.scale(shop.crew(), 6)
    assert shop.record()["web"]["original"] == 3
    assert shop.record().keys() == ({"web", "db"} if there else {"web"})


async def test_many_at_once_are_all_recorded(shop: Shop) -> None:
    targets, _ = shop.leader()
    names = [f"web-{number}" for number in range(10)]
    for number, name in enumerate(names):
        shop.deploy(number, name)
    await asyncio.gather(*(targets.scale(shop.crew(name), 11) for name in names))
    assert {name: entry["original"] for name, entry in shop.record().items()} == {name: number for number, name in enumerate(names)}


async def test_a_record_that_was_deleted_is_made_again_with_all_it_had(shop: Shop) -> None:
    shop.deploy(3)
    shop.deploy(1, "db")
    targets, _ = shop.leader()
    await targets.scale(shop.crew(), 5)
    shop.kube.api.delete(RECORD.format(shop.namespace))
    await targets.scale(shop.crew("db"), 2)
    assert {name: entry["original"] for name, entry in shop.record().items()} == {"web": 3, "db": 1}
    await released(targets, shop)
    assert (shop.replicas(), shop.replicas("db")) == (3, 1)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"original": -1, "last": 2}', '{"original": true, "last": 2}', '{"original": 1e99, "last": 2}', '{"last": 2}']
)
async def test_what_others_write_into_the_record_stops_nothing(shop: Shop, text: str) -> None:
    shop.deploy(3)
    shop.deploy(1, "db")
    first, _ = shop.leader()
    await first.scale(shop.crew(), 5)
    await first.scale(shop.crew("db"), 5)
    shop.write(web=text, note="keep out")
    second, _ = shop.leader()

    async def given_back() -> bool:
        with suppress(ApiUnreachable):
            await second.release([shop.key()])
        return shop.replicas("db") == 1

    await eventually(given_back)
    await second.scale(shop.crew(), 6)
    data = shop.kube.api.get(RECORD.format(shop.namespace))["data"]
    assert data[f"{shop.namespace}.note"] == "keep out"
    assert (shop.replicas(), json.loads(data[f"{shop.namespace}.web"])["original"]) == (6, 5), "as it was found"


async def test_a_human_may_correct_the_original(shop: Shop) -> None:
    shop.deploy(3)
    targets, _ = shop.leader()
    await targets.scale(shop.crew(), 5)
    shop.write(web=json.dumps({"original": 1, "last": 5}))
    await targets.scale(shop.crew(), 6)
    await released(targets, shop)
    assert shop.replicas() == 1


async def test_a_thousand_have_room(shop: Shop) -> None:
    shop.deploy(3)
    names = tuple(f"{number}".rjust(52, "s") for number in range(scale_targets.NAMES))
    data = {f"{shop.namespace}.deployment-{number}": scale_targets._text(scale_targets.Entry(1, 2, names, "u" * 36)) for number in range(1000)}
    shop.kube.api.create(MAPS.format(shop.namespace), {"metadata": {"name": "beat-targets"}, "data": data})
    targets, _ = shop.leader()
    await targets.scale(shop.crew("web", *(f"s-{number}" for number in range(200))), 5)
    assert len(shop.record()["web"]["schedules"]) == scale_targets.NAMES


@pytest.mark.parametrize("full", [{"data": {"big": "x" * ((1 << 20) - 20)}}, {"immutable": True}], ids=["without room", "immutable"])
async def test_a_record_that_cannot_be_written_keeps_it_from_being_scaled(shop: Shop, full: dict[str, Any]) -> None:
    shop.deploy(3)
    shop.kube.api.create(MAPS.format(shop.namespace), {"metadata": {"name": "beat-targets"}, **full})
    targets, _ = shop.leader()
    with pytest.raises(ApiRefused) as refused:
        await targets.scale(shop.crew(), 5)
    assert refused.value.reason == "NotRecorded"
    assert str(refused.value).startswith(f"the Deployment {shop.key()} is not scaled: how many replicas it has is recorded before the first scale")
    assert shop.replicas() == 3


async def test_one_that_is_not_there(shop: Shop) -> None:
    targets, _ = shop.leader()
    with pytest.raises(ApiRefused) as refused:
        await targets.scale(shop.crew(), 5)
    assert (refused.value.reason, shop.record()) == ("NoSuchDeployment", {})
    assert str(refused.value) == f"spec.worker.scaleTargetRef.name: there is no Deployment {shop.key()}: create it, or name one that is there"
    shop.deploy(3)
    await targets.scale(shop.crew(), 5)
    shop.kube.api.delete(shop.path())
    with pytest.raises(ApiRefused) as refused:
        await targets.scale(shop.crew(), 6)
    assert refused.value.reason == "NoSuchDeployment"


async def test_a_release_takes_nothing_from_a_scale_that_is_under_way(shop: Shop) -> None:
    """It is named again in this moment, and the list of names is from before."""
    shop.deploy(3)
    targets, api = shop.leader()
    await targets.scale(shop.crew(), 5)
    api.hold.clear()
    api.asked.clear()
    scaling = asyncio.create_task(targets.scale(shop.crew(), 6))
    await eventually(lambda: [asked for asked in api.asked if asked.endswith("/scale")])
    api.asked.clear()
    with pytest.raises(ApiUnreachable):  # to be asked again
        await targets.release([])
    assert api.asked == []
    api.hold.set()
    await scaling
    assert (shop.record()["web"]["original"], shop.replicas()) == (3, 6)


async def test_a_scale_that_hangs_holds_up_no_other(shop: Shop) -> None:
    shop.deploy(3)
    shop.deploy(1, "db")
    targets, api = shop.leader()
    api.hold.clear()
    both = [asyncio.create_task(targets.scale(shop.crew(name), 5)) for name in ("web", "db")]
    await eventually(lambda: shop.record().keys() == {"web", "db"})
    api.hold.set()
    await asyncio.gather(*both)


async def test_a_release_that_hangs_holds_up_no_scale(shop: Shop) -> None:
    shop.deploy(3)
    shop.deploy(1, "db")
    targets, api = shop.leader()
    await targets.scale(shop.crew(), 5)
    api.hold.clear()
    api.asked.clear()
    releasing = asyncio.create_task(targets.release([]))
    await eventually(lambda: [asked for asked in api.asked if asked.endswith("web/scale")])
    scaling = asyncio.create_task(targets.scale(shop.crew("db"), 5))
    again = asyncio.create_task(targets.scale(shop.crew(), 6))
    await eventually(lambda: "db" in shop.record())
    assert shop.record()["web"]["last"] == 5, "that one waits for its turn"
    api.hold.set()
    await asyncio.gather(scaling, again, asyncio.gather(releasing, return_exceptions=True))
    assert (shop.record()["web"]["original"], shop.replicas(), shop.replicas("db")) == (3, 6, 5)


# ---- rights


class Account:
    """A ServiceAccount, with the rights that tests give it."""

    def __init__(self, shop: Shop) -> None:
        self._api, self._path = shop.kube.api, RBAC.format(shop.namespace)
        accounts = f"/api/v1/namespaces/{shop.namespace}/serviceaccounts"
        self._api.create(accounts, {"metadata": {"name": "beat"}})
        self.token: str = self._api.create(f"{accounts}/beat/token", {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "beat"}
        subjects = [{"kind": "ServiceAccount", "name": "beat", "namespace": shop.namespace}]
        self._api.create(f"{self._path}/rolebindings", {"metadata": {"name": "beat"}, "roleRef": reference, "subjects": subjects})

    def may(self, *rules: tuple[str, str, str]) -> None:
        given = [{"apiGroups": [group], "resources": [resource], "verbs": verbs.split()} for group, resource, verbs in rules]
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "beat"}, "rules": given}
        self._api.apply(f"{self._path}/roles/beat", role, force="true")


READ: Final = ("apps", "deployments", "get")
SCALE: Final = ("apps", "deployments/scale", "get patch")


async def test_without_the_right_to_record_nothing_is_scaled_and_the_right_is_named(shop: Shop) -> None:
    shop.deploy(3)
    account = Account(shop)
    targets, _ = shop.leader(account.token)
    for verbs, lacking in (("", "get"), ("get", "create"), ("get create patch", "")):
        account.may(READ, SCALE, *([("", "configmaps", verbs)] if verbs else []))
        if not lacking:
            break

        async def refused(lacking: str = lacking) -> str:
            with pytest.raises(ApiRefused) as caught:
                await targets.scale(shop.crew(), 5)
            assert caught.value.reason == "NotRecorded"
            return str(caught.value) if f"cannot {lacking} resource" in str(caught.value) else ""

        said = await eventually(refused)
        assert "give the operator's ServiceAccount create on configmaps there, and get and patch on that one" in said
        assert f"ConfigMap {shop.namespace}/beat-targets" in said
        assert shop.replicas() == 3

    async def scaled() -> bool:
        with suppress(ApiRefused):
            await targets.scale(shop.crew(), 5)
        return shop.replicas() == 5

    await eventually(scaled, what="scaled with the rights")


async def test_without_the_right_to_scale_it_is_said_so(shop: Shop) -> None:
    shop.deploy(3)
    account = Account(shop)
    account.may(READ, ("apps", "deployments/scale", "get"), ("", "configmaps", "get create patch"))
    targets, _ = shop.leader(account.token)

    async def refused() -> str:
        with pytest.raises(ApiRefused) as caught:
            await targets.scale(shop.crew(), 5)
        return str(caught.value) if caught.value.reason == "ScaleRefused" and shop.record() else ""

    said = await eventually(refused)
    assert f"the Deployment {shop.key()} cannot be scaled" in said
    assert 'cannot patch resource "deployments/scale"' in said


async def test_one_that_cannot_be_given_back_is_told_once_a_term_and_keeps_no_other(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("db", "web"):
        shop.deploy(3, name)
    first, _ = shop.leader()
    for name in ("db", "web"):
        await first.scale(shop.crew(name), 5)
    elsewhere = shop.kube.new_namespace()
    shop.kube.api.patch(RECORD.format(shop.namespace), {"data": {f"{elsewhere}.web": json.dumps({"original": 1, "last": 5})}})
    account = Account(shop)
    account.may(READ, SCALE, ("", "configmaps", "get create patch"))
    second, api = shop.leader(account.token)

    async def done() -> bool:
        second.forget()  # until the rights are there
        with suppress(ApiUnreachable):
            await second.release([])
        return (shop.replicas("db"), shop.replicas("web")) == (3, 3)

    await eventually(done)
    await eventually(lambda: released_but(second, shop, elsewhere))
    caplog.clear()
    second.forget()
    for _ in range(3):
        await second.release([])
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert f"the Deployment {elsewhere}/web, which no schedule names any more, keeps the replicas it has: " in told[0]
    assert api.asked[-1] == f"GET {elsewhere}/deployments/web"
    assert [*shop.kube.api.get(RECORD.format(shop.namespace))["data"]] == [f"{elsewhere}.web"]


async def test_a_record_that_may_not_be_read_is_told_once_and_used_as_soon_as_it_may(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.deploy(3)
    account = Account(shop)
    targets, api = shop.leader(account.token)
    for _ in range(3):
        await targets.release([])
    assert len(api.asked) == len(caplog.records) == 1
    assert "does not get back the replicas it had" in caplog.text
    account.may(READ, SCALE, ("", "configmaps", "get create patch"))

    async def scaled() -> bool:
        with suppress(ApiRefused):
            await targets.scale(shop.crew(), 5)
        return shop.replicas() == 5

    await eventually(scaled)
    await released(targets, shop)
    assert shop.replicas() == 3


async def test_without_the_right_to_mark_pods_it_is_said_in_one_line_and_nothing_is_kept_from_going_on(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="channelbeat.workers")
    _, api = shop.leader(Account(shop).token)
    await sparing.spare(api, shop.namespace, [{"metadata": {"name": name}} for name in "abc"], "abc")
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith(f"busy pods may be stopped in place of idle ones, because 3 of {shop.namespace} cannot be marked: ")
    assert 'cannot patch resource "pods"' in said


async def test_without_an_api_server_the_scale_in_has_to_wait(shop: Shop) -> None:
    _, api = shop.leader()
    api.access = replace(api.access, server="https://127.0.0.1:1")
    with pytest.raises(ApiUnreachable):
        await sparing.spare(api, shop.namespace, [{"metadata": {"name": "a"}}], "a")


# ---- and whether somebody else scales it


async def test_who_has_changed_it_is_read_from_the_object(shop: Shop) -> None:
    shop.deploy(3)
    assert (meddling.is_ours(shop.live()), meddling.who(shop.live())) == (False, "Helm (helm)")
    targets, _ = shop.leader()
    await targets.scale(shop.crew(), 5)
    assert meddling.is_ours(shop.live())
    shop.by_hand(5)
    assert meddling.is_ours(shop.live()), "the same number takes nothing from us"
    shop.by_hand(6)
    assert (meddling.is_ours(shop.live()), meddling.who(shop.live())) == (False, "kubectl scale")
    shop.kube.api.patch(f"{shop.path()}/scale", {"spec": {"replicas": 7}}, fieldManager="kube-controller-manager")
    assert meddling.who(shop.live()) == "a HorizontalPodAutoscaler (kube-controller-manager)"
    text = json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 8}})
    shop.kube.kubectl("apply", "--server-side", "--force-conflicts", "--namespace", shop.namespace, "-f", "-", stdin=text)
    assert meddling.who(shop.live()) == "kubectl apply"
    await targets.scale(shop.crew(), 5)
    assert meddling.is_ours(shop.live())


@pytest.mark.parametrize(
    ("last", "by_hand", "stops"),
    [(5, 7, True), (5, None, False), (9, None, False), (5, 3, False)],
    ids=["changed between two terms", "as we left it", "recorded, and never written", "back at the original, as before the first scale"],
)
async def test_a_new_term_knows_whether_it_was_changed(shop: Shop, last: int, by_hand: int | None, stops: bool) -> None:
    shop.deploy(3)
    first, _ = shop.leader()
    await first.scale(shop.crew(), 5)
    shop.write(web=json.dumps({"original": 3, "last": last}))
    if by_hand is not None:
        shop.by_hand(by_hand)
    second, _ = shop.leader()
    watched = await second.resumed(shop.key(), shop.live())
    _, refusal = meddling.look(watched, shop.live(), 1, 0, shared=True)
    assert (refusal is not None) == stops
    assert await second.resumed(shop.key("other"), shop.live()) == meddling.Watched()


# ---- deleted, and made anew


async def test_one_that_was_made_anew_was_changed_by_nobody(shop: Shop) -> None:
    shop.deploy(3)
    targets, _ = shop.leader()
    await targets.scale(shop.crew(), 4)
    shop.deploy_anew(1)
    for leader in (targets, shop.leader()[0]):
        assert meddling.look(await leader.resumed(shop.key(), shop.live()), shop.live(), 2, 0, shared=True)[1] is None


@pytest.mark.parametrize("wanted", [4, 6], ids=["as many as the first had", "another number"])
@pytest.mark.parametrize("told", [True, False], ids=["seen", "not seen yet"])
async def test_one_that_was_made_anew_is_given_its_own_number_back(shop: Shop, wanted: int, told: bool) -> None:
    shop.deploy(3)
    targets, _ = shop.leader()
    await targets.scale(shop.crew(), 4)
    shop.deploy_anew(2)
    if told:
        await targets.resumed(shop.key(), shop.live())
    else:
        with pytest.raises(ApiUnreachable):  # it was meant for the first, and is to be asked again
            await targets.scale(shop.crew(), wanted)
        assert shop.replicas() == 2
    await targets.scale(shop.crew(), wanted)
    assert shop.record()["web"] == {"original": 2, "last": wanted, "schedules": ["thumbnails"], "uid": shop.uid()}
    assert shop.replicas() == wanted
    await released(targets, shop)
    assert shop.replicas() == 2


async def test_one_that_was_made_anew_and_never_scaled_keeps_its_number(shop: Shop) -> None:
    shop.deploy(3)
    targets, _ = shop.leader()
    await targets.scale(shop.crew(), 4)
    shop.deploy_anew(4)
    await released(targets, shop)
    assert shop.replicas() == 4


async def test_who_has_seen_the_one_before_takes_nothing_for_the_original_that_is_ours(shop: Shop) -> None:
    shop.deploy(3)
    before = shop.live()
    shop.deploy_anew(2)
    first, _ = shop.leader()
    await first.scale(shop.crew(), 5)
    second, _ = shop.leader()
    await second.resumed(shop.key(), before)
    await second.scale(shop.crew(), 6)
    assert (shop.record()["web"]["original"], shop.replicas()) == (2, 6)


@pytest.mark.parametrize("uid", [{}, {"uid": 7}, {"uid": ""}], ids=["as it was once written", "no uid", "empty"])
@pytest.mark.parametrize("last", [5, 6], ids=["another number", "the same"])
async def test_a_record_without_a_uid_is_of_the_one_that_is_there(shop: Shop, uid: dict[str, Any], last: int) -> None:
    shop.deploy(3)
    first, _ = shop.leader()
    await first.scale(shop.crew(), 5)
    shop.write(web=json.dumps({"original": 3, "last": last, **uid}))
    second, _ = shop.leader()
    await second.resumed(shop.key(), shop.live())
    await second.scale(shop.crew(), 6)
    assert shop.record()["web"] == {"original": 3, "last": 6, "schedules": ["thumbnails"], "uid": shop.uid()}
    await released(second, shop)
    assert shop.replicas() == 3
