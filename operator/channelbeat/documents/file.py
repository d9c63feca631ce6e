"""A file on which something depends -> the values in it, or a sentence about each fault."""

from pathlib import Path
from typing import Any

from channelbeat.documents.notation import Unreadable
from channelbeat.documents.stream import read, text
from channelbeat.errors import UsageError


def values(path: Path) -> list[Any]:
    """Of its documents. UsageError has every fault, a line each."""
    try:
        found = [*read(text(path.read_bytes()))]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except Unreadable as error:
        raise UsageError(f"{path}: {error}") from None
    if problems := [document.problem for document in found if document.problem]:
        raise UsageError("\n".join(f"{path}: {problem}" for problem in problems))
    return [document.value for document in found]
