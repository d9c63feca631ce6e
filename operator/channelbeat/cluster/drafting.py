"""What is the status of a schedule to be, and when will it be another without anybody telling us?"""

import logging
from collections.abc import Mapping
from typing import Any, Final

from channelbeat.cluster.facts import Sources, gather
from channelbeat.cluster.layer_troubles import STEADY
from channelbeat.cluster.ledger import Tallies
from channelbeat.cluster.pace import backoff
from channelbeat.cluster.writing import Draft, Tracked
from channelbeat.core import status
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.runs import Stats
from channelbeat.core.status import Facts
from channelbeat.core.workers import Workers

log: Final = logging.getLogger("channelbeat.status")

PAUSES: Final[Ms] = 10 * SECOND
"""Between two looks at an event that is paused: nobody tells us when that ends."""
SETTLES: Final[Ms] = SECOND // 2
"""To the first of the looks for whether events are settled."""


def draft(object_: Tracked, sources: Sources, tallies: Tallies, known: Mapping[str, Stats], *, now: Ms, passed: Ms) -> tuple[Draft, Facts]:
    """`now`: by the clock, `passed`: by the stopwatch."""
    found = gather(object_.seen, sources, tallies, known, now=now, passed=passed)
    had, workers = object_.status(passed), found.case.workers
    why = workers.decision.sentence if workers is not None and workers.decision is not None else ""
    return Draft(had, status.make(had, found, now), tallies, why), found


def staff(workers: Workers | None) -> tuple[object, ...]:
    """What of it people wait for."""
    if workers is None:
        return ()
    return workers.desired, workers.staying, workers.trouble.reason if workers.trouble is not None else None


def stumbled(object_: Tracked) -> None:
    """Over it, in an `except`: a fault of ours is told once, and one schedule stops no other."""
    if not object_.stumbled:
        object_.stumbled = True
        log.exception("the status of %s cannot be made, for a fault of channelbeat's own: please report it", object_.seen.key)


def turns(found: Facts, has: Mapping[str, Any], now: Ms) -> Ms | None:
    """In how long it may be another: a pause may have ended, or the last due time has passed, and it is completed. None: somebody will tell."""
    pauses = [PAUSES] if any("paused" in event for event in has.get("eventStatuses", ())) else []
    comings = [event.coming for event in found.events if event.coming is not None]
    if not comings or not all(coming.last for coming in comings):
        return min(pauses, default=None)
    left = max(coming.due for coming in comings) - now
    return min([left + 2 * SECOND if left > 0 else MINUTE, *pauses])


def settles(object_: Tracked, found: Facts) -> Ms:
    """In how long to look again for whether its events are settled, the layer being well."""
    ahead = any(event.coming is not None for event in found.events)
    return backoff(object_.unsettled, SETTLES if ahead else STEADY, MINUTE)
