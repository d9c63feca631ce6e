"""N BeatSchedules and N Kubernetes CronJobs, each due at one and the same minute: when is each message in Redis, when is each Job made?

Never at once. The CronJobs' Jobs are suspended, so that no pod is part of it; a Job counts from when a watch tells of it, which is
milliseconds after it was made. The controller manager runs with its defaults, and once with a larger budget of requests.
"""

import http.client
import json
import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks import manifests
from benchmarks.stage import Stage, progress
from benchmarks.tables import Table, quantile, ratio, seconds
from channelbeat.core.instants import SECOND
from support import cluster_programs
from support.cluster import Part
from support.cluster_api import Api
from support.waiting import until

JOBS: Final = "/apis/batch/v1/namespaces/{}/jobs"
CRONJOBS: Final = "/apis/batch/v1/namespaces/{}/cronjobs"
SCHEDULED: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
BUDGETS: Final = {"CronJobs": [], "CronJobs, --kube-api-qps=500 --kube-api-burst=1000": ["--kube-api-qps=500", "--kube-api-burst=1000"]}
MINUTE: Final = 60
AHEAD: Final = 15
"""Seconds: whoever is to send has taken everything in."""
LIMIT: Final = 180.0
"""Seconds after due: what has not come by then is missing."""
COLUMNS: Final = ("", "made", "within the minute", "p50 s late", "p99 s", "last s", "p50: ratio", "last: ratio")


def tables(stage: Stage, number: int) -> Iterator[Table]:
    found = {"channelbeat": _ours(stage, number)}
    notes = []
    if cluster_programs.find("kube-controller-manager"):
        found |= {name: _theirs(stage, number, budget) for name, budget in BUDGETS.items()}
    else:
        notes.append("CronJobs are not measured: there is no kube-controller-manager.")
    rows = [_row(name, late, found["channelbeat"]) for name, late in found.items()]
    yield Table(f"{number:,} CronJobs beside {number:,} events of as many BeatSchedules, due at the same minute", COLUMNS, rows, notes)


def _ours(stage: Stage, number: int) -> list[float]:
    """How many seconds late each message was, sorted."""
    progress(f"{number:,} events")
    with stage.installed() as us, stage.channel(us, "c") as channel:
        one = stage.start(us).wait()
        us.leader()
        due = _minute(number)
        when = {"cron": _cron(due)}
        stage.make_schedules(us, [manifests.schedule(f"s{place}", "c", [manifests.event(place, when)]) for place in range(number)])
        until(lambda: one.metric("channelbeat_schedules") == number, due - time.time(), what=f"{number:,} schedules known before they are due", every=0.5)
        late = sorted(arrival.at / SECOND - due for arrival in channel.get(number, within=due - time.time() + LIMIT))
    return late


def _theirs(stage: Stage, number: int, budget: list[str]) -> list[float]:
    progress(f"{number:,} CronJobs {' '.join(budget)}")
    namespace = stage.plane.new_namespace()
    with _manager(stage, namespace, budget), _watched(stage, namespace) as watch:
        due = _minute(number)
        stage.make(CRONJOBS.format(namespace), [_cronjob(f"c{place}", _cron(due)) for place in range(number)])
        if time.time() > due:
            raise SystemExit(f"{number:,} CronJobs were not made before they were due")
        while len(watch.jobs) < number and time.time() < due + LIMIT:
            time.sleep(0.1)
        late = sorted(moment - due for moment in watch.jobs.values())
    return late


def _minute(number: int) -> int:
    """The next one that comes after `number` objects are made, and taken in."""
    return math.ceil((time.time() + AHEAD + number / 100) / MINUTE) * MINUTE


def _cron(due: int) -> str:
    moment = time.gmtime(due)
    return f"{moment.tm_min} {moment.tm_hour} * * *"


def _cronjob(name: str, cron: str) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "job", "image": "job"}]}
    spec = {"schedule": cron, "timeZone": "Etc/UTC", "jobTemplate": {"spec": {"suspend": True, "template": {"spec": pod}}}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec}


@contextmanager
def _manager(stage: Stage, namespace: str, budget: list[str]) -> Iterator[None]:
    """A controller manager with all its controllers, which is at work."""
    folder = stage.plane.directory
    keys = [f"--service-account-private-key-file={folder}/accounts.key", f"--root-ca-file={folder}/apiserver.crt"]
    options = [f"--kubeconfig={stage.plane.kubeconfig}", "--leader-elect=false", "--secure-port=0", *keys, *budget]
    part = Part(folder, "kube-controller-manager", options)
    part.start()
    try:
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        until(lambda: stage.api.get(accounts)["items"], 30, what="the namespace's service account, which the controller manager makes", every=0.1)
        yield
    finally:
        part.kill()


@dataclass
class _Watch:
    """When each Job was first heard of, by its CronJob and due time."""

    jobs: dict[str, float] = field(default_factory=dict)

    def follow(self, response: http.client.HTTPResponse) -> None:
        try:
            for line in response:
                now = time.time()
                metadata = json.loads(line)["object"]["metadata"]
                self.jobs.setdefault(f"{metadata['ownerReferences'][0]['name']} {metadata['annotations'][SCHEDULED]}", now)
        except (OSError, ValueError, http.client.HTTPException):
            return  # it was closed


@contextmanager
def _watched(stage: Stage, namespace: str) -> Iterator[_Watch]:
    path, watch = JOBS.format(namespace), _Watch()
    since = stage.api.get(path)["metadata"]["resourceVersion"]
    with closing(_connection(stage.api)) as connection:
        connection.request("GET", f"{path}?watch=1&resourceVersion={since}&timeoutSeconds=3600", headers={"Authorization": f"Bearer {stage.api.token}"})
        following, link = threading.Thread(target=watch.follow, args=(connection.getresponse(),)), connection.sock
        following.start()
        try:
            yield watch
        finally:
            link.shutdown(socket.SHUT_RDWR)  # to close it would wait for who reads
            following.join()


def _connection(api: Api) -> http.client.HTTPSConnection:
    address = urlsplit(api.url)
    return http.client.HTTPSConnection(address.hostname or "", address.port, context=ssl.create_default_context(cafile=str(api.ca)))


def _row(name: str, late: list[float], ours: list[float]) -> tuple[str, ...]:
    within = sum(1 for by in late if by < MINUTE)
    if not late:
        return name, "0", "0", *["-"] * 5
    middle, last = quantile(late, 0.5), late[-1]
    figures = (seconds(value) for value in (middle, quantile(late, 0.99), last))
    return name, f"{len(late):,}", f"{within:,}", *figures, ratio(middle / quantile(ours, 0.5)), ratio(last / ours[-1])
