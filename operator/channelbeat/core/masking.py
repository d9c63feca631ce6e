"""Keeps passwords out of whatever people read. A leaf: the broker, the log and the worker's image know it."""

import re
from typing import Final

_USERINFO: Final = re.compile(r"//(?:[^\s'\"]*|[^/\s]*)@")  # up to the last @, as a password may have been written with an @ or a / in it
_OPTION: Final = re.compile(r"([?&]password=)[^&#\s'\"]*")  # redis-py takes one in the query as well


def masked(text: object) -> str:
    """Without the user information of any URL in it."""
    shown = str(text)
    if "@" in shown:
        shown = _USERINFO.sub("//***@", shown)
    return _OPTION.sub(r"\1***", shown) if "password=" in shown else shown
