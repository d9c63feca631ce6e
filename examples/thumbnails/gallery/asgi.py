import os

from channels.routing import ChannelNameRouter, ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gallery.settings")
pages = get_asgi_application()  # sets Django up, before the consumers are imported

from gallery.consumers import DeleteConsumer, GenerateConsumer

application = ProtocolTypeRouter(
    {
        "http": pages,
        "channel": ChannelNameRouter(
            {
                "thumbnails-generate": GenerateConsumer.as_asgi(),
                "thumbnails-delete": DeleteConsumer.as_asgi(),
            }
        ),
    }
)
