"""What tests of the broker hand to it: items of a batch, with what a test does not care about filled in.

Due times are small numbers, and so long past.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from channelbeat.broker.sending import RedisBroker
from channelbeat.core.batch import Adopt, Send, Skip, Trigger
from channelbeat.core.instants import Ms

Opened: TypeAlias = Callable[..., RedisBroker]
"""`opened(url, owner=..., silence=..., timeout=..., **settings)`: a broker that is closed after the test."""


def adopt(due: Ms, event: str = "e", *, timing: str = "h", code: str = "new") -> Adopt:
    return Adopt(event, due, timing, code)


def send(due: Ms, event: str = "e", *, channel: str = "c", timing: str = "h", message: Mapping[str, Any] | None = None, logged: bool = False) -> Send:
    return Send(event, due, timing, "enqueued", logged, channel, {"type": "x", "due": due} if message is None else message)


def skip(due: Ms, event: str = "e", *, timing: str = "h", since: Ms | None = None, logged: bool = False) -> Skip:
    return Skip(event, due, timing, "missed/PolicySkip", since, logged)


def trigger(token: Ms, event: str = "e", *, forget: Ms = 0, channel: str | None = "c", message: Mapping[str, Any] | None = None) -> Trigger:
    return Trigger(event, token, forget, channel, {"type": "x", "token": token} if message is None else message)
