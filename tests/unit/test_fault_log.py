"""What the log says of schedules that do not run as they are written."""

import logging
from dataclasses import replace

import pytest

from channelbeat.cluster.fault_log import NAMED, FaultLog
from channelbeat.cluster.register import Seen
from channelbeat.core.finding import Finding
from channelbeat.core.parse import Fault

GOOD = Seen("shop/a", "1", 1, 0, None, frozenset(), (), None, (), {}, b"")
BAD = replace(GOOD, faults=(Fault("spec.events[0].cron", "must have five fields"),))


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "channelbeat.schedules")
    return caplog


def test_faults_are_told_when_they_appear_or_change_and_once_when_they_are_mended(told: pytest.LogCaptureFixture) -> None:
    log = FaultLog()
    log.begin()
    other = replace(BAD, refusal=Finding("NoSuchLayer", "no layer is called 'x'"))
    for seen in (GOOD, BAD, replace(BAD, status=b"{}"), other, GOOD, GOOD):
        log.seen(seen)
    assert [(record.levelname, record.getMessage()) for record in told.records] == [
        ("WARNING", "schedule shop/a does not run as it is written: spec.events[0].cron: must have five fields"),
        ("WARNING", "schedule shop/a does not run as it is written: no layer is called 'x'; spec.events[0].cron: must have five fields"),
        ("INFO", "schedule shop/a runs as it is written: its faults are mended"),
    ]
    assert {(record.__dict__["namespace"], record.__dict__["schedule"]) for record in told.records} == {("shop", "a")}


def test_of_many_faults_the_first_three_are_told(told: pytest.LogCaptureFixture) -> None:
    log = FaultLog()
    log.begin()
    log.seen(replace(GOOD, faults=tuple(Fault(f"f{number}", "no") for number in range(5))))
    assert told.messages == ["schedule shop/a does not run as it is written: f0: no; f1: no; f2: no; and 2 more, see its status"]


def test_one_that_is_gone_and_comes_again_is_told_again(told: pytest.LogCaptureFixture) -> None:
    log = FaultLog()
    log.begin()
    log.seen(BAD)
    log.gone(BAD.key)
    log.seen(BAD)
    assert len(told.messages) == 2


def test_at_the_start_a_few_are_named_and_the_others_counted(told: pytest.LogCaptureFixture) -> None:
    log = FaultLog()
    for number in range(NAMED + 7):
        log.seen(replace(BAD, key=f"shop/s{number}"))
    log.seen(replace(GOOD, key="shop/s0"))  # mended meanwhile
    assert told.messages == []
    log.begin()
    assert [message.split(" ")[1] for message in told.messages] == ["shop/s1", "shop/s2", "shop/s3", "shop/s4", "shop/s5", "schedules"]
    assert told.messages[-1].startswith("6 schedules more do not run as they are written")
