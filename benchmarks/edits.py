"""How long until an edit takes effect: from before the PATCH is sent to the first message by the new spec in Redis, by Redis's clock."""

import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final

from benchmarks.stage import Stage, progress
from benchmarks.tables import Table, aim
from channelbeat.core.instants import SECOND, Ms
from support.arrivals import Arrival, Channel, now
from support.beats import Beats
from support.operators import Installation
from support.waiting import until

EVERY: Final[Ms] = 100
NAME: Final = "edited"
AIM: Final[Ms] = SECOND
LIMIT: Final = 30.0
STILL: Final = 0.5
"""Seconds: then the last edit has ended what went on."""


def table(stage: Stage, us: Installation, times: int, beside: int) -> Table:
    progress(f"{times} edits of each kind")
    us.leader()
    beats = Beats(us.kube, us.namespace)
    with stage.channel(us, NAME) as channel:
        payload = [_payload(beats, channel, number) for number in range(times)]
        beats.delete(NAME)
        every = [_every(beats, channel, number) for number in range(times)]
    rows = [_row(f"a message, of an event every {EVERY} ms", payload), _row(f"`every`, from 1h to {EVERY}ms", every)]
    worst = max(*payload, *every)
    notes = [
        aim(f"under a second ({worst:,} ms at worst)", reached=worst < AIM),
        f"The wait for the next due time, up to {EVERY} ms, is part of it.",
    ]
    return Table(f"{times} edits of each kind, beside {beside:,} other schedules", ("what is edited", "median ms", "worst ms"), rows, notes)


def _payload(beats: Beats, channel: Channel, number: int) -> Ms:
    if not number:
        _put(beats, every=f"{EVERY}ms", message={"edit": -1})
        _first(channel, lambda arrival: arrival.message["message"]["edit"] == -1)
    time.sleep(random.uniform(0, 2 * EVERY / SECOND))
    sent = _put(beats, every=f"{EVERY}ms", message={"edit": number})
    return _first(channel, lambda arrival: arrival.message["message"]["edit"] == number) - sent


def _every(beats: Beats, channel: Channel, number: int) -> Ms:
    _put(beats, every="1h", message={"round": number})
    if not number:
        beats.becomes("Ready=True", NAME, LIMIT)
    _still(channel)
    sent = _put(beats, every=f"{EVERY}ms", message={"round": number})
    return _first(channel, lambda arrival: arrival.at >= sent) - sent


def _put(beats: Beats, **event: Any) -> Ms:
    """When it was sent."""
    sent = now()
    beats.put({"name": "one", **event}, name=NAME, channel=NAME)
    return sent


def _first(channel: Channel, condition: Callable[[Arrival], bool]) -> Ms:
    """When the first of these arrived."""
    found = until(lambda: [arrival for arrival in channel.arrivals() if condition(arrival)], LIMIT, what="a message by the new spec", every=0.02)
    return found[0].at


def _still(channel: Channel) -> None:
    before = -1
    while before != (before := len(channel.arrivals())):
        time.sleep(STILL)


def _row(name: str, took: list[Ms]) -> tuple[str, ...]:
    return name, f"{median(took):,.0f}", f"{max(took):,}"
