"""Moments as people write them."""

import pytest

from channelbeat.core import instants


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("2026-11-21T02:30:00Z", "2026-11-21T02:30:00Z"),
        ("2026-11-21t03:30:00.1239+01:00", "2026-11-21T02:30:00.123Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_what_is_read_can_be_told(written: str, told: str) -> None:
    assert instants.text(instants.parse(written)) == told


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-30T00:00:00Z", "2026-11-21T02:30:00", "now"])
def test_what_could_not_be_told_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is no moment"):
        instants.parse(written)
