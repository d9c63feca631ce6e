"""What Prometheus finds: every metric, with the right labels and numbers, in both of its formats."""

import asyncio
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from channelbeat.core.finding import Finding
from channelbeat.core.instants import SECOND
from channelbeat.core.outcomes import Kind, Notice, Outcome, Reason, Sign
from channelbeat.core.runs import Finished, State
from channelbeat.core.scaling import Decision
from channelbeat.core.scaling import Reason as Why
from channelbeat.core.workers import Workers
from channelbeat.observability.catalogue import FAMILIES, LATENESS, full
from channelbeat.observability.metrics import AT_ONCE, Metrics
from channelbeat.observability.page import Ask
from channelbeat.observability.tallies import GRACE
from support import scrapes
from support.rig import Lease, schedule
from support.scrapes import AT, PROMETHEUS, Seen, StillEngine, enqueued

WARM = Decision(1, Why.FORECAST, "an event is due")
BUSY = Decision(2, Why.LOAD, "150 waiting call for 2")
IDLE = Decision(0, Why.ZERO, "nothing waits")
Crew = dict[str, Workers]
"""By schedule."""


async def everything() -> Metrics:
    """With something of each metric."""
    crew = Crew({"default/t": Workers("t-worker", 2, 1, WARM, Finding("CrashLoop", "it ends"))})
    metrics = scrapes.made(StillEngine(schedule({"every": "5s"}), due={("default/t", "e"): AT}), writes=Counter(written=2), workers=crew.get)
    metrics.seen(Seen("default/t"))
    metrics.staffed("default/t")
    crew["default/t"] = replace(crew["default/t"], decision=BUSY)
    metrics.staffed("default/t")
    metrics.record([enqueued("default/t")])
    metrics.finished([Finished("r", "default/t/e", "c", State.DEAD, 4, AT, "", False)])
    metrics.tell(Notice("default", Sign.LEADING, "x", AT))
    return metrics


@pytest.mark.parametrize("headers", [{}, PROMETHEUS], ids=["text", "openmetrics, zipped"])
async def test_every_metric_is_there_with_its_kind_and_help(headers: Mapping[str, str]) -> None:
    found = (await scrapes.scraped(await everything(), headers)).families
    for name, family in FAMILIES.items():
        told = found[full(name)] if full(name) in found else found[full(name).rpartition("_")[0]]
        assert told.documentation == family.help
        assert told.type == family.kind or (family.kind, told.type) == ("info", "gauge")
        assert told.samples, name
        for sample in told.samples:
            assert sample.labels.keys() - {"le"} == set(family.labels)
    ours = {name for name in found if name.startswith("channelbeat_")}
    assert len(ours) == len(FAMILIES)


async def test_both_formats_say_the_same() -> None:
    metrics = await everything()
    text, openmetrics = await scrapes.scraped(metrics), await scrapes.scraped(metrics, PROMETHEUS)
    assert {place: value for place, value in text.values.items() if not place[0].startswith("process_")} == {
        place: value for place, value in openmetrics.values.items() if not place[0].startswith("process_")
    }


async def test_the_content_type_is_what_prometheus_asked_for() -> None:
    metrics = await everything()
    assert (await metrics.page(Ask({}, PROMETHEUS))).content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert (await metrics.page(Ask({}, {}))).content_type.startswith("text/plain; version=0.0.4")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on PATH")
