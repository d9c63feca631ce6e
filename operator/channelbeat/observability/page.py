"""What is asked of us over HTTP, and what we answer: the words of pages.py, without its library."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeAlias

PLAIN = "text/plain; charset=utf-8"


class Ask(NamedTuple):
    """`query` as after the `?`; a word without a value has "". Header names are as their standard writes them."""

    query: Mapping[str, str]
    headers: Mapping[str, str]


class Page(NamedTuple):
    """`body` of text is told in UTF-8. `headers` beside the content type."""

    body: str | bytes
    status: int = 200
    content_type: str = PLAIN
    headers: Mapping[str, str] = {}


Handler: TypeAlias = Callable[[Ask], Awaitable[Page]]
