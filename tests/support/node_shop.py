"""What a scenario on the node is played with: a Redis in a pod, and a shop, a namespace with schedules and workers that say what they handle.

    def test_what_is_due_is_handled(shop: Shop) -> None:
        shop.work("workers", "work")                                 # a Deployment that listens on shop.channel("work")
        shop.beats.put({"every": "1s", "fields": {"takes": 50}}, channel=shop.channel("work"), delivery="AtLeastOnce")
        until(lambda: len(shop.executions()) >= 3, LONG, what="three runs handled", every=LOOK)

`shop.kubectl(...)` is a user's; `release` is the operator, `store` the Redis of its layer, `node` the cluster.
"""

import json
import secrets
from collections import Counter
from collections.abc import Callable
from string import Template
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from channelbeat.core.instants import Ms
from support.arrivals import Channel
from support.beats import Beats
from support.node import LONG, Node
from support.node_images import REDIS, THUMBNAILS
from support.tree import ROOT
from support.waiting import until

E2E: Final = ROOT / "tests/e2e"
NOBODY: Final = 65532
EXECUTIONS: Final = "probe:executions"
LOOK: Final = 0.1


class Store:
    """A Redis in a namespace of that name, on a volume of that name. `client` reaches it as pods do, at its Service's address."""

    def __init__(self, node: Node, name: str) -> None:
        self.node, self.name = node, name
        self.folder = node.volume(name, owner=NOBODY)
        node.kubectl("create", "namespace", name)
        password = secrets.token_hex(8)
        node.kubectl("apply", "-n", name, "-f", "-", stdin=_objects("redis", NAME=name, IMAGE=REDIS, SECRET=password))
        node.kubectl("rollout", "status", "-n", name, "statefulset/redis", f"--timeout={LONG:g}s")
        self.host = node.api.get(f"/api/v1/namespaces/{name}/services/redis")["spec"]["clusterIP"]
        self.url = f"redis://:{password}@{self.host}:6379/0"
        patient = Retry(ConstantBackoff(0.2), 300)
        self.client: Redis = Redis.from_url(self.url, socket_timeout=10, socket_connect_timeout=5, retry=patient)
        until(self.client.ping, LONG, what="an answer of Redis", every=LOOK)

    def restart(self) -> None:
        """Its pod is deleted, and the next one has the volume; until it answers."""
        self._replaced(lambda: self.node.kubectl("delete", "pod", "-n", self.name, "redis-0"))

    def crash(self) -> None:
        """Killed with -9; until the next one in its pod answers."""
        self._replaced(lambda: self.node.kill_container(self.name, "redis-0"))

    def _replaced(self, how: Callable[[], object]) -> None:
        before = self._server()
        how()
        until(lambda: self._server() != before, LONG, what="another Redis that answers", every=LOOK)

    def _server(self) -> str:
        found: Any = self.client.info("server")  # the client is patient
        return str(found["run_id"])


class Execution(NamedTuple):
    """`begun` and `ended` by the clock of the machine; `attempt` is 0 for a plain message."""

    run: str
    attempt: int
    channel: str
    event: str
    pod: str
    begun: Ms
    ended: Ms


class Shop:
    """A namespace. Its `beats` are for channels of its own: `channel("x")`; its `kubectl` is a user's in there."""

    def __init__(self, node: Node, store: Store) -> None:
        self.node, self.store = node, store
        self.namespace = node.new_namespace()
        self.beats = Beats(node, self.namespace)
        self.kubectl("create", "secret", "generic", "redis", f"--from-literal=url={store.url}")
        self.kubectl("create", "configmap", "probe", f"--from-file={E2E / 'probe'}")

    def kubectl(self, *typed: str, stdin: str = "", fails: bool = False) -> str:
        return self.node.kubectl("--namespace", self.namespace, *typed, stdin=stdin, fails=fails)

    def channel(self, name: str) -> str:
        """Nobody else's."""
        return f"{self.namespace}-{name}"

    def unheard(self, name: str) -> Channel:
        """What arrives in a channel on which nobody listens, for schedules with delivery BestEffort."""
        return Channel(self.store.client, self.channel(name), "asgi")

    def work(self, name: str, *channels: str, replicas: int = 1, image: str = THUMBNAILS) -> None:
        """An ordinary Deployment whose pods handle what is on the channels; until they are there."""
        listened = ", ".join(map(self.channel, channels))
        self.kubectl("apply", "-f", "-", stdin=_objects("worker", NAME=name, IMAGE=image, CHANNELS=listened, REPLICAS=str(replicas)))
        self.kubectl("rollout", "status", f"deployment/{name}", f"--timeout={LONG:g}s")

    def pods(self, app: str) -> list[str]:
        """Names of those that are not being deleted."""
        found = json.loads(self.kubectl("get", "pods", "-l", f"app={app}", "-o", "json"))["items"]
        return [one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]]

    def executions(self) -> list[Execution]:
        """All that this shop's workers have come to the end of, in the order of their beginning."""
        found: Any = self.store.client.hvals(EXECUTIONS)
        done = (Execution(**json.loads(one)) for one in found)
        return sorted((one for one in done if one.run.startswith(f"{self.namespace}/")), key=lambda one: one.begun)

    def handled(self) -> Counter[str]:
        """How often each run was."""
        return Counter(one.run for one in self.executions())

    def delete(self) -> None:
        self.kubectl("delete", "beatschedules", "--all")
        self.node.kubectl("delete", "namespace", self.namespace, "--wait=false")


def _objects(name: str, **words: str) -> str:
    """A file of tests/e2e/objects, with its $WORDS filled in."""
    return Template((E2E / f"objects/{name}.yaml").read_text()).safe_substitute(words)
