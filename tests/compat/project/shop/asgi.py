import asyncio
import contextlib
import os

import django
from channels.routing import ChannelNameRouter, ProtocolTypeRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

from shop import consumers  # noqa: E402 - Django is set up first
from shop.recording import record  # noqa: E402


async def raw(scope, receive, send):
    """An application without a consumer."""
    while True:
        message = await receive()
        record(scope["channel"], "took", message)


async def once(scope, receive, send):
    record(scope["channel"], "took", await receive())


async def pairs(scope, receive, send):
    while True:
        record(scope["channel"], "took", [(await receive())["n"], (await receive())["n"]])


async def ticking(scope, receive, send):
    """Does something else while nothing comes."""
    while True:
        with contextlib.suppress(asyncio.TimeoutError):
            record(scope["channel"], "took", (await asyncio.wait_for(receive(), 0.005))["n"])


async def answering(scope, receive, send):
    await receive()
    await send({"type": "answer"})


class Stamp:
    """Middleware that writes into the scope, and into each message."""

    def __init__(self, inner):
        self.inner = inner

    async def __call__(self, scope, receive, send):
        async def stamped():
            return {**await receive(), "stamp": "received"}

        return await self.inner({**scope, "stamp": "entered"}, stamped, send)


NAMES = "look take dotted count unknown private answer stop fail note reply group member down thread wait leave"
router = ChannelNameRouter(
    {
        "thumbnails-generate": consumers.GenerateConsumer.as_asgi(),
        "thumbnails-delete": consumers.DeleteConsumer.as_asgi(),
        "prints": consumers.PrintConsumer.as_asgi(),
        **{f"sync-{name}": consumers.Sync.as_asgi() for name in NAMES.split()},
        **{f"async-{name}": consumers.Async.as_asgi() for name in NAMES.split()},
        "later": consumers.Async.as_asgi(),
        "sized": consumers.Sized.as_asgi(size=3),
        "on-other": consumers.OnOther.as_asgi(),
        "stamped": Stamp(consumers.Sync.as_asgi()),
        "raw": raw,
        "once": once,
        "pairs": pairs,
        "ticking": ticking,
        "answering": answering,
    }
)
application = ProtocolTypeRouter({"channel": router})
stamped = Stamp(application)


class Double:
    """ASGI 2: called with the scope, then with the rest."""

    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        await application({**self.scope, "stamp": "double"}, receive, send)
