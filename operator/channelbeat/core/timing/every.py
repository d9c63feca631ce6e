"""A fixed interval, counted from the Unix epoch, so that every leader computes the same due times."""

from dataclasses import dataclass

from channelbeat.core.instants import Ms


@dataclass(frozen=True, slots=True)
class Every:
    """Due at k x `interval`; everything is arithmetic."""

    interval: Ms

    @property
    def text(self) -> str:
        return f"every {self.interval}"

    def next(self, after: Ms) -> Ms | None:
        return (after // self.interval + 1) * self.interval

    def last(self, after: Ms, until: Ms) -> Ms | None:
        due = until // self.interval * self.interval
        return due if due > after else None

    def count(self, after: Ms, until: Ms) -> tuple[int, bool]:
        return max(0, until // self.interval - after // self.interval), False
