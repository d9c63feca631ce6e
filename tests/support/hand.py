"""A worker that does what a test tells it: takes a run, and says what became of it."""

from itertools import count

from redis.asyncio import Redis

from channelbeat.broker.claims import Claimed, Claims, Done, How
from channelbeat.core.runs import State
from support.times import short


class Hand:
    """It never renews a claim: one that it does not settle is lost after `claim`, in ms."""

    def __init__(self, redis: Redis, *, name: str = "hand", prefix: str = "asgi", claim: int = 30_000) -> None:
        self._name, self._serial = name, count(1)
        self._claims = Claims(redis, prefix, worker=name, host="host:1", claim=claim, name="default")

    async def take(self, channel: str = "c") -> Claimed | None:
        """The next run of the channel, None if there is none."""
        while True:
            taken = await self._claims.take(1, self._token(), [channel])
            if not taken.again:
                assert taken.item is None or isinstance(taken.item, Claimed), "a plain message"
                return taken.item

    async def settle(self, run: Claimed, how: How = "ok", error: str = "") -> State | None:
        """The state it is in now; None when it was no longer ours."""
        taken = await self._claims.take(1, self._token(), [], Done(run.run, run.token, how, error))
        assert taken.settled != "", "it was to be settled"
        return taken.settled

    async def work(self, how: How = "ok", error: str = "", channel: str = "c") -> list[str]:
        """Take and settle all that is queued; the due times, in order."""
        done = []
        while (run := await self.take(channel)) is not None:
            await self.settle(run, how, error)
            done.append(due_of(run))
        return done

    def _token(self) -> str:
        return f"{self._name}:1:{next(self._serial)}"


def due_of(run: Claimed) -> str:
    """The due time, or trigger, in short."""
    return short(run.run.rpartition("/")[2])
