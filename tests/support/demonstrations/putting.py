"""One-off runs, and dead ones that are wanted again."""

from channelbeat.broker import connect, scripts
from channelbeat.core.runs import Policy, State
from channelbeat.errors import WritesRefused
from support.bench import STATE, Bench, refused, tracked
from support.demonstrations import shows


@shows("put-once")
async def a_one_off_is_put_once(bench: Bench) -> None:
    assert (await bench.one_offs.put("once", "c", b"first")).new
    await bench.worker().handle()
    assert await bench.one_offs.put("once", "c", b"second") == (State.SUCCEEDED, False, None)
    assert await bench.queued() == []


@shows("limit")
async def no_queue_gets_more_one_offs_than_it_may_have(bench: Bench) -> None:
    await bench.one_offs.put("one", "c", b"first")
    put = bench.redis.register_script(scripts.source("put"))
    with refused(WritesRefused), connect.errors("default"):
        await put(keys=[STATE], args=["two", "c", b"second", Policy().text(), "", "", 1])


@shows("dead")
async def only_dead_runs_are_queued_again(bench: Bench) -> None:
    await bench.swept(tracked())
    await bench.worker().claimed()
    assert await bench.runs.retry(["e/1"]) == [State.RUNNING]
    assert await bench.queued() == []
