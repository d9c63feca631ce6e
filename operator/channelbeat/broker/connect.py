"""From a URL to a client whose every failure is one of ours. redis-py's own retries are off: a batch that is sent twice
behind our back would be answered twice differently."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from channelbeat.core.masking import masked
from channelbeat.errors import LayerRefused, LayerTaken, Stale, StoreChanged, Unreachable, WritesRefused

_REFUSED: Final = re.compile(r"\b(OOM|MISCONF|NOREPLICAS|READONLY)\b")


def options(timeout: float) -> dict[str, Any]:
    """`timeout` in seconds, for connecting and for each reply."""
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": Retry(NoBackoff(), 0), "health_check_interval": 0}


def client(url: str, *, timeout: float) -> Redis:
    return Redis.from_url(url, **options(timeout))


def option_fault(url: str) -> str | None:
    """What is wrong with the options in the URL's query; None if they can be used."""
    try:
        pool = ConnectionPool.from_url(url)
        pool.make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError) as error:
        return f"its URL has options that redis-py refuses ({masked(error)}): correct them or leave them out"
    if pool.connection_kwargs.get("decode_responses"):
        return "its URL has options that turn messages, which are bytes, into text: leave decode_responses out"
    return None


@contextmanager
def errors(layer: str) -> Iterator[None]:
    """redis-py's exceptions, and our scripts' error replies, as errors of ours that name the layer."""
    try:
        yield
    except (ConnectionError, TimeoutError, OSError) as error:
        refused = isinstance(error, AuthenticationError) or isinstance(error.__cause__, AuthenticationError)
        what = "Redis refuses the user or password of its URL" if refused else "Redis does not answer"
        raise Unreachable(f"layer {layer!r}: {what} ({masked(error)})") from None
    except (OutOfMemoryError, ReadOnlyError) as error:  # these come without Redis's word for them
        raise WritesRefused(f"layer {layer!r}: Redis refuses writes ({masked(error)})") from None
    except MasterDownError as error:
        raise Unreachable(f"layer {layer!r}: Redis is not ready ({masked(error)})") from None
    except NoPermissionError as error:
        raise LayerRefused(
            f"layer {layer!r}: its Redis user may not do what channelbeat needs ({masked(error)}): allow it @all on channelbeat:* and the layer's prefix"
        ) from None
    except ResponseError as error:
        raise _of_reply(layer, masked(error)) from None
    except RedisError as error:
        raise Unreachable(f"layer {layer!r}: {masked(error)}") from None


def _of_reply(layer: str, text: str) -> Exception:
    word, _, rest = text.partition(" ")
    match word:
        case "STALE":
            return Stale(f"layer {layer!r}: a newer leader has taken it over")
        case "WIPED" | "ROLLBACK":
            return StoreChanged(f"layer {layer!r}: its Redis is not as we left it ({text})")
        case "TAKEN":
            owner, _, silent = rest.partition(" ")
            since = f"seen {int(silent) / 1000:.0f} s ago"
            return LayerTaken(
                f"layer {layer!r}: another installation ({owner}) drives it, {since}: stop that one, or give this one a prefix of its own; "
                "if it is dead, this one takes over once it has been silent for 5 minutes"
            )
        case "FULL":
            return WritesRefused(f"layer {layer!r}: the queue of channel {rest} has all the runs it may have: let workers catch up first")
        case "BUSY":
            return Unreachable(f"layer {layer!r}: Redis is not ready ({text})")
        case _ if _REFUSED.search(text):  # Redis 6.2 wraps what a script met in words of its own
            return WritesRefused(f"layer {layer!r}: Redis refuses writes ({text})")
        case _:
            return LayerRefused(f"layer {layer!r}: Redis answers {text}")