async def test_promtool_has_nothing_to_say() -> None:
    page = await (await everything()).page(Ask({}, {}))
    body = page.body if isinstance(page.body, bytes) else page.body.encode()
    done = await asyncio.to_thread(subprocess.run, ["promtool", "check", "metrics"], input=body, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


async def test_outcomes_are_counted_with_their_reasons() -> None:
    metrics = scrapes.made()
    metrics.record([enqueued(), enqueued(), Outcome("shop/t", "e", AT, Kind.MISSED, AT, Reason.SUPERSEDED, count=40)])
    metrics.record([Outcome("shop/t", "e", AT, Kind.MISSED, AT, Reason.SUPERSEDED, count=2), Outcome("shop/u", "e", AT, Kind.HELD, AT, Reason.CHANNEL_FULL)])
    found = await scrapes.scraped(metrics)
    assert sorted((labels["schedule"], labels["outcome"], labels["reason"], value) for labels, value in found.of("occurrences_total")) == [
        ("t", "enqueued", "", 2),
        ("t", "missed", "Superseded", 42),
        ("u", "held", "ChannelFull", 1),
    ]


async def test_lateness_is_put_into_buckets_of_its_namespace() -> None:
    metrics = scrapes.made()
    metrics.record([enqueued(lateness=5), enqueued(lateness=6), enqueued(lateness=9_000), enqueued(lateness=70_000), enqueued(key="other/t", lateness=0)])
    found = await scrapes.scraped(metrics)
    buckets = {labels["le"]: value for labels, value in found.of("lateness_seconds_bucket") if labels["namespace"] == "shop"}
    assert buckets == {**dict.fromkeys(map(str, LATENESS), 2), "0.005": 1, "10.0": 3, "30.0": 3, "60.0": 3, "+Inf": 4}
    assert found("lateness_seconds_count", namespace="shop") == 4
    assert found("lateness_seconds_sum", namespace="shop") == pytest.approx(79.011)
    assert found("lateness_seconds_count", namespace="other") == 1


@pytest.mark.parametrize("reason", [Reason.TRIGGERED, Reason.REPLAYED])
async def test_what_was_not_sent_for_its_due_time_has_no_lateness(reason: Reason) -> None:
    metrics = scrapes.made()
    metrics.record([enqueued(lateness=50_000, reason=reason)])
    found = await scrapes.scraped(metrics)
    assert found.of("lateness_seconds_count") == []
    assert found("last_enqueued_timestamp_seconds", namespace="shop", schedule="t") == AT / SECOND


async def test_runs_that_ended_are_counted_by_state() -> None:
    metrics = scrapes.made()
    metrics.finished(
        [Finished("r", event, "c", state, 1, AT, "", False) for event, state in [("shop/t/e", State.DEAD), ("shop/t/e", State.DEAD), ("", State.DEAD)]]
    )
    found = await scrapes.scraped(metrics)
    assert found("runs_total", namespace="shop", schedule="t", event="e", state="dead") == 2
    assert found("runs_total", namespace="", schedule="", event="", state="dead") == 1


async def test_the_last_time_never_goes_back() -> None:
    metrics = scrapes.made()
    metrics.record([enqueued(at=AT), enqueued(at=AT - 5 * SECOND)])
    assert (await scrapes.scraped(metrics))("last_enqueued_timestamp_seconds", namespace="shop", schedule="t") == AT / SECOND


async def test_the_next_due_time_is_the_earliest_of_its_events() -> None:
    due = {("default/t", "e"): AT + 9, ("default/t", "e1"): AT + 5}
    engine = StillEngine(schedule({"every": "5s"}, {"every": "5s"}, {"every": "5s"}), schedule({"every": "5s"}, name="u"), due=due)
    found = await scrapes.scraped(scrapes.made(engine))
    assert found.of("next_due_timestamp_seconds") == [({"namespace": "default", "schedule": "t"}, (AT + 5) / SECOND)]


async def test_channels_have_their_backlog() -> None:
    shared = schedule({"every": "5s"}, name="u")
    listening = schedule({"every": "5s"}, name="v", channel="d", worker={"channels": ["d", "f"], "scaleTargetRef": {"name": "w"}})
    group = schedule({"every": "5s"}, name="g", group="x")
    found = await scrapes.scraped(scrapes.made(StillEngine(schedule({"every": "5s"}), shared, listening, group)))
    assert sorted(labels["channel"] for labels, _ in found.of("backlog")) == ["c", "d", "f"]
    assert found("backlog", layer="default", channel="c") == 5
    assert found("in_flight", layer="default", channel="c") == 1


async def test_each_deployment_has_its_workers_once_however_many_schedules_share_it() -> None:
    shared = Workers("pool", 2, 1, BUSY)
    crew = Crew(
        {
            "shop/a": shared,
            "shop/b": shared,
            "shop/c": Workers("c-worker", 0, 0, IDLE),
            "other/d": Workers("pool", 1, 1, WARM),
            "shop/refused": Workers("", 0, 0, None, Finding("ChannelTaken", "no")),
        }
    )
    metrics = scrapes.made(workers=crew.get)
    for key in (*crew, "shop/nobodys"):
        metrics.seen(Seen(key))
    found = await scrapes.scraped(metrics)
    wanted = {(labels["namespace"], labels["deployment"]): value for labels, value in found.of("workers_desired")}
    assert wanted == {("shop", "pool"): 2, ("shop", "c-worker"): 0, ("other", "pool"): 1}
    assert found("workers_ready", namespace="shop", deployment="pool") == 1
    assert sorted((labels["namespace"], labels["deployment"], labels["reason"]) for labels, _ in found.of("workers_reason")) == [
        ("other", "pool", "Forecast"),
        ("shop", "c-worker", "Zero"),
        ("shop", "pool", "Load"),
    ]


async def test_what_is_wrong_with_workers_is_told_of_each_schedule_as_long_as_it_lasts() -> None:
    crew = Crew({"shop/a": Workers("pool", 2, 0, BUSY, Finding("Quota", "no more")), "shop/b": Workers("b-worker", 1, 1, WARM)})
    metrics = scrapes.made(workers=crew.get)
    for key in crew:
        metrics.seen(Seen(key))
    assert (await scrapes.scraped(metrics)).of("workers_trouble") == [({"namespace": "shop", "schedule": "a", "reason": "Quota"}, 1)]
    crew["shop/a"] = replace(crew["shop/a"], trouble=None)
    assert (await scrapes.scraped(metrics)).of("workers_trouble") == []


async def test_scalings_are_counted_once_by_direction_and_reason() -> None:
    crew = Crew()
    metrics = scrapes.made(workers=crew.get)

    def becomes(*decisions: Decision | None) -> None:
        for decision in decisions:
            crew.update(dict.fromkeys(("shop/a", "shop/b"), Workers("pool", 0, 0, decision)))
            metrics.staffed("shop/a")
            metrics.staffed("shop/b")

    metrics.staffed("shop/a")  # of which nothing is known
    becomes(None, IDLE, WARM, WARM._replace(sentence="another event is due"), BUSY, IDLE, BUSY)
    counted = (await scrapes.scraped(metrics)).of("scalings_total")
    assert {(labels["direction"], labels["reason"]): value for labels, value in counted} == {("up", "Forecast"): 1, ("up", "Load"): 2, ("down", "Zero"): 1}
    assert {(labels["namespace"], labels["deployment"]) for labels, _ in counted} == {("shop", "pool")}


async def test_what_another_leader_scaled_meanwhile_is_not_counted_here() -> None:
    lease, crew = Lease(), Crew({"shop/a": Workers("pool", 0, 0, IDLE)})
    metrics = scrapes.made(workers=crew.get, leadership=lease)
    metrics.staffed("shop/a")
    lease.held = False
    await scrapes.scraped(metrics)
    lease.held, crew["shop/a"] = True, Workers("pool", 2, 2, BUSY)
    metrics.staffed("shop/a")
    assert (await scrapes.scraped(metrics)).of("scalings_total") == []


async def test_a_deployment_that_is_gone_takes_its_series_with_it() -> None:
    now, crew = 0.0, Crew({"shop/a": Workers("a-worker", 0, 0, IDLE)})
    metrics = scrapes.made(workers=crew.get, now=lambda: now)
    metrics.seen(Seen("shop/a"))
    metrics.staffed("shop/a")
    crew["shop/a"] = Workers("a-worker", 2, 0, BUSY)
    metrics.staffed("shop/a")
    await scrapes.scraped(metrics)
    metrics.gone("shop/a")
    now += GRACE - 1
    found = await scrapes.scraped(metrics)
    assert (found.of("workers_desired"), len(found.of("scalings_total"))) == ([], 1)
    now += 1
    assert (await scrapes.scraped(metrics)).of("scalings_total") == []


LEADERS = ("workers_desired", "workers_ready", "workers_reason", "workers_trouble", "next_due_timestamp_seconds", "backlog", "in_flight", "layer_up")


async def test_who_does_not_lead_leaves_to_the_leader_what_only_that_one_knows() -> None:
    leadership = Lease()
    engine = StillEngine(schedule({"every": "5s"}), due={("default/t", "e"): AT})
    crew = Crew({"default/t": Workers("t-worker", 2, 1, BUSY, Finding("CrashLoop", "it ends"))})
    metrics = scrapes.made(engine, leadership=leadership, workers=crew.get)
    metrics.seen(Seen("default/t"))
    before = await scrapes.scraped(metrics)
    assert [name for name in LEADERS if not before.of(name)] == []
    assert (before("leader"), before("lease_valid")) == (1, 1)
    leadership.held, engine.layer = False, engine.layer._replace(leading=False)
    after = await scrapes.scraped(metrics)
    assert [name for name in LEADERS if after.of(name)] == []
    assert (after("leader"), after("lease_valid")) == (0, 0)


class Silence(Lease):
    """The API server gives no answer."""

    def valid(self) -> bool:
        return False


async def test_who_goes_on_while_the_api_server_is_silent_leads_without_being_sure() -> None:
    found = await scrapes.scraped(scrapes.made(leadership=Silence()))
    assert (found("leader"), found("lease_valid")) == (1, 0)
    assert found("layer_up", layer="default") == 1


async def test_a_layer_that_ails_is_not_up() -> None:
    engine = StillEngine()
    engine.layer = engine.layer._replace(ailment=Notice("default", Sign.AWAY, "x", AT))
    found = await scrapes.scraped(scrapes.made(engine))
    assert (found("layer_up", layer="default"), found("epoch", layer="default")) == (0, 3)


async def test_schedules_and_those_with_faults_are_counted() -> None:
    metrics = scrapes.made()
    for seen in (Seen("a/a"), Seen("a/b", faults=["x"]), Seen("a/c", refusal="x"), Seen("a/d", faults=["x"]), Seen("a/e", faults=["x"])):
        metrics.seen(seen)
    metrics.seen(Seen("a/d"))
    metrics.gone("a/e")
    found = await scrapes.scraped(metrics)
    assert (found("schedules"), found("schedules_faulty")) == (4, 2)


async def test_a_schedule_that_is_gone_takes_its_series_with_it() -> None:
    now = 0.0
    metrics = scrapes.made(now=lambda: now)

    def tell(key: str) -> None:
        metrics.record([enqueued(key)])
        metrics.finished([Finished("r", f"{key}/e", "c", State.DEAD, 1, AT, "", False)])

    async def left() -> set[str]:
        found = await scrapes.scraped(metrics)
        names = ("occurrences_total", "runs_total", "last_enqueued_timestamp_seconds")
        return {labels["schedule"] for name in names for labels, _ in found.of(name)} | {
            labels["namespace"] for labels, _ in found.of("lateness_seconds_count")
        }

    for key in ("shop/t", "shop/u", "gone/v"):
        metrics.seen(Seen(key))
        tell(key)
    metrics.gone("shop/t")
    metrics.gone("gone/v")
    now += GRACE - 1
    tell("shop/t")  # what it missed is decided after it was deleted
    assert await left() == {"t", "u", "v", "shop", "gone"}
    now += 1
    assert await left() == {"u", "shop"}
    tell("shop/t")
    assert "t" in await left()
    now += GRACE
    assert await left() == {"u", "shop"}


async def test_an_event_that_is_gone_takes_its_series_with_it_though_its_schedule_stays() -> None:
    now = 0.0
    metrics = scrapes.made(now=lambda: now)

    def tell(event: str) -> None:
        metrics.record([enqueued(event=event)])
        metrics.finished([Finished("r", f"shop/t/{event}", "c", State.DEAD, 1, AT, "", False)])

    async def left() -> set[tuple[str, str]]:
        found = await scrapes.scraped(metrics)
        return {(name, labels["event"]) for name in ("occurrences_total", "runs_total") for labels, _ in found.of(name)}

    def both(*events: str) -> set[tuple[str, str]]:
        return {(name, event) for name in ("occurrences_total", "runs_total") for event in events}

    metrics.seen(Seen("shop/t", names=("e", "former", "returning")))
    for event in ("e", "former", "returning"):
        tell(event)
    metrics.seen(Seen("shop/t", names=("e",)))
    now += GRACE - 1
    metrics.seen(Seen("shop/t", names=("e", "returning")))
    tell("former")  # a run of it ends only now
    assert await left() == both("e", "former", "returning")
    now += 1
    assert await left() == both("e", "returning")
    tell("former")
    assert await left() == both("e", "former", "returning")
    now += GRACE
    assert await left() == both("e", "returning")


async def test_events_that_are_renamed_for_ever_do_not_pile_up() -> None:
    now = 0.0
    metrics = scrapes.made(now=lambda: now)
    for edit in range(20):
        metrics.seen(Seen("shop/t", names=(f"e{edit}",)))
        metrics.record([enqueued(event=f"e{edit}")])
        now += GRACE / 2
        found = (await scrapes.scraped(metrics)).of("occurrences_total")
        assert len(found) <= 3
    metrics.gone("shop/t")
    now += GRACE
    assert (await scrapes.scraped(metrics)).of("occurrences_total") == []


async def test_a_schedule_that_came_back_keeps_its_series() -> None:
    now = 0.0
    metrics = scrapes.made(now=lambda: now)
    metrics.seen(Seen("shop/t"))
    metrics.record([enqueued()])
    metrics.gone("shop/t")
    metrics.seen(Seen("shop/t"))
    now += 2 * GRACE
    assert (await scrapes.scraped(metrics)).of("occurrences_total") != []


async def test_writes_of_a_status_are_those_that_somebody_counts() -> None:
    writes = Counter(written=2)
    metrics = scrapes.made(writes=writes)
    writes["refused"] += 1
    assert sorted((labels["result"], value) for labels, value in (await scrapes.scraped(metrics)).of("status_writes_total")) == [("refused", 1), ("written", 2)]


async def test_the_process_tells_of_its_memory_and_of_its_version() -> None:
    found = await scrapes.scraped(scrapes.made())
    assert (found("process_resident_memory_bytes") or 0) > 1_000_000
    assert found("process_cpu_seconds_total") is not None
    assert found("build_info", version="1.2.3") == 1


@pytest.mark.parametrize("headers", [{}, PROMETHEUS], ids=["text", "openmetrics, zipped"])
async def test_a_family_of_many_series_is_one_family(headers: Mapping[str, str]) -> None:
    metrics, many = scrapes.made(), 3 * AT_ONCE
    metrics.record([enqueued(f"shop/t{number}") for number in range(many)])
    assert len((await scrapes.scraped(metrics, headers)).of("occurrences_total")) == many


async def test_quotes_and_newlines_do_not_break_the_page() -> None:
    found = await scrapes.scraped(scrapes.made(version='1 "odd"\n\\version'))
    assert found("build_info", version='1 "odd"\n\\version') == 1
