"""The journal that counts, and the page on which Prometheus finds it."""

import asyncio
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from channelbeat.core.instants import SECOND
from channelbeat.core.outcomes import Notice, Outcome
from channelbeat.core.runs import Finished
from channelbeat.core.workers import Workers, nothing_known
from channelbeat.observability import keys, lag
from channelbeat.observability.catalogue import FAMILIES, LAG, full
from channelbeat.observability.loads import Loads
from channelbeat.observability.page import Ask, Page
from channelbeat.observability.sources import Engine, Known, Leadership
from channelbeat.observability.survey import Survey, survey
from channelbeat.observability.tallies import Histogram, Tallies
from channelbeat.observability.workforce import Workforce

AT_ONCE: Final = 100
"""Samples written between two turns of the loop: about a millisecond."""
QUICK: Final = 1
"""zlib's level: already a tenth of the size."""

Row = tuple[Sequence[str], float]


class Metrics(Collector):
    """Counts as it is told, which is cheap; everything else happens when somebody asks. `writes`: of a status, by result. `workers`: how it stands
    with those of a schedule; who knows calls `staffed` when that changes. `now`: seconds."""

    def __init__(
        self,
        engine: Engine,
        *,
        leadership: Leadership,
        writes: Mapping[str, int],
        version: str,
        workers: Callable[[str], Workers | None] = nothing_known,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._leadership, self._writes, self._version = engine, leadership, writes, version
        self._tallies = Tallies(now)
        self._lag = Histogram(LAG)
        self._loads = Loads(engine, now)
        self._workforce = Workforce(workers, now)
        self._survey = Survey({}, {})
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def record(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._tallies.occurred(outcome)

    def tell(self, notice: Notice) -> None:
        self._tallies.notices[notice.layer, notice.sign] += 1

    def finished(self, runs: Sequence[Finished]) -> None:
        for run in runs:
            self._tallies.ended(run)

    def seen(self, known: Known) -> None:
        self._tallies.seen(known.key, known.names, faulty=bool(known.faults) or known.refusal is not None)

    def gone(self, key: str) -> None:
        self._tallies.gone(key)

    def staffed(self, key: str) -> None:
        """Something else is to be said of the schedule's workers."""
        self._workforce.staffed(key)

    async def run(self) -> None:
        """Measures the loop, until cancelled."""
        await lag.measure(self._lag)

    async def page(self, ask: Ask) -> Page:
        """`/metrics`. Written a bit at a time: with thousands of schedules it takes a second or so, in which events are due. (A thread would
        make it worse, as each of the loop's calls to Redis would have to wait for Python's lock.)"""
        self._tallies.forget()
        self._survey = await survey(self._engine)
        await self._loads.look(self._survey.channels)
        if self._leadership.lost():
            self._workforce.rest()
        else:
            await self._workforce.look(self._tallies.keys())
        encode, content_type = choose_encoder(ask.headers.get("Accept", ""))
        zipped = zlib.compressobj(QUICK, wbits=31) if "gzip" in ask.headers.get("Accept-Encoding", "") else None  # 31: with gzip's header
        written = bytearray()
        end = b""
        for part, begins in _parts(self.registry.collect()):
            text = encode(_Registry(part))
            if text.endswith(_END):
                text, end = text.removesuffix(_END), _END
            text = text if begins else _without_comments(text)
            written += zipped.compress(text) if zipped else text
            await asyncio.sleep(0)
        written += zipped.compress(end) + zipped.flush() if zipped else end
        return Page(bytes(written), content_type=content_type, headers={"Content-Encoding": "gzip"} if zipped else {})

    def collect(self) -> Iterable[Metric]:
        """What is known now; page() looks at the engine and at Redis before."""
        tallies = self._tallies
        leads = not self._leadership.lost()
        layers = self._engine.layers()
        yield _histograms("lateness_seconds", ((([namespace]), its) for namespace, its in [*tallies.lateness.items()]))
        yield _family("occurrences_total", self._occurrences())
        yield _family("runs_total", self._runs())
        yield _family("next_due_timestamp_seconds", (([*_schedule(key)], due / SECOND) for key, due in self._survey.due.items()))
        yield _family("last_enqueued_timestamp_seconds", (([*_schedule(key)], at / SECOND) for key, at in [*tallies.enqueued.items()]))
        loads = [*self._loads.known()]
        yield _family("backlog", (([load.layer, load.channel], load.waiting) for load in loads))
        yield _family("in_flight", (([load.layer, load.channel], load.in_flight) for load in loads))
        deployments = [*self._workforce.deployments.items()]
        yield _family("workers_desired", ((place, its.desired) for place, its in deployments))
        yield _family("workers_ready", ((place, its.ready) for place, its in deployments))
        yield _family("workers_reason", (([*place, its.decision.reason], 1) for place, its in deployments if its.decision))
        yield _family("workers_trouble", (([*_schedule(key), reason], 1) for key, reason in [*self._workforce.troubles.items()]))
        yield _family("scalings_total", (([*place, *why], number) for (place, *why), number in [*self._workforce.scalings.items()]))
        yield _family("layer_up", (([layer.name], layer.leading and layer.ailment is None) for layer in layers if leads))
        yield _family("epoch", (([layer.name], layer.epoch) for layer in layers if layer.epoch))
        yield _family("notices_total", [*tallies.notices.items()])
        yield _family("leader", [([], leads)])
        yield _family("lease_valid", [([], self._leadership.valid())])
        yield _family("schedules", [([], tallies.known)])
        yield _family("schedules_faulty", [([], tallies.faulty)])
        yield _family("status_writes_total", [([result], number) for result, number in self._writes.items()])
        yield _histograms("loop_lag_seconds", [([], self._lag)])
        yield _family("build_info", [([self._version], 1)])

    def _occurrences(self) -> Iterator[Row]:
        for key, tally in [*self._tallies.occurrences.items()]:
            for (event, kind, reason), number in [*tally.items()]:
                yield [*keys.of_schedule(key, event), kind, reason], number

    def _runs(self) -> Iterator[Row]:
        for key, tally in [*self._tallies.runs.items()]:
            for (event, state), number in [*tally.items()]:
                yield [*keys.of_schedule(key, event), state], number


class _Registry(Collector):
    """What prometheus_client's encoders take."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


_END: Final = b"# EOF\n"


def _without_comments(text: bytes) -> bytes:
    """Of a later part of a family, whose first one has them already."""
    while text.startswith(b"# "):
        text = text.partition(b"\n")[2]
    return text


def _parts(families: Iterable[Metric]) -> Iterator[tuple[Metric, bool]]:
    """Each family in parts that are quickly written; whether a part is the first of its family."""
    for family in families:
        samples, begins = iter(family.samples), True
        while (some := [*islice(samples, AT_ONCE)]) or begins:
            part = Metric(family.name, family.documentation, family.type)
            part.samples = some
            yield part, begins
            begins = False


def _schedule(key: str) -> tuple[str, str]:
    return keys.of_schedule(key)[:2]


def _metric(name: str, samples: Iterator[Sample]) -> Metric:
    family = FAMILIES[name]
    metric = Metric(full(name).removesuffix("_total").removesuffix("_info"), family.help, family.kind)
    metric.samples = samples  # type: ignore[assignment]  # read once, in order: a list of them all would take megabytes
    return metric


def _family(name: str, rows: Iterable[Row]) -> Metric:
    labels, full_name = FAMILIES[name].labels, full(name)
    return _metric(name, (_sample(full_name, dict(zip(labels, values, strict=True)), value) for values, value in rows))


def _histograms(name: str, rows: Iterable[tuple[Sequence[str], Histogram]]) -> Metric:
    return _metric(
        name, (sample for values, histogram in rows for sample in _histogram(name, dict(zip(FAMILIES[name].labels, values, strict=True)), histogram))
    )


def _histogram(name: str, labels: dict[str, str], histogram: Histogram) -> Iterator[Sample]:
    count = 0
    for bound, count in [*histogram.buckets()]:
        yield _sample(f"{full(name)}_bucket", {**labels, "le": bound}, count)
    yield _sample(f"{full(name)}_count", labels, count)
    yield _sample(f"{full(name)}_sum", labels, histogram.sum)


def _sample(name: str, labels: Mapping[str, Any], value: float) -> Sample:
    return Sample(name, dict(labels), float(value), None, None, None)
