"""Why an installation cannot run a schedule that is a good manifest."""

from collections.abc import Mapping

from channelbeat.core.finding import Finding
from channelbeat.core.layer import LayerSettings
from channelbeat.core.schedule import BeatSchedule


def refusal(schedule: BeatSchedule, layers: Mapping[str, LayerSettings]) -> Finding | None:
    """None if it can."""
    wanted = schedule.spec.channel_layer.name
    layer = layers.get(wanted)
    if layer is None:
        there = ", ".join(layers)
        cure = "name one of them, or add it to the layers (--layers FILE, or the Helm value `layers`)"
        return Finding("NoSuchLayer", f"spec.channelLayer.name: no layer is called {wanted!r} (there is {there}): {cure}")
    if not {"*", schedule.namespace} & {*layer.allowed_namespaces}:
        text = f"layer {wanted!r} may not be used from namespace {schedule.namespace!r}: add that to its allowedNamespaces"
        return Finding("NamespaceNotAllowed", f"spec.channelLayer.name: {text}")
    return None
