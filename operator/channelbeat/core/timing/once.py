"""One moment, once."""

from dataclasses import dataclass

from channelbeat.core.instants import Ms


@dataclass(frozen=True, slots=True)
class Once:
    """Due at `at` and never again."""

    at: Ms

    @property
    def text(self) -> str:
        return f"at {self.at}"

    def next(self, after: Ms) -> Ms | None:
        return self.at if self.at > after else None

    def last(self, after: Ms, until: Ms) -> Ms | None:
        return self.at if after < self.at <= until else None

    def count(self, after: Ms, until: Ms) -> tuple[int, bool]:
        return int(after < self.at <= until), False
