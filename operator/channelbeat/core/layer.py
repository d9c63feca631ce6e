"""A layer of the installation, as its settings say: a Redis URL, a prefix, and RedisChannelLayer's own options."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """`expiry` in seconds. The defaults are RedisChannelLayer's. `url` and the keys are secrets: never shown."""

    name: str
    url: str = field(repr=False)
    prefix: str = "asgi"
    expiry: int = 60
    capacity: int = 100
    channel_capacity: Mapping[str, int] = field(default_factory=dict)
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    serializer_format: str = "msgpack"
    random_prefix_length: int = 12
    allowed_namespaces: tuple[str, ...] = ("*",)
