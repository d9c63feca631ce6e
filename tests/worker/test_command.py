"""`manage.py runworker` as a process: how it starts, answers probes and stops."""

import signal
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.test.utils import override_settings
from redis import Redis

from channelbeat.worker import cancel, send
from channelbeat.worker.management.commands.runworker import length
from support.redis import RedisServer
from support.shop import Shop, policy, record, state
from support.waiting import until

Started: TypeAlias = Callable[..., Shop]
SETTLED_WITHIN = 30


def becomes(store: "Redis", run: str, wanted: str) -> dict[str, str]:
    until(lambda: state(store, run) == wanted, SETTLED_WITHIN, what=f"{run} {wanted}, not {record(store, run)}")
    return record(store, run)


def idle(store: "Redis") -> bool:
    """Does a worker wait for something to do? It does so in Redis; that a run is settled is known there before its worker knows."""
    return any("b" in one["flags"] for one in store.client_list())


def say(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "say", "text": text, **more}


BACKEND = "channels_redis.core.RedisChannelLayer"
REFUSED: list[tuple[list[str], dict[str, Any], str]] = [
    ([], {}, "the following arguments are required: channels"),
    (["no spaces"], {}, "'no spaces' is no channel"),
    (["sync", "one!process"], {}, "channel of one process's own"),
    (["sync", "--layer", "more"], {}, "CHANNEL_LAYERS has no 'more': it has 'default'"),
    (["sync"], {"CHANNEL_LAYERS": {}}, "You do not have any CHANNEL_LAYERS configured."),
    (["sync"], {"CHANNEL_LAYERS": {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}}, "CHANNEL_LAYERS['default']: the in-memory layer"),
    (["sync"], {"CHANNEL_LAYERS": {"default": {"BACKEND": BACKEND, "CONFIG": {"hosts": ["redis://a", "redis://b"]}}}}, "it has 2 hosts"),
    (["sync"], {"CHANNEL_LAYERS": {"default": {"BACKEND": BACKEND, "CONFIG": {"prefix": ""}}}}, "its prefix ''"),
    (["sync", "--concurrency", "0"], {}, "'0' is too small: 1 is the least"),
    (["sync", "--concurrency", "many"], {}, "'many' is no whole number"),
    (["sync", "--drain-timeout", "10"], {}, "'10' is no duration: write it like 30s, 5m or 1h30m"),
    (["sync", "--claim", "10ms"], {}, "'10ms' is too small: 5s is the least"),
    (["nobody-listens", "--check"], {}, "no worker for nobody-listens on layer 'default' is alive"),
]


@pytest.mark.parametrize(("arguments", "settings", "says"), REFUSED, ids=[f"{' '.join(case[0])} {number}" for number, case in enumerate(REFUSED)])
def test_is_refused(arguments: list[str], settings: dict[str, Any], says: str) -> None:
    default = {"CHANNEL_LAYERS": {"default": {"BACKEND": BACKEND}}}
    with override_settings(**default | settings), pytest.raises(CommandError) as refused:
        call_command("runworker", *arguments)
    assert says in str(refused.value)


@pytest.mark.parametrize(("text", "length_"), [("0s", 0), ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("1h1m1s1ms", 3_661_001)])
def test_a_length_of_time(text: str, length_: int) -> None:
    assert length(text) == length_


def test_runs_and_plain_messages_of_several_channels(started: Started, store: "Redis", layer: Any) -> None:
    worker = started("sync", "async")
    run, other = send("async", say("a run")), send("sync", say("another"))
    async_to_sync(layer.send)("sync", say("plain"))
    worker.hears("said a run 1")
    worker.hears("said another 1")
    worker.hears("said plain None")
    becomes(store, run, "succeeded")
    becomes(store, other, "succeeded")
    until(lambda: idle(store), SETTLED_WITHIN, what="the worker to be idle")
    worker.signal()
    assert worker.ends() == 0
    assert worker.hears("SIGTERM: stopping: nothing more is taken, 0 under way")
    assert store.keys("channelbeat:asgi:worker*") == []


def test_a_failed_attempt_is_told_and_kept(started: Started, store: "Redis") -> None:
    run = send("async", {"type": "fail"})
    worker = started("async")
    found = becomes(store, run, "retrying")
    worker.hears(f"run {run}: attempt 1 of 4: ValueError: boom; it is tried again at 20")
    assert found["error"] == "ValueError: boom"
    assert found["trace"].endswith("ValueError: boom\n")
    worker.hears('raise ValueError(message.get("text", "boom"))')


