"""What is in the way of a schedule, or of its workers."""

from typing import NamedTuple


class Finding(NamedTuple):
    """`reason` is a word for programs, `text` a sentence with its path and its cure."""

    reason: str
    text: str
