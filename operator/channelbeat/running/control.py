"""The control socket of a running instance: one JSON line asks, one JSON line answers.

`{"verb": "trigger", "schedule": "shop/thumbnails", "event": "nightly", "token": 1795224600000 | null}` is answered with an outcome as the
console writes it; `{"verb": "why", "schedule": ..., "event": ..., "due": 1795224600000 | null}` with `{"sentences": [...], "facts": {...}}`;
`{"verb": "resume", "schedule": ..., "event": ...}` with `{"resumed": true | false}`; `{"verb": "layer", "layer": "default"}` with its
`{"url": ..., "prefix": ...}`; what cannot be done with `{"error": SENTENCE}`. The socket's mode is 600: whoever may ask is us.
"""

import asyncio
import json
import os
import select
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from channelbeat.errors import ChannelbeatError, LocalError, UsageError
from channelbeat.running.instance import CONTROL

LONGEST_SOCKET = 103  # bytes, as for Redis's socket
LONGEST_LINE = 1 << 20
PATIENCE = 2  # seconds

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
    stopping = False

    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            conversations.discard(task)
            if task.cancelled():  # perhaps before it began
                writer.write(b'{"error": "channelbeat is stopping"}\n')
            writer.close()

        task = asyncio.create_task(_converse(reader, writer, answer))
        conversations.add(task)
        task.add_done_callback(ended)
        if stopping:  # it was being accepted when we closed
            task.cancel()

    server = await asyncio.start_unix_server(met, sock=bound, limit=LONGEST_LINE)
    try:
        yield
    finally:
        stopping = True
        server.close()
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        path.unlink(missing_ok=True)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
    with suppress(OSError, ValueError):  # it went away, or its line has no end: nobody is there to be told
        if line := await reader.readline():
            reply, gone = asyncio.create_task(_reply(line, answer)), asyncio.create_task(reader.read())
            try:
                await asyncio.wait((reply, gone), return_when=asyncio.FIRST_COMPLETED)
                if reply.done():
                    writer.write(json.dumps(reply.result()).encode() + b"\n")
                    await writer.drain()
            finally:  # whoever asked may have gone: what was not begun is not
                reply.cancel()
                gone.cancel()


async def _reply(line: bytes, answer: Answer) -> Reply:
    try:
        return await answer(json.loads(line))
    except ChannelbeatError as error:
        return {"error": str(error)}
    except (KeyError, TypeError, ValueError) as error:
        return {"error": f"not understood ({error!r}): does this channelbeat have the version of the running one?"}


def ask(directory: Path, request: Request, *, slow: Callable[[], None] | None = None) -> Reply:
    """Blocks until the answer comes, and calls `slow` when that takes more than PATIENCE; LocalError when there is none,
    UsageError with what it objects to."""
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(str(directory / CONTROL))
            link.sendall(json.dumps(request).encode() + b"\n")
            if slow and not select.select([link], [], [], PATIENCE)[0]:
                slow()
            line = link.makefile("rb").readline()
        except OSError as error:
            raise LocalError(f"the channelbeat on {directory} does not answer: {error.strerror}") from None
    if not line:
        raise LocalError(f"the channelbeat on {directory} ended before it answered")
    reply: Reply = json.loads(line)
    if "error" in reply:
        raise UsageError(reply["error"])
    return reply


def key(schedule: str) -> str:
    """`NAMESPACE/NAME` of what people call a schedule."""
    return schedule if "/" in schedule else f"default/{schedule}"
