"""Where things are in Redis: ours after `channelbeat:PREFIX:`, the layer's where RedisChannelLayer has them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    prefix: str

    @property
    def state(self) -> str:
        return f"channelbeat:{self.prefix}:state"

    @property
    def logs(self) -> str:
        """To be followed by an event's key."""
        return f"channelbeat:{self.prefix}:log:"

    def channel(self, name: str) -> str:
        return self.prefix + name


def erased_by_flush(prefix: str) -> bool:
    """RedisChannelLayer.flush() deletes `PREFIX*`: would that be our keys, or ours be taken for another layer's?"""
    return "channelbeat:".startswith(prefix) or prefix.startswith("channelbeat:")
