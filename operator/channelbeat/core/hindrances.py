"""What keeps one channel's occurrences from being sent, or its runs from being carried out, while its layer is well?"""

from typing import NamedTuple

from channelbeat.core import instants
from channelbeat.core.batch import QUEUE, queue_of
from channelbeat.core.instants import Ms
from channelbeat.core.outcomes import Reason
from channelbeat.core.reasons import BLOCKS, Why


class Hindrance(NamedTuple):
    """`target` as in definitions: a channel, or a channel's queue. `text` is a sentence, and stays the same while it lasts. `lasts`: for so
    long that it is to be said; one that does not was there when we began to send, and is said by whom it was said before."""

    layer: str
    target: str
    why: Why
    text: str
    lasts: bool = True


def blocked(layer: str, target: str, reason: Reason, since: Ms) -> Hindrance:
    """It takes nothing."""
    channel, tracked = target.removeprefix(QUEUE), target.startswith(QUEUE)
    seen = instants.text(since - since % instants.SECOND)
    text = f"what is due waits (seen since {seen}): {held(channel, reason, tracked=tracked)}"
    return Hindrance(layer, target, BLOCKS[reason], text)


def unattended(layer: str, channel: str, text: str) -> Hindrance:
    """Runs wait in its queue, and nobody listens. `text`: of the notice."""
    return Hindrance(layer, queue_of(channel), Why.UNATTENDED, text)


def held(channel: str | None, reason: Reason, *, tracked: bool) -> str:
    """Why, and the cure."""
    it = f"{'the queue of ' if tracked else ''}channel {channel}"
    match reason:
        case Reason.CHANNEL_FULL:
            cure = "start or add workers" if tracked else "start or add workers, or raise the layer's capacity"
            return f"{it} is full; {cure}"
        case Reason.WRONG_TYPE:
            return f"the key of {it} holds something that is no {'queue' if tracked else 'channel'}; delete or rename that key"
        case _:
            return str(reason)
