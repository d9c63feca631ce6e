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
| WorkersReady | True | AllReady | as many workers are ready as there should be |
| WorkersReady | True | ScaledToZero | there should be none now |
| WorkersReady | True | NotManaged | the workers are somebody else's |
| WorkersReady | Unknown | NotAccepted | nothing is done about workers, for the reason of Accepted |
| WorkersReady | Unknown | Settling | it is not known yet how many workers there are, or should be |
| WorkersReady | False | Starting | some of them are not ready yet, and nothing is known to be wrong |
| WorkersReady | False | ChannelTaken | another schedule, which is older, makes workers for a channel of its |
| WorkersReady | False | TargetTaken | the Deployment that it names is made for another schedule |
| WorkersReady | False | NameTaken | a Deployment of the name that its own would have is somebody else's |
| WorkersReady | False | NoSuchDeployment | the Deployment that it copies or scales is not there |
| WorkersReady | False | NoSuchContainer | the Deployment that it copies has no such container |
| WorkersReady | False | ContainerNameTaken | another container of the pod is called as the worker's is to be |
| WorkersReady | False | CopiesWorkers | the Deployment that it copies was made by channelbeat itself |
| WorkersReady | False | TemplateRefused | the API server does not take the pod template |
| WorkersReady | False | NotAllowed | the operator may not make or scale the Deployment, or the API server cannot |
| WorkersReady | False | WorkersNotMade | this installation makes no Deployments |
| WorkersReady | False | ScaleRefused | the API server does not take the number of replicas |
| WorkersReady | False | NotRecorded | it cannot be noted down how many there were, so nothing is scaled |
| WorkersReady | False | ScaledByAnother | somebody else sets the number of replicas |
| WorkersReady | False | Quota | the API server makes no more pods, or no more Deployments |
| WorkersReady | False | PodRefused | the API server makes none of the pods, for another reason than a quota |
| WorkersReady | False | Unschedulable | no node takes a pod |
| WorkersReady | False | Evicted | a node gave up a pod, for want of memory, disk or the like |
| WorkersReady | False | VolumeNotShared | a pod waits for a volume that another node has |
| WorkersReady | False | VolumeMissing | a pod waits for a volume that is not there, or does not come |
| WorkersReady | False | ImageCannotBePulled | an image is not there, or may not be pulled |
| WorkersReady | False | ConfigMissing | a Secret, a ConfigMap or a key of one is not there |
| WorkersReady | False | CannotStart | a container cannot be started: no such command, user or the like |
| WorkersReady | False | OOMKilled | a container took more memory than its limit |
| WorkersReady | False | StockWorker | the command is Channels' own runworker, under AtLeastOnce |
| WorkersReady | False | CrashLoop | a container ends again and again |
| WorkersReady | False | NotReady | a probe fails, or they are not ready for long |
| WorkersReady | False | NobodyListens | they are ready, and none of them is heard of at this Redis |
| WorkersReady | False | ExpiryShorterThanStartUp | messages may be dropped before a worker has started |
| WorkersReady | False | InternalFault | channelbeat itself stumbles over them |
| Stalled | False | NotStalled | sending does not wait for you |

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
    NOT_STALLED = "NotStalled"
    ALL_READY = "AllReady"
    SCALED_TO_ZERO = "ScaledToZero"
    NOT_MANAGED = "NotManaged"
    NOT_ACCEPTED = "NotAccepted"
    STARTING = "Starting"
    CHANNEL_TAKEN = "ChannelTaken"
    TARGET_TAKEN = "TargetTaken"
    NAME_TAKEN = "NameTaken"
    NO_SUCH_DEPLOYMENT = "NoSuchDeployment"
    NO_SUCH_CONTAINER = "NoSuchContainer"
    CONTAINER_NAME_TAKEN = "ContainerNameTaken"
    COPIES_WORKERS = "CopiesWorkers"
    TEMPLATE_REFUSED = "TemplateRefused"
    NOT_ALLOWED = "NotAllowed"
    WORKERS_NOT_MADE = "WorkersNotMade"
    SCALE_REFUSED = "ScaleRefused"
    NOT_RECORDED = "NotRecorded"
    SCALED_BY_ANOTHER = "ScaledByAnother"
    QUOTA = "Quota"
    POD_REFUSED = "PodRefused"
    UNSCHEDULABLE = "Unschedulable"
    EVICTED = "Evicted"
    VOLUME_NOT_SHARED = "VolumeNotShared"
    VOLUME_MISSING = "VolumeMissing"
    IMAGE_CANNOT_BE_PULLED = "ImageCannotBePulled"
    CONFIG_MISSING = "ConfigMissing"
    CANNOT_START = "CannotStart"
    OOM_KILLED = "OOMKilled"
    STOCK_WORKER = "StockWorker"
    CRASH_LOOP = "CrashLoop"
    NOT_READY = "NotReady"
    NOBODY_LISTENS = "NobodyListens"
    EXPIRY_SHORTER_THAN_START_UP = "ExpiryShorterThanStartUp"


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
OF_WORKERS: Final = frozenset(
    {
        Why.CHANNEL_TAKEN,
        Why.TARGET_TAKEN,
        Why.NAME_TAKEN,
        Why.NO_SUCH_DEPLOYMENT,
        Why.NO_SUCH_CONTAINER,
        Why.CONTAINER_NAME_TAKEN,
        Why.COPIES_WORKERS,
        Why.TEMPLATE_REFUSED,
        Why.NOT_ALLOWED,
        Why.WORKERS_NOT_MADE,
        Why.SCALE_REFUSED,
        Why.NOT_RECORDED,
        Why.SCALED_BY_ANOTHER,
        Why.QUOTA,
        Why.POD_REFUSED,
        Why.UNSCHEDULABLE,
        Why.EVICTED,
        Why.VOLUME_NOT_SHARED,
        Why.VOLUME_MISSING,
        Why.IMAGE_CANNOT_BE_PULLED,
        Why.CONFIG_MISSING,
        Why.CANNOT_START,
        Why.OOM_KILLED,
        Why.STOCK_WORKER,
        Why.CRASH_LOOP,
        Why.NOT_READY,
        Why.NOBODY_LISTENS,
        Why.EXPIRY_SHORTER_THAN_START_UP,
        Why.INTERNAL_FAULT,
    }
)
"""What keeps them from being ready, or from being of use; it changes nothing of Ready, which is about what is sent."""
RECURRENT: Final = frozenset({Why.CRASH_LOOP, Why.OOM_KILLED, Why.STOCK_WORKER, Why.CANNOT_START, Why.NOT_READY, Why.EVICTED})
"""Of those, what goes and comes again by itself, with each new try of a pod; of anything else somebody has to put right, and waits to see that he has."""
