import os

import django
from channels.routing import ChannelNameRouter, ProtocolTypeRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "beatsite.settings")
django.setup()

from beatsite.consumers import Printing  # noqa: E402 - Django is set up first

application = ProtocolTypeRouter({"channel": ChannelNameRouter({"prints": Printing.as_asgi(), "prints-too": Printing.as_asgi()})})
without_channels = ProtocolTypeRouter({})
