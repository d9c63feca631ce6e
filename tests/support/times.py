"""One day of the past, on which tests with a clock of their own play: its moments as short text."""

from channelbeat.core import instants
from channelbeat.core.instants import Ms

DAY = "2025-06-02"  # a Monday


def at(text: str) -> Ms:
    """`12:00:05`, `12:00:05.100`, or with another date `2025-06-01T12:00:05`: all of them UTC."""
    return instants.parse(f"{text if 'T' in text else f'{DAY}T{text}'}Z")


def short(moment: Ms | str) -> str:
    """The other way round: on another day, and for a run that is no moment, all of it."""
    text = moment if isinstance(moment, str) else instants.text(moment)
    return text.removeprefix(f"{DAY}T").removesuffix("Z")


NOON = at("12:00:00")
