"""A connection to Redis on which the replies to a script come late or never, although it was carried out."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

CHUNK = 1 << 20


class Proxy:
    """For clients that ask one thing at a time on a connection. `arrives` is asked before each reply of the script is passed on, with the
    number of the call; for False the connection ends."""

    def __init__(self, server: Path, source: str, arrives: Callable[[int], Awaitable[bool]]) -> None:
        self._server, self._arrives = server, arrives
        self._sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest().encode()
        self._connections = set[asyncio.Task[None]]()
        self.calls = 0

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self._server, limit=CHUNK)
        try:
            while asked := await reader.read(CHUNK):
                to_server.write(asked)
                said = await from_server.read(CHUNK)
                if self._sha in asked and not said.startswith(b"-NOSCRIPT"):
                    self.calls += 1
                    if not await self._arrives(self.calls):
                        break
                writer.write(said)
        finally:
            for stream in (writer, to_server):
                stream.close()
                with suppress(OSError):
                    await stream.wait_closed()

    async def close(self) -> None:
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


@asynccontextmanager
async def between(server: Path, socket: Path, source: str, arrives: Callable[[int], Awaitable[bool]]) -> AsyncIterator[Proxy]:
    """It listens on `socket`, and passes all on to that of the `server`; `source` is the script."""
    proxy = Proxy(server, source, arrives)
    listening = await asyncio.start_unix_server(proxy.connected, socket, limit=CHUNK)
    try:
        yield proxy
    finally:
        listening.close()
        await proxy.close()
