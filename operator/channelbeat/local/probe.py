"""Run as a script in the Django project's own Python, `probe.py MANAGE_PY < request`: what the project's channel layer really is.

Runs manage.py with its last step replaced, so that settings are found as the project finds them. It imports nothing of channelbeat,
which need not be installed there, and judges nothing (project.py does). The request is JSON: `alias`, `channels`, `state` (a key) and `sample`
(a message, serialized and in base64). The report is a line of JSON behind MARK; other lines are the project's own.
"""

# ruff: noqa: PLC0415, BLE001 - nothing of the project may be imported before its manage.py says so; any error of its is reported
import asyncio
import base64
import importlib.util
import json
import os
import re
import runpy
import sys
import traceback
from typing import Any

MARK = "channelbeat-probe: "


def report(request: dict[str, Any]) -> dict[str, Any]:
    import django
    from django.conf import settings
    from django.core.management import get_commands

    facts: dict[str, Any] = {"settings": os.environ.get("DJANGO_SETTINGS_MODULE"), "python": sys.executable}
    try:
        django.setup()
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("channelbeat"):
            raise
        return facts | {"missing": error.name}
    facts |= {
        "runworker": get_commands().get("runworker"),
        "channelbeat": importlib.util.find_spec("channelbeat") is not None,
        "aliases": sorted(getattr(settings, "CHANNEL_LAYERS", {})),
    }
    if facts["runworker"] is None:
        return facts
    facts["routing"] = _told(_routing)
    if request["alias"] in facts["aliases"]:
        facts["layer"] = _told(lambda: _layer(request))
    return facts


def _told(find: Any) -> Any:
    """What was found, or the error that came instead."""
    try:
        return find()
    except Exception as error:
        return {"error": _masked("".join(traceback.format_exception_only(error)).strip()), "trace": _masked(traceback.format_exc())}


def _routing() -> dict[str, Any]:
    """The channels that have a consumer; null where the application is of a kind of its own."""
    from channels.routing import ChannelNameRouter, ProtocolTypeRouter, get_default_application
    from django.conf import settings

    if not getattr(settings, "ASGI_APPLICATION", None):
        return {"asgi": None}
    application: Any = get_default_application()
    facts: dict[str, Any] = {"asgi": settings.ASGI_APPLICATION, "protocols": None, "channels": None}
    if type(application) is ProtocolTypeRouter:
        facts["protocols"] = sorted(application.application_mapping)
        application = application.application_mapping.get("channel")
    if type(application) is ChannelNameRouter:
        facts["channels"] = sorted(application.application_mapping)
    return facts


def _layer(request: dict[str, Any]) -> dict[str, Any]:
    from channels.layers import channel_layers

    layer: Any = channel_layers[request["alias"]]
    facts: dict[str, Any] = {"kinds": [f"{kind.__module__}.{kind.__qualname__}" for kind in type(layer).__mro__]}
    if "channels_redis.core.RedisChannelLayer" not in facts["kinds"]:
        return facts
    serializer = layer._serializer
    facts |= {
        "hosts": len(layer.hosts),
        "prefix": layer.prefix,
        "serializer": f"{type(serializer).__module__}.{type(serializer).__qualname__}",
        "random_prefix_length": serializer.random_prefix_length,
        "encrypted": serializer.crypter is not None,
        "message": _told(lambda: layer.deserialize(base64.b64decode(request["sample"]))),
        "store": _told(lambda: asyncio.run(_store(layer, request["state"]))),
    }
    return facts


async def _store(layer: Any, state: str) -> dict[str, Any]:
    connection = layer.connection(0)
    try:
        generation = await connection.hget(state, ":gen")
        return {
            "generation": generation.decode() if isinstance(generation, bytes) else generation,
            "socket_timeout": connection.connection_pool.make_connection().socket_timeout,
            "brpop_timeout": layer.brpop_timeout,
        }
    finally:
        await layer.close_pools()


def _masked(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//***@", text)


def main() -> None:
    request = json.load(sys.stdin)
    manage = sys.argv[1]
    sys.argv = [manage, "runworker", *request["channels"]]
    sys.path[0] = os.path.dirname(os.path.abspath(manage))
    from django.core import management

    def instead(*_: Any, **__: Any) -> None:
        sys.stdout.write(f"\n{MARK}{json.dumps(report(request), default=repr)}\n")
        sys.stdout.flush()
        os._exit(0)  # threads and exit handlers of the project have no say

    management.execute_from_command_line = instead
    runpy.run_path(manage, run_name="__main__")
    sys.exit(f"{manage} ended without calling execute_from_command_line")


if __name__ == "__main__":
    main()
