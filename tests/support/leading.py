"""A leader within the test: it makes runs, and sweeps again and again, as fast as short claims need it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis

from channelbeat.broker.keys import Keys
from channelbeat.broker.runs import Runs
from channelbeat.broker.sending import RedisBroker
from channelbeat.core.batch import Adopt, Answer, Send, Tracked, queue_of
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.runs import Policy, Run, State, Stats, Sweep
from channelbeat.errors import LayerError
from support.waiting import eventually

T: Ms = 1_700_000_000_000
EVENT = "default/t/e"
BETWEEN_SWEEPS = 0.1
AT_ONCE = 500


class Leader:
    def __init__(self, url: str, claim: Ms) -> None:
        self.broker = RedisBroker(LayerSettings("default", url, capacity=1_000_000), owner="us", claim=claim)
        self.redis = Redis.from_url(url)
        self.runs = Runs(self.redis, "asgi", name="default")
        self.swept: list[Sweep] = []
        self.gone = False
        self._made = 0

    async def put(self, number: int, *, channel: str = "c", policy: Policy | None = None, **message: Any) -> set[str]:
        """Queue runs of `EVENT`, whose `message` is of type `work`, and answer their ids. Unless `policy` says otherwise they have all
        the attempts they need, one after the other."""
        text = (policy or Policy(limit=1_000, backoff=1)).text()
        dues = range(T + self._made + 1, T + self._made + number + 1)
        self._made += number
        sends = [Send(EVENT, due, "h", "enqueued", False, queue_of(channel), {"type": "work", **message}, Tracked(f"{EVENT}/{due}", text)) for due in dues]
        for start in range(0, number, AT_ONCE):
            batch = sends[start : start + AT_ONCE]
            answers = await self.broker.enqueue([Adopt(EVENT, T, "h", "new"), *batch])
            assert set(answers.answers) == {Answer.DONE}
        return {f"{EVENT}/{due}" for due in dues}

    async def states(self, runs: Iterable[str]) -> dict[str, State]:
        """Of those that are known."""
        return {run: found.state for run, found in (await self.records(runs)).items()}

    async def records(self, runs: Iterable[str]) -> dict[str, Run]:
        found = [await self.runs.get(run) for run in runs]
        return {run.id: run for run in found if run is not None}

    async def stats(self) -> Stats:
        """Of `EVENT`."""
        return (await self.broker.stats([EVENT]))[EVENT]

    async def all_succeed(self, number: int, within: float = 20) -> None:
        """Wait until so many runs of `EVENT` have; Redis may be away at first."""

        async def they_have() -> bool:
            with suppress(LayerError):
                return (await self.stats()).ok == number
            return False

        await eventually(they_have, within, what=f"{number} runs to succeed")

    async def claims_are_over(self, channel: str) -> bool:
        """Whoever holds any on the channel's runs has not renewed them in time."""
        second, _ = await self.redis.time()
        return not await self.redis.zcount(Keys("asgi").claims(channel), second * SECOND, "+inf")

    async def sweep(self) -> None:
        """Until it is `gone`. Not until it is cancelled: Python 3.11's wait_for, which redis-py sends with, may swallow that."""
        while not self.gone:
            with suppress(LayerError):
                self.swept.append(await self.broker.sweep())
            await asyncio.sleep(BETWEEN_SWEEPS)


@asynccontextmanager
async def leading(url: str, claim: Ms = SECOND, *, sweeps: bool = True) -> AsyncIterator[Leader]:
    leader = Leader(url, claim)
    await leader.broker.lead()
    leader.gone = not sweeps
    sweeping = asyncio.create_task(leader.sweep())
    try:
        yield leader
    finally:
        leader.gone = True
        await sweeping
        await leader.broker.close()
        await leader.runs.close()
