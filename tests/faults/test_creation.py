"""When it is known when an object was made: what was due since then is sent, though nobody led; nothing before it is."""

from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.core.outcomes import Kind
from support.rig import Rig, schedule
from support.times import at, short

ALL = {"missed": {"policy": "All"}}
EVERY = schedule({"every": "20s", **ALL})


@pytest.fixture(autouse=True)
async def old_store(redis: Redis) -> None:
    """One that began this morning."""
    await redis.hset("channelbeat:asgi:state", ":gen", f"{at('08:00:00')}-old")


def enqueued(rig: Rig) -> list[str]:
    return [short(o.due) for o in rig.journal.outcomes if o.kind is Kind.ENQUEUED]


@pytest.mark.parametrize(
    ("event", "created", "sent"),
    [
        pytest.param({"at": "2025-06-02T11:59:30Z"}, "11:59:00", ["11:59:30"], id="an at applied while nobody led is still sent"),
        pytest.param({"at": "2025-06-02T11:30:00Z"}, "11:00:00", ["11:30:00"], id="within the window of the missed policy"),
        pytest.param({"at": "2025-06-02T10:30:00Z"}, "10:00:00", [], id="and not beyond it"),
        pytest.param({"at": "2025-06-02T11:59:30Z", "missed": {"policy": "Skip"}}, "11:59:00", [], id="nor when the policy is Skip"),
        pytest.param({"at": "2025-06-02T11:59:30Z"}, "11:59:40", [], id="one before the creation is not"),
        pytest.param({"at": "2025-06-02T11:59:30Z"}, None, [], id="nor when the creation is not known"),
        pytest.param({"every": "20s", **ALL}, "11:59:30", ["11:59:40", "12:00:00"], id="every starts at the creation"),
        pytest.param({"cron": "* * * * *", **ALL}, "11:57:30", ["11:58:00", "11:59:00", "12:00:00"], id="cron as well"),
        pytest.param({"every": "20s", **ALL}, "12:30:00", [], id="a creation in the future is none"),
        pytest.param({"every": "20s", **ALL}, "07:00:00", [], id="one before the store began, which may have been wiped, makes up for nothing"),
    ],
)
async def test_what_was_due_since_the_creation(rig: Rig, event: dict[str, Any], created: str | None, sent: list[str]) -> None:
    await rig.start(schedule(event), created=at(created) if created else None)
    assert enqueued(rig) == sent
    assert rig.journal.decided() == sum(o.count for o in rig.journal.outcomes)


async def test_seen_again_after_a_restart_it_is_not_made_again(rig: Rig) -> None:
    for _ in range(3):
        await rig.start(EVERY, created=at("11:59:30"))
        await rig.kill()
    assert enqueued(rig) == ["11:59:40", "12:00:00"]


async def test_an_event_applied_while_somebody_leads_but_seen_late(rig: Rig) -> None:
    await rig.start(schedule({"at": "2029-01-01T00:00:00Z"}, name="other"))
    await rig.pass_time(5_000)
    rig.book.put(schedule({"at": "2025-06-02T12:00:03Z"}), created=at("12:00:01"))
    await rig.pass_time(1_000)
    assert enqueued(rig) == ["12:00:03"]


async def test_an_edit_of_an_old_object_makes_up_for_nothing(rig: Rig) -> None:
    await rig.start(EVERY, created=at("11:59:30"))
    await rig.kill()
    rig.clock.advance(100_000)
    await rig.start(schedule({"every": "30s", **ALL}), created=at("11:59:30"))
    await rig.pass_time(20_000)
    assert enqueued(rig) == ["11:59:40", "12:00:00", "12:02:00"]


async def test_deleted_and_made_again_while_nobody_led_nothing_before_the_creation_is_sent(rig: Rig) -> None:
    await rig.start(EVERY, created=at("11:59:30"))
    await rig.kill()
    rig.clock.advance(100_000)
    await rig.start(EVERY, created=at("12:01:10"))
    assert enqueued(rig) == ["11:59:40", "12:00:00", "12:01:20", "12:01:40"]


async def test_deleted_and_made_again_while_somebody_leads_each_due_time_counts_once(rig: Rig) -> None:
    await rig.start(EVERY, created=at("11:59:30"))
    rig.clock.step(60_000)  # and only now both are seen
    rig.book.remove("default/t")
    rig.book.put(EVERY, created=at("12:00:30"))
    await rig.pass_time(1_000)
    assert enqueued(rig) == ["11:59:40", "12:00:00", "12:00:40", "12:01:00"]
    assert rig.journal.counts() == {"enqueued": 4, "missed/Removed": 1}


async def test_come_back_from_a_tombstone_only_a_new_creation_counts(rig: Rig) -> None:
    other = schedule({"at": "2029-01-01T00:00:00Z"}, name="other")
    await rig.start(EVERY, other)
    await rig.kill()
    await rig.start(other)
    await rig.kill()
    rig.clock.advance(60_000)
    await rig.start(EVERY, other, created=at("11:59:30"))
    assert enqueued(rig) == []
    await rig.kill()
    await rig.start(other)
    await rig.kill()
    rig.clock.advance(60_000)
    await rig.start(EVERY, other, created=at("12:01:30"))
    assert enqueued(rig) == ["12:01:40", "12:02:00"]
