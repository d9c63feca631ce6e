"""The words of a status's conditions: a closed list, which people and programs may rely on.

| condition | status | reason | when |
|---|---|---|---|
| Accepted | True | Accepted | the spec can be run |
| Accepted | False | InvalidSpec | nothing of the spec can be read |
| Accepted | False | EventFault | some of its events have faults; the others run |
| Accepted | False | NoSuchLayer | the installation has no layer of that name |
| Accepted | False | NamespaceNotAllowed | the layer is not for this namespace |
| Accepted | False | InternalFault | channelbeat itself stumbles over it |
| Ready | True | Scheduled | what is due is sent |
| Ready | True | Suspended | nothing is sent, because the spec says so |
| Ready | True | Completed | nothing is due ever again |
| Ready | False | EventPaused | an event had too many dead runs in a row |
| Ready | False | LayerAway | its Redis does not answer, for over a minute |
| Ready | False | WritesRefused | its Redis takes no writes, for over a minute |
| Ready | False | LayerTaken | another installation drives the layer, for over a minute |
| Ready | False | LayerRefused | the layer's Redis or settings cannot be used, for over a minute |
| Ready | False | ChannelFull | its channel takes nothing more, for over a minute |
| Ready | False | WrongType | under its channel's key is something else, for over a minute |
| Ready | False | Unattended | its runs wait, and no worker listens, for over a minute |
| Ready | Unknown | Settling | it is not known yet where its events stand |
| WorkersReady | True | NotManaged | the workers are somebody else's |
| WorkersReady | Unknown | NotManagedYet | `spec.worker` is not acted upon yet |
| Stalled | False | NotStalled | nothing waits for you |

Ready is False for the reasons of Accepted, too. Stalled is True, for the reason of Ready, exactly when only you can help: for any reason of
Accepted, EventPaused, LayerTaken and LayerRefused.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from channelbeat.core.outcomes import Reason, Sign


class Type(StrEnum):
    READY = "Ready"
    ACCEPTED = "Accepted"
    WORKERS_READY = "WorkersReady"
    STALLED = "Stalled"


class Why(StrEnum):
    """Every reason there is."""

    ACCEPTED = "Accepted"
    INVALID_SPEC = "InvalidSpec"
    EVENT_FAULT = "EventFault"
    NO_SUCH_LAYER = "NoSuchLayer"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    INTERNAL_FAULT = "InternalFault"
    SCHEDULED = "Scheduled"
    SUSPENDED = "Suspended"
    COMPLETED = "Completed"
    EVENT_PAUSED = "EventPaused"
    LAYER_AWAY = "LayerAway"
    WRITES_REFUSED = "WritesRefused"
    LAYER_TAKEN = "LayerTaken"
    LAYER_REFUSED = "LayerRefused"
    CHANNEL_FULL = "ChannelFull"
    WRONG_TYPE = "WrongType"
    UNATTENDED = "Unattended"
    SETTLING = "Settling"
    NOT_MANAGED = "NotManaged"
    NOT_MANAGED_YET = "NotManagedYet"
    NOT_STALLED = "NotStalled"


TROUBLES: Final[Mapping[Sign, Why]] = {
    Sign.AWAY: Why.LAYER_AWAY,
    Sign.WRITES_REFUSED: Why.WRITES_REFUSED,
    Sign.TAKEN: Why.LAYER_TAKEN,
    Sign.REFUSED: Why.LAYER_REFUSED,
}
BLOCKS: Final[Mapping[Reason, Why]] = {Reason.CHANNEL_FULL: Why.CHANNEL_FULL, Reason.WRONG_TYPE: Why.WRONG_TYPE}
ONLY_YOU: Final = frozenset(
    {
        Why.INVALID_SPEC,
        Why.EVENT_FAULT,
        Why.NO_SUCH_LAYER,
        Why.NAMESPACE_NOT_ALLOWED,
        Why.INTERNAL_FAULT,
        Why.EVENT_PAUSED,
        Why.LAYER_TAKEN,
        Why.LAYER_REFUSED,
    }
)
