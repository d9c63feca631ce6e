"""How does it stand with the workers of a schedule? What its status, the metrics and `describe` tell of them."""

from dataclasses import dataclass

from channelbeat.core.finding import Finding
from channelbeat.core.scaling import Decision


@dataclass(frozen=True, slots=True)
class Workers:
    """`deployment`: the name of the one they are of, which schedules may share; empty for none. `desired`: how many there should be; `ready`: how many are.
    `decision`: why so many; None while nothing has been decided. `trouble`: why they are not there, or of no use."""

    deployment: str
    desired: int
    ready: int
    decision: Decision | None = None
    trouble: Finding | None = None

    @property
    def staying(self) -> int:
        """Of those that are ready: the others are about to end, which is nothing to speak of."""
        return min(self.ready, self.desired)


def nothing_known(_: str) -> Workers | None:
    """Of any schedule, by its key: for where there is nobody to ask."""
    return None
