"""What the Autoscaler learns of its workers: how long they take to start, and whether anybody listens."""

import pytest

from channelbeat.core.instants import HOUR, MINUTE, SECOND
from support import bench as benches
from support.bench import Bench
from support.rig import schedule
from support.scaler import CREW, TEMPLATE, Scaled, manned, plain, put


async def test_a_start_lasts_until_a_worker_of_ours_listens(scaled: Scaled, bench: Bench) -> None:
    bench.worker("elsewhere").renew(channels="c")
    async with scaled(manned()) as scaler:
        await scaler.pass_time(3 * SECOND)
        await put(bench, 1)
        await scaler.pass_time(8 * SECOND)
        assert scaler.autoscaler.starts(CREW) == (), "nobody has come"
        bench.worker("other").renew(channels="d")
        await scaler.pass_time()
        assert scaler.autoscaler.starts(CREW) == (), "it listens elsewhere"
        bench.worker("new").renew(channels="b c")
        await scaler.pass_time()
        assert scaler.autoscaler.starts(CREW) == (9 * SECOND,)
        assert scaler.site.kept[CREW] == (9 * SECOND,), "and is kept for the next leader"
        await scaler.pass_time()
        bench.worker("second").renew(channels="c")
        await scaler.pass_time(5 * SECOND)
        assert scaler.autoscaler.starts(CREW) == (9 * SECOND,), "the second was no start from nothing"


@pytest.mark.parametrize(("ready", "learned"), [(40, 40), (5, 30)])
async def test_a_start_of_a_stock_worker_lasts_until_it_is_ready(scaled: Scaled, ready: int, learned: int) -> None:
    """And not less than is guessed: it is ready as soon as it runs, and loads its project then."""
    async with scaled(manned({"every": "1s"}, delivery="BestEffort"), ready=False) as scaler:
        await scaler.pass_time((ready - 1) * SECOND)
        scaler.site.ready = True
        await scaler.pass_time()
        assert scaler.autoscaler.starts(CREW) == (learned * SECOND,)


async def test_a_start_that_was_given_up_teaches_nothing(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(), ready=False) as scaler:
        await put(bench, 1)
        await scaler.pass_time(3 * SECOND)
        await bench.redis.delete(benches.KEYS.queue("c"))
        await scaler.until(lambda: scaler.said() == (0, "Zero"), MINUTE)
        bench.worker("late").renew(channels="c")
        await scaler.pass_time(3 * SECOND)
        assert scaler.autoscaler.starts(CREW) == ()


async def test_a_start_that_an_edit_had_to_help_teaches_nothing(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(), ready=False) as scaler:
        await put(bench, 1)
        await scaler.pass_time(3 * MINUTE)
        await scaler.put(manned(worker={"template": {"spec": {"containers": [{"name": "worker", "image": "shop:2"}]}}}))
        await scaler.pass_time(3 * SECOND)
        bench.worker().renew(channels="c")
        await scaler.pass_time(3 * SECOND)
        assert scaler.autoscaler.starts(CREW) == ()


async def test_what_another_leader_learned_counts_until_we_know_better(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned()) as scaler:
        scaler.autoscaler.remember(CREW, (70 * SECOND,))
        scaler.autoscaler.remember(CREW, (80 * SECOND,))
        scaler.autoscaler.remember("default/later-worker", (5 * SECOND,))
        await put(bench, 1)
        await scaler.pass_time()
        assert scaler.autoscaler.starts(CREW) == (80 * SECOND,)
        await scaler.pass_time(2 * SECOND)
        bench.worker().renew(channels="c")
        await scaler.pass_time()
        scaler.autoscaler.remember(CREW, (90 * SECOND,))
        assert scaler.autoscaler.starts(CREW) == (80 * SECOND, 3 * SECOND)
        assert scaler.autoscaler.starts("default/later-worker") == (5 * SECOND,), "its crew may come yet"


