"""The way to the API server, which a test may cut for one program: a port of its own, in a thread of its own."""

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from support.cluster import HERE, ControlPlane

T = TypeVar("T")
CHUNK: Final = 1 << 16


class Link:
    """`kubeconfig` leads through it, as the administrator."""

    def __init__(self, kube: ControlPlane, name: str) -> None:
        self._to = urlsplit(kube.url).port
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._passing = set[asyncio.Task[Any]]()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._ask(asyncio.start_server(self._connected, HERE, 0))
        port = self._server.sockets[0].getsockname()[1]
        self.kubeconfig = self._written(kube, name, port)

    @staticmethod
    def _written(kube: ControlPlane, name: str, port: int) -> Path:
        """As a proxy of HTTPS: the server's address stays, and with it the installation's identity."""
        path = kube.write_kubeconfig(name, kube.token)
        config = json.loads(path.read_text())
        config["clusters"][0]["cluster"]["proxy-url"] = f"http://{HERE}:{port}"
        path.write_text(json.dumps(config))
        return path

    def cut(self) -> None:
        """Nothing passes, in either direction; connections stay open, and new ones are taken."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def mend(self) -> None:
        """Those connections end, and what was on its way in them is lost; new ones pass."""

        def opened() -> None:
            for connection in self._passing:
                connection.cancel()
            self._open.set()

        self._loop.call_soon_threadsafe(opened)

    def close(self) -> None:
        self._ask(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task, ends = asyncio.current_task(), [writer]
        assert task
        try:
            await self._open.wait()
            await reader.readuntil(b"\r\n\r\n")  # CONNECT 127.0.0.1:PORT
            far_reader, far_writer = await asyncio.open_connection(HERE, self._to)
            ends.append(far_writer)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            pumps = asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            self._passing.add(task)
            await pumps
        except (OSError, EOFError, asyncio.CancelledError):  # a stream of Python 3.11 makes a noise about a task that was cancelled
            return
        finally:
            self._passing.discard(task)
            for end in ends:
                end.transport.abort()
            await asyncio.sleep(0)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        await self._open.wait()
        if writer.can_write_eof():
            writer.write_eof()


@contextmanager
def link(kube: ControlPlane, name: str = "link") -> Iterator[Link]:
    made = Link(kube, name)
    try:
        yield made
    finally:
        made.close()
