"""A project that handles events. Tests change it: by SHOP, as JSON, or once it is loaded."""

import json
import os

CHANGED = json.loads(os.environ.get("SHOP", "{}"))

SECRET_KEY = "of a test"
USE_TZ = True
INSTALLED_APPS = CHANGED.get("INSTALLED_APPS", ["channelbeat.worker", "channels", "shop"])
ASGI_APPLICATION = "shop.asgi.application"
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [{"address": "redis://127.0.0.1:1", "socket_timeout": None}]}}
}
