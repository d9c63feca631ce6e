"""Who may lead, and what its store is to a leader."""

from channelbeat.core.batch import Verdict
from channelbeat.errors import LayerTaken
from support.bench import STATE, Bench, adopt, refused
from support.demonstrations import shows


@shows("resign-epoch")
async def a_resigned_leader_does_not_resign_for_its_successor(bench: Bench) -> None:
    old, _new = await bench.broker(), await bench.broker()
    await old.resign()
    assert await bench.redis.hexists(STATE, ":leaderSeen")


@shows("owner")
async def another_owner_is_kept_out_while_ours_was_seen(bench: Bench) -> None:
    await bench.broker("us")
    with refused(LayerTaken):
        await bench.broker("them")


@shows("rolled-back")
async def a_leader_finds_that_its_store_went_back_in_time(bench: Bench) -> None:
    broker = await bench.broker()
    restore = await bench.snapshot()
    await broker.enqueue([adopt()])
    await restore()
    assert await broker.lead() is Verdict.ROLLED_BACK


@shows("wiped")
async def a_leader_finds_that_its_store_is_gone(bench: Bench) -> None:
    broker = await bench.broker()
    await bench.redis.flushall()
    assert await broker.lead() is Verdict.WIPED
