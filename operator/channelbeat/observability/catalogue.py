"""Every metric there is: its name without the prefix, what it is, its labels, and what it says.

Occurrences and runs are counted by the replica that sees them: sum over the pods. What only the leader knows, only the leader has.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

PREFIX: Final = "channelbeat_"

LATENESS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds. Up to 10 is late, and sent; beyond, the missed policy decides."""
LAG: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds."""


class Family(NamedTuple):
    kind: Literal["counter", "gauge", "histogram", "info"]
    help: str
    labels: tuple[str, ...] = ()


FAMILIES: Final[Mapping[str, Family]] = {
    "lateness_seconds": Family(
        "histogram", "How long after its (jittered) due time an occurrence was enqueued; triggers and replays left out.", ("namespace",)
    ),
    "occurrences_total": Family("counter", "What became of occurrences; held ones are tried again.", ("namespace", "schedule", "event", "outcome", "reason")),
    "runs_total": Family("counter", "Runs of AtLeastOnce that ended; of one-off runs only the state is given.", ("namespace", "schedule", "event", "state")),
    "next_due_timestamp_seconds": Family("gauge", "When a schedule's earliest next occurrence is to be enqueued. Leader only.", ("namespace", "schedule")),
    "last_enqueued_timestamp_seconds": Family("gauge", "When an occurrence of a schedule was last enqueued by this pod.", ("namespace", "schedule")),
    "backlog": Family("gauge", "Messages and runs that wait in a channel. Leader only; absent while the layer's Redis is away.", ("layer", "channel")),
    "in_flight": Family("gauge", "Runs of a channel that workers hold. Leader only; absent while the layer's Redis is away.", ("layer", "channel")),
    "workers_desired": Family("gauge", "How many workers a Deployment should have. Leader only.", ("namespace", "deployment")),
    "workers_ready": Family("gauge", "How many workers of a Deployment are ready. Leader only.", ("namespace", "deployment")),
    "workers_reason": Family("gauge", "1 for why a Deployment should have so many workers. Leader only.", ("namespace", "deployment", "reason")),
    "workers_trouble": Family("gauge", "1 for what is wrong with a schedule's workers, by its condition. Leader only.", ("namespace", "schedule", "reason")),
    "scalings_total": Family("counter", "Changes of how many workers a Deployment should have.", ("namespace", "deployment", "direction", "reason")),
    "layer_up": Family("gauge", "1 if the layer can be sent to. Leader only.", ("layer",)),
    "epoch": Family("gauge", "The fencing number under which this pod last led the layer.", ("layer",)),
    "notices_total": Family("counter", "What happened to a layer, by sign.", ("layer", "sign")),
    "leader": Family("gauge", "1 if this pod sends: it has the Lease, or had it when the API server was last heard."),
    "lease_valid": Family("gauge", "1 if this pod has the Lease beyond doubt."),
    "schedules": Family("gauge", "BeatSchedules that exist."),
    "schedules_faulty": Family("gauge", "BeatSchedules that do not run as they are written."),
    "status_writes_total": Family("counter", "Writes of a BeatSchedule's status, by result.", ("result",)),
    "loop_lag_seconds": Family("histogram", "How late the process's event loop wakes whoever waits for a time."),
    "build_info": Family("info", "1; the version is in its label.", ("version",)),
}


def full(name: str) -> str:
    return PREFIX + name
