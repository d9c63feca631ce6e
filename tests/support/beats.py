"""BeatSchedules of one namespace, as a user of the API server makes, edits and reads them."""

from typing import Any, Final

from channelbeat.core import instants
from channelbeat.core.instants import Ms
from support.cluster import ControlPlane
from support.cluster_api import BEATS
from support.waiting import until

LOOK: Final = 0.02


def manifest(*events: dict[str, Any], name: str = "t", **spec: Any) -> dict[str, Any]:
    """`t` on channel `c`, unless `spec` says otherwise; events get a name and a type where they have none."""
    named = [{"name": f"e{i}" if i else "e", "type": "work", **event} for i, event in enumerate(events)]
    target = {} if "group" in spec else {"channel": "c"}
    return {"apiVersion": "channelbeat.dev/v1alpha1", "kind": "BeatSchedule", "metadata": {"name": name}, "spec": {**target, **spec, "events": named}}


class Beats:
    """Names are those of schedules; `key` has what arrivals call an event."""

    def __init__(self, kube: ControlPlane, namespace: str) -> None:
        self.api, self.namespace, self.path = kube.api, namespace, BEATS.format(namespace)

    def key(self, name: str = "t", event: str = "e") -> str:
        return f"{self.namespace}/{name}/{event}"

    def put(self, *events: dict[str, Any], name: str = "t", **spec: Any) -> str:
        """Made, or made so: server-side apply. Its key, of the first event."""
        wanted = manifest(*events, name=name, **spec)
        self.api.apply(f"{self.path}/{name}", wanted, force="true")
        return self.key(name, wanted["spec"]["events"][0]["name"])

    def patch(self, name: str = "t", **spec: Any) -> None:
        self.api.patch(f"{self.path}/{name}", {"spec": spec})

    def annotate(self, name: str = "t", **by_event: str) -> None:
        """Triggers: an event's name and a token."""
        self.api.patch(f"{self.path}/{name}", {"metadata": {"annotations": {f"trigger.channelbeat.dev/{e}": token for e, token in by_event.items()}}})

    def label(self, name: str = "t", **labels: str) -> None:
        self.api.patch(f"{self.path}/{name}", {"metadata": {"labels": labels}})

    def resume(self, at: Ms, name: str = "t", event: str = "e") -> None:
        self.api.patch(f"{self.path}/{name}", {"metadata": {"annotations": {f"resume.channelbeat.dev/{event}": instants.text(at)}}})

    def delete(self, name: str = "t") -> None:
        self.api.delete(f"{self.path}/{name}")

    def get(self, name: str = "t") -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"{self.path}/{name}")
        return found

    def status(self, name: str = "t") -> dict[str, Any]:
        found: dict[str, Any] = self.get(name).get("status", {})
        return found

    def event(self, name: str = "t", event: str = "e") -> dict[str, Any]:
        """Its entry in the status."""
        return next((one for one in self.status(name).get("eventStatuses", []) if one["name"] == event), {})

    def condition(self, name: str = "t", kind: str = "Ready") -> dict[str, Any]:
        return next((one for one in self.status(name).get("conditions", []) if one["type"] == kind), {})

    def becomes(self, what: str, name: str = "t", within: float = 20) -> dict[str, Any]:
        """Wait for a condition that is about the latest spec: Ready=True, or with its reason, Accepted=False/NoSuchLayer."""
        kind, _, rest = what.partition("=")
        status, _, reason = rest.partition("/")

        def found() -> dict[str, Any]:
            seen = self.get(name)
            one: dict[str, Any] = next((c for c in seen.get("status", {}).get("conditions", []) if c["type"] == kind), {})
            latest = one.get("observedGeneration") == seen["metadata"]["generation"]
            return one if latest and one["status"] == status and reason in ("", one["reason"]) else {}

        return until(found, within, what=f"{name}: {what}, but it is {self.status(name)}", every=LOOK)

    def row(self, name: str = "t") -> dict[str, Any]:
        """What `kubectl get beat -o wide` has in its columns."""
        table = self.api.table(f"{self.path}/{name}")
        return dict(zip((column["name"] for column in table["columnDefinitions"]), table["rows"][0]["cells"], strict=True))
