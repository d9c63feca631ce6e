"""What a YAML scalar without quotes means to kubectl: go-yaml v2's rules, and what becomes of the value in JSON."""

import re
from functools import lru_cache
from typing import Any, Final

_WORDS: Final[dict[str, Any]] = {
    **{form: True for word in ("y", "yes", "true", "on") for form in (word, word.title(), word.upper())},
    **{form: False for word in ("n", "no", "false", "off") for form in (word, word.title(), word.upper())},
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{sign + form: float(sign + "inf") for sign in ("", "+", "-") for form in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER: Final = re.compile(r"([-+]?)(?:0[bB]([01]+)|0[xX]([0-9a-fA-F]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_BASES: Final = (2, 16, 8, 10)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LONGEST_INTEGER: Final = 300


@lru_cache(8192)
def resolve(plain: str) -> Any:
    """Text, a number, true, false or null. An integer beyond 64 bits stays whole, so that it can be refused."""
    if plain in _WORDS:
        return _WORDS[plain]
    if plain[0] not in "+-.0123456789":
        return plain
    digits = plain if plain[0] == "." else plain.replace("_", "")
    if len(digits) < _LONGEST_INTEGER and (match := _INTEGER.fullmatch(digits)):
        sign, *found = match.groups()
        value = next(int(number, base) for number, base in zip(found, _BASES, strict=True) if number)
        return -value if sign == "-" else value
    return number(digits, plain) if _FLOAT.fullmatch(digits) else plain


def number(digits: str, plain: str | None = None) -> int | float | str:
    """A number with a fraction or an exponent: a whole one is an integer in JSON, one beyond all floats is text."""
    value = float(digits)
    if value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value if abs(value) < float("inf") else plain or digits
