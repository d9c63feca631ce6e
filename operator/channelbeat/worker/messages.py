"""From what lay in Redis to the message a consumer gets, or why it cannot be read."""

import copy
from typing import Any, TypeAlias

from channelbeat.broker.claims import Claimed, Plain
from channelbeat.core import instants
from channelbeat.worker import told

Message: TypeAlias = dict[str, Any]


class Poison(ValueError):
    """It cannot be read, whoever tries."""


class Reader:
    """`layer` is the project's own; it is left as it is."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._ageless = copy.copy(layer)  # the age limit of an encrypted body is the layer's expiry, which our queue does not have
        self._ageless._serializer = copy.copy(layer._serializer)
        self._ageless._serializer.expiry = None

    def plain(self, plain: Plain) -> Message:
        message = _read(self._layer, plain.member)
        message.pop("__asgi_channel__", None)  # group_send leaves it, and the layer's own receive takes it away
        return message

    def run(self, claimed: Claimed) -> Message:
        message = _read(self._ageless, claimed.body)
        beat = message.get("beat")
        known = {"run": claimed.run, "due": instants.text(claimed.due), "attempt": claimed.attempt}
        message["beat"] = {**beat, **known} if isinstance(beat, dict) else {"v": 1, **known}
        return message


def _read(layer: Any, body: bytes) -> Message:
    try:
        message = layer.deserialize(body)
    except Exception as error:  # noqa: BLE001 - serializers are the project's choice
        raise Poison(told.brief(error)) from None
    if not isinstance(message, dict):
        raise Poison(f"it is no dict but {type(message).__name__}")
    if not (isinstance(message.get("type"), str) and message["type"]):
        raise Poison("it has no type")
    return message
