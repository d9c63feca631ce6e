from typing import Any

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

pages = get_asgi_application()  # sets Django up, before the consumers are imported

from probe.consumers import Work  # type: ignore[import-not-found]  # noqa: E402

application: Any = ProtocolTypeRouter({"http": pages, "channel": Work.as_asgi()})
