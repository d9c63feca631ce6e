"""How early are workers started for what is due? What a start takes, learned; what is due by then, as workers; who stays for the next event.

An event that is due before a worker could be there counts as if it waited already. Its share of a worker is what it will be once it waits
(`core/scaling.py`), so that a burst which was foreseen gets as many workers as one that was not; a stream gets what its rate keeps busy.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from channelbeat.core.finding import Finding
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.occurrence import Occurrence
from channelbeat.core.schedule import BeatSchedule, Scaling
from channelbeat.core.timing import durations
from channelbeat.core.timing.timetable import Timetable

GUESS: Final[Ms] = 30 * SECOND
"""What a start takes, until one was seen."""
REMEMBERED: Final = 5
LONGEST: Final[Ms] = 15 * MINUTE
"""What takes longer waited for something that an earlier start does not mend: a quota, a node, an image that is not there."""
MARGIN: Final[Ms] = 2 * SECOND
"""As rarely as the scaler looks, besides a quarter of what is learned, by which starts differ."""
LATE: Final[Ms] = 10 * SECOND
"""So long after its time an occurrence counts still: it may be late, or not be seen in its channel yet."""
NEAREST: Final = 10
"""Of one event so many occurrences are looked at: enough to know its rate."""
LEAST: Final = 1e-6
"""The share of one that takes no time at all."""
SHORT_EXPIRY: Final = "ExpiryShorterThanStartUp"

Starts: TypeAlias = tuple[Ms, ...]
"""How long the last starts took, from no worker to the first that listens; the newest last."""
WarmUp: TypeAlias = Ms | Literal["Auto", "Disabled"]


class Forecast(NamedTuple):
    """`share`: how many workers what is due soon calls for, a fraction; any share calls for one. `soon`: a worker that is there stays, because
    it would be started again before long. `until`: as long as time alone changes nothing of it, but for the rate of what is due very often; None for
    ever."""

    share: float
    soon: bool
    until: Ms | None = None


NOTHING: Final = Forecast(0.0, False)


def learn(starts: Starts, took: Ms) -> Starts:
    """After one more start; what took longer than LONGEST was none."""
    return (*starts, max(took, 0))[-REMEMBERED:] if took <= LONGEST else starts


def start_up(starts: Starts) -> Ms:
    """The longest of the last ones: a worker that is early costs seconds of an idle pod, one that is late makes every event of its channel
    late; and among five, a high quantile is the longest. A start that was slow by chance is forgotten after five others."""
    return max(starts, default=GUESS)


def lead(warm_up: WarmUp, starts: Starts) -> Ms | None:
    """How long before an event is due its workers are started; None: they are not."""
    if warm_up == "Disabled":
        return None
    if warm_up != "Auto":
        return warm_up
    return start_up(starts) * 5 // 4 + MARGIN if starts else GUESS


def forecast(timetables: Iterable[Timetable], scaling: Scaling, starts: Starts, *, handling: float | None, concurrency: int, now: Ms) -> Forecast:
    """Of one schedule: `timetables` of those of its events that run, neither suspended nor paused. `handling`: how long one takes in its channel,
    in ms; None until that was measured.

    A worker that is there stays if the next event is due within the lead and `scaleDownAfter`: it would be gone for less than the time that its
    owner lets workers idle. So an event that recurs within twice that keeps one worker."""
    ahead = lead(scaling.warm_up, starts)
    if ahead is None:
        return NOTHING
    share, stays = 0.0, ahead + scaling.scale_down_after
    turns, soon = list[Ms](), False
    for timetable in timetables:
        near, beyond = _near(timetable, now - LATE, now + ahead)
        share += _share(near, now + ahead, scaling, handling, concurrency)
        if near:
            turns.append(near[0].fires + LATE)
            soon = True
        if beyond is not None:
            turns += beyond.fires - ahead, beyond.fires - stays
            soon = soon or beyond.fires - stays <= now
    return Forecast(share, soon, min((turn for turn in turns if turn > now), default=None))


def together(forecasts: Iterable[Forecast]) -> Forecast:
    """Of schedules that have their workers in common."""
    share, soon, until = 0.0, False, None
    for one in forecasts:
        share, soon = share + one.share, soon or one.soon
        until = min((turn for turn in (until, one.until) if turn is not None), default=None)
    return Forecast(share, soon, until)


def short_expiry(schedule: BeatSchedule, plain: Sequence[str], layer: LayerSettings, starts: Starts, floor: int) -> Finding | None:
    """Messages may be dropped before one of its workers is there. `plain`: the keys of the schedules that send some, itself first. `floor`: of all that
    share the workers. Only what was learned counts: 30 s are a guess."""
    spec, took, expiry = schedule.spec, start_up(starts), layer.expiry * SECOND
    if not plain or spec.worker is None or floor > 0 or not starts or expiry >= took:
        return None
    whose, there = ("", "") if plain[0] == schedule.key else (f" of schedule {plain[0]}", " there")
    ahead = lead(spec.worker.scaling.warm_up, starts)
    if ahead is None or ahead < took:
        what = f"an event{whose} (spec.worker.scaling.warmUp is {'Disabled' if ahead is None else durations.text(ahead)})"
    else:
        what = f"an event{whose} that is not foreseen (a trigger, one that the project sends itself)"
    so_long = durations.text(-(-took // SECOND) * SECOND)
    return Finding(
        SHORT_EXPIRY,
        f"spec.channelLayer.name: layer {layer.name!r} drops messages after {durations.text(expiry)} (its expiry), and a worker took up to {so_long} to start: "
        f"while there are none, {what} is dropped before one is there. Keep one with spec.worker.scaling.minReplicas: 1, "
        f"or set delivery: AtLeastOnce{there}, or give the layer an expiry above {so_long}, here and in CHANNEL_LAYERS",
    )


def _near(timetable: Timetable, since: Ms, until: Ms) -> tuple[list[Occurrence], Occurrence | None]:
    """The first that are to be sent in (since, until], and the first after `until`; None too where there are more before it than are looked at."""
    before = timetable.last_due(since - timetable.jitter, since) if timetable.jitter else None  # only the latest due time can have to be sent yet
    occurrence = timetable.next(since if before is None else before - 1)
    found: list[Occurrence] = []
    while occurrence is not None and len(found) < NEAREST:
        if occurrence.fires > until:
            return found, occurrence
        if occurrence.fires > since:
            found.append(occurrence)
        occurrence = timetable.next(occurrence.due)
    return found, None


def _share(near: list[Occurrence], until: Ms, scaling: Scaling, handling: float | None, concurrency: int) -> float:
    if not near:
        return 0.0
    rate = (len(near) - 1) / (near[-1].due - near[0].due) if len(near) > 1 else 0.0
    number = len(near) if len(near) < NEAREST else 1 + rate * (until - near[0].due)
    if handling is None:
        return number / scaling.events_per_replica
    slots = max(min(handling / scaling.target_wait, 1.0), rate * handling, LEAST)
    return min(slots, number) / concurrency
