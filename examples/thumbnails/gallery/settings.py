import os
import warnings
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parents[1]
PICTURES = BASE_DIR / "pictures"
THUMBNAILS = BASE_DIR / "thumbnails"

SECRET_KEY = "an example serves no pages"
USE_TZ = True
INSTALLED_APPS = ["channelbeat.worker", "channels"]  # in this order: its runworker takes the place of the stock one
ASGI_APPLICATION = "gallery.asgi.application"

# `channelbeat local` tells its workers where its Redis is. socket_timeout: a worker waits for its channel as long as it takes.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [{"address": os.environ.get("CHANNELBEAT_REDIS_URL", "redis://127.0.0.1:6379"), "socket_timeout": None}]},
    }
}

# Channels' own worker says this of every SyncConsumer; it means nothing.
warnings.filterwarnings("ignore", message="async_to_sync was passed a non-async-marked callable")
