"""The operator, installed on a node as docs/install.md says."""

from support.cluster import CRDS
from support.node import Node
from support.node_release import Release
from support.node_shop import Shop, Store
from support.waiting import until


def test_what_the_page_says_installs_it(release: Release) -> None:
    print(release.printed)
    assert "STATUS: deployed" in release.printed
    assert "runs the BeatSchedules of all namespaces" in release.printed, "the notes are not shown"
    assert 'deployment "channelbeat" successfully rolled out' in release.printed
    assert "Phase:          Succeeded" in release.printed, "helm test"


def test_two_replicas_are_ready_and_one_leads(release: Release, node: Node) -> None:
    release.is_ready()
    pods = release.pods()
    assert len(pods) == 2
    assert release.leader() in pods
    until(lambda: release.metric("channelbeat_leader") == 1, 60, what="one that leads", every=0.1)
    assert release.restarts == "0 0", "of the pods, when it had just been installed"
    assert node.api.get(f"{CRDS}/beatschedules.channelbeat.dev")


def test_the_first_schedule_is_run(release: Release, shop: Shop) -> None:
    shop.work("workers", "work")
    shop.beats.put({"every": "1s"}, channel=shop.channel("work"), delivery="AtLeastOnce")
    shop.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "beatschedule/t")
    until(lambda: len(shop.handled()) >= 3, 60, what="three runs handled", every=0.1)
    print(shop.kubectl("get", "beatschedules", "-o", "wide"))
    print(shop.kubectl("describe", "beatschedule", "t"))


def test_no_password_is_told(release: Release, store: Store, node: Node) -> None:
    password = store.url.split(":")[2].split("@")[0]
    said = [release.logs(), node.report(), node.kubectl("get", "beatschedules,configmaps,deployments,pods,events", "-A", "-o", "yaml")]
    assert [text for text in said if password in text] == []
