"""Edits as fast as the API server takes them, objects as large as it takes them, and many of them."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from channelbeat.core import instants
from channelbeat.core.instants import SECOND
from support.arrivals import CLEAN, Channel, audit, now
from support.beats import Beats, manifest
from support.cluster_api import MERGE, Api
from support.operators import LONG, LOOK, Installation
from support.waiting import until

EVERY = 100
FEW = 10
"""Versions that were sent: not more would be no hurry."""


def clone(api: Api) -> Api:
    """For another thread."""
    return Api(api.url, ca=api.ca, token=api.token)


def test_one_object_is_edited_as_fast_as_the_server_takes_it(us: Installation, beats: Beats, channel: Channel) -> None:
    """None of these edits changes when it is due, so nothing may be missing."""
    event = beats.put({"every": "100ms", "fields": {"n": 0}})
    us.replica()
    since, numbers = channel.flows([event]), count(1)
    while now() < since + 3 * SECOND or len({a.message["n"] for a in channel.arrivals()}) <= FEW:
        beats.patch(events=[{"name": "e", "type": "work", "every": "100ms", "fields": {"n": (last := next(numbers))}}])
    until(lambda: channel.arrivals()[-1].message["n"] == last, LONG, what=f"the last of {last} edits")
    through = channel.reaches(now() + SECOND, [event])
    assert audit(channel.arrivals(), [event], every=EVERY, since=since, through=through) == CLEAN
    sent = [a.message["n"] for a in channel.arrivals()]
    print(f"{last} edits, {len(set(sent))} of them sent")
    assert sent == sorted(sent), "an older edit came back"
    assert len(set(sent)) > FEW
    beats.becomes("Ready=True")


def test_the_times_of_one_object_are_edited_as_fast_as_the_server_takes_it(us: Installation, beats: Beats, channel: Channel) -> None:
    control, event = beats.put({"every": "100ms"}, name="control"), beats.put({"every": "200ms"})
    us.replica()
    since = channel.flows([event, control])
    while now() < since + 3 * SECOND:
        for every in ("300ms", "1h", "100ms"):
            beats.patch(events=[{"name": "e", "type": "work", "every": every}])
    beats.put({"every": "100ms", "fields": {"n": 1}})
    until(lambda: channel.of("t/e")[-1].message.get("n"), LONG, what="the last edit")
    rests = channel.flows([event])
    through = channel.reaches(rests + SECOND, [event, control])
    assert audit(channel.arrivals(), [event], every=EVERY, since=rests, through=through) == CLEAN
    assert audit(channel.arrivals(), [control], every=EVERY, since=since, through=through) == CLEAN


def test_many_objects_are_edited_at_once(us: Installation, beats: Beats, channel: Channel) -> None:
    names = [f"t{number}" for number in range(100)]
    events = [beats.put({"every": "500ms", "fields": {"n": 0}}, name=name) for name in names]
    us.replica()
    since = channel.flows(events)

    def edit(mine: list[str]) -> None:
        api = clone(us.api)
        for n in range(1, 6):
            for name in mine:
                api.patch(f"{beats.path}/{name}", {"spec": {"events": [{"name": "e", "type": "work", "every": "500ms", "fields": {"n": n}}]}})
        api.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(edit, [names[start::4] for start in range(4)]))
    until(lambda: {*{a.event: a.message["n"] for a in channel.arrivals()}.values()} == {5}, LONG, what="the last edit of each", every=LOOK)
    edited = now()
    through = channel.reaches(edited + SECOND, events)
    assert audit(channel.arrivals(), events, every=500, since=since, through=through) == CLEAN
    assert {a.message["n"] for a in channel.arrivals() if a.due and a.due > edited} == {5}, "an older edit came back"


def test_two_thousand_schedules_at_once(us: Installation, beats: Beats, channel: Channel) -> None:
    """Made as fast as the server takes them, while others are due already: then each is due, at the same moment."""
    one = us.replica()
    us.leader()

    def make(numbers: range) -> None:
        api = clone(us.api)
        for number in numbers:
            api.create(beats.path, manifest({"every": "4s"}, name=f"t{number}"))
        api.close()

    begun = now()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(make, [range(start, 2_000, 4) for start in range(4)]))
    until(lambda: one.metric("channelbeat_schedules") == 2_000, LONG, what="all of them taken in", every=LOOK)
    made = now()
    events = [beats.key(f"t{number}") for number in range(2_000)]
    due = (made // 4_000 + 1) * 4_000
    due += 4_000 if due < made + SECOND else 0
    channel.reaches(due, events, within=LONG)
    assert audit(channel.arrivals(), events, every=4_000, since=due - 1, through=due) == CLEAN
    print(f"made and taken in within {made - begun} ms, arrived within {max(a.at for a in channel.arrivals() if a.due == due) - due} ms after they were due")
    for _ in range(4):  # all at once may take longer than a call
        us.api.delete(beats.path, limit="500")


def test_an_object_of_a_megabyte(us: Installation, beats: Beats, channel: Channel) -> None:
    ballast = {"every": "8760h", "fields": {"text": "x" * 10_000}}
    us.replica()
    event = beats.put({"every": "100ms"}, *[ballast] * 99)
    since = channel.flows([event])
    assert len(str(beats.get())) > 990_000
    until(lambda: beats.status().get("eventCount") == "100/100", 20, what="100/100")
    beats.annotate(e99=instants.text(now()))
    assert channel.get(1, "t/e99")[0].message["text"] == "x" * 10_000
    until(lambda: "lastHandledTrigger" in beats.event("t", "e99"), 20, what="an answer")
    beats.put({"every": "100ms", "fields": {"n": 1}}, *[ballast] * 99)
    until(lambda: channel.of("t/e")[-1].message.get("n") == 1, LONG, what="the edit")
    through = channel.reaches(now() + 300, [event])
    assert audit(channel.arrivals(), [event], every=EVERY, since=since, through=through) == CLEAN


@pytest.mark.parametrize("what", ["conditions", "all"])
def test_somebody_else_writes_the_status(us: Installation, beats: Beats, channel: Channel, what: str) -> None:
    event = beats.put({"every": "100ms"})
    one = us.replica()
    since = channel.flows([event])
    beats.becomes("Ready=True")
    moment = "2026-01-01T00:00:00Z"
    lie: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "False", "reason": "Broken", "message": "", "lastTransitionTime": moment}]}
    for _ in range(20):
        us.api.patch(f"{beats.path}/t/status", {"status": lie if what == "conditions" else None}, content=MERGE)
    beats.patch(suspend=True)
    beats.patch(suspend=False)
    beats.becomes("Ready=True")
    assert beats.condition("t", "Accepted")["status"] == "True"
    assert beats.row()["Events"] == "1/1"
    through = channel.reaches(now(), [event])
    assert one.healthz()
    assert audit(channel.arrivals(), [], every=EVERY, since=since, through=through) == CLEAN
