"""Which channels' troubles have lasted for so long that the schedules' conditions are to say so."""

from channelbeat.cluster.layer_troubles import LASTS, STEADY, LayerTroubles, Place
from channelbeat.core.hindrances import Hindrance, blocked, unattended
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.outcomes import Notice, Reason, Sign
from channelbeat.runtime import Layer

PLACE = Place("default", "c")
FULL = blocked("default", "c", Reason.CHANNEL_FULL, 0)
TYPE = blocked("default", "c", Reason.WRONG_TYPE, 0)
WELL = Layer("default", True, 1, None, 0)
AWAY = WELL._replace(ailment=Notice("default", Sign.AWAY, "away", 0))
IDLE = WELL._replace(leading=False)
START = 10 * SECOND
"""The layer has been well for long enough by then."""


class Looks:
    """A look each second; `turns` are the moments at which something else is to be said, and what."""

    def __init__(self) -> None:
        self.troubles, self.now = LayerTroubles(), 0
        self.turns = list[tuple[Ms, Hindrance | None]]()

    def until(self, end: Ms, *found: Hindrance, layer: Layer = WELL) -> None:
        while self.now < end:
            if PLACE in self.troubles.look([layer], lambda: found, self.now):
                self.turns.append((self.now, self.troubles.hindrance(PLACE)))
            self.now += SECOND


def test_a_channel_is_told_once_it_has_been_full_for_over_a_minute_and_its_end_at_once() -> None:
    looks = Looks()
    looks.until(START)
    looks.until(START + 3 * LASTS, FULL)
    looks.until(START + 4 * LASTS)
    assert looks.turns == [(START + LASTS + SECOND, FULL), (START + 3 * LASTS, None)]


def test_one_that_is_full_again_and_again_is_not_told() -> None:
    looks = Looks()
    looks.until(START)
    for number in range(20):
        looks.until(START + number * LASTS - SECOND, FULL)
        looks.until(START + number * LASTS)
    assert looks.turns == []


def test_another_reason_is_told_once_it_has_lasted() -> None:
    looks = Looks()
    looks.until(START)
    looks.until(START + 2 * LASTS, FULL)
    looks.until(START + 4 * LASTS, TYPE)
    assert looks.turns == [(START + LASTS + SECOND, FULL), (START + 3 * LASTS + SECOND, TYPE)]


def test_what_was_there_when_we_began_is_for_whom_it_was_told_of() -> None:
    looks = Looks()
    looks.until(2 * LASTS, FULL)
    looks.until(3 * LASTS)
    assert looks.turns == [(0, FULL._replace(lasts=False)), (LASTS + SECOND, FULL), (2 * LASTS, None)]


def test_of_a_layer_that_is_away_nothing_is_known() -> None:
    looks = Looks()
    looks.until(START)
    looks.until(START + 2 * LASTS, FULL)
    for layer in (AWAY, IDLE):
        looks.turns.clear()
        looks.until(looks.now + 2 * LASTS, layer=layer)
        assert looks.turns == []
        assert looks.troubles.hindrance(PLACE) == FULL._replace(lasts=False)
    again = looks.now
    looks.until(again + STEADY)
    assert looks.turns == []
    looks.until(again + 2 * STEADY)
    assert looks.turns == [(again + STEADY, None)]


def test_a_layer_that_is_dropped_is_forgotten() -> None:
    looks = Looks()
    looks.until(START)
    looks.until(START + 2 * LASTS, FULL)
    assert PLACE in looks.troubles.look([], list, looks.now)
    assert looks.troubles.hindrance(PLACE) is None


def test_a_queue_is_the_place_of_its_channel() -> None:
    assert unattended("default", "c", "nobody listens").target == blocked("default", "queue:c", Reason.CHANNEL_FULL, 0).target
    assert "the queue of channel c is full; start or add workers" in blocked("default", "queue:c", Reason.CHANNEL_FULL, 0).text
