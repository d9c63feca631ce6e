"""When the API server is asked again, and what is told meanwhile."""

import pytest

from channelbeat.cluster.trouble import Trouble
from channelbeat.errors import ApiError, ApiRefused, ApiUnreachable

REFUSED, SILENT = ApiRefused("no", 403, "Forbidden"), ApiUnreachable("nothing")


def pauses(error: ApiError, count: int) -> list[int]:
    trouble = Trouble("shop", renewal=1_000, deadline=2_000)
    return [trouble.failed(error, leading=True, valid=True, now=50_000) - 50_000 for _ in range(count)]


def test_what_is_refused_is_asked_later_and_later() -> None:
    for pause, most in zip(pauses(REFUSED, 14), [1_000, 2_000, 4_000, 8_000, *[10_000] * 10], strict=True):
        assert most / 2 <= pause <= most
    assert len(set(pauses(REFUSED, 14)[4:])) > 1  # not all replicas at once


@pytest.mark.parametrize("error", [SILENT, ApiRefused("too many", 429)])
def test_silence_is_asked_soon_again(error: ApiError) -> None:
    for pause, most in zip(pauses(error, 6), [250, 500, 1_000, 1_000, 1_000, 1_000], strict=True):
        assert most / 2 <= pause <= most


def test_it_begins_anew_after_success() -> None:
    trouble = Trouble("shop", renewal=1_000, deadline=2_000)
    for _ in range(5):
        trouble.failed(REFUSED, leading=False, valid=False, now=0)
    trouble.over(leading=False)
    assert trouble.failed(REFUSED, leading=False, valid=False, now=0) <= 1_000


def test_a_short_silence_is_not_told_and_a_long_one_once(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble("shop", renewal=1_000, deadline=2_000)
    trouble.failed(SILENT, leading=True, valid=True, now=0)
    trouble.failed(SILENT, leading=False, valid=False, now=1_999)
    assert not caplog.messages
    trouble.failed(SILENT, leading=False, valid=False, now=2_000)
    trouble.failed(SILENT, leading=False, valid=False, now=3_000)
    assert caplog.messages == ["nothing; stands by"]
    assert trouble.silent
    assert trouble.answered()
    assert not trouble.answered()