@pytest.mark.parametrize("channel", ["sync", "async"])
def test_a_consumer_that_exits_is_a_failed_attempt(started: Started, store: "Redis", channel: str) -> None:
    run, after = send(channel, {"type": "leave"}), send(channel, say("after"))
    started(channel)
    becomes(store, after, "succeeded")
    assert record(store, run)["error"] == "SystemExit: 3"


def test_a_result_is_kept(started: Started, store: "Redis") -> None:
    run = send("async", {"type": "result", "value": {"made": 3}})
    started("async")
    assert becomes(store, run, "succeeded")["result"] == '{"made": 3}'


def test_poison_is_told_and_holds_up_nobody(started: Started, store: "Redis", layer: Any) -> None:
    dead = send("async", say("never"))
    store.set(f"channelbeat:asgi:body:{dead}", b"\xc1")
    store.zadd("asgiasync", {b"\xc1": 1})
    worker, good = started("async"), send("async", say("good"))
    becomes(store, good, "succeeded")
    assert becomes(store, dead, "dead")["error"].startswith("cannot be read: ")
    worker.hears("channel async: a message cannot be read, and is dropped")


@pytest.mark.parametrize("channel", ["sync", "async"])
def test_concurrency_handles_side_by_side(started: Started, store: "Redis", channel: str) -> None:
    runs = [send(channel, {"type": "nap", "seconds": 1}) for _ in range(3)]
    worker = started(channel, "--concurrency", "2")
    for run in runs:
        becomes(store, run, "succeeded")
    order = [line.split()[0] for line in worker.lines if line.startswith(("napping", "slept"))]
    assert order[:2] == ["napping", "napping"]
    assert "napping" in order[3:]  # the third waited for a free slot


def test_a_probe_is_answered(started: Started) -> None:
    worker = started("sync", "async")
    until(lambda: started("sync", "async", "--check").ends() == 0, 30)
    worker.kill()
    probe = started("sync", "async", "--check")
    assert probe.ends() == 1
    assert probe.hears(f"process {worker.pid} has died")


class TestStopping:
    def test_what_is_under_way_is_finished(self, started: Started, store: "Redis") -> None:
        first, second = send("sync", {"type": "nap", "seconds": 1}), send("sync", say("later"))
        worker = started("sync")
        worker.hears("napping")
        worker.signal()
        assert worker.ends() == 0
        assert (state(store, first), state(store, second)) == ("succeeded", "queued")
        assert worker.with_words("slept")

    def test_an_async_attempt_is_given_back_when_the_time_is_up(self, started: Started, store: "Redis") -> None:
        run = send("async", {"type": "nap", "seconds": 600})
        worker = started("async", "--drain-timeout", "100ms")
        worker.hears("napping")
        worker.signal()
        assert worker.ends() == 0
        assert worker.with_words("woken")
        assert (state(store, run), record(store, run)["attempts"]) == ("queued", "0")

    def test_a_sync_attempt_is_given_back_when_the_time_is_up_and_the_process_ends(self, started: Started, store: "Redis") -> None:
        run = send("sync", {"type": "nap", "seconds": 600})
        worker = started("sync", "--drain-timeout", "100ms")
        worker.hears("napping")
        worker.signal()
        assert worker.ends() == 1
        assert worker.with_words("this worker ends with status 1: the time to finish is up")
        assert (state(store, run), record(store, run)["attempts"]) == ("retrying", "0")

    def test_a_second_signal_ends_the_time(self, started: Started, store: "Redis") -> None:
        run = send("async", {"type": "nap", "seconds": 600})
        worker = started("async")
        worker.hears("napping")
        worker.signal(signal.SIGINT)
        worker.hears("SIGINT: stopping")
        worker.signal(signal.SIGINT)
        assert worker.ends() == 0
        assert state(store, run) == "queued"

    def test_a_blocked_loop_stops_too(self, started: Started, store: "Redis") -> None:
        run = send("async", {"type": "block", "seconds": 600})
        worker = started("async", "--drain-timeout", "0s")
        worker.hears("blocking")
        worker.signal()
        assert worker.ends() == 1
        assert state(store, run) == "retrying"

    def test_an_idle_one_ends_while_redis_is_away(self, started: Started, own_redis: RedisServer) -> None:
        worker = started("async", url=own_redis.url)
        with Redis.from_url(own_redis.url) as client:
            until(lambda: client.keys("channelbeat:asgi:workers"), 30)
        own_redis.kill()
        worker.hears("layer 'default': Redis does not answer")
        worker.signal()
        assert worker.ends() == 0


