import pytest

from channelbeat.core.instants import HOUR, MINUTE, SECOND
from channelbeat.core.timing import durations


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("100ms", 100),
        ("0s", 0),
        ("30s", 30 * SECOND),
        ("90m", 90 * MINUTE),
        ("1h30m15s", 90 * MINUTE + 15 * SECOND),
        ("8760h", 8760 * HOUR),
        ("1s1s", 2 * SECOND),
    ],
)
def test_a_duration_reads_as_kubernetes_writes_it(text: str, length: int) -> None:
    assert durations.parse(text) == length


@pytest.mark.parametrize("text", ["", "5", "5x", "-1s", "1.5h", "1d", "1h 30m", "1s ", "1s\n", "123456s", "1h1m1s1ms1ms", "\uff11s"])
def test_anything_else_is_refused_with_its_cure(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 100ms, 30s, 5m or 1h30m"):
        durations.parse(text)


@pytest.mark.parametrize(("length", "text"), [(0, "0s"), (250, "250ms"), (5 * MINUTE, "5m"), (24 * HOUR, "24h"), (90 * MINUTE + 1, "1h30m1ms")])
def test_it_is_written_in_the_shortest_way_and_reads_back(length: int, text: str) -> None:
    assert durations.text(length) == text
    assert durations.parse(text) == length
