"""What Deployment do a schedule's workers get, and is it so already? Pure: bodies for the API server, as plain dicts.

It is made by a POST, which an existing one of that name answers with 409, and gets everything else by server-side apply, which alone would seize
a stranger's. What the POST says belongs to another manager for ever, so it says no more than the server demands.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from channelbeat.cluster.pod_template import SCHEDULE, Body, container, labels
from channelbeat.core.crews import made
from channelbeat.core.schedule import BeatSchedule
from channelbeat.core.timing import durations
from channelbeat.core.warming import REMEMBERED, Starts

PATH: Final = "/apis/apps/v1/namespaces/{}/deployments"
MANAGER: Final = "channelbeat"
"""The field manager of what is applied."""
APPLIED: Final = "channelbeat.dev/applied"
"""An annotation: the hash of what was applied, all but the number of replicas."""
STARTS: Final = "channelbeat.dev/start-ups"
"""An annotation: how long the last starts took, for whoever leads next."""


def created(schedule: BeatSchedule, uid: str, template: Mapping[str, Any]) -> Body:
    """The POST's body. `uid` is the schedule's, `template` what pod_template answered."""
    worker = {field: value for field, value in container(template).items() if field in ("name", "image")}
    selected = {SCHEDULE: schedule.name}
    return {
        **_head(schedule, uid),
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": selected},
            "template": {"metadata": {"labels": selected}, "spec": {"containers": [worker]}},
        },
    }


def applied(schedule: BeatSchedule, uid: str, template: Mapping[str, Any], replicas: int | None) -> Body:
    """The body for server-side apply, to be forced, by MANAGER. It has the hash of itself. `replicas` None: the number is somebody else's, and stays."""
    body = _head(schedule, uid)
    number = {} if replicas is None else {"replicas": replicas}
    body["spec"] = {**number, "selector": {"matchLabels": {SCHEDULE: schedule.name}}, "template": dict(template)}
    body["metadata"]["annotations"] = {APPLIED: hash_of(body)}
    return body


def sent(body: Mapping[str, Any], uid: str, starts: Starts) -> Body:
    """`applied`, as it is sent to the Deployment of that uid, no other: the server refuses it for one that was made, or taken away, meanwhile."""
    annotations = body["metadata"]["annotations"] | ({STARTS: " ".join(map(durations.text, starts))} if starts else {})
    return {**body, "metadata": {**body["metadata"], "uid": uid, "annotations": annotations}}


def starts(live: Mapping[str, Any]) -> Starts:
    """What it says of them; nothing where that cannot be read."""
    try:
        return tuple(durations.parse(one) for one in str((live["metadata"].get("annotations") or {}).get(STARTS, "")).split())[-REMEMBERED:]
    except ValueError:
        return ()


def hash_of(body: Mapping[str, Any]) -> str:
    """16 hex digits over all of it but the replicas and the annotations of the Deployment itself."""
    metadata = {field: value for field, value in body["metadata"].items() if field != "annotations"}
    spec = {field: value for field, value in body["spec"].items() if field != "replicas"}
    text = json.dumps([metadata, spec], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def owner(live: Mapping[str, Any]) -> str:
    """The uid of the object that controls it; empty for none."""
    return next((str(one["uid"]) for one in live["metadata"].get("ownerReferences", ()) if one.get("controller")), "")


def was_applied(live: Mapping[str, Any]) -> bool:
    """Whether it ever got more than the POST says."""
    return APPLIED in (live["metadata"].get("annotations") or {})


def applied_replicas(live: Mapping[str, Any]) -> int | None:
    """Its number of replicas, if MANAGER applied it: to leave that out would have the server set it to one. None: somebody else has set it since."""
    ours = any(is_applied(one) and has_replicas(one) for one in live["metadata"].get("managedFields", ()))
    number: int | None = live["spec"].get("replicas") if ours else None
    return number


def same(live: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether the Deployment is as `body` would make it, so that nothing needs to be applied: made of the same body, and all of it ours still.

    Values are not compared, because the server writes some in its own way (`1000m` as `1`): who changes one of ours becomes its manager."""
    made_of = (live["metadata"].get("annotations") or {}).get(APPLIED) == body["metadata"]["annotations"][APPLIED]
    return made_of and body["spec"].get("replicas") in (None, live["spec"].get("replicas")) and intact(live, body)


def intact(live: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether MANAGER manages every field of `body`: somebody else has changed none. `live` has its managedFields."""
    ours = next((one["fieldsV1"] for one in live["metadata"].get("managedFields", ()) if is_applied(one)), None)
    if ours is None:
        return False
    metadata = {field: value for field, value in body["metadata"].items() if field not in ("name", "namespace")}
    return _managed({"metadata": metadata, "spec": body["spec"]}, ours)


def is_applied(entry: Mapping[str, Any]) -> bool:
    """Of managedFields: what MANAGER has applied."""
    return entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource")


def has_replicas(entry: Mapping[str, Any]) -> bool:
    """Of managedFields: its manager has the number of replicas. By the subresource or not is the same to us."""
    return "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})


def _managed(wanted: Any, fields: Mapping[str, Any]) -> bool:
    """`fields`: a set of fields as Kubernetes writes it; empty for what is managed as a whole."""
    if not fields:
        return True
    if isinstance(wanted, Mapping):
        # of an empty list the server keeps nothing that could be managed
        return all(value == [] or (f"f:{key}" in fields and _managed(value, fields[f"f:{key}"])) for key, value in wanted.items())
    if isinstance(wanted, list):
        return all(_managed_item(item, fields) for item in wanted)
    return True


def _managed_item(item: Any, fields: Mapping[str, Any]) -> bool:
    """An item of a list that is managed item by item: by its keys, in which the server sets what is left out, or by its value."""
    if not isinstance(item, Mapping):
        return f"v:{json.dumps(item)}" in fields
    for key, inner in fields.items():
        if key.startswith("k:") and all(item.get(field, value) == value for field, value in json.loads(key[2:]).items()):
            return _managed(item, inner)
    return False


def _head(schedule: BeatSchedule, uid: str) -> Body:
    owned = {
        "apiVersion": "channelbeat.dev/v1alpha1",
        "kind": "BeatSchedule",
        "name": schedule.name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    metadata = {"name": made(schedule), "namespace": schedule.namespace, "labels": labels(schedule), "ownerReferences": [owned]}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
