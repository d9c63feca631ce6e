"""Which events this process has handled: their numbers, in a file of its own that outlives it however it is killed.

A mapped page is the kernel's, so a number is there for others as soon as it is written, which takes a fraction of a microsecond.
"""

import mmap
import os
from itertools import count, takewhile
from pathlib import Path
from typing import Final

ROOM = 1_000_000
CHUNK = 16_384
TYPECODE: Final = "I"
WIDTH = 4

_places = count()
_page: memoryview | None = None


def handled(number: int) -> None:
    """It is written one higher: 0 is where nothing was written yet."""
    global _page
    if _page is None:  # not before: a pool's processes are forked from one that handles nothing
        _page = _open(Path(os.environ["RECORD"]) / str(os.getpid()))
    _page[next(_places)] = number + 1


def _open(path: Path) -> memoryview:
    with path.open("w+b") as file:
        file.truncate(ROOM * WIDTH)
        return memoryview(mmap.mmap(file.fileno(), 0)).cast(TYPECODE)


def written(path: Path, after: int) -> list[int]:
    """The next numbers that process has written, after the first `after`: up to CHUNK of them."""
    with path.open("rb") as file:
        file.seek(after * WIDTH)
        page = memoryview(file.read(CHUNK * WIDTH)).cast(TYPECODE)
    return [number - 1 for number in takewhile(bool, page)]
