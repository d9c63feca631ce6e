"""A client whose scripts take the short way: what redis-py does around each command costs a worker more than all the rest of a run.

Its connections, their options, errors and time-outs are redis-py's. For scripts only that may be run twice: one that went out on a connection
which had been closed meanwhile goes out again on a new one.
"""

import asyncio
from collections.abc import Sequence
from hashlib import sha1
from typing import Any

from redis.asyncio import Connection, Redis
from redis.exceptions import ConnectionError, NoScriptError, ReadOnlyError, ResponseError


class Wire(Redis):
    """All else goes redis-py's way."""

    def __init__(self, *, connection_pool: Any) -> None:
        super().__init__(connection_pool=connection_pool)
        self._idle: list[Connection] = []
        self.timeout: float | None = connection_pool.connection_kwargs.get("socket_timeout")
        """Seconds, for each reply."""

    def register_script(self, script: str) -> Any:  # type: ignore[override]  # called alike
        return _Script(self, script)

    def lend(self) -> Connection:
        return self._idle.pop() if self._idle else self._opened()

    def _opened(self) -> Connection:
        connection: Connection = self.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        connection.socket_timeout = None  # sending under one takes a task of its own; see _asked
        return connection

    def take_back(self, connection: Connection) -> None:
        self._idle.append(connection)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)
        await super().aclose(close_connection_pool)


class _Script:
    def __init__(self, wire: Wire, source: str) -> None:
        self._wire = wire
        self._load = ("EVAL", source)  # which also makes Redis remember it
        self._evaluate = ("EVALSHA", sha1(source.encode(), usedforsecurity=False).hexdigest())

    async def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        rest = (len(keys), *keys, *args)
        connection = self._wire.lend()
        fresh = not connection.is_connected
        try:
            if fresh:
                await self._connect(connection)
            try:
                answer = await self._ask(connection, rest)
            except ConnectionError:
                if fresh:
                    raise
                await connection.disconnect(nowait=True)
                await self._connect(connection)
                answer = await self._ask(connection, rest)
        except ReadOnlyError:  # no master any more: another may answer to its name by now
            await connection.disconnect(nowait=True)
            raise
        except ResponseError:
            self._wire.take_back(connection)
            raise
        except BaseException:  # cancelled, too: its reply would be taken for the next one's
            await connection.disconnect(nowait=True)
            raise
        self._wire.take_back(connection)
        return answer

    async def _connect(self, connection: Connection) -> None:
        async with asyncio.timeout(self._wire.timeout):
            await connection.connect()  # type: ignore[no-untyped-call]

    async def _ask(self, connection: Connection, rest: Sequence[Any]) -> Any:
        try:
            return await self._asked(connection, *self._evaluate, *rest)
        except NoScriptError:
            return await self._asked(connection, *self._load, *rest)

    async def _asked(self, connection: Connection, *parts: Any) -> Any:
        async with asyncio.timeout(self._wire.timeout):
            await connection.send_packed_command(_packed(parts), check_health=False)
            return await connection.read_response()


def _packed(parts: Sequence[Any]) -> bytes:
    encoded = [part if type(part) is bytes else str(part).encode() for part in parts]
    return b"*%d\r\n%b" % (len(encoded), b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in encoded]))
