import pytest

from channelbeat.core.instants import DAY, HOUR, parse
from channelbeat.core.timing import zones


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Asia/Kolkata", "Antarctica/Troll"])
def test_an_iana_name_is_a_zone(name: str) -> None:
    assert zones.zone(name).key == name


@pytest.mark.parametrize(
    "name",
    ["", "Local", "localtime", "Factory", "europe/berlin", "Mars/Phobos", "+02:00", "Europe", "Europe/Berlin ", "../UTC", "/etc/localtime", "posixrules"],
)
def test_no_other_text_is(name: str) -> None:
    with pytest.raises(ValueError, match="write one such as Europe/Berlin or UTC"):
        zones.zone(name)


@pytest.mark.parametrize(
    ("zone", "day", "offset"),
    [("UTC", "2026-03-29", 0), ("Europe/Berlin", "2026-07-01", 2 * HOUR), ("Europe/Berlin", "2026-03-28", None), ("Europe/Berlin", "2026-03-29", None)],
)
def test_an_offset_is_steady_far_from_a_change_of_the_clock(zone: str, day: str, offset: int | None) -> None:
    assert zones.steady(zones.zone(zone), parse(f"{day}T00:00:00Z") // DAY) == offset
