"""Django's system checks: mistakes in a project's settings that would otherwise show when messages are lost. Nothing is connected."""

import itertools
from collections.abc import Iterator
from typing import Any, Final

from channels.layers import channel_layers
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import import_string

from channelbeat.core.masking import masked
from channelbeat.worker import link

FEW: Final = 10
OURS: Final = "channelbeat.worker"


def check(**_: Any) -> list[CheckMessage]:
    layers = {alias: _made(alias) for alias in channel_layers.configs}
    usable = {alias: layer for alias, layer in layers.items() if not isinstance(layer, str)}
    return [
        *_apps([config.name for config in apps.get_app_configs()]),
        *_application(),
        *(_unfit(alias, fault) for alias, fault in layers.items() if isinstance(fault, str)),
        *(message for alias, layer in usable.items() for message in _connections(alias, layer)),
        *_clashes(usable),
    ]


def _apps(names: list[str]) -> Iterator[CheckMessage]:
    if "channels" not in names:
        yield Error("channelbeat.worker needs Channels", hint=f"add 'channels' to INSTALLED_APPS, after '{OURS}'", id="channelbeat.E001")
    elif names.index("channels") < names.index(OURS):
        yield Error(
            "'channels' stands before 'channelbeat.worker' in INSTALLED_APPS: manage.py runworker is the stock one, which loses messages",
            hint=f"list '{OURS}' before 'channels'",
            id="channelbeat.E002",
        )


def _application() -> Iterator[CheckMessage]:
    if not getattr(settings, "ASGI_APPLICATION", None):
        yield Warning(
            "ASGI_APPLICATION is not set: runworker has nothing to give messages to",
            hint="name the ProtocolTypeRouter that has your consumers under 'channel', such as 'mysite.asgi.application'",
            id="channelbeat.W001",
        )
    if not channel_layers.configs:
        yield Warning(
            "CHANNEL_LAYERS is empty: there is nothing to send to, and to listen on",
            hint=f"add a 'default' of {link.BACKEND}",
            id="channelbeat.W002",
        )


def _made(alias: str) -> Any:
    """The layer, or the sentence that says why it is of no use to us. Others than RedisChannelLayer are not made."""
    try:
        backend = import_string(channel_layers.configs[alias]["BACKEND"])
        if link.kind(backend) != link.BACKEND:
            return link.fault_of(backend, 1)
        layer: Any = channel_layers[alias]
        return link.fault(layer) or layer
    except Exception as error:  # noqa: BLE001 - whatever a backend raises: a check says it, and never fails
        return f"it cannot be made ({_said(error)}): correct its entry"


def _unfit(alias: str, fault: str) -> CheckMessage:
    what, _, cure = fault.partition(": ")
    return Warning(f"CHANNEL_LAYERS[{alias!r}] cannot be used by channelbeat: {what}", hint=cure, id="channelbeat.W003")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}, {masked(error)}".replace(": ", ", ")  # the cure comes after the colon


def _connections(alias: str, layer: Any) -> Iterator[CheckMessage]:
    try:
        pool = layer.create_pool(0)
        timeout, blocks = pool.make_connection().socket_timeout, layer.brpop_timeout
    except Exception as error:  # noqa: BLE001 - likewise
        yield _unfit(alias, f"redis-py refuses its options ({_said(error)}): correct them")
        return
    if timeout is not None and timeout <= blocks:
        yield Warning(
            f"CHANNEL_LAYERS[{alias!r}]: consumers that wait for messages of their own die after {timeout:g} s, for their connection's "
            f"socket_timeout is not longer than the {blocks:g} s that the layer waits for Redis (redis-py's default changed)",
            hint=f'write its host as {{"address": "redis://HOST:PORT/DB", "socket_timeout": {3 * blocks:g}}}',
            id="channelbeat.W004",
        )
    if pool.max_connections < FEW:
        yield Warning(
            f"CHANNEL_LAYERS[{alias!r}]: with max_connections {pool.max_connections}, sending and waiting raise when more is under way at once",
            hint="leave max_connections out, or allow 100",
            id="channelbeat.W005",
        )


def _clashes(layers: dict[str, Any]) -> Iterator[CheckMessage]:
    for (one, first), (other, second) in itertools.combinations(layers.items(), 2):
        if _store(first) == _store(second) and (first.prefix.startswith(second.prefix) or second.prefix.startswith(first.prefix)):
            yield Warning(
                f"CHANNEL_LAYERS[{one!r}] and [{other!r}] are in one Redis with the prefixes {first.prefix!r} and {second.prefix!r}: "
                "they get each other's messages, and flush() of one erases the other",
                hint="give each a prefix that the other does not begin with",
                id="channelbeat.W006",
            )


def _store(layer: Any) -> tuple[Any, ...]:
    """Where it is, as far as its settings tell."""
    try:
        where = layer.create_pool(0).connection_kwargs
    except Exception:  # noqa: BLE001 - told already
        return (id(layer),)
    return tuple(where.get(part, default) for part, default in (("host", "localhost"), ("port", 6379), ("path", None), ("db", 0)))
