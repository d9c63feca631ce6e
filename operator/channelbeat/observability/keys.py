"""An object's or an event's key taken apart into what labels and log keys are called."""

from typing import NamedTuple


class Names(NamedTuple):
    """Empty where the key has no such part: a one-off run is of no event."""

    namespace: str
    schedule: str
    event: str = ""


def of_schedule(key: str, event: str = "") -> Names:
    """Of `namespace/name`."""
    namespace, _, name = key.partition("/")
    return Names(namespace, name, event)


def of_event(key: str) -> Names:
    """Of `namespace/name/event`, or of nothing."""
    schedule, _, event = key.rpartition("/")
    return of_schedule(schedule, event)
