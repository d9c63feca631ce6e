"""One due time of one event."""

from typing import NamedTuple

from channelbeat.core.instants import Ms


class Occurrence(NamedTuple):
    """`due` is the nominal time and the identity; `fires` is `due` plus jitter, when it is to be enqueued."""

    due: Ms
    fires: Ms
