"""What of a long text is worth telling? Other people's words, masked and cut: of a program that ended, what it ended with."""

import re
from collections.abc import Sequence
from typing import Final

from channelbeat.core.masking import masked

LONGEST: Final = 400
"""Characters. The sentence around them names the cure, and is to be read, too."""
LOGGED: Final = 2_048
"""Bytes of a container's log that Kubernetes keeps as its last words: it may begin in the middle of a URL."""
LINES: Final = 3
LATEST: Final = 10
"""A traceback that so many lines follow is not what it ended with."""

_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_RAISED: Final = re.compile(r"[A-Za-z_][\w.]*(: .*)?")
_TRACEBACK: Final = "Traceback (most recent call last)"


def cut(text: object, longest: int = LONGEST) -> str:
    """In one line, without user information in URLs."""
    shown = " ".join(masked(text).split())  # masked before it is cut: half a URL hides nothing
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def last_words(message: str) -> str:
    """The exception of a traceback, if it ended with one, else its last lines; empty if it said nothing."""
    if len(message.encode()) >= LOGGED:
        message = re.split(r"\s", message, maxsplit=1)[-1]
    lines = [line.rstrip() for line in _UNPRINTABLE.sub("", _COLOURS.sub("", message)).splitlines()]
    lines = [line for line in lines if line]
    raised = _raised(lines)
    if raised is not None:
        return cut(" | ".join(lines[raised:][:LINES]))
    if lines and ": error: " in lines[-1]:  # argparse: the lines before it tell its usage
        return cut(lines[-1])
    return cut(" | ".join(line.strip() for line in lines[-LINES:]))


def _raised(lines: Sequence[str]) -> int | None:
    """The line that names the last exception: the one below the last frame, which is indented. The first line of a traceback may be cut off."""
    for at in range(len(lines) - 1, max(len(lines) - 1 - LATEST, 0), -1):
        if lines[at - 1].startswith("  ") and not lines[at].startswith((" ", _TRACEBACK)) and _RAISED.fullmatch(lines[at]):
            return at
    return None
