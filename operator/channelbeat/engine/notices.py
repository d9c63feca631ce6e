"""Tells what happens to one layer: once when it begins, and once when it is over."""

from typing import Final

from channelbeat.core.batch import Verdict
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.outcomes import Notice, Sign
from channelbeat.engine.ports import Clock, Journal
from channelbeat.errors import LayerError, LayerRefused, LayerTaken, Stale, Unreachable, WritesRefused

SKEW: Final[Ms] = SECOND

_SIGNS: Final[dict[type[LayerError], Sign]] = {Unreachable: Sign.AWAY, WritesRefused: Sign.WRITES_REFUSED, LayerTaken: Sign.TAKEN, Stale: Sign.TAKEN}


def stumbled(layer: str, fault: Exception) -> LayerError:
    """As an error of the layer: it is tried again."""
    brief = f"{type(fault).__name__}: {fault}"
    return LayerRefused(f"layer {layer!r}: channelbeat stumbles over what is in its Redis, or over a fault of its own ({brief}): please report it")


class Notices:
    def __init__(self, layer: str, journal: Journal, clock: Clock) -> None:
        self._layer, self._journal, self._clock = layer, journal, clock
        self._sign: Sign | None = None
        self.ailment: Notice | None = None
        """What keeps the layer from being sent to, and since when; None if nothing does, or somebody else leads."""

    def tell(self, sign: Sign, text: str, event: str = "") -> None:
        self._journal.tell(Notice(self._layer, sign, f"layer {self._layer!r}: {text}", self._clock.now(), event))

    def trouble(self, error: LayerError) -> None:
        sign = next((sign for kind, sign in _SIGNS.items() if isinstance(error, kind)), Sign.REFUSED)
        if sign is not self._sign:
            self._sign = sign
            self.ailment = Notice(self._layer, sign, str(error), self._clock.now())
            self._journal.tell(self.ailment)

    def well(self) -> None:
        if self._sign is not Sign.LEADING:
            self._sign, self.ailment = Sign.LEADING, None
            self.tell(Sign.LEADING, "its Redis answers, and is ours to send to")

    def forget(self) -> None:
        """Whether it is well is to be found out anew."""
        self._sign = self.ailment = None

    def led(self, verdict: Verdict, evicting: str | None, redis: Ms) -> None:
        """The lead was taken. `evicting`: Redis's policy, if it may drop our keys; `redis`: the time by its clock."""
        if verdict is Verdict.ROLLED_BACK:
            self.tell(Sign.ROLLED_BACK, "its Redis lost its newest writes: what was enqueued in the last minute is enqueued again")
        elif verdict is Verdict.WIPED:
            self.tell(Sign.WIPED, "its Redis was wiped, or is another one: nothing that may have been sent is sent again")
        if evicting is not None:
            self.tell(Sign.EVICTION, f"its Redis has maxmemory-policy {evicting} and may drop our keys: set it to noeviction")
        skew = self._clock.now() - redis
        if abs(skew) > SKEW:
            self.tell(
                Sign.CLOCK_SKEW, f"this machine's clock is {abs(skew) / SECOND:.1f} s {'ahead of' if skew > 0 else 'behind'} its Redis's: keep both with NTP"
            )

    def set_aside(self, event: str, fault: str) -> None:
        self.tell(Sign.FAULT, f"event {event} is set aside until it is edited, for a fault of channelbeat's own ({fault}): please report it", event)
