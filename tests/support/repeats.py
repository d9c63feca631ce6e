"""A message that is sent again replaces itself while it waits, and no test would see that it was: so, in tests, each has something random in front."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from channelbeat.broker import rows

FRONT: Final = rows.front


@contextmanager
def that_show() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rows, "front", lambda run, length: os.urandom(length))
        yield


@contextmanager
def that_replace() -> Iterator[None]:
    """As it really is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rows, "front", FRONT)
        yield
