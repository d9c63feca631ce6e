"""docs/operations.md says what the operator says: every condition's reason, Event, outcome, sign, metric and log key, and what to do."""

import re
from itertools import chain

import pytest
import yaml

from channelbeat.core import news
from channelbeat.core.outcomes import Kind, Reason, Sign
from channelbeat.core.reasons import OF_WORKERS, Type, Why
from channelbeat.core.runs import FINAL
from channelbeat.core.scaling import Reason as Load
from channelbeat.observability.catalogue import FAMILIES, full
from channelbeat.observability.logs import KEYS
from support.tree import PACKAGE, ROOT

OPERATIONS = (ROOT / "docs/operations.md").read_text()
SECTIONS = dict(re.findall(r"^#+ ([^\n]+)\n(.*?)(?=^##|\Z)", OPERATIONS, re.MULTILINE | re.DOTALL))
RULES = [
    rule for group in yaml.safe_load(re.findall(r"^```yaml\n(.*?)^```", SECTIONS["Alerts"], re.MULTILINE | re.DOTALL)[0])["groups"] for rule in group["rules"]
]
SERIES = set(chain.from_iterable((full(name), *(f"{full(name)}_{part}" for part in ("bucket", "count", "sum"))) for name in FAMILIES))
EVENTS = re.findall(r"^\| ([A-Z]\w+) \|", news.__doc__ or "", re.MULTILINE)
ANSWERS = re.findall(r"""f?"([A-Z]\w+): """, (PACKAGE / "core/requests.py").read_text())
WRITES = re.findall(
    r"""_writes\["([a-z ]+)"\]|_failed\(object_, "([a-z]+)"(?:,| if .* else "([a-z]+)")""",
    "".join((PACKAGE / f"cluster/{file}.py").read_text() for file in ("writing", "k8s_events")),
)


def rows(section: str) -> list[list[str]]:
    """The cells of its tables' lines."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in SECTIONS[section].splitlines() if line.startswith("|")]


def said(section: str, word: str, column: int) -> bool:
    return any(f"`{word}`" in row[column] for row in rows(section) if len(row) > column)


def test_what_is_looked_for_was_found() -> None:
    assert {"EventPaused", "TriggerRefused"} <= {*EVENTS}
    assert {"NotATime", "NotSent"} <= {*ANSWERS}
    assert {"written", "refused", "event dropped"} <= {word for words in WRITES for word in words}


@pytest.mark.parametrize("reason", sorted({*Why} - OF_WORKERS))
def test_each_reason_of_a_condition(reason: str) -> None:
    assert said("Conditions", reason, 1)


@pytest.mark.parametrize("reason", sorted(OF_WORKERS))
def test_each_trouble_with_workers_and_what_to_do(reason: str) -> None:
    [cure] = [row[2] for row in rows("Workers") if len(row) == 3 and row[0].strip("| `") == reason]
    assert cure.strip("| ")


@pytest.mark.parametrize("reason", list(Load))
def test_each_reason_for_a_number_of_workers(reason: str) -> None:
    assert said("Workers", reason, 0)


@pytest.mark.parametrize("condition", list(Type))
def test_each_condition(condition: str) -> None:
    assert any(row[0].startswith(f"{condition} ") for row in rows("Conditions"))


@pytest.mark.parametrize("reason", EVENTS)
def test_each_event(reason: str) -> None:
    assert said("Events", reason, 0)


@pytest.mark.parametrize("answer", sorted({*ANSWERS, "Duplicate", "Expired", "FromTheFuture", "PreviousRunActive"}))
def test_each_answer_to_a_trigger(answer: str) -> None:
    assert said("Triggering and resuming", answer, 0)


@pytest.mark.parametrize("kind", list(Kind))
def test_each_outcome(kind: str) -> None:
    assert said("Outcomes", kind, 0)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason])
def test_each_reason_of_an_outcome(reason: str) -> None:
    assert said("Outcomes", reason, 1)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_each_end_of_a_run(state: str) -> None:
    assert f"`{state}`" in SECTIONS["Outcomes"]


@pytest.mark.parametrize("sign", list(Sign))
def test_each_sign(sign: str) -> None:
    assert said("Signs", sign, 0)


@pytest.mark.parametrize("key", ["time", "level", "logger", "message", *KEYS, "exception"])
def test_each_key_of_the_log(key: str) -> None:
    assert said("The log", key, 0)


@pytest.mark.parametrize("logger", sorted({*re.findall(r'getLogger\("(channelbeat\.\w+)"\)', "".join(file.read_text() for file in PACKAGE.rglob("*.py")))}))
def test_each_logger_of_the_operator(logger: str) -> None:
    of_workers = logger == "channelbeat.worker" or logger.startswith("channelbeat.run")
    assert of_workers or f"`{logger}`" in SECTIONS["The log"]


@pytest.mark.parametrize("name", list(FAMILIES))
def test_each_metric_with_its_labels(name: str) -> None:
    [row] = [row for row in rows("Metrics") if f"`{full(name)}`" in row[0]]
    assert re.findall(r"`(\w+)`", row[1]) == list(FAMILIES[name].labels)


@pytest.mark.parametrize("result", sorted({word for words in WRITES for word in words if word}))
def test_each_result_of_a_write(result: str) -> None:
    [row] = [row for row in rows("Metrics") if "status_writes_total" in row[0]]
    assert f"`{result}`" in row[2]


def test_no_metric_is_named_that_there_is_not() -> None:
    assert {*re.findall(r"\bchannelbeat_\w+", OPERATIONS)} - SERIES == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_labels_and_values_that_there_are(rule: dict[str, str]) -> None:
    expr = rule["expr"]
    names = {name.removeprefix("channelbeat_").removesuffix("_bucket") for name in re.findall(r"channelbeat_\w+", expr)}
    assert names
    labels = {"job", "le", *chain.from_iterable(FAMILIES[name].labels for name in names)}
    assert {label.strip() for by in re.findall(r"by \(([^)]*)\)", expr) for label in by.split(",")} <= labels
    values = {*Kind, *FINAL, *Sign, *Load, *(word for words in WRITES for word in words)}
    assert {value for values_ in re.findall(r'=~"([^"]*)"', expr) for value in values_.split("|")} <= values
    assert expr.count("(") == expr.count(")")


@pytest.mark.parametrize("anchor", sorted({*re.findall(r"\]\(#([a-z-]+)\)", OPERATIONS)}))
def test_each_link_within_leads_somewhere(anchor: str) -> None:
    assert anchor in {re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-") for title in SECTIONS}
