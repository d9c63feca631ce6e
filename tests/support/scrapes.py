"""Asks for the metrics page as Prometheus does, and reads it with Prometheus's own parser; and an engine that stands still."""

import gzip
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from channelbeat.core.instants import Ms
from channelbeat.core.measures import ChannelLoad
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.outcomes import Kind, Outcome, Reason
from channelbeat.core.schedule import BeatSchedule
from channelbeat.observability.metrics import Metrics
from channelbeat.observability.page import Ask
from channelbeat.runtime import Layer
from support.rig import Lease

AT = 1_795_221_402_007
PROMETHEUS = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4", "Accept-Encoding": "gzip"}


class Seen(NamedTuple):
    key: str
    faults: Sequence[object] = ()
    refusal: object | None = None
    names: tuple[str, ...] = ("e",)


class Shelf:
    """A book."""

    def __init__(self, schedules: Iterable[BeatSchedule]) -> None:
        self.schedules = {one.key: one for one in schedules}


class StillEngine:
    """Of one layer, whose channels hold 3 messages and 2 runs each, one of which is being worked on."""

    def __init__(self, *schedules: BeatSchedule, due: Mapping[tuple[str, str], Ms] = {}, leading: bool = True) -> None:
        self.book = Shelf(schedules)
        self._due = due
        self.layer = Layer("default", leading, 3, None, AT)

    def layers(self) -> list[Layer]:
        return [self.layer]

    def undecided(self, schedule: str, event: str) -> Occurrence | None:
        due = self._due.get((schedule, event))
        return None if due is None else Occurrence(due - 1, due)

    async def loads(self, layer: str, channels: Sequence[str]) -> dict[str, ChannelLoad]:
        return dict.fromkeys(channels, ChannelLoad(5, 1, 0, 0, None))


class Scrape:
    """What was found, by name and labels."""

    def __init__(self, text: str) -> None:
        families = [*(parse_openmetrics(text) if text.endswith("# EOF\n") else parse_text(text))]  # type: ignore[no-untyped-call]
        names = Counter(family.name for family in families)
        assert {name for name, times in names.items() if times > 1} == set(), "told twice"
        self.families = {family.name: family for family in families}
        self.values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in families:
            for sample in family.samples:
                place = (sample.name.removeprefix("channelbeat_"), frozenset(sample.labels.items()))
                assert place not in self.values, place
                self.values[place] = sample.value

    def __call__(self, metric: str, **labels: str) -> float | None:
        return self.values.get((metric, frozenset(labels.items())))

    def of(self, metric: str) -> list[tuple[dict[str, str], float]]:
        return [(dict(labels), value) for (name, labels), value in self.values.items() if name == metric]


def made(engine: Any = None, **options: Any) -> Metrics:
    return Metrics(engine or StillEngine(), **{"leadership": Lease(), "writes": {}, "version": "1.2.3", **options})


async def scraped(metrics: Metrics, headers: Mapping[str, str] = {}) -> Scrape:
    page = await metrics.page(Ask({}, headers))
    body = page.body if isinstance(page.body, bytes) else page.body.encode()
    return Scrape((gzip.decompress(body) if page.headers.get("Content-Encoding") == "gzip" else body).decode())


def enqueued(key: str = "shop/t", event: str = "e", lateness: Ms = 7, reason: Reason = Reason.NONE, at: Ms = AT) -> Outcome:
    return Outcome(key, event, at - lateness, Kind.ENQUEUED, at, reason, lateness)
