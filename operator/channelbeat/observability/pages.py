"""Serves a handful of pages over HTTP to probes and to Prometheus: read only, and no line in the log for each."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from channelbeat.errors import UsageError
from channelbeat.observability.address import Address
from channelbeat.observability.page import Ask, Handler, Page

log: Final = logging.getLogger("channelbeat.pages")

LAST_WORD: Final = 1.0
"""Seconds that an answer under way holds up our end."""


@asynccontextmanager
async def serving(host: str | None, port: int, handlers: Mapping[str, Handler]) -> AsyncIterator[int]:
    """The pages, by path, as long as the body runs, which is given the port (another than asked for if that is 0). `host` None: every
    address. UsageError when nobody can listen there."""
    app = web.Application()
    for path, handler in handlers.items():
        app.router.add_get(path, _answering(path, handler))  # and HEAD with it
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=LAST_WORD)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise UsageError(
                f"nothing can listen on {Address(host, port)} ({error.strerror or error}): give a free address of this machine with --listen HOST:PORT"
            ) from None
        yield min(runner.addresses, key=len)[1]  # of IPv4, where there is one: asked for any port, the other family has another
    finally:
        await runner.cleanup()


def _answering(path: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            page = await handler(Ask(dict(request.query), {name.title(): value for name, value in request.headers.items()}))
        except Exception:
            log.exception("page %s cannot be made, for a fault of channelbeat's own: please report it", path)
            page = Page("this page cannot be made; the log says why\n", status=500)
        body = page.body.encode() if isinstance(page.body, str) else page.body
        headers = {"Content-Type": page.content_type, "Cache-Control": "no-store", "Server": "channelbeat", **page.headers}
        return web.Response(body=body, status=page.status, headers=headers)

    return answer
