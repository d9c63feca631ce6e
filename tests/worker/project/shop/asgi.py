import os

import django
from channels.routing import ChannelNameRouter, ProtocolTypeRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

from shop.consumers import Async, Sync  # noqa: E402 - Django is set up first

application = ProtocolTypeRouter({"channel": ChannelNameRouter({"sync": Sync.as_asgi(), "async": Async.as_asgi(), "more": Async.as_asgi()})})
