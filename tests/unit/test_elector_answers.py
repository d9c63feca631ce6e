"""What the elector makes of answers that a Lease cannot be: it believes none of them, and goes on asking."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

import pytest

from channelbeat.cluster.api import Api
from channelbeat.cluster.elector import Elector
from support.waiting import eventually

SPEC = {"holderIdentity": "x", "leaseDurationSeconds": 1}
META = {"uid": "u", "resourceVersion": "5"}
NONSENSE: list[dict[str, Any]] = [
    {},
    {"kind": "Status", "status": "Success"},
    {"metadata": [], "spec": {}},
    {"metadata": {"resourceVersion": 5}, "spec": SPEC},
    {"metadata": META, "spec": "x"},
    {"metadata": META, "spec": {"leaseTransitions": "x"}},
    {"metadata": META, "spec": {"holderIdentity": ["x"], "leaseDurationSeconds": 1}},
    {"metadata": META, "spec": SPEC},
]


class Parrot:
    """Answers the same to everything, until it is `sane`: then it keeps what is written."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer, self.asked, self.sane = answer, 0, False

    async def get(self, path: str, **_: Any) -> dict[str, Any]:
        self.asked += 1
        return dict(self._answer)

    async def create(self, path: str, body: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        self.asked += 1
        if self.sane:
            self._answer = {**body, "metadata": META}
        return dict(self._answer)

    async def replace(self, path: str, body: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        return await self.create(path, body)

    async def watch(self, path: str, **_: Any) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        yield "MODIFIED", dict(self._answer)
        await asyncio.Event().wait()


@pytest.mark.parametrize("answer", NONSENSE, ids=str)
async def test_an_answer_that_does_not_name_us_is_no_lead(answer: dict[str, Any]) -> None:
    parrot = Parrot(answer)
    elector = Elector(cast("Api", parrot), namespace="n", name="l", identity="me", changed=lambda: None, duration=200, renewal=100)
    running = asyncio.create_task(elector.run())
    try:
        await eventually(lambda: running.done() or parrot.asked > 8)
        assert not running.done()
        assert not elector.valid()
        assert elector.lost()
        parrot.sane, parrot._answer = True, {"metadata": META, "spec": {}}
        await eventually(elector.valid)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_watch_that_tells_nonsense_takes_the_lease_from_nobody() -> None:
    class Odd(Parrot):
        """A holder that is alive."""

        written = 0

        async def create(self, path: str, body: Mapping[str, Any], **_: Any) -> dict[str, Any]:
            self.written += 1
            return await super().create(path, body)

        async def watch(self, path: str, **_: Any) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
            nonsense: list[dict[str, Any]] = [{}, {"metadata": [], "spec": {}}, {"metadata": {**META, "resourceVersion": "6"}, "spec": "x"}]
            for answer in nonsense:
                await eventually(lambda: self.asked, what="the Lease to have been read")
                yield "MODIFIED", answer
            await asyncio.Event().wait()

    odd = Odd({"metadata": META, "spec": {"holderIdentity": "x", "leaseDurationSeconds": 60}})
    elector = Elector(cast("Api", odd), namespace="n", name="l", identity="me", changed=lambda: None, duration=200, renewal=100)
    running = asyncio.create_task(elector.run())
    try:
        await eventually(lambda: running.done() or odd.asked > 5)
        assert (running.done(), odd.written, elector.holder) == (False, 0, "x")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