class TestTooLong:
    QUICK = {"timeout": 500, "backoff": 1}

    def test_an_async_attempt_is_cancelled(self, started: Started, store: "Redis") -> None:
        run = send("async", {"type": "nap", "seconds": 600})
        policy(store, run, **self.QUICK)
        worker = started("async")
        assert becomes(store, run, "retrying")["error"] == "TimeoutError: attempt took longer than 0.5 s"
        assert worker.hears("woken")
        becomes(store, send("async", say("goes on")), "succeeded")

    def test_a_sync_attempt_that_ends_soon_counts_as_it_ended(self, started: Started, store: "Redis") -> None:
        run = send("sync", {"type": "nap", "seconds": 0.8})
        policy(store, run, **self.QUICK)
        started("sync")
        becomes(store, run, "succeeded")

    @pytest.mark.parametrize(("channel", "type_"), [("sync", "nap"), ("async", "block"), ("async", "stubborn")])
    def test_one_that_cannot_be_interrupted_ends_the_process(self, started: Started, store: "Redis", channel: str, type_: str) -> None:
        run = send(channel, {"type": type_, "seconds": 600})
        policy(store, run, **self.QUICK)
        worker = started(channel, command="hurried")
        assert worker.ends() == 1
        assert record(store, run)["error"] == "TimeoutError: attempt took longer than 0.5 s"
        assert state(store, run) == "retrying"
        assert worker.with_words("this worker ends with status 1: what takes too long cannot be interrupted, and nothing else is under way")

    def test_the_other_slots_finish_first(self, started: Started, store: "Redis") -> None:
        stuck, other = send("sync", {"type": "nap", "seconds": 600}), send("sync", {"type": "nap", "seconds": 2})
        policy(store, stuck, **self.QUICK)
        worker = started("sync", "--concurrency", "2", command="hurried")
        worker.hears("took too long and cannot be interrupted: this worker takes nothing more")
        waits = send("sync", say("for another worker"))
        assert worker.ends() == 1
        assert [state(store, run) for run in (stuck, other, waits)] == ["retrying", "succeeded", "queued"]

    def test_when_it_ends_after_all_the_worker_goes_on(self, started: Started, store: "Redis") -> None:
        late, busy = send("sync", {"type": "nap", "seconds": 3}), send("sync", {"type": "nap", "seconds": 5})
        policy(store, late, **self.QUICK)
        worker = started("sync", "--concurrency", "2", command="hurried")
        worker.hears("this worker takes nothing more")
        after = send("sync", say("after"))
        worker.hears("has ended after all: this worker goes on")
        for run in (late, busy, after):
            becomes(store, run, "succeeded")


def test_a_run_that_somebody_cancels(started: Started, store: "Redis") -> None:
    run = send("async", {"type": "nap", "seconds": 600})
    worker = started("async", "--claim", "5s")
    worker.hears("napping")
    assert cancel(run) == "running"
    becomes(store, run, "cancelled")
    worker.hears("woken")


def test_a_claim_that_is_another_s_by_now(started: Started, store: "Redis") -> None:
    run = send("async", {"type": "nap", "seconds": 600})
    worker = started("async", "--claim", "5s")
    worker.hears("napping")
    store.hset(f"channelbeat:asgi:run:{run}", "token", "another's")
    worker.hears("its claim is lost")
    worker.hears("woken")
    worker.hears("this changes nothing")
    assert state(store, run) == "running"


def test_redis_away_is_told_once_and_waited_for(started: Started, own_redis: RedisServer) -> None:
    worker = started("async", url=own_redis.url)
    with Redis.from_url(own_redis.url) as client:
        until(lambda: client.keys("channelbeat:asgi:workers"), 30)
    for times in (1, 2):
        own_redis.restart()
        worker.hears("Redis answers again", times)
    assert len(worker.with_words("waiting")) == 2
