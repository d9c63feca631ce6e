"""What is asked of a real API server, and how it goes wrong."""

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest

from channelbeat.cluster import access
from channelbeat.cluster.access import Access
from channelbeat.cluster.api import Api
from channelbeat.cluster.kubeconfig import Login
from channelbeat.errors import ApiRefused, ApiUnreachable, UsageError
from support.cluster import ControlPlane
from support.waiting import eventually

MAPS = "/api/v1/namespaces/{}/configmaps"


@pytest.fixture
async def opened() -> AsyncIterator[Callable[..., Api]]:
    made = list[Api]()

    def open_(reached: Access, **options: Any) -> Api:
        made.append(Api(reached, **options))
        return made[-1]

    yield open_
    for api in made:
        await api.close()


@pytest.fixture
def api(opened: Callable[..., Api], kube: ControlPlane) -> Api:
    return opened(access.find(kube.kubeconfig))


@pytest.fixture
def maps(namespace: str) -> str:
    """The path of the namespace's ConfigMaps."""
    return MAPS.format(namespace)


def named(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_an_object_is_made_read_changed_and_deleted(api: Api, maps: str) -> None:
    made = await api.create(maps, named("one", a="1"))
    assert (await api.get(f"{maps}/one"))["data"] == {"a": "1"}
    replaced = await api.replace(f"{maps}/one", made | {"data": {"b": "2"}})
    assert replaced["data"] == {"b": "2"}
    assert (await api.merge(f"{maps}/one", {"data": {"c": "3"}}))["data"] == {"b": "2", "c": "3"}
    applied = await api.apply(f"{maps}/one", named("one", c="4"), manager="tests")
    assert applied["data"] == {"b": "2", "c": "4"}
    managers = {entry["manager"]: entry["operation"] for entry in applied["metadata"]["managedFields"]}
    assert managers == {"tests": "Apply", "channelbeat": "Update"}
    await api.delete(f"{maps}/one")
    with pytest.raises(ApiRefused) as refused:
        await api.delete(f"{maps}/one")
    assert (refused.value.status, refused.value.reason) == (404, "NotFound")


async def test_a_refusal_reads_well(api: Api, maps: str, namespace: str) -> None:
    made = await api.create(maps, named("one"))
    await api.replace(f"{maps}/one", made | {"data": {"b": "2"}})
    with pytest.raises(ApiRefused) as refused:
        await api.replace(f"{maps}/one", made | {"data": {"b": "3"}})
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")
    assert str(refused.value).startswith(f"the API server refuses PUT .../{namespace}/configmaps/one: Operation cannot be fulfilled on configmaps")
    with pytest.raises(ApiRefused, match=f'refuses POST .../{namespace}/configmaps: configmaps "one" already exists'):
        await api.create(maps, named("one"))


async def test_a_list_is_read_in_pages(api: Api, maps: str) -> None:
    names = {f"m-{number}" for number in range(5)}
    for name in names:
        await api.create(maps, named(name, a="1") | {"metadata": {"name": name, "labels": {"ours": "yes"}}})
    read = [item async for item in api.each(maps, chunk=2, labelSelector="ours=yes")]
    assert {item["metadata"]["name"] for item in read} == names
    assert all(item["data"] for item in read)
    known = [item async for item in api.each(maps, chunk=2, metadata_only=True, labelSelector="ours=yes")]
    assert {item["metadata"]["name"] for item in known} == names
    assert not any("data" in item for item in known)


async def test_a_watch_tells_what_is_there_and_what_happens(api: Api, maps: str) -> None:
    one = await api.create(maps, named("one", big="x" * 300_000))  # longer than any line that aiohttp would read
    told = list[tuple[str, str]]()

    async def listen(since: str) -> None:
        async with aclosing(api.watch(maps, since=since, fieldSelector="metadata.name=one")) as events:
            async for kind, thing in events:
                if kind != "BOOKMARK":
                    told.append((kind, thing["metadata"].get("name")))

    listening = asyncio.create_task(listen(""))
    await eventually(lambda: told)
    await api.merge(f"{maps}/one", {"data": {"a": "1"}})
    await api.delete(f"{maps}/one")
    await eventually(lambda: len(told) == 3)
    assert told == [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    told.clear()
    listening = asyncio.create_task(listen(one["metadata"]["resourceVersion"]))
    await eventually(lambda: len(told) == 2)
    assert told == [("MODIFIED", "one"), ("DELETED", "one")]
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_a_watch_ends_when_it_is_asked_to(api: Api, maps: str) -> None:
    async with asyncio.timeout(60):
        assert [kind async for kind, _ in api.watch(maps, since="", timeoutSeconds="1") if kind not in {"BOOKMARK", "ADDED"}] == []


async def test_a_watch_from_before_what_is_remembered_is_refused(own_kube: ControlPlane, opened: Callable[..., Api]) -> None:
    api = opened(access.find(own_kube.kubeconfig))
    maps = MAPS.format("default")
    old = (await api.create(maps, named("one")))["metadata"]["resourceVersion"]
    await api.merge(f"{maps}/one", {"data": {"a": "1"}})
    own_kube.server.kill()
    own_kube.compact()
    own_kube.restart()
    with pytest.raises(ApiRefused) as refused:
        async for _ in api.watch(maps, since=old, timeoutSeconds="5"):
            pass
    assert (refused.value.status, refused.value.reason) == (410, "Expired")


async def test_calls_that_hang_end_in_time_and_keep_no_others_waiting(own_kube: ControlPlane, opened: Callable[..., Api]) -> None:
    api, maps = opened(access.find(own_kube.kubeconfig), timeout=30.0), MAPS.format("default")
    await api.get(maps)
    listening = asyncio.ensure_future(anext(api.watch(maps, since="")))
    await listening
    own_kube.server.freeze()
    hanging = [asyncio.create_task(api.get(maps)) for _ in range(200)]
    async with asyncio.timeout(20):  # the others may take longer
        with pytest.raises(ApiUnreachable, match=r"the API server does not answer GET .../default/configmaps: nothing within 0.3 s"):
            await api.get(maps, timeout=0.3)
    own_kube.server.thaw()
    assert all(await asyncio.gather(*hanging))
    own_kube.server.kill()
    with pytest.raises(ApiUnreachable, match=r"the API server does not answer GET .../default/configmaps: no connection to 127.0.0.1"):
        await api.get(maps)
    own_kube.restart()
    assert await api.get(maps)


async def test_calls_that_last_keep_no_others_waiting(api: Api, maps: str) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(101):  # one more than aiohttp would allow at a time
            await anext(await stack.enter_async_context(aclosing(api.watch(maps, since=""))))
        assert await api.get(maps)


async def test_a_watch_on_a_server_that_dies_says_so(own_kube: ControlPlane, opened: Callable[..., Api]) -> None:
    api, maps = opened(access.find(own_kube.kubeconfig)), MAPS.format("default")
    async with aclosing(api.watch(maps, since="")) as events:
        assert (await anext(events))[0]
        own_kube.server.kill()
        with pytest.raises(ApiUnreachable):
            async for _ in events:
                pass


class Mounted:
    """A pod's folder, whose token is replaced as kubelet replaces it."""

    def __init__(self, kube: ControlPlane, directory: Path) -> None:
        self.kube, self.directory, self.reads = kube, directory, 0

    def read(self) -> Login:
        self.reads += 1
        return Login(server=self.kube.url, ca_path=str(self.kube.ca), token=(self.directory / "token").read_text())


async def test_a_token_that_ran_out_is_read_again_once_for_all(kube: ControlPlane, tmp_path: Path, opened: Callable[..., Api]) -> None:
    mounted = Mounted(kube, tmp_path)
    (tmp_path / "token").write_text("old")
    api = opened(access.of(mounted.read))
    with pytest.raises(ApiRefused) as refused:
        await api.get("/api/v1/namespaces")
    assert refused.value.status == 401
    reads = mounted.reads
    (tmp_path / "token").write_text(kube.token)
    assert all(await asyncio.gather(*[api.get("/api/v1/namespaces") for _ in range(10)]))
    assert mounted.reads == reads + 1


async def test_a_token_may_take_longer_to_come_than_a_call(kube: ControlPlane, opened: Callable[..., Api]) -> None:
    tokens, come = ["old", kube.token], threading.Event()

    def read() -> Login:
        token = tokens.pop(0)
        if token != "old":
            come.wait(10)
        return Login(server=kube.url, ca_path=str(kube.ca), token=token)

    api = opened(access.of(read))
    try:
        for _ in range(3):
            with pytest.raises(ApiUnreachable, match=r"nothing within 0\.2 s"):
                await api.get("/api/v1/namespaces", timeout=0.2)
    finally:
        come.set()
    assert await api.get("/api/v1/namespaces")


async def test_another_servers_certificate_is_not_trusted(kube: ControlPlane, opened: Callable[..., Api]) -> None:
    api = opened(access.of(lambda: Login(server=kube.url, token=kube.token)))
    with pytest.raises(ApiUnreachable, match="its certificate is not trusted"):
        await api.get("/api/v1/namespaces")
    careless = opened(access.of(lambda: Login(server=kube.url, token=kube.token, insecure=True)))
    assert await careless.get("/api/v1/namespaces")


async def test_what_is_no_api_server_and_one_that_stumbles(opened: Callable[..., Api]) -> None:
    """A 5xx is no refusal: what was asked may have been done."""
    answers = [(200, "<html>"), (200, "[]"), (500, json.dumps({"message": "etcdserver: request timed out"})), (503, ""), (302, ""), (429, "slowly")]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status, body = answers.pop(0)
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        api = opened(access.of(lambda: Login(server=f"http://127.0.0.1:{port}")))
        for expected in ("something else than JSON", "something else than an object", "stumbles over GET /x: 500 etcdserver: request timed out", "503 Said"):
            with pytest.raises(ApiUnreachable, match=expected):
                await api.get("/x")
        for status in (302, 429):
            with pytest.raises(ApiRefused) as refused:
                await api.get("/x")
            assert refused.value.status == status


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    reached = access.of(lambda: Login(server="https://127.0.0.1", ca_path=str(tmp_path / "none")))
    with pytest.raises(UsageError, match=r"the certificates for https://127.0.0.1 cannot be used"):
        reached.ssl_context()
    assert isinstance(access.of(lambda: Login(server="https://127.0.0.1")).ssl_context(), ssl.SSLContext)