async def test_workers_that_are_ready_and_listen_elsewhere_are_found_out(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(worker={**TEMPLATE, "channels": ["c", "d"]}, scaling={"minReplicas": 1}), ready=False) as scaler:
        await scaler.pass_time(MINUTE)
        assert scaler.found() == "", "they are not ready"
        scaler.site.ready = True
        bench.worker().renew(channels="c")
        await scaler.pass_time()
        scaler.clock.step(-HOUR)
        assert await scaler.until(scaler.found, MINUTE) == 31 * SECOND, "a clock that is set back stops the watch for a moment"
        assert "'d'" in scaler.cure()
        bench.worker().renew(channels="c d")
        await scaler.pass_time()
        assert scaler.found() == ""


async def test_stock_workers_that_fetch_nothing_are_found_out(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(delivery="BestEffort", scaling={"minReplicas": 1})) as scaler:
        await scaler.pass_time(MINUTE)
        assert scaler.found() == "", "nothing waits"
        await plain(bench, "first")
        await scaler.pass_time(25 * SECOND)
        await bench.redis.zpopmin("asgic")
        await plain(bench, "second")
        await scaler.pass_time()
        assert await scaler.until(scaler.found, MINUTE) == 30 * SECOND, "the first was fetched"
        assert "nobody has fetched" in scaler.cure()


async def test_best_effort_workers_are_known_to_be_ours_once_one_was_seen_and_until_they_are_not_any_more(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned(delivery="BestEffort", scaling={"scaleDownAfter": "1s"})) as scaler:
        await plain(bench, *map(str, range(101)))
        await scaler.pass_time()
        assert scaler.said() == (1, "Load"), "of stock workers it is not known how many are needed"
        bench.worker().renew(channels="c", busy="3", concurrency="4")
        await scaler.pass_time()
        assert scaler.said() == (2, "Load")
        await bench.redis.delete("asgic")
        await scaler.pass_time(3 * SECOND)
        assert scaler.said() == (1, "Load"), "three plain messages are at work, though nobody claims them"
        await bench.worker().leave()
        await scaler.pass_time(3 * SECOND)
        assert scaler.said() == (0, "Zero")
        await plain(bench, *map(str, range(101)))
        await scaler.pass_time(2 * SECOND)
        assert scaler.said() == (2, "Load"), "that is remembered at zero"
        await bench.redis.delete("asgic")
        await plain(bench, "fetched")
        await bench.redis.zpopmin("asgic")
        await scaler.put(manned(delivery="BestEffort", scaling={"minReplicas": 1}))
        await scaler.pass_time(2 * MINUTE)
        assert scaler.found() == "", "stock workers have taken their place, and all that waits is fetched"


async def test_an_expiry_that_is_shorter_than_a_start_is_told(scaled: Scaled) -> None:
    async with scaled(manned(delivery="BestEffort")) as scaler:
        assert scaler.found() == ""
        scaler.autoscaler.remember(CREW, (70 * SECOND,))
        await scaler.pass_time()
        assert scaler.found() == "ExpiryShorterThanStartUp"


async def test_an_expiry_that_is_too_short_for_what_others_send_there_is_told(scaled: Scaled) -> None:
    async with scaled(manned(scaling={"warmUp": "Disabled"})) as scaler:
        scaler.autoscaler.remember(CREW, (70 * SECOND,))
        await scaler.pass_time()
        assert scaler.found() == "", "runs do not expire"
        scaler.engine.book.put(schedule({"every": "1h"}, name="guest"))
        await scaler.pass_time()
        assert scaler.found() == "ExpiryShorterThanStartUp"
        assert "an event of schedule default/guest" in scaler.cure()


async def test_pods_with_work_in_hand(scaled: Scaled, bench: Bench) -> None:
    async with scaled(manned()) as scaler:
        bench.worker("a").renew(channels="c", pod="busy", busy="2")
        bench.worker("b").renew(channels="c", pod="idle", busy="0")
        bench.worker("c").renew(channels="d", pod="elsewhere", busy="1")
        bench.worker("d").renew(channels="c", busy="1")
        await scaler.pass_time()
        assert scaler.autoscaler.busy_pods(CREW) == {"busy"}
        assert scaler.autoscaler.busy_pods("default/none") == frozenset()
