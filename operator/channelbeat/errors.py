"""Everything channelbeat raises on purpose. Each message names the object, the fault and the cure.

* ChannelbeatError
  + UsageError            the command line or an input file is wrong; nothing was started
  + LayerError            one layer cannot be used
    x LayerRefused        its settings or its Redis cannot hold our queue; it stays so until they change
    x LayerTaken          another installation drives it; ours when that one stops
    x Unreachable         its Redis does not answer, or its reply was lost: what was asked may have been carried out
    x WritesRefused       its Redis refuses writes (no memory, no disk, a replica); nothing was written
    x Stale               a newer leader has written; nothing was written
    x StoreChanged        the store is not the one we wrote to: rolled back or wiped; nothing was written
  + ApiError              the Kubernetes API server did not do what it was asked
    x ApiUnreachable      it does not answer, or its answer was lost: what was asked may have been carried out
    x ApiRefused          its answer is no; `status` is the HTTP status, `reason` Kubernetes' word for it
  + LocalError            the local runner cannot go on
    x NoRedis             no Redis server could be found or started
    x ProjectError        the Django project cannot be used as it is
"""


class ChannelbeatError(Exception):
    """The root: caught by the command line, which prints the message alone."""


class UsageError(ChannelbeatError):
    """The command line or an input file is wrong; nothing was started."""


class LayerError(ChannelbeatError):
    """One layer cannot be used; the others go on."""


class LayerRefused(LayerError):
    """The layer's settings or its Redis cannot hold our queue."""


class LayerTaken(LayerError):
    """Another installation drives this layer."""


class Unreachable(LayerError):
    """The layer's Redis does not answer, or its reply was lost."""


class WritesRefused(LayerError):
    """The layer's Redis refuses writes; nothing was written."""


class Stale(LayerError):
    """A newer leader has written."""


class StoreChanged(LayerError):
    """The store went back in time, or is a new one."""


class ApiError(ChannelbeatError):
    """The Kubernetes API server did not do what it was asked."""


class ApiUnreachable(ApiError):
    """The API server does not answer, or its answer was lost."""


class ApiRefused(ApiError):
    """The API server's answer is no; `words` are its own, without what was asked."""

    def __init__(self, message: str, status: int, reason: str = "", words: str = "") -> None:
        super().__init__(message)
        self.status, self.reason, self.words = status, reason, words or message


class LocalError(ChannelbeatError):
    """The local runner cannot go on."""


class NoRedis(LocalError):
    """No Redis server could be found or started."""


class ProjectError(LocalError):
    """The Django project cannot be used as it is."""
