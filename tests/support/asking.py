"""Replicas that follow annotations, without an API server: objects that tests change are told to their registers, and answers come back as status."""

import asyncio
import copy
from typing import Any

from channelbeat.cluster.register import Register
from channelbeat.cluster.requests import Requests
from channelbeat.core import instants
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import Outcome
from channelbeat.engine.ports import Clock
from channelbeat.runtime import Engine
from support.rig import Lease, Recorder

Object = dict[str, Any]


class Cluster:
    """What the API server would hold. Every change is told at once to each replica that is not `deaf`."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.replicas: list[Replica] = []
        self._uids = 0

    def apply(self, name: str = "t", *, event: dict[str, Any] | None = None, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        """`default/NAME` with an event `e` that is never due, and a faulty one `broken`, unless `event` says otherwise."""
        events = [{"name": "e", "type": "x", "at": "2099-01-01T00:00:00Z", **(event or {})}, {"name": "broken", "type": "x", "cron": "nonsense"}]
        had = self.objects.get(name)
        if had is None:
            self._uids += 1
            had = {"metadata": {"namespace": "default", "name": name, "uid": str(self._uids), "generation": 0, "annotations": {}}}
            had["metadata"]["creationTimestamp"] = "2025-06-02T11:00:00Z"
        had = copy.deepcopy(had)
        had["spec"] = {"channel": "c", "events": events, **spec}
        had["metadata"]["generation"] += 1
        had["metadata"]["annotations"] |= annotations or {}
        self._tell(name, had)

    def annotate(self, annotation: str, value: str | None, name: str = "t") -> None:
        """None removes it."""
        object_ = copy.deepcopy(self.objects[name])
        annotations = object_["metadata"]["annotations"]
        annotations.pop(annotation, None)
        if value is not None:
            annotations[annotation] = value
        self._tell(name, object_)

    def trigger(self, value: str | None, event: str = "e", name: str = "t") -> None:
        self.annotate(f"trigger.channelbeat.dev/{event}", value, name)

    def resume(self, value: str | None, event: str = "e", name: str = "t") -> None:
        self.annotate(f"resume.channelbeat.dev/{event}", value, name)

    def delete(self, name: str = "t") -> None:
        object_ = self.objects.pop(name)
        for replica in self.replicas:
            replica.register.forget(f"default/{name}", object_["metadata"]["uid"])

    def write(self, key: str, event: str, text: str) -> None:
        """Into the status."""
        name = key.partition("/")[2]
        object_ = copy.deepcopy(self.objects[name])
        events = {one["name"]: one for one in object_.setdefault("status", {}).get("eventStatuses", ())}
        events[event] = {"name": event, "lastHandledTrigger": text}
        object_["status"]["eventStatuses"] = [*events.values()]
        self._tell(name, object_)

    def said(self, event: str = "e", name: str = "t") -> str:
        """What the status says of a trigger."""
        events = self.objects[name].get("status", {}).get("eventStatuses", ())
        return next((str(one["lastHandledTrigger"]) for one in events if one["name"] == event), "")

    def touch(self, name: str = "t") -> None:
        """Somebody changes what is of no account to us."""
        object_ = copy.deepcopy(self.objects[name])
        object_.setdefault("status", {})["next"] = str(id(object_))
        self._tell(name, object_)

    def _tell(self, name: str, object_: Object) -> None:
        self.objects[name] = object_
        for replica in self.replicas:
            if not replica.deaf:
                replica.register.see(object_)


class Replica:
    """`writes`: what is answered is written into the status at once."""

    def __init__(self, cluster: Cluster, clock: Clock, *layers: LayerSettings, claim: Ms = 30 * SECOND) -> None:
        self.cluster, self.clock = cluster, clock
        self.deaf, self.writes = False, True
        self.lease, self.journal = Lease(), Recorder()
        self.lease.held, self.lease.taken = False, True
        self.answers: list[tuple[str, str, str]] = []
        self.resumed: list[str] = []
        self.asked: list[tuple[str, str, Ms]] = []
        self.layers = {layer.name: layer for layer in layers}
        self.engine = _Watched(self.layers, owner="us", journal=self.journal, clock=clock, leadership=self.lease, claim=claim)
        self.engine.asked = self.asked
        self.requests = Requests(self.engine, leadership=self.lease, clock=clock, answered=self._answered, resumed=self.resumed.append)
        self.register = Register(self.engine.book, self.layers, [self.requests])
        self._tasks = list[asyncio.Task[None]]()

    def begin(self) -> None:
        """It lists what there is, and follows from then on."""
        for object_ in self.cluster.objects.values():
            self.register.see(object_)
        self.register.all_seen()
        self.cluster.replicas.append(self)
        self._tasks = [asyncio.create_task(part) for part in (self.engine.run(), self.requests.run())]

    def win(self) -> None:
        self.lease.held, self.lease.taken = True, False
        self._woken()

    def lose(self) -> None:
        self.lease.held, self.lease.taken = False, True
        self._woken()

    def doubt(self) -> None:
        """The API server gives no answer."""
        self.lease.held, self.lease.taken = False, False
        self._woken()

    def hear(self) -> None:
        """What it has missed, as a watch that begins again tells."""
        self.deaf = False
        for object_ in self.cluster.objects.values():
            self.register.see(object_)

    def use_layers(self, *layers: LayerSettings) -> None:
        before, self.layers = self.layers, {layer.name: layer for layer in layers}
        self.engine.use_layers(self.layers)
        self.register.use_layers(self.layers, before.keys() ^ self.layers.keys())

    @property
    def texts(self) -> list[str]:
        return [text for _, _, text in self.answers]

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self in self.cluster.replicas:
            self.cluster.replicas.remove(self)

    def _woken(self) -> None:
        self.engine.wake()
        self.requests.wake()

    def _answered(self, key: str, event: str, text: str) -> None:
        self.answers.append((key, event, text))
        if self.writes:
            self.cluster.write(key, event, text)


class _Watched(Engine):
    asked: list[tuple[str, str, Ms]]

    async def trigger(self, schedule: str, event: str, token: Ms) -> Outcome:
        self.asked.append((schedule, event, token))
        return await super().trigger(schedule, event, token)


def now_text(clock: Clock, ahead: Ms = 0) -> str:
    """As people write it: in whole seconds."""
    now = clock.now() + ahead
    return instants.text(now - now % SECOND)
