"""An event as it goes over the wire, and the run id. A leaf: the worker's image knows it."""

from collections.abc import Mapping
from typing import Any

from channelbeat.core import instants
from channelbeat.core.instants import Ms


def run_id(event_key: str, due: Ms) -> str:
    """`shop/thumbnails/nightly/2026-11-21T01:30:00Z`: the same on every leader and every attempt."""
    return f"{event_key}/{instants.text(due)}"


def trigger_id(event_key: str, token: Ms) -> str:
    """`shop/thumbnails/nightly/trigger-2026-11-21T01:30:00Z`."""
    return f"{event_key}/trigger-{instants.text(token)}"


def message(type_: str, fields: Mapping[str, Any], nested: Mapping[str, Any] | None, *, schedule: str, event: str, run: str, due: Ms) -> dict[str, Any]:
    """What a consumer gets: `type`, the flat `fields`, the nested `message` when there is one, and `beat`."""
    beat = {"v": 1, "schedule": schedule, "event": event, "run": run, "due": instants.text(due)}
    if nested is None:
        return {"type": type_, **fields, "beat": beat}
    return {"type": type_, **fields, "message": nested, "beat": beat}
