"""Its settings: with $PEER `channelbeat` the runworker is ours. The layer's time-out is longer than its blocking pop, or idle stock workers die."""

import os

SECRET_KEY = "benchmark"
INSTALLED_APPS = [*(["channelbeat.worker"] if os.environ["PEER"] == "channelbeat" else []), "channels"]
ASGI_APPLICATION = "benchmarks.project.routing.application"
DATABASES: dict[str, object] = {}
USE_TZ = True
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [{"address": os.environ["REDIS"], "socket_timeout": 30}], "capacity": 1_000_000, "expiry": 3_600},
    }
}
