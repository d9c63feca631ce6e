"""A file on which something depends, and in which secrets may stand -> the values in it, or a sentence about each fault."""

from pathlib import Path
from typing import Any

from channelbeat.documents.notation import Unreadable
from channelbeat.documents.stream import Document, read, text
from channelbeat.errors import UsageError


def values(path: Path) -> list[Any]:
    """Of its documents. UsageError has every fault, a line each, and nothing that stands in the file."""
    try:
        found = [*read(text(path.read_bytes()))]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except Unreadable as error:
        raise UsageError(f"{path}: {error}") from None
    if broken := [document for document in found if document.problem]:
        raise UsageError("\n".join(f"{path}: {_where(document)}" for document in broken))
    return [document.value for document in found]


def _where(broken: Document) -> str:
    """For its problem may have some of the text."""
    place = f"line {broken.line}, column {broken.column}" if broken.column else f"line {broken.line}"
    return f"{place}: is no YAML, and not shown as it may be a secret; look at the indentation there and above, and quote text that begins with *, &, ! or @"
