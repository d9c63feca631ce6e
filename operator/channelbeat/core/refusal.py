"""Why an installation cannot run a schedule that is a good manifest."""

from collections.abc import Mapping
from typing import NamedTuple

from channelbeat.core.layer import LayerSettings
from channelbeat.core.schedule import BeatSchedule


class Refusal(NamedTuple):
    """`reason` is a word for programs, `text` a sentence with its path and its cure."""

    reason: str
    text: str


def refusal(schedule: BeatSchedule, layers: Mapping[str, LayerSettings]) -> Refusal | None:
    """None if it can."""
    wanted = schedule.spec.channel_layer.name
    layer = layers.get(wanted)
    if layer is None:
        there = ", ".join(layers)
        cure = "name one of them, or add it to the layers (--layers FILE, or the Helm value `layers`)"
        return Refusal("NoSuchLayer", f"spec.channelLayer.name: no layer is called {wanted!r} (there is {there}): {cure}")
    if not {"*", schedule.namespace} & {*layer.allowed_namespaces}:
        text = f"layer {wanted!r} may not be used from namespace {schedule.namespace!r}: add that to its allowedNamespaces"
        return Refusal("NamespaceNotAllowed", f"spec.channelLayer.name: {text}")
    return None
