"""What keeps an occurrence from becoming a run, and two of an event's runs apart."""

from channelbeat.broker.claims import How
from channelbeat.core.batch import Answer, Bury
from channelbeat.core.runs import State
from support.bench import KEYS, ROOT, STATE, Bench, T, adopt, answers, tracked, tracked_trigger
from support.demonstrations import shows


@shows("known")
async def a_run_that_is_known_is_not_made_again(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked()), bench.worker()
    await worker.handle()
    await bench.redis.hdel(STATE, "e")
    assert await answers(broker, adopt(), tracked()) == [Answer.DONE, Answer.DONE]
    assert await bench.queued() == []


@shows("overlap")
async def an_occurrence_is_skipped_while_an_earlier_run_is_active(bench: Bench) -> None:
    broker = await bench.swept(tracked(overlap="Skip"))
    assert await answers(broker, tracked(T + 2, overlap="Skip")) == [Answer.OVERLAP]
    assert await bench.queued() == ["e/1"]


@shows("overlap-trigger")
async def a_trigger_is_not_carried_out_while_an_earlier_run_is_active(bench: Bench) -> None:
    broker = await bench.swept(tracked(overlap="Skip"))
    assert await answers(broker, tracked_trigger(overlap="Skip")) == [Answer.OVERLAP]
    assert await bench.queued() == ["e/1"]


@shows("ghost")
async def a_run_that_somebody_deleted_keeps_no_other_from_its_turn(bench: Bench) -> None:
    broker = await bench.swept(tracked(overlap="Skip"))
    await bench.redis.delete(KEYS.queue("c"))
    assert await answers(broker, tracked(T + 2, overlap="Skip")) == [Answer.DONE]


@shows("buffered")
async def what_is_buffered_waits_for_the_other_run(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked(overlap="BufferOne"), tracked(T + 2, overlap="BufferOne")), bench.worker()
    await worker.claimed()
    await bench.bring_forward("e/2")
    await bench.redis.zadd(f"{ROOT}active:e", {"e/2": 1})  # the clock was set back between the two
    await broker.sweep()
    assert await bench.state("e/2") is State.BUFFERED


@shows("paused")
async def a_paused_event_makes_no_runs(bench: Bench) -> None:
    broker = await bench.swept(tracked(pause_after=1, limit=0))
    await bench.worker().handle("failed")
    assert await answers(broker, tracked(T + 2, pause_after=1, limit=0)) == [Answer.PAUSED]
    assert await bench.queued() == []


@shows("in-a-row")
async def only_dead_runs_in_a_row_pause_an_event(bench: Bench) -> None:
    broker, worker = await bench.swept(*(tracked(T + due, pause_after=2, limit=0) for due in (1, 2, 3))), bench.worker()
    hows: list[How] = ["failed", "ok", "failed"]
    for how in hows:
        await worker.handle(how)
    assert await answers(broker, tracked(T + 4, pause_after=2, limit=0)) == [Answer.DONE]


@shows("version")
async def a_run_from_before_an_edit_does_not_pause_the_event(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked(pause_after=1, limit=0, version="v1")), bench.worker()
    assert await answers(broker, tracked(T + 2, pause_after=1, limit=0, version="v2")) == [Answer.DONE]
    await worker.handle("failed")
    assert (await broker.stats(["e"]))["e"].paused is None


@shows("resumed")
async def after_a_resume_dead_runs_are_counted_anew(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked(pause_after=1, limit=0)), bench.worker()
    await worker.handle("failed")
    assert await broker.resume("e")
    assert await answers(broker, tracked(T + 2, pause_after=1, limit=0)) == [Answer.DONE]
    await worker.handle("failed")
    assert (await broker.stats(["e"]))["e"].paused is not None


@shows("bury-unfinished")
async def an_event_is_not_forgotten_before_its_runs_are_over(bench: Bench) -> None:
    broker, worker = await bench.swept(tracked(), adopt(T + 2, "-")), bench.worker()
    assert await answers(broker, Bury("e", T + 2)) == [Answer.DUPLICATE]
    await worker.handle()
    assert await answers(broker, Bury("e", T + 2)) == [Answer.DONE]
