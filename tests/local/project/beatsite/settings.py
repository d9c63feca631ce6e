"""A project with one consumer. Tests set BEATSITE to change what is wrong with it."""

import json
import os
import sys

CHANGED = json.loads(os.environ.get("BEATSITE", "{}"))

SECRET_KEY = "of a test"
USE_TZ = True
INSTALLED_APPS = CHANGED.get("INSTALLED_APPS", ["channels"])
ASGI_APPLICATION = CHANGED.get("ASGI_APPLICATION", "beatsite.asgi.application")
CHANNEL_LAYERS = CHANGED.get(
    "CHANNEL_LAYERS",
    {
        CHANGED.get("alias", "default"): {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {
                "hosts": [{"address": os.environ.get("CHANNELBEAT_REDIS_URL", "redis://127.0.0.1:1"), "socket_timeout": None}],
                **CHANGED.get("CONFIG", {}),
            },
        }
    },
)
if "without" in CHANGED:
    sys.modules[CHANGED["without"]] = None  # as if it were not installed
if "raises" in CHANGED:
    raise RuntimeError(CHANGED["raises"])
