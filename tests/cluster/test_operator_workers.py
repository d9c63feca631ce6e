"""Real workers of real Django projects handle what the operator sends."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from channelbeat.core import instants
from channelbeat.local import tether
from support.arrivals import Channel, now
from support.beats import Beats
from support.cluster import ControlPlane
from support.cluster_api import Refused
from support.operators import LONG, LOOK, Installation
from support.redis import RedisServer
from support.runworker import Shop, opened
from support.tree import ROOT
from support.waiting import until

THUMBNAILS = ROOT / "examples/thumbnails"
TAKE = "sync-take"


@pytest.fixture
def shop(own_redis: RedisServer, tmp_path: Path) -> Iterator[Shop]:
    """The project of tests/compat, with our runworker."""
    (folder := tmp_path / "shop").mkdir()
    with opened("ours", own_redis.url, folder) as shop:
        yield shop


def handled(shop: Shop) -> list[str]:
    return [message["beat"]["run"] for _, message in shop.records(TAKE)]


def test_a_real_worker_handles_each_due_time_once(us: Installation, beats: Beats, channel: Channel, shop: Shop) -> None:
    shop.manage(TAKE)
    one = us.replica()
    beats.put({"every": "200ms", "type": "take"}, name="plain", channel=TAKE)
    beats.put({"every": "200ms", "type": "take"}, name="kept", channel=TAKE, delivery="AtLeastOnce")
    control = beats.put({"every": "100ms"}, name="control")
    for name in ("plain", "kept"):
        until(lambda name=name: len([run for run in handled(shop) if f"/{name}/" in run]) >= 10, LONG, what=f"ten runs of {name}")  # type: ignore[misc]
        beats.delete(name)
    until(lambda: one.metric("channelbeat_schedules") == 1, LONG, what="both of them gone for the operator, too", every=LOOK)
    until(lambda: not shop.waiting(TAKE), LONG, what="all plain messages taken")
    deleted = now()
    channel.reaches(deleted + 1_000, [control])
    runs = handled(shop)
    assert len(runs) == len(set(runs)), "handled twice"
    for name in ("plain", "kept"):
        dues = sorted(instants.parse(run.rpartition("/")[2]) for run in runs if f"/{name}/" in run)
        assert dues == list(range(dues[0], dues[-1] + 1, 200)), "lost"
        assert dues[-1] < deleted + 500, "goes on after its deletion"


def test_a_paused_event_is_resumed_by_an_annotation(us: Installation, beats: Beats, channel: Channel, shop: Shop) -> None:
    us.replica()
    worker = shop.manage("sync-fail")
    event = {"every": "200ms", "type": "fail", "fields": {"text": "boom"}, "retry": {"limit": 0}}
    beats.put(event, name="t", channel="sync-fail", delivery="AtLeastOnce", pauseAfterFailures=2)
    paused = str(until(lambda: beats.event("t").get("paused"), LONG, what=f"a pause: {beats.status('t')}"))
    print(paused)
    assert "resume.channelbeat.dev/e" in paused
    assert beats.row("t")["Ready"] == "False"
    until(lambda: "boom" in beats.event("t").get("lastFailure", {}).get("message", ""), LONG, what="what it failed with")
    worker.kill()
    beats.resume(now(), "t")
    queue = "channelbeat:asgi:queue:sync-fail"
    until(lambda: shop.redis.zcard(queue) >= 3, LONG, what="runs again")
    until(lambda: "paused" not in beats.event("t"), LONG, what="no pause in the status")
    beats.becomes("Ready=True", "t")
    control = beats.put({"every": "100ms"}, name="control")
    channel.flows([control])


@pytest.fixture
def shop_namespace(kube: ControlPlane) -> Iterator[str]:
    """As the manifests have it."""
    with suppress(Refused):  # it is there
        kube.api.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    yield "shop"
    kube.kubectl("-n", "shop", "delete", "beat", "--all")


def test_the_example_of_thumbnails_as_it_is(
    install: Callable[..., Installation], kube: ControlPlane, own_redis: RedisServer, shop_namespace: str, tmp_path: Path
) -> None:
    project = tmp_path / "thumbnails"
    shutil.copytree(THUMBNAILS, project, ignore=shutil.ignore_patterns("thumbnails", "__pycache__"))
    said = tmp_path / "worker.log"
    command = tether.command([sys.executable, "-u", "manage.py", "runworker", "thumbnails-generate", "thumbnails-delete"], signal_=signal.SIGKILL)
    with said.open("wb") as log:
        worker = subprocess.Popen(command, cwd=project, env=os.environ | {"CHANNELBEAT_REDIS_URL": own_redis.url}, stdout=log, stderr=log)
    try:
        install(kube, own_redis.url, shop_namespace).replica()
        kube.kubectl("apply", "-f", str(THUMBNAILS / "beatschedule.yaml"))
        assert "unchanged" in kube.kubectl("apply", "-f", str(THUMBNAILS / "beatschedule.yaml"))
        kube.kubectl("-n", "shop", "wait", "--for=condition=Ready", "--timeout=30s", "beat/thumbnails", "beat/thumbnails-cleanup")
        until(lambda: said.read_text().count("new of ") >= 2 and "expire of " in said.read_text(), LONG, what=f"events handled: {said.read_text()}")
        assert (project / "thumbnails/640/dusk.jpg").exists()
        table = kube.kubectl("-n", "shop", "get", "beat")
        print(table)
        assert "2/2" in table
        assert "every 5s" in table
    finally:
        worker.kill()
        worker.wait()
        print(said.read_text())
    lines = [line.partition(": ")[0] for line in said.read_text().splitlines() if " of " in line]
    assert len(lines) == len(set(lines)), "handled twice"
