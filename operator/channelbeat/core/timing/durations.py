"""Lengths of time as Kubernetes writes them: `100ms`, `30s`, `1h30m`. Whole numbers only; the largest unit is the hour."""

import re
from functools import lru_cache
from typing import Final

from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms

PATTERN: Final = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
_WHOLE: Final = re.compile(PATTERN.strip("^$"))
_PART: Final = re.compile(r"([0-9]+)(ms|h|m|s)")
_UNITS: Final = {"h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1}


@lru_cache(4096)
def parse(text: str) -> Ms:
    """The length that `text` names; ValueError shows how to write one."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no duration: write it like 100ms, 30s, 5m or 1h30m (a day is 24h)")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def text(length: Ms) -> str:
    """The shortest way to write it: `1h30m`; `0s` for none."""
    parts = []
    for unit, size in _UNITS.items():
        number, length = divmod(length, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"
