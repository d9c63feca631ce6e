"""What can be asked of the API server? Each call ends in time, with an answer, or with ApiRefused or ApiUnreachable. The one file of `cluster`
that speaks HTTP."""

# ruff: noqa: ASYNC109 - a call's time is part of what is asked

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote, unquote

import aiohttp

from channelbeat import __version__
from channelbeat.cluster.access import Access
from channelbeat.cluster.answers import asked, event, following, no
from channelbeat.errors import ApiRefused, ApiUnreachable, UsageError

CONNECT: Final = 3.0  # seconds; within a call's own time
WATCH: Final = 300  # seconds after which the server ends a watch, unless it is asked otherwise
LATE: Final = 15.0  # seconds that it may be late with that, before the watch is taken for dead
CLOSING: Final = 0.05  # seconds that asyncio may need to close a connection that was being made
AGENT: Final = f"channelbeat/{__version__}"  # what stands before the slash is who changed a field, in managedFields
MERGE: Final = "application/merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"  # JSON is YAML
METADATA: Final = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
UPWARDS: Final = (".", "..")  # in a path they lead elsewhere


class Api:
    """Paths are full, like `/apis/coordination.k8s.io/v1/namespaces/NS/leases/NAME`; `timeout` is in seconds, from the call to the last byte
    of its answer. Every method may raise

    * ApiRefused: the answer is no, and nothing was done (4xx);
    * ApiUnreachable: there was no answer, or the server stumbled (5xx); what was asked may have been carried out.

    Calls do not wait for each other. A token that is not taken any more is read again, and the call made once more.
    """

    def __init__(self, access: Access, *, timeout: float = 10.0) -> None:
        self.access = access
        self._timeout = timeout
        self._context: ssl.SSLContext | None = None
        self._session: aiohttp.ClientSession | None = None
        self._reading: asyncio.Task[bool] | None = None

    async def get(self, path: str, *, timeout: float | None = None, **query: str) -> dict[str, Any]:
        """An object, or a list (then without pages, unless `limit` is given)."""
        return await self._call("GET", path, timeout=timeout, query=query)

    async def each(self, path: str, *, metadata_only: bool = False, chunk: int = 500, **query: str) -> AsyncIterator[dict[str, Any]]:
        """The objects of a list, read in pages of `chunk`. ApiRefused with status 410 when that took so long that the server forgot the
        rest: begin anew. `metadata_only`: apiVersion, kind and metadata are all that is sent."""
        page: dict[str, Any] = {}
        while True:
            page = await self._call("GET", path, query={**query, "limit": str(chunk), **following(page)}, accept=METADATA if metadata_only else "")
            for item in page.get("items") or []:
                yield item
            if not following(page):
                return

    async def create(self, path: str, body: Mapping[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
        """`path` is the collection's. ApiRefused with 409 when there is one of that name."""
        return await self._call("POST", path, body, timeout=timeout)

    async def replace(self, path: str, body: Mapping[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
        """With a resourceVersion in `body`: ApiRefused with 409 when it is not the newest."""
        return await self._call("PUT", path, body, timeout=timeout)

    async def merge(self, path: str, body: Mapping[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
        """A merge patch."""
        return await self._call("PATCH", path, body, content=MERGE, timeout=timeout)

    async def apply(self, path: str, body: Mapping[str, Any], *, manager: str) -> dict[str, Any]:
        """Server-side apply, forced; a field that the server does not know is refused, and not left out."""
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        return await self._call("PATCH", path, body, content=APPLY, query=query)

    async def delete(self, path: str) -> None:
        """ApiRefused with 404 when there is none."""
        await self._call("DELETE", path)

    async def watch(self, path: str, *, since: str, **query: str) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """(ADDED, MODIFIED, DELETED or BOOKMARK, the object), each as it happens after the resourceVersion `since`; "" tells of what is there
        as ADDED, then goes on. Ends when the server ends it, which `timeoutSeconds` asks for. ApiRefused with status 410: `since` is forgotten,
        list anew. Close it (contextlib.aclosing) when it is left early."""
        question = asked("watch", path)
        lasts = query.setdefault("timeoutSeconds", str(WATCH))
        options = {"allowWatchBookmarks": "true", **query, "watch": "true"} | ({"resourceVersion": since} if since else {})
        async with self._asked("GET", path, lasts=self._timeout, query=options) as response:
            ends = asyncio.get_running_loop().time() + int(lasts) + LATE
            rest = b""
            while piece := await self._read(response, ends, question):  # not by lines: the library's have a largest length
                if b"\n" not in piece:
                    rest += piece
                    continue
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield event(line, question)

    async def close(self) -> None:
        if self._reading:
            self._reading.cancel()
        session, self._session = self._session, None
        if session:
            await session.close()
            await asyncio.sleep(CLOSING)

    async def _read(self, response: aiohttp.ClientResponse, ends: float, question: str) -> bytes:
        """What has arrived; nothing at the end. The time counts here and not where it is read, whose own waiting is not to be cut short."""
        try:
            async with asyncio.timeout_at(ends):
                return await response.content.readany()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ApiUnreachable(f"the API server breaks off its answer to {question}: {_why(error)}") from None

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
        accept: str = "",
    ) -> dict[str, Any]:
        lasts = self._timeout if timeout is None else timeout
        question = asked(method, path)
        try:
            async with asyncio.timeout(lasts), self._asked(method, path, body, lasts=lasts, query=query, content=content, accept=accept) as response:
                answer: Any = json.loads(await response.read())
        except TimeoutError:
            raise ApiUnreachable(f"the API server does not answer {question}: nothing within {lasts:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ApiUnreachable(f"the API server breaks off its answer to {question}: {_why(error)}") from None
        except ValueError:
            raise ApiUnreachable(f"{self.access.server} answers {question} with something else than JSON: is it an API server?") from None
        if not isinstance(answer, dict):
            raise ApiUnreachable(f"{self.access.server} answers {question} with something else than an object: is it an API server?")
        return answer

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        lasts: float,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
        accept: str = "",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The beginning of an answer that is a success, within `lasts` seconds."""
        question = asked(method, path)
        if not set(unquote(path).split("/")).isdisjoint(UPWARDS):
            raise ApiRefused(f"{question} is not asked: no object has a name like that", 404)
        data = json.dumps(body, separators=(",", ":")).encode() if body is not None else None
        headers = {"Accept": accept or "application/json", "Content-Type": content, "User-Agent": AGENT}
        try:
            async with asyncio.timeout(lasts):
                response = await self._request(method, path, data, headers, query or {})
        except TimeoutError as error:
            raise ApiUnreachable(f"the API server does not answer {question}: {str(error) or f'nothing within {lasts:g} s'}") from None
        except (aiohttp.ClientError, OSError, UsageError) as error:
            raise ApiUnreachable(f"the API server does not answer {question}: {_why(error)}") from None
        try:
            if response.status >= 300:
                raise no(question, response.status, await _said(response, lasts))
            yield response
        finally:
            response.release() if response.content.is_eof() else _drop(response)

    async def _request(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], query: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Asks; once more with fresh credentials, if there are any, when ours or the server's are not taken."""
        access = self.access
        try:
            response = await self._once(method, path, data, headers, query)
        except aiohttp.ClientConnectorCertificateError:
            if not await self._renewed(access):
                raise
        else:
            if response.status != 401 or not await self._renewed(access):
                return response
            _drop(response)
        return await self._once(method, path, data, headers, query)

    async def _once(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], query: Mapping[str, str]) -> aiohttp.ClientResponse:
        shown = {**headers, **self.access.headers()}
        if self._context is None:
            self._context = self.access.ssl_context()
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)  # calls that hang do not keep others waiting
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, proxy=self.access.proxy, cookie_jar=aiohttp.DummyCookieJar())
        url = self.access.server + path
        return await self._session.request(method, url, params=query, data=data, headers=shown, ssl=self._context, allow_redirects=False)

    async def _renewed(self, refused: Access) -> bool:
        """Whether there is something else to try with: token and certificates are read again, once for all the calls that were refused."""
        if self.access is not refused:
            return True
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_again())
        return await asyncio.shield(self._reading)  # a plugin may take longer than a call; the next one finds what it said

    async def _read_again(self) -> bool:
        try:
            fresh = await asyncio.to_thread(self.access.fresh)
            self._context = await asyncio.to_thread(fresh.ssl_context)
        except UsageError:
            return False
        self.access = fresh
        return True


def path_of(collection: str, name: str) -> str:
    """That of an object, whatever somebody wrote for its name. ApiRefused with 404 where it leads elsewhere, and where no object can be called so."""
    if not name or name in UPWARDS or "/" in name or "%" in name:  # the server splits a path after it has unquoted it
        raise ApiRefused(f"nothing in {collection} can be called {name!r}", 404)
    return f"{collection}/{quote(name, safe='')}"


def _drop(response: aiohttp.ClientResponse) -> None:
    """With its connection, at once: a farewell is one more answer to wait for, and who ends while a server hangs would leave it open."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()


async def _said(response: aiohttp.ClientResponse, lasts: float) -> str:
    try:
        async with asyncio.timeout(lasts):
            return await response.text(errors="replace") or response.reason or ""
    except (TimeoutError, aiohttp.ClientError, OSError):
        return response.reason or ""


def _why(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {error.host}:{error.port}: {error.os_error.strerror or error.os_error}"
    return str(error) or type(error).__name__
