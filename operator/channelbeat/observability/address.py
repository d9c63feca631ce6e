"""Where to listen, as people write it."""

import re
from typing import Final, NamedTuple

from channelbeat.errors import UsageError

_WRITTEN: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%a-z]+)\]|(?P<host>[^\[\]:]*)):(?P<port>[0-9]{1,5})")


class Address(NamedTuple):
    """`host` None: every address of the machine, of IPv4 and IPv6."""

    host: str | None
    port: int

    def __str__(self) -> str:
        shown = "" if self.host is None else f"[{self.host}]" if ":" in self.host else self.host
        return f"{shown}:{self.port}"


def address(text: str) -> Address:
    """`0.0.0.0:8080`, `[::]:8080`, `localhost:8080`, or `:8080` for all there are. UsageError for anything else."""
    found = _WRITTEN.fullmatch(text)
    if found is None or int(found["port"]) > 65_535:
        raise UsageError(f"--listen {text}: write HOST:PORT, such as 0.0.0.0:8080, [::]:8080, or :8080 for every address of IPv4 and IPv6")
    return Address(found["six"] or found["host"] or None, int(found["port"]))
