"""Somebody writes into a layer's Redis what is none of ours: that layer may stand still, the others go on, and it goes on when it is mended."""

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from channelbeat.broker.keys import Keys
from channelbeat.core.instants import SECOND
from support.rig import Rig, schedule

STATE = Keys("asgi").state
STRANGE = {
    "an event's name": (b"\xff\xfe", b"1 s h"),
    "a fence of an event that is not there": (b"a/b/c", b"\xff\xfe x y"),
    "a fence": (b"default/t/e", b"\xff s h"),
    "a fence with a strange digit": (b"default/t/e", "² s h".encode()),
    "the generation": (b":gen", b"\xff\xff"),
    "the owner": (b":owner", b"\xff"),
    "tokens": (b"default/t/e!", b"\xff\xff"),
}


@pytest.mark.parametrize("what", STRANGE)
@pytest.mark.parametrize("restart", [False, True], ids=["while it runs", "before it starts"])
async def test_the_other_layers_go_on(rigs: Callable[..., Rig], redis: "Redis", what: str, restart: bool) -> None:
    schedules = schedule({"every": "1s"}), schedule({"every": "1s"}, name="o", channelLayer={"name": "other"})
    rig = rigs(more_layers=["other"])
    await rig.start(*schedules)
    await rig.pass_time(2 * SECOND)
    if restart:
        await rig.kill()
    await redis.hset(STATE, *STRANGE[what])
    if restart:
        rig.assemble()
        for one in schedules:
            rig.book.put(one)
        rig.book.complete()
        await rig.run()
    before = rig.journal.counts("default/o")["enqueued"]
    await rig.advance_until(lambda: rig.journal.counts("default/o")["enqueued"] >= before + 20)
    await redis.hdel(STATE, STRANGE[what][0])
    before = rig.journal.counts("default/t")["enqueued"]
    await rig.advance_until(lambda: rig.journal.counts("default/t")["enqueued"] >= before + 5)
