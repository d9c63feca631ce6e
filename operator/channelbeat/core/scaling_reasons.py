"""Why is the number of workers what it is? A closed list of reasons, which log, metric and `describe` speak in, and each as a sentence for people.

| reason | the number is what it is because |
|---|---|
| Floor | `minReplicas` asks for so many |
| Load | so many are needed for what waits and what is in flight |
| Forecast | so many are needed for what is due before a worker could be there |
| InFlight | so many are at work, and none of them is stopped |
| KeptWarm | the last one stays for an event that is due soon |
| UnknownLoad | it is not known what waits, and then nobody goes |
| ScaleDownDelay | so many were needed less than `scaleDownAfter` ago |
| Ceiling | more are called for, and `maxReplicas` allows no more |
| Suspended | its schedules are suspended, and `minReplicas` asks for so many |
| Zero | there is nothing to do |
| NotNamed | no schedule names it any more: it is left as it is |

Where several reasons call for the same number, the first of them is told.
"""

from enum import StrEnum

from channelbeat.core.instants import Ms
from channelbeat.core.timing import durations


class Reason(StrEnum):
    """In the order in which they are told."""

    FLOOR = "Floor"
    LOAD = "Load"
    FORECAST = "Forecast"
    IN_FLIGHT = "InFlight"
    KEPT_WARM = "KeptWarm"
    UNKNOWN_LOAD = "UnknownLoad"
    SCALE_DOWN_DELAY = "ScaleDownDelay"
    CEILING = "Ceiling"
    SUSPENDED = "Suspended"
    ZERO = "Zero"
    NOT_NAMED = "NotNamed"


def sentence(reason: Reason, number: int, *, parties: int, work: str, delay: Ms, stock: bool) -> str:
    """`parties`: how many schedules share the workers; `work`: what waits, in words; `delay`: their scaleDownAfter."""
    match reason:
        case Reason.FLOOR:
            return f"{sums('minReplicas', number, parties)}{_but('what is due soon', stock)}"
        case Reason.LOAD:
            return f"{work} call for {number}"
        case Reason.FORECAST:
            return f"what is due before a worker could be there calls for {number}{_but('minReplicas', stock)}"
        case Reason.IN_FLIGHT:
            return f"what is in hand keeps {number} at work"
        case Reason.KEPT_WARM:
            return f"the last one stays, because an event is due soon{_but('minReplicas', stock)}"
        case Reason.UNKNOWN_LOAD:
            return f"it is not known what waits, so that {number} stay"
        case Reason.SCALE_DOWN_DELAY:
            return f"{number} were called for less than {durations.text(delay)} (scaleDownAfter) ago"
        case Reason.SUSPENDED:
            return f"suspended: what is due does not count; {sums('minReplicas', number, parties)}"
        case _:
            return f"nothing is due soon{_but('minReplicas', stock)}" if stock else "nothing waits, is in flight or is due soon"


def _but(what: str, stock: bool) -> str:
    """What else could call for workers, where what waits cannot."""
    return f" (with stock workers only that and {what} count, because they fetch what waits)" if stock else ""


def sums(field: str, total: int, parties: int) -> str:
    return f"{field} is {total}" if parties == 1 else f"{field} of {parties} schedules add up to {total}"
