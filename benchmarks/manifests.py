"""BeatSchedules to measure with, and the folder that `channelbeat local` runs them from."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.arrivals import CHANNELS

EACH = 100
"""Events of one schedule: as many as it may have."""


def schedule(name: str, channel: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "channelbeat.dev/v1alpha1",
        "kind": "BeatSchedule",
        "metadata": {"name": name},
        "spec": {"channel": channel, "events": events},
    }


def event(number: int, when: dict[str, Any]) -> dict[str, Any]:
    return {"name": f"event-{number}", "type": "test.print", **when, "message": {"i": number}}


def schedules(number: int, when: dict[str, Any], each: int = EACH) -> Iterator[dict[str, Any]]:
    """`number` events, `each` of them a schedule, over all channels."""
    for place, first in enumerate(range(0, number, each)):
        events = [event(one, when) for one in range(first, min(first + each, number))]
        yield schedule(f"schedule-{place}", CHANNELS[place % len(CHANNELS)], events)


def write(folder: Path, url: str, manifests: Iterable[dict[str, Any]], capacity: int) -> list[str]:
    """The files, and the arguments of `channelbeat local` that runs them: what a user would write."""
    files = folder / "manifests"
    files.mkdir()
    for place, manifest in enumerate(manifests):
        (files / f"{place}.yaml").write_text(json.dumps(manifest))  # JSON is YAML
    layers = folder / "layers.yaml"
    layers.write_text(json.dumps({"default": {"url": url, "capacity": capacity}}))
    return ["local", str(files), "--layers", str(layers), "--data", str(folder / "data"), "--no-workers"]
