"""The Django project of beatserver and of APScheduler's jobs: the layer as for channelbeat, and as many connections as they ask for."""

import os

SECRET_KEY = "benchmark"
INSTALLED_APPS = ["channels", *(["beatserver"] if os.environ["PEER"] == "beatserver" else [])]
ASGI_APPLICATION = "routing.application"
DATABASES: dict[str, object] = {}
USE_TZ = True
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [{"address": os.environ["REDIS"], "max_connections": 20_000}], "capacity": 1_000_000},
    }
}
