"""Any sequence of calls to the queue: every run is in exactly one place, none is lost or given to two, and what is counted is so.

Hypothesis makes up the stories; tests/support/queue_model.py knows what must come of them. `CHANNELBEAT_HUNT=500` makes up 500
new ones instead of the same few.
"""

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from channelbeat.broker.claims import Claimed, How, Plain
from channelbeat.core.batch import Adopt, Answer, Send, Tracked, Trigger, queue_of
from channelbeat.core.instants import HOUR
from channelbeat.core.runs import FINAL, State
from support.bench import KEYS, ROOT, Bench, T, Worker
from support.queue_model import CHANNEL_OF, CHANNELS, EVENTS, Model
from support.redis import RedisServer

HUNT = int(os.environ.get("CHANNELBEAT_HUNT", "0"))
A = TypeVar("A")
EVENT = st.sampled_from(sorted(EVENTS))
CHANNEL = st.sampled_from(CHANNELS)
NAMES = ("one", "two")
HOWS: Sequence[How] = ("ok", "failed", "timeout", "dead", "back", "cancelled")
WAITING = (State.RETRYING, State.DELAYED, State.BUFFERED)


FOR_EVER, GONE = -1, -2  # in the words of TTL


class Story(RuleBasedStateMachine):
    def __init__(self, server: RedisServer) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.sync = SyncRedis.from_url(server.url)
        self.sync.flushall()
        self.bench = Bench(server.url, Redis.from_url(server.url))
        self.broker = self.do(self.bench.broker(claim=HOUR))
        self.model, self.serial = Model(), 0
        self.workers: dict[str, Worker] = {name: self.bench.worker(name, HOUR) for name in NAMES}
        self.holds: dict[str, Claimed] = {}
        self.swallowed: set[str] = set()
        self.do(self.broker.enqueue([Adopt(event, T, "h", "new") for event in EVENTS]))
        self.do(self.broker.sweep())

    def do(self, what: Coroutine[Any, Any, A]) -> A:
        return self.loop.run_until_complete(what)

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:
            self.do(self.all_is_told())
        self.do(self.bench.close())
        self.do(self.bench.redis.aclose())
        self.sync.close()
        self.loop.close()

    @initialize(events=st.lists(EVENT, min_size=4, max_size=8))
    def once_upon_a_time(self, events: list[str]) -> None:
        self.occurrences_are_due(events)

    @rule(events=st.lists(EVENT, min_size=1, max_size=4))
    def occurrences_are_due(self, events: list[str]) -> None:
        items = []
        for event in events:
            self.serial += 1
            run = Tracked(f"{event}/{self.serial}", EVENTS[event].text())
            items.append(Send(event, T + self.serial, "h", "enqueued", False, queue_of(CHANNEL_OF[event]), {"type": "x"}, run))
        expected = [self.model.send(item.event, item.tracked.run, scheduled=True) for item in items if item.tracked is not None]
        assert list(self.do(self.broker.enqueue(items)).answers) == expected

    @rule(event=EVENT)
    def an_event_is_triggered(self, event: str) -> None:
        self.serial += 1
        run = Tracked(f"{event}/trigger-{self.serial}", EVENTS[event].text())
        expected = self.model.send(event, run.run, scheduled=False)
        item = Trigger(event, T + self.serial, 0, queue_of(CHANNEL_OF[event]), {"type": "x"}, run)
        assert list(self.do(self.broker.enqueue([item, item])).answers) == [expected, Answer.DUPLICATE if expected is Answer.DONE else expected]

    @rule(name=st.sampled_from(["x", "y", "z"]), channel=CHANNEL, later=st.booleans())
    def a_one_off_is_put(self, name: str, channel: str, later: bool) -> None:
        put = self.do(self.bench.one_offs.put(name, channel, b"x", delay=HOUR if later else None))
        assert put.new == self.model.put(name, channel, later=later)
        assert put.state is self.model.records[name].state

    @rule(channel=CHANNEL)
    def a_plain_message_is_sent(self, channel: str) -> None:
        self.serial += 1
        second, micro = self.sync.time()
        self.sync.zadd(f"asgi{channel}", {f"plain {self.serial}": second + micro / 1_000_000})
        self.model.plain(channel, b"plain %d" % self.serial)

    @rule(asked=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(HOWS), st.booleans()), min_size=1, max_size=8))
    def workers_ask(self, asked: Sequence[tuple[str, How, bool]]) -> None:
        for name, how, reply_lost in asked:
            self.ask(name, how, reply_lost=reply_lost)
            self.every_run_is_in_one_place()

    def ask(self, name: str, how: How, *, reply_lost: bool) -> None:
        """What it holds is settled, also if it was taken from it meanwhile."""
        worker, held = self.workers[name], self.holds.pop(name, None)
        done = None if held is None else worker.done(held, how, error="E: x")
        taken = self.do(worker.take(*CHANNELS, done=done))
        if reply_lost:
            assert self.do(worker.repeat(*CHANNELS, done=done)) == taken
        assert taken.settled == ("" if held is None else self.model.settle(held.run, held.token, how))
        expected = self.model.take(taken.item.token if isinstance(taken.item, Claimed) else "")
        if isinstance(taken.item, Claimed):
            assert expected is self.model.records[taken.item.run]
            assert taken.item.attempt == self.model.records[taken.item.run].attempts
            self.holds[name] = taken.item
        else:
            assert expected == (taken.item.member if isinstance(taken.item, Plain) else None)
            assert not taken.again

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def a_worker_dies(self, data: st.DataObject) -> None:
        del self.holds[data.draw(st.sampled_from(sorted(self.holds)))]

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def a_worker_renews(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.holds)))
        held = self.holds[name]
        record = self.model.records[held.run]
        expected = "lost" if record.token != held.token else "cancel" if record.wanted_gone else "kept"
        assert self.workers[name].renew(held) == [expected]

    @rule()
    def a_sweep(self) -> None:
        self.sweep()

    @precondition(lambda self: self.model.of(State.RUNNING))
    @rule(data=st.data())
    def a_claim_lapses(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self.model.of(State.RUNNING)))
        self.do(self.bench.lapse(run, self.model.records[run].channel))
        self.model.lose(run)
        self.sweep(lost=1)

    @precondition(lambda self: self.model.of(*WAITING))
    @rule(data=st.data())
    def the_time_of_a_run_comes(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self.model.of(*WAITING)))
        self.do(self.bench.bring_forward(run))
        queued = self.model.records[run].state is not State.BUFFERED
        self.model.bring_forward(run)
        self.sweep(queued=int(queued))

    def sweep(self, *, lost: int = 0, queued: int = 0) -> None:
        swept = self.do(self.broker.sweep())
        self.model.expire()
        self.swallowed.clear()
        assert (swept.lost, swept.queued, swept.more) == (lost, queued, False)

    @precondition(lambda self: self.model.records)
    @rule(data=st.data())
    def a_run_is_cancelled(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(sorted(self.model.records)))
        assert self.do(self.bench.runs.cancel(run)) is self.model.cancel(run)

    @precondition(lambda self: self.model.records)
    @rule(data=st.data())
    def a_run_is_retried(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self.model.of(State.DEAD) or sorted(self.model.records)))
        assert self.do(self.bench.runs.retry([run])) == [self.model.retry(run)]

    @rule()
    def an_event_is_resumed(self) -> None:
        assert self.do(self.broker.resume("pausing")) == self.model.resume("pausing")

    @rule(channel=CHANNEL)
    def a_bell_is_taken_and_not_followed(self, channel: str) -> None:
        if self.sync.zpopmin(KEYS.bell(channel)):
            self.swallowed.add(channel)

    @invariant()
    def every_run_is_in_one_place(self) -> None:
        queues = {channel: [run for run in self.model.queues[channel] if isinstance(run, str)] for channel in CHANNELS}
        expected = {KEYS.queue(channel): queued for channel, queued in queues.items()}
        running = [self.model.records[run] for run in self.model.of(State.RUNNING)]
        expected |= {KEYS.claims(channel): [record.id for record in running if record.channel == channel] for channel in CHANNELS}
        expected |= {f"{ROOT}delayed": self.model.of(*WAITING), f"{ROOT}dead": self.model.of(State.DEAD)}
        expected |= {f"{ROOT}active:{event}": sorted(self.model.active[event]) for event in EVENTS}
        found = {key: [run.decode() for run in runs] for key, runs in zip(expected, self.each("zrange", *((key, 0, -1) for key in expected)), strict=True)}
        assert {key: runs if ":queue:" in key else sorted(runs) for key, runs in found.items()} == expected
        for channel, there in zip(CHANNELS, self.each("exists", *((KEYS.bell(channel),) for channel in CHANNELS)), strict=True):
            self.swallowed -= {channel} if there or not queues[channel] else set()
            assert bool(there) == bool(queues[channel]) or channel in self.swallowed, f"the bell of {channel}"

    @invariant()
    def every_record_says_so(self) -> None:
        records = list(self.model.records.values())
        keys = [KEYS.run(record.id) for record in records]
        told = self.each("hmget", *((key, ["state", "attempts", "tries", "token"]) for key in keys))
        bodies = [KEYS.body(record.id) for record in records]
        kept = zip(self.each("ttl", *((key,) for key in keys)), self.each("ttl", *((key,) for key in bodies)), strict=True)
        for record, held, (lasts, body) in zip(records, told, kept, strict=True):
            state, attempts, tries, token = [part.decode() if part is not None else "" for part in held]
            assert (state, int(attempts or 0), int(tries or 0), token) == (record.state, record.attempts, record.tries, record.token)
            assert lasts > 0 if record.state in FINAL else lasts == FOR_EVER
            assert body > 0 if record.state is State.DEAD else body == (GONE if record.state in FINAL else FOR_EVER)

    @invariant()
    def what_is_counted_is_so(self) -> None:
        stats = self.do(self.broker.stats(list(EVENTS)))
        for event in EVENTS:
            mine = [record.state for record in self.model.records.values() if record.event == event]
            found, expected = stats[event], self.model.counts[event]
            for what in ("ok", "failed", "dead", "expired", "cancelled"):
                assert getattr(found, what) == expected[what], f"{event}: {what}"
            assert (found.running, found.retrying) == (mine.count(State.RUNNING), mine.count(State.RETRYING))
            assert (found.paused is not None) == (event in self.model.paused)

    async def all_is_told(self) -> None:
        _, finished = await self.broker.results("0-0")
        assert [(one.run, one.state) for one in finished] == self.model.ended
        listed = [(run.id, run.state) async for run in self.bench.runs.each(list(State))]
        assert sorted(listed) == sorted((record.id, record.state) for record in self.model.records.values())

    def each(self, command: str, *args: Sequence[Any]) -> list[Any]:
        """The same of several keys."""
        pipe = self.sync.pipeline(transaction=False)
        for one in args:
            getattr(pipe, command)(*one)
        return pipe.execute()


def test_whatever_is_asked_in_whatever_order(redis_server: RedisServer) -> None:
    chosen = settings(
        max_examples=HUNT or 40,
        stateful_step_count=30,
        derandomize=not HUNT,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(cast(type[Story], lambda: Story(redis_server)), settings=chosen)
