"""The model of a BeatSchedule: plain frozen dataclasses whose annotations are the rules for each field.

`core/parse.py` is the only reader that applies them; `core/rules.py` has the rules between fields. Lengths of time
and moments are milliseconds. Tens of thousands of schedules are kept in memory, so defaults are shared objects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeVar, dataclass_transform

from annotated_types import MaxLen, MinLen
from pydantic import ConfigDict, with_config
from pydantic.alias_generators import to_camel

from channelbeat.core import checks, payload
from channelbeat.core.checks import Check, OneOf, duration, text, whole
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def value(cls: type[T]) -> type[T]:
    """A frozen, slotted dataclass: camelCase in manifests, unknown fields refused."""
    config = ConfigDict(extra="forbid", alias_generator=to_camel, validate_by_alias=True, validate_by_name=False)
    return with_config(config)(dataclass(frozen=True, slots=True, kw_only=True)(cls))


_STRING: Final = {"type": "string"}

Name = Annotated[str, checks.NAME]
Channel = Annotated[str, checks.CHANNEL]
Group = Annotated[str, checks.GROUP]
Handler = Annotated[str, checks.HANDLER]
Cron = Annotated[str, Check(checks.cron_expression, _STRING | {"minLength": 1, "maxLength": 100})]
Zone = Annotated[str, Check(checks.zone, _STRING | {"minLength": 1, "maxLength": 64})]
Moment = Annotated[Ms, Check(checks.moment, _STRING | {"format": "date-time"})]
Flag = Annotated[bool, Check(checks.true_or_false, {"type": "boolean"})]
Payload = Annotated[Mapping[str, Any], Check(payload.message, {"type": "object", "maxProperties": 64})]
Fields = Annotated[Mapping[str, Any], Check(payload.fields, {"type": "object", "maxProperties": 64})]
Open = Annotated[Mapping[str, Any], Check(payload.anything, {"type": "object"})]
Variable = Annotated[Mapping[str, Any], Check(payload.variable, {"type": "object", "required": ["name"]})]
ObjectName = Annotated[str, checks.OBJECT_NAME]

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def nothing() -> Mapping[str, Any]:
    """The one empty object, read only."""
    return NOTHING


@value
class Missed:
    """What becomes of occurrences that passed while nobody could send, if due within `window`."""

    policy: Annotated[Literal["Skip", "Latest", "All"], OneOf()] = "Latest"
    window: Annotated[Ms, duration("1s", "8760h", "1h")] = HOUR


@value
class Retry:
    """`limit` retries after the first attempt; the wait doubles from `backoff` up to `max_backoff`."""

    limit: Annotated[int, whole(0, 100)] = 3
    backoff: Annotated[Ms, duration("", "24h", "5s")] = 5 * SECOND
    max_backoff: Annotated[Ms, duration("", "24h", "10m")] = 10 * MINUTE


MISSED: Final = Missed()
RETRY: Final = Retry()


@value
class Event:
    """What is sent, and when: exactly one of `cron`, `every` and `at` is set."""

    name: Name
    type: Handler
    cron: Cron | None = None
    every: Annotated[Ms, duration("100ms", "8760h", "30s, 5m or 1h30m (a day is 24h)")] | None = None
    at: Moment | None = None
    time_zone: Zone | None = None
    fields: Fields = field(default_factory=nothing)
    message: Payload | None = None
    suspend: Flag = False
    jitter: Annotated[Ms, duration("", "24h", "30s")] | None = None
    not_before: Moment | None = None
    not_after: Moment | None = None
    missed: Missed = MISSED
    overlap: Annotated[Literal["Allow", "Skip", "BufferOne"], OneOf()] = "Allow"
    start_deadline: Annotated[Ms, duration("1s", "8760h", "1h")] | None = None
    attempt_timeout: Annotated[Ms, duration("1s", "168h", "10m")] = 10 * MINUTE
    retry: Retry = RETRY


@value
class ChannelLayer:
    """A layer of the installation, by name."""

    name: Annotated[str, text(63)] = "default"


LAYER: Final = ChannelLayer()


@value
class TemplateFrom:
    """The Deployment whose pod template is copied; the first container, unless one is named."""

    name: ObjectName
    container: Name | None = None


@value
class ScaleTarget:
    """A Deployment that somebody else owns."""

    api_version: Annotated[Literal["apps/v1"], OneOf()] = "apps/v1"
    kind: Annotated[Literal["Deployment"], OneOf()] = "Deployment"
    name: ObjectName


@value
class Scaling:
    """How many workers."""

    min_replicas: Annotated[int, whole(0, 10_000)] = 0
    max_replicas: Annotated[int, whole(1, 10_000)] = 10
    target_wait: Annotated[Ms, duration("1s", "24h", "30s")] = 30 * SECOND
    events_per_replica: Annotated[int, whole(1, 1_000_000)] = 100
    scale_down_after: Annotated[Ms, duration("", "24h", "5m")] = 5 * MINUTE
    warm_up: Annotated[Ms | Literal["Auto", "Disabled"], Check(checks.warm_up, _STRING | {"maxLength": 32})] = "Auto"


SCALING: Final = Scaling()


@value
class Worker:
    """The workers that listen: exactly one of `template_from`, `template` and `scale_target_ref` is set."""

    template_from: TemplateFrom | None = None
    template: Open | None = None
    scale_target_ref: ScaleTarget | None = None
    resources: Open = field(default_factory=nothing)
    env: Annotated[tuple[Variable, ...], MaxLen(256)] = ()
    channels: Annotated[tuple[Channel, ...], MinLen(1), MaxLen(16)] | None = None
    command: Annotated[tuple[Annotated[str, text(1024)], ...], MinLen(1), MaxLen(32)] = ("python", "manage.py", "runworker")
    concurrency: Annotated[int, whole(1, 256)] = 1
    drain_timeout: Annotated[Ms, duration("1s", "168h", "10m")] | None = None
    scaling: Scaling = SCALING


@value
class Spec:
    """Exactly one of `channel` and `group` is set. `events` leaves out those with a fault."""

    channel: Channel | None = None
    group: Group | None = None
    time_zone: Zone = "UTC"
    suspend: Flag = False
    delivery: Annotated[Literal["BestEffort", "AtLeastOnce"], OneOf()] = "BestEffort"
    channel_layer: ChannelLayer = LAYER
    pause_after_failures: Annotated[int, whole(1, 1000)] | None = None
    events: tuple[Event, ...]
    worker: Worker | None = None


@dataclass(frozen=True, slots=True)
class BeatSchedule:
    """One schedule, as its manifest says it."""

    namespace: str
    name: str
    spec: Spec

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"
