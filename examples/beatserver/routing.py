import os

import django
from channels.routing import ChannelNameRouter, ProtocolTypeRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from consumers import PrintConsumer

application = ProtocolTypeRouter({"channel": ChannelNameRouter({"testing-print": PrintConsumer.as_asgi()})})
