"""The example's project with a consumer on every channel that tells the tests what it handled. Variables make it wrong, or slow, where a test asks for that."""

import os
import threading

threading.Event().wait(float(os.environ.get("SLEEPS", "0")))  # a large project

SECRET_KEY = "of a test"
USE_TZ = True
INSTALLED_APPS = os.environ.get("APPS", "channelbeat.worker channels").split()
ASGI_APPLICATION = "probe.asgi.application"
REDIS = os.environ[os.environ.get("URL_IN", "CHANNELBEAT_REDIS_URL")]
PREFIX = os.environ.get("PREFIX", "asgi")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS, "socket_timeout": None}], "prefix": PREFIX, "capacity": 1_000_000, "expiry": 3600},
    }
}
