"""One event as the engine runs it: what to send where, and when, taken out of its schedule."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from channelbeat.core import envelope
from channelbeat.core.batch import Tracked, queue_of
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.runs import Policy
from channelbeat.core.schedule import BeatSchedule, Event, Spec
from channelbeat.core.timing import timetable
from channelbeat.core.timing.timetable import Timetable

RARE = 10 * SECOND
"""Events with at least this period have each decision logged."""
KINDS: Final = 1_024
"""How many different policies are kept at hand."""


@dataclass(frozen=True, slots=True)
class Definition:
    """`created` is when the object was made, where that is known. `hash` changes with whatever changes the due times or
    whether they count; a fence of another hash belongs to an earlier life of the event. `logged`: each decision is.
    `policy` is how its runs are to be handled; None under BestEffort, whose messages are nobody's runs."""

    key: str
    schedule: str
    event: Event
    layer: str
    channel: str | None
    group: str | None
    suspended: bool
    timetable: Timetable
    hash: str
    logged: bool
    created: Ms | None
    policy: Policy | None = None

    @property
    def target(self) -> str | None:
        """Where it goes: its channel, or that channel's queue when it is tracked; None for a group."""
        return self.channel if self.policy is None or self.channel is None else queue_of(self.channel)

    @property
    def may_be_declined(self) -> bool:
        """The layer may decide a due time without making a run of it, and only its answer says so."""
        return self.policy is not None and (self.policy.overlap != "Allow" or self.policy.pause_after > 0)

    def tracked(self, run: str) -> Tracked | None:
        return None if self.policy is None else Tracked(run, _text(self.policy))

    def message(self, run: str, due: Ms) -> dict[str, Any]:
        event = self.event
        return envelope.message(event.type, event.fields, event.message, schedule=self.schedule, event=event.name, run=run, due=due)


def compile_schedule(schedule: BeatSchedule, *, created: Ms | None = None, without: Collection[str] = ()) -> tuple[Definition, ...]:
    """The definitions of a schedule's events, those named in `without` left out."""
    name = schedule.key  # made once: there are tens of thousands
    return tuple(_compile(name, schedule.spec, event, created) for event in schedule.spec.events if event.name not in without)


def _compile(schedule: str, spec: Spec, event: Event, created: Ms | None) -> Definition:
    key = f"{schedule}/{event.name}"
    times = timetable.of(event, zone=spec.time_zone, key=key)
    suspended = spec.suspend or event.suspend
    return Definition(
        key=key,
        schedule=schedule,
        event=event,
        layer=spec.channel_layer.name,
        channel=spec.channel,
        group=spec.group,
        suspended=suspended,
        timetable=times,
        hash=f"{times.hash}s" if suspended else times.hash,
        logged=times.period is None or times.period >= RARE,
        created=created,
        policy=None if spec.delivery == "BestEffort" else _policy(event, spec),
    )


def _policy(event: Event, spec: Spec) -> Policy:
    retry, pause = event.retry, spec.pause_after_failures
    version = "-" if pause is None else _version(event, pause)
    return _shared(
        Policy(
            limit=retry.limit,
            backoff=retry.backoff,
            max_backoff=retry.max_backoff,
            timeout=event.attempt_timeout,
            start_deadline=event.start_deadline or 0,
            overlap=event.overlap,
            pause_after=pause or 0,
            version=version,
        )
    )


@lru_cache(maxsize=KINDS)
def _shared(policy: Policy) -> Policy:
    """The one of its kind: of a hundred thousand events most are handled alike."""
    return policy


@lru_cache(maxsize=KINDS)
def _text(policy: Policy) -> str:
    return policy.text()


def _version(event: Event, pause_after: int) -> str:
    """12 hex digits over all that an edit of the event can change; the same in every process."""
    written = json.dumps([event, pause_after], default=_plain, sort_keys=True)
    return blake2b(written.encode(), digest_size=6).hexdigest()


def _plain(value: Any) -> dict[str, Any]:
    """Of what JSON does not know: the model's dataclasses, and mappings that are no dicts."""
    return dict(value) if isinstance(value, Mapping) else {field.name: getattr(value, field.name) for field in fields(value)}
