"""Where things are in Redis: ours after `channelbeat:PREFIX:`, the layer's where RedisChannelLayer has them."""

from dataclasses import dataclass

from channelbeat.core.batch import QUEUE


@dataclass(frozen=True, slots=True)
class Keys:
    prefix: str

    @property
    def root(self) -> str:
        return f"channelbeat:{self.prefix}:"

    @property
    def state(self) -> str:
        return f"{self.root}state"

    @property
    def logs(self) -> str:
        """To be followed by an event's key."""
        return f"{self.root}log:"

    def channel(self, name: str) -> str:
        return self.prefix + name

    def target(self, name: str) -> str:
        """A channel of the layer, or a queue of ours (core/batch.py, queue_of)."""
        return self.root + name if name.startswith(QUEUE) else self.channel(name)

    def run(self, id_: str) -> str:
        return f"{self.root}run:{id_}"

    def body(self, id_: str) -> str:
        return f"{self.root}body:{id_}"

    def queue(self, channel: str) -> str:
        return f"{self.root}queue:{channel}"

    def bell(self, channel: str) -> str:
        return f"{self.root}bell:{channel}"

    def claims(self, channel: str) -> str:
        return f"{self.root}claims:{channel}"

    def worker(self, id_: str) -> str:
        return f"{self.root}worker:{id_}"


def erased_by_flush(prefix: str) -> bool:
    """RedisChannelLayer.flush() deletes `PREFIX*`: would that be our keys, or ours be taken for another layer's?"""
    return "channelbeat:".startswith(prefix) or prefix.startswith("channelbeat:")
