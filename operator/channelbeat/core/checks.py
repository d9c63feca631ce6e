"""How each leaf of the resource is read: annotations that turn one raw value into the model's, or say what it must be.

They raise ValueError with a sentence that has the value's path as its subject ("must be true or false, not 3").
`core/schedule.py` puts them on its fields; pydantic calls them and collects what they say.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from channelbeat.core import instants
from channelbeat.core.instants import Ms
from channelbeat.core.timing import durations, expression, zones


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """`read` answers the model's value or raises ValueError; `schema` says as much of it as JSON Schema can."""

    read: Callable[[object], Any]
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return self.schema


def shown(value: object) -> str:
    """How a sentence names a value: as YAML would write it, cut to a readable length."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return repr(value if len(value) <= 60 else value[:57] + "...")
        case int() | float():
            return f"{value:.6g}" if isinstance(value, float) or abs(value) > 10**20 else str(value)
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
    return f"a {type(value).__name__}"


def either(*choices: str) -> str:
    """`a, b or c`."""
    return listed(*choices, last="or")


def listed(*choices: str, last: str = "and") -> str:
    """`a, b and c`."""
    return f" {last} ".join([", ".join(choices[:-1]), choices[-1]] if len(choices) > 1 else choices)


def text(longest: int, pattern: str = "", must: str = "must be text") -> Check:
    """Text of 1 to `longest` characters, all of which `pattern` describes; `must` says so in words."""
    whole = re.compile(pattern or r"(?s).*")

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be text, not {shown(value)}{_quote(value)}")
        if not value:
            raise ValueError("must not be empty")
        if len(value) > longest:
            raise ValueError(f"must be at most {longest} characters, not {len(value)}")
        if not whole.fullmatch(value) or not encodable(value):
            raise ValueError(f"{must}, not {shown(value)}")
        return sys.intern(value)  # of tens of thousands of names most are the same few

    return Check(read, {"type": "string", "minLength": 1, "maxLength": longest})


def encodable(value: str) -> bool:
    """Whether it is whole Unicode: JSON can write half a character (`"\\ud800"`), no message can carry one."""
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def whole(low: int, high: int) -> Check:
    """A whole number within bounds."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}, not {shown(value)}")
        return value

    return Check(read, {"type": "integer", "minimum": low, "maximum": high})


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the words of the Literal that it annotates."""

    def __get_pydantic_core_schema__(self, source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        words = get_args(source)

        def read(value: object) -> str:
            for word in words:
                if value == word:
                    return str(word)
            raise ValueError(f"must be {either(*words)}, not {shown(value)}")

        return core_schema.no_info_plain_validator_function(read, json_schema_input_schema=core_schema.literal_schema(list(words)))


def duration(low: str, high: str, such_as: str) -> Check:
    """A length of time from `low` (nothing: no lower bound) to `high`, as milliseconds."""
    least, most = durations.parse(low or "0s"), durations.parse(high)
    must = f"must be a duration {f'from {low} to' if low else 'up to'} {high}, such as {such_as}"

    def read(value: object) -> Ms:
        try:
            length = durations.parse(value) if isinstance(value, str) else None
        except ValueError:
            length = None
        if length is None or not least <= length <= most:
            raise ValueError(f"{must}, not {shown(value)}")
        return length

    return Check(read, {"type": "string", "maxLength": 32})


def warm_up(value: object) -> Ms | str:
    """`Auto`, `Disabled` or a length of time."""
    if value in ("Auto", "Disabled"):
        return str(value)
    try:
        return int(_UP_TO_A_DAY.read(value))
    except ValueError:
        raise ValueError(f"must be Auto, Disabled or a duration up to 24h, such as 45s, not {shown(value)}") from None


def zone(value: object) -> str:
    """The name of a time zone."""
    try:
        return zones.zone(value if isinstance(value, str) else "").key
    except ValueError:
        raise ValueError(f"must be an IANA time zone name, such as Europe/Berlin or UTC, not {shown(value)}") from None


def moment(value: object) -> Ms:
    """An RFC 3339 moment."""
    try:
        return instants.parse(value) if isinstance(value, str) else _no_moment()
    except ValueError:
        raise ValueError(f"must be a moment with its offset (RFC 3339), such as 2026-11-21T02:30:00+01:00, not {shown(value)}") from None


def cron_expression(value: object) -> str:
    """Five cron fields, or a macro."""
    if not isinstance(value, str):
        raise ValueError(f"must be text, such as '*/5 * * * *', not {shown(value)}{_quote(value)}")
    return sys.intern(expression.parse(value).text)


def true_or_false(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {shown(value)}")
    return value


def _no_moment() -> Ms:
    raise ValueError


def _quote(value: object) -> str:
    """The cure for words that YAML reads as something else."""
    if isinstance(value, bool):
        return "; quote it, because YAML reads y, n, yes, no, on and off as true and false"
    return "; quote it" if isinstance(value, int | float) else ""


NAME: Final = text(63, "[a-z0-9]([-a-z0-9]*[a-z0-9])?", "must be lower case letters, digits and '-', and must start and end with a letter or digit")
OBJECT_NAME: Final = text(
    253,
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
    "must be the name of a Deployment: lower case letters, digits, '-' and '.', with a letter or digit at both ends and on both sides of each '.'",
)
CHANNEL: Final = text(
    99, "[A-Za-z0-9_.-]+", "may contain letters, digits, '-', '_' and '.' only ('!' marks a channel of one process, which cannot be scheduled to)"
)
GROUP: Final = text(99, "[A-Za-z0-9_.-]+", "may contain letters, digits, '-', '_' and '.' only")
HANDLER: Final = text(128, r"[A-Za-z][A-Za-z0-9_]*([.][A-Za-z0-9_]+)*", "must be the name of a consumer's handler, such as generate or thumbnail.generate")
_UP_TO_A_DAY: Final = duration("", "24h", "45s")
