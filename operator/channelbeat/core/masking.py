"""Keeps passwords out of whatever people read. A leaf: the broker, the log and the worker's image know it."""

import re
from typing import Final

_WORD: Final = re.compile(r"[^\s'\"]+")
_QUOTED: Final = re.compile(r"//(?!\*\*\*@)[^/\s]*@")  # a password may have been written with a quote in it
_OPTION: Final = re.compile(r"([?&]password=)[^&#\s'\"]*")  # redis-py takes one in the query as well


def masked(text: object) -> str:
    """Without the user information of any URL in it."""
    shown = str(text)
    if "@" in shown:
        shown = _QUOTED.sub("//***@", _WORD.sub(_masked_word, shown))
    return _OPTION.sub(r"\1***", shown) if "password=" in shown else shown


def _masked_word(word: re.Match[str]) -> str:
    """Up to its last @, as a password may have been written with an @ or a / in it. A pattern would take the square of its length."""
    text = word.group()
    begin, end = text.find("//"), text.rfind("@")
    return f"{text[:begin]}//***@{text[end + 1 :]}" if 0 <= begin < end - 1 else text
