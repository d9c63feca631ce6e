"""Events sent because somebody asks: each token once, however often it is asked for, and however long its channel is full."""

from collections.abc import Callable
from typing import Any

import pytest
from channels_redis.core import RedisChannelLayer
from redis.asyncio import Redis

from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.outcomes import Kind
from support.rig import Rig, schedule
from support.triggers import QUIET, SENT1, SENT2, T1, T2, ask, told

Rigs = Callable[..., Rig]


async def test_it_is_sent_at_once_beside_the_event_s_own_due_times(rig: Rig) -> None:
    await rig.start(schedule({"every": "10s", "fields": {"n": 1}}))
    await rig.pass_time(5000)
    asked = rig.lane.trigger(rig.definition(), T1)
    await rig.idle()
    outcome = await asked
    assert (told(outcome), outcome.run, outcome.due, outcome.lateness) == ("enqueued/Triggered", f"default/t/e/{SENT1}", T1, 5000)
    await rig.pass_time(5000)
    assert rig.sent() == [SENT1, "2025-06-02T12:00:10Z"]
    assert rig.messages()[0] == {
        "type": "x",
        "n": 1,
        "beat": {"v": 1, "schedule": "default/t", "event": "e", "run": f"default/t/e/{SENT1}", "due": "2025-06-02T12:00:00Z"},
    }


@pytest.mark.parametrize(
    ("tokens", "answers", "sent"),
    [
        pytest.param([T1, T1], ["enqueued/Triggered", "refused/Duplicate"], [SENT1], id="applied twice"),
        pytest.param([T1, T2, T1], ["enqueued/Triggered", "enqueued/Triggered", "refused/Duplicate"], [SENT1, SENT2], id="T1 T2 T1"),
        pytest.param([T2, T1, T2], ["enqueued/Triggered", "enqueued/Triggered", "refused/Duplicate"], [SENT2, SENT1], id="T2 T1 T2"),
        pytest.param([T1 - 10 * MINUTE - 10 * SECOND], ["refused/Expired"], [], id="expired"),
        pytest.param([T1 + 5 * MINUTE + 10 * SECOND], ["refused/FromTheFuture"], [], id="from the future"),
    ],
)
@pytest.mark.parametrize("restarts", [False, True], ids=["one process", "restarted in between"])
async def test_each_token_once(rig: Rig, tokens: list[Ms], answers: list[str], sent: list[str], restarts: bool) -> None:
    await rig.start(QUIET)
    found = []
    for token in tokens:
        found.append(await ask(rig, token))
        if restarts:
            await rig.kill()
            await rig.start(QUIET)
    assert found == answers
    assert rig.sent() == sent


@pytest.mark.parametrize("token", [T1 - 10 * MINUTE, T1 + 5 * MINUTE])
async def test_the_edges_of_the_time_a_token_is_good_for(rig: Rig, token: Ms) -> None:
    await rig.start(QUIET)
    assert (await rig.lane.trigger(rig.definition(), token)).kind is Kind.ENQUEUED


async def test_asked_twice_at_once_it_is_sent_once(rig: Rig) -> None:
    await rig.start(QUIET)
    asked = [rig.lane.trigger(rig.definition(), T1) for _ in range(2)]
    await rig.idle()
    assert [told(await one) for one in asked] == ["enqueued/Triggered", "refused/Duplicate"]
    assert rig.sent() == [SENT1]


async def test_the_same_token_on_two_events_is_two_triggers(rig: Rig) -> None:
    await rig.start(QUIET)
    assert [await ask(rig, event=event) for event in ("e", "e1")] == ["enqueued/Triggered"] * 2
    assert len(rig.sent()) == 2


async def test_tokens_are_forgotten_when_they_would_be_expired_anyway(rig: Rig, redis: Redis) -> None:
    await rig.start(QUIET)
    for _ in range(30):
        await ask(rig, rig.clock.now())
        rig.clock.advance(MINUTE)
    known = (await redis.hget("channelbeat:asgi:state", "default/t/e!") or b"").split()
    assert 10 <= len(known) <= 21
    assert len(rig.sent()) == 30


@pytest.mark.parametrize("suspended", [{"suspend": True}, {}], ids=["the event", "the schedule"])
async def test_a_suspended_event_can_be_triggered_and_stays_suspended(rig: Rig, suspended: dict[str, Any]) -> None:
    await rig.start(schedule({"every": "10s", **suspended}, suspend=not suspended))
    await rig.pass_time(10_000)
    assert await ask(rig, T1) == "enqueued/Triggered"
    await rig.pass_time(10_000)
    assert rig.sent() == [SENT1]
    assert rig.journal.counts()["suspended"] == 2


@pytest.fixture
async def full(rigs: Rigs) -> Rig:
    """A rig whose channel has been filled by an event of its own."""
    rig = rigs(capacity=1)
    await rig.start(schedule({"at": "2025-06-02T12:00:01Z"}, {"at": "2029-01-01T00:00:00Z"}))
    await rig.pass_time(SECOND)
    return rig


async def test_while_the_channel_is_full_it_waits_and_is_told_once(full: Rig) -> None:
    asked = full.lane.trigger(full.definition("e1"), T1)
    await full.pass_time(MINUTE)
    assert not asked.done()
    assert full.journal.counts()["held/ChannelFull"] == 1
    full.take(1)
    await full.pass_time(2 * SECOND)
    assert told(await asked) == "enqueued/Triggered"
    assert full.sent() == [SENT1]


async def test_it_waits_no_longer_than_a_token_is_good_for(full: Rig) -> None:
    asked = full.lane.trigger(full.definition("e1"), T1)
    await full.pass_time(10 * MINUTE + SECOND, step=5 * SECOND)
    assert told(await asked) == "refused/Expired"
    full.take(1)
    await full.pass_time(5 * SECOND)
    assert full.sent() == []


async def test_one_that_waited_when_the_process_was_killed_can_be_asked_for_again(full: Rig) -> None:
    full.lane.trigger(full.definition("e1"), T1)
    await full.pass_time(2 * SECOND)
    await full.kill()
    full.take(1)
    await full.start(QUIET)
    assert await ask(full) == "enqueued/Triggered"
    assert full.sent() == [SENT1]


async def test_a_key_of_the_wrong_type_holds_it_back_until_it_is_repaired(rig: Rig, redis: Redis) -> None:
    await redis.set("asgic", "no channel")
    await rig.start(QUIET)
    asked = rig.lane.trigger(rig.definition(), T1)
    await rig.pass_time(10 * SECOND)
    assert rig.journal.counts() == {"held/WrongType": 1}
    await redis.delete("asgic")
    await rig.pass_time(2 * SECOND)
    assert told(await asked) == "enqueued/Triggered"


async def test_a_group_s_members_get_it_once(rig: Rig) -> None:
    layer = RedisChannelLayer(hosts=[rig.url])
    try:
        await layer.group_add("g", "member")
        await rig.start(schedule({"at": "2029-01-01T00:00:00Z"}, group="g"))
        assert [await ask(rig), await ask(rig)] == ["enqueued/Triggered", "refused/Duplicate"]
        assert rig.sent("member") == [SENT1]
    finally:
        await layer.close_pools()


async def test_a_group_send_that_fails_is_not_tried_again(rig: Rig, redis: Redis) -> None:
    await redis.set("asgi:group:g", "no group")
    await rig.start(schedule({"at": "2029-01-01T00:00:00Z"}, group="g"))
    assert await ask(rig) == "failed/GroupSendFailed"
    assert await ask(rig) == "refused/Duplicate"
