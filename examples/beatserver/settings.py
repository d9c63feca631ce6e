import os
import warnings

SECRET_KEY = "an example serves no pages"
USE_TZ = True
INSTALLED_APPS = ["channels"]
ASGI_APPLICATION = "routing.application"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [{"address": os.environ.get("CHANNELBEAT_REDIS_URL", "redis://127.0.0.1:6379"), "socket_timeout": None}]},
    }
}

# Channels' own worker says this of every SyncConsumer; it means nothing.
warnings.filterwarnings("ignore", message="async_to_sync was passed a non-async-marked callable")
