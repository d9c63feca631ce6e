"""beatserver with N entries of `* * * * *`. Its listeners are left out: they would take the messages away before they are counted."""

import asyncio
import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()

from beatserver import server
from channels.layers import get_channel_layer
from channels.routing import get_default_application


async def listen(self: object, channel: str) -> None:
    await asyncio.Event().wait()


config: dict[str, list[dict[str, object]]] = {}
for number in range(int(os.environ["N"])):
    entry = {"type": "test.print", "message": {"i": number}, "schedule": "* * * * *"}
    config.setdefault(f"channel-{number // 100 % 100}", []).append(entry)
server.BeatServer.listener = listen
server.BeatServer(application=get_default_application(), channel_layer=get_channel_layer(), beat_config=config).run()
