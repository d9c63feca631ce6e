"""What Redis knows of the work in a channel, and of those who do it."""

from typing import NamedTuple

from channelbeat.core.instants import Ms


class ChannelLoad(NamedTuple):
    """`waiting`: plain messages and runs that can be taken. `in_flight`: runs that workers hold. `busy`: how long handlers have taken in all, ever,
    of what our workers settled, and `handled` how many that were. `oldest`: since when the oldest plain message waits; None for none."""

    waiting: int
    in_flight: int
    busy: Ms
    handled: int
    oldest: Ms | None


class Listener(NamedTuple):
    """One worker process of ours that was seen lately. `pod` is empty where unknown; `busy`: slots at work now; `since`: when it started."""

    id: str
    pod: str
    channels: tuple[str, ...]
    concurrency: int
    busy: int
    seen: Ms
    since: Ms
