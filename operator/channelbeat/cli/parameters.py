"""How moments and lengths of time are written on the command line."""

from collections.abc import Callable
from typing import Any

import click

from channelbeat.core import instants
from channelbeat.core.instants import Ms
from channelbeat.core.timing import durations


class _Read(click.ParamType[Ms]):
    def __init__(self, name: str, read: Callable[[str], Ms]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Ms:
        try:
            return self._read(value) if isinstance(value, str) else int(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = _Read("duration", durations.parse)
"""Milliseconds."""

TIME = _Read("time", instants.parse)
"""Milliseconds since the Unix epoch."""
