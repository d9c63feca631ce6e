"""The control socket of a running instance: one JSON line asks, one JSON line answers.

`{"verb": "trigger", "schedule": "shop/thumbnails", "event": "nightly", "token": 1795224600000 | null}` is answered with an outcome as the
console writes it; `{"verb": "why", "schedule": ..., "event": ..., "due": 1795224600000 | null}` with `{"sentences": [...], "facts": {...}}`;
what cannot be done with `{"error": SENTENCE}`. The socket's mode is 600: whoever may ask is us.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from channelbeat.errors import ChannelbeatError, LocalError, UsageError
from channelbeat.local.instance import CONTROL

LONGEST_SOCKET = 103  # bytes, as for Redis's socket
LONGEST_LINE = 1 << 20

Request: TypeAlias = Mapping[str, Any]
Reply: TypeAlias = dict[str, Any]
Answer: TypeAlias = Callable[[Request], Coroutine[Any, Any, Reply]]


@asynccontextmanager
async def listening(directory: Path, answer: Answer) -> AsyncIterator[None]:
    """Answers while the context lasts; LocalError when the folder is too deep for a socket."""
    path = directory / CONTROL
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        raise LocalError(f"{path} is too long for a unix socket ({LONGEST_SOCKET} bytes): keep the data elsewhere with --data, as in --data /tmp/beat")
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(path))  # nobody but us gets into the folder, and nobody is heard before we listen
    path.chmod(0o600)
    conversations: set[asyncio.Task[None]] = set()

    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_converse(reader, writer, answer))
        conversations.add(task)
        task.add_done_callback(conversations.discard)

    server = await asyncio.start_unix_server(met, sock=bound, limit=LONGEST_LINE)
    try:
        yield
    finally:
        server.close()
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        path.unlink(missing_ok=True)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
    try:
        if line := await reader.readline():
            writer.write(json.dumps(await _reply(line, answer)).encode() + b"\n")
            await writer.drain()
    except (OSError, ValueError):
        pass  # it went away, or its line has no end: nobody is there to be told
    except asyncio.CancelledError:
        writer.write(b'{"error": "channelbeat local is stopping"}\n')
        raise
    finally:
        writer.close()


async def _reply(line: bytes, answer: Answer) -> Reply:
    try:
        return await answer(json.loads(line))
    except ChannelbeatError as error:
        return {"error": str(error)}
    except (KeyError, TypeError, ValueError) as error:
        return {"error": f"not understood ({error!r}): does this channelbeat have the version of the running one?"}


def ask(directory: Path, request: Request) -> Reply:
    """Blocks until the answer comes, however long that takes; LocalError when there is none, UsageError with what it objects to."""
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(str(directory / CONTROL))
            link.sendall(json.dumps(request).encode() + b"\n")
            line = link.makefile("rb").readline()
        except OSError as error:
            raise LocalError(f"the channelbeat local on {directory} does not answer: {error.strerror}") from None
    if not line:
        raise LocalError(f"the channelbeat local on {directory} ended before it answered")
    reply: Reply = json.loads(line)
    if "error" in reply:
        raise UsageError(reply["error"])
    return reply
