"""A shop with workers: the stock command's, or channelbeat's with WORKER=ours; nothing else differs."""

import os

SECRET_KEY = "of a test"
DEBUG = True  # as on the machine where one looks at the console
USE_TZ = True
INSTALLED_APPS = [*(["channelbeat.worker"] if os.environ["WORKER"] == "ours" else []), "channels", "shop"]
ROOT_URLCONF = "shop.urls"
ALLOWED_HOSTS = ["testserver"]
ASGI_APPLICATION = "shop.asgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def layer(prefix: str) -> dict[str, object]:
    return {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [{"address": os.environ["REDIS"], "socket_timeout": None}], "prefix": prefix, "capacity": 10_000},
    }


CHANNEL_LAYERS = {"default": layer("asgi"), "other": layer("other")}
