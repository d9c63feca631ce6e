"""The pages over HTTP, as a probe or Prometheus asks for them."""

import asyncio
import logging
import socket

import aiohttp
import pytest

from channelbeat.errors import UsageError
from channelbeat.observability import pages
from channelbeat.observability.address import Address, address
from channelbeat.observability.page import Ask, Page


def ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
        return True


async def ok(_: Ask) -> Page:
    return Page("ok\n")


async def asked(url: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """Status, body, content type."""
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as response:
        return response.status, await response.text(), response.headers["Content-Type"]


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not ipv6(), reason="no IPv6 here")), None])
async def test_a_page_is_served_at_the_port_that_is_told(host: str | None) -> None:
    async with pages.serving(host, 0, {"/healthz": ok}) as port:
        shown = "[::1]" if host == "::1" else "127.0.0.1"
        assert await asked(f"http://{shown}:{port}/healthz") == (200, "ok\n", "text/plain; charset=utf-8")


async def test_the_page_is_what_its_handler_says() -> None:
    async def odd(ask: Ask) -> Page:
        return Page(f"{dict(ask.query)} {ask.headers['X-Word']}".encode(), status=503, content_type="text/odd", headers={"X-More": "yes"})

    async with pages.serving("127.0.0.1", 0, {"/odd": odd}) as port:
        assert await asked(f"http://127.0.0.1:{port}/odd?verbose&a=b", **{"x-word": "heard"}) == (503, "{'verbose': '', 'a': 'b'} heard", "text/odd")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("HEAD", "/p", 200), ("POST", "/p", 405), ("DELETE", "/p", 405), ("GET", "/", 404), ("GET", "/p/x", 404)]
)
async def test_there_is_nothing_else_to_be_had(method: str, path: str, status: int) -> None:
    async with pages.serving("127.0.0.1", 0, {"/p": ok}) as port:
        found, body, _ = await asked(f"http://127.0.0.1:{port}{path}", method)
        assert found == status
        assert body == "" or method != "HEAD"


async def test_a_page_that_cannot_be_made_says_so_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Ask) -> Page:
        raise ValueError("secret of ours")

    async with pages.serving("127.0.0.1", 0, {"/p": broken, "/ok": ok}) as port:
        status, body, _ = await asked(f"http://127.0.0.1:{port}/p")
        assert (status, body) == (500, "this page cannot be made; the log says why\n")
        assert (await asked(f"http://127.0.0.1:{port}/ok"))[0] == 200
    assert "secret of ours" in caplog.text


async def test_no_request_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with pages.serving("127.0.0.1", 0, {"/p": ok}) as port:
        for path in ("/p", "/none"):
            await asked(f"http://127.0.0.1:{port}{path}")
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_an_address_that_is_taken_is_told_with_a_cure() -> None:
    async with pages.serving("127.0.0.1", 0, {}) as port:
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port} .*(in use).*--listen HOST:PORT"):
            async with pages.serving("127.0.0.1", port, {}):
                pass


async def test_an_address_of_another_machine_is_told_with_a_cure() -> None:
    with pytest.raises(UsageError, match=r"nothing can listen on 192\.0\.2\.1:0 .*--listen"):
        async with pages.serving("192.0.2.1", 0, {}):
            pass


async def test_an_answer_under_way_does_not_keep_us_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LAST_WORD", 0.01)
    begun = asyncio.Event()

    async def never(_: Ask) -> Page:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with asyncio.timeout(10):
        async with pages.serving("127.0.0.1", 0, {"/p": never}) as port:
            asking = asyncio.create_task(asked(f"http://127.0.0.1:{port}/p"))
            await begun.wait()
        with pytest.raises(aiohttp.ClientError):
            await asking


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0.0.0.0:8080", Address("0.0.0.0", 8080)),
        ("[::]:8080", Address("::", 8080)),
        ("[fe80::1%eth0]:1", Address("fe80::1%eth0", 1)),
        ("localhost:0", Address("localhost", 0)),
        (":65535", Address(None, 65_535)),
    ],
)
def test_an_address_is_read_and_written(written: str, read: Address) -> None:
    assert address(written) == read
    assert str(read) == written


@pytest.mark.parametrize("written", ["", "8080", "localhost", "::1:8080", "[::1]", "host:65536", "host:-1", "host:x", "[host:1"])
def test_an_address_that_is_none_is_told_with_a_cure(written: str) -> None:
    with pytest.raises(UsageError, match=r"--listen .*write HOST:PORT"):
        address(written)
