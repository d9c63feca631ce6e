"""What a user does with kubectl, and what comes of it: one operator for all of these, on the real API server."""

from collections.abc import Iterator

import pytest

from channelbeat.core import instants
from channelbeat.core.instants import HOUR, MINUTE
from support.arrivals import CLEAN, Channel, audit, now
from support.beats import Beats
from support.cluster import ControlPlane
from support.operators import LONG, Installation, installed
from support.redis import RedisServer, running
from support.waiting import until

SECOND = 1_000
EVERY = 100
NEVER = "8760h"


@pytest.fixture(scope="module")
def own_redis() -> Iterator[RedisServer]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def namespace(kube: ControlPlane) -> str:
    return kube.new_namespace()


@pytest.fixture(scope="module")
def us(kube: ControlPlane, own_redis: RedisServer, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(kube, own_redis.url, tmp_path_factory.mktemp("us"), namespace=namespace) as us:
        us.replica()
        us.leader()
        yield us


@pytest.fixture
def beats(us: Installation) -> Iterator[Beats]:
    beats = Beats(us.kube, us.namespace)
    yield beats
    us.api.delete(beats.path)  # all of them


@pytest.fixture
def control(beats: Beats) -> str:
    """An event that nobody touches: what it goes past, others would have gone past, too."""
    return beats.put({"every": "100ms"}, name="control")


def falls_silent(channel: Channel, event: str, control: str) -> int:
    """Waits for a second of the control's in which nothing of the event is due; when that began. How soon is a matter of the machine."""

    def silent() -> int:
        since = now()
        channel.reaches(since + SECOND, [control])
        return 0 if [a.run for a in channel.of(event) if a.due and a.due > since] else since

    return until(silent, LONG, what=f"{event} to stop")


def test_what_is_deleted_stops(beats: Beats, channel: Channel, control: str) -> None:
    event = beats.put({"every": "100ms"}, name="doomed")
    since = channel.flows([event, control])
    beats.delete("doomed")
    deleted = now()
    stopped = falls_silent(channel, "doomed/e", control)
    late = [a.due - deleted for a in channel.of("doomed/e") if a.due and a.due > deleted]
    print(f"sent after it was deleted: {late} ms")
    through = channel.reaches(stopped + 2 * SECOND, [control])
    assert [a.run for a in channel.of("doomed/e") if a.due and a.due > stopped] == []
    assert audit(channel.arrivals(), [control], every=EVERY, since=since, through=through) == CLEAN


def test_an_edit_takes_effect_and_makes_up_for_nothing(beats: Beats, channel: Channel, control: str) -> None:
    event = beats.put({"every": NEVER, "fields": {"n": 0}}, name="edited")
    beats.becomes("Ready=True", "edited")
    edited = now()
    beats.put({"every": "100ms", "fields": {"n": 1}}, name="edited")
    first = channel.get(1, "edited/e")[0]
    print(f"the first due time under the new spec, {first.at - edited} ms after the edit")
    assert first.due is not None
    assert first.due >= edited
    for n in (2, 3, 4):
        beats.put({"every": "100ms", "fields": {"n": n}}, name="edited")
        until(lambda n=n: channel.of("edited/e")[-1].message["n"] == n, LONG, what=f"fields {n}")  # type: ignore[misc]
    through = channel.reaches(now() + 300, [event])
    assert audit(channel.arrivals(), [event], every=EVERY, since=first.due, through=through) == CLEAN
    beats.put({"every": NEVER, "fields": {"n": 5}}, name="edited")
    falls_silent(channel, "edited/e", control)


def test_an_event_is_added_renamed_and_taken_out(beats: Beats, channel: Channel, control: str) -> None:
    beats.put({"every": "100ms", "name": "a"}, name="t")
    channel.flows([beats.key("t", "a")])
    beats.put({"every": "100ms", "name": "a"}, {"every": "100ms", "name": "b"}, name="t")
    channel.flows([beats.key("t", "b")])
    beats.put({"every": "100ms", "name": "c"}, {"every": "100ms", "name": "b"}, name="t")
    edited = channel.flows([beats.key("t", "c")])
    channel.reaches(edited + SECOND, [control])
    assert {a.event for a in channel.of("") if a.at > edited + 500} == {control, beats.key("t", "b"), beats.key("t", "c")}
    assert audit(channel.arrivals(), [control], every=EVERY, since=edited, through=edited + 500) == CLEAN


def test_a_suspended_schedule_sends_nothing_and_makes_up_for_nothing(beats: Beats, channel: Channel, control: str) -> None:
    event = beats.put({"every": "100ms"}, name="sleeper")
    channel.flows([event])
    beats.patch("sleeper", suspend=True)
    assert beats.becomes("Ready=True/Suspended", "sleeper")
    asleep = now()
    channel.reaches(asleep + SECOND, [control])
    awakes = now()
    beats.patch("sleeper", suspend=False)
    beats.becomes("Ready=True", "sleeper")
    channel.flows([event])
    assert [a.run for a in channel.of("sleeper/e") if a.due and asleep < a.due < awakes] == []
    assert audit(channel.arrivals(), [control], every=EVERY, since=asleep, through=awakes) == CLEAN


def test_a_trigger_sends_once_per_token(beats: Beats, channel: Channel) -> None:
    beats.put({"every": NEVER, "fields": {"n": 7}}, {"every": NEVER}, name="t")
    token = instants.text(now())
    beats.annotate("t", e=token)
    assert channel.get(1, "t/e")[0].message["n"] == 7
    until(lambda: beats.event("t").get("lastHandledTrigger", "").startswith(token), 20, what="an answer")
    beats.annotate("t", e1=token)  # the other event's is still there
    channel.get(1, "t/e1")
    beats.patch("t", suspend=True)
    beats.patch("t", suspend=False)
    second = instants.text(now())
    beats.annotate("t", e=second)
    channel.get(2, "t/e")
    assert sorted(channel.runs("t/e") + channel.runs("t/e1")) == sorted([f"trigger-{token}"] * 2 + [f"trigger-{second}"])


@pytest.mark.parametrize(("off", "answer"), [(-11 * MINUTE, "Expired"), (HOUR, "FromTheFuture")])
def test_a_token_that_is_not_of_now_is_refused(beats: Beats, channel: Channel, off: int, answer: str) -> None:
    beats.put({"every": NEVER}, name="t")
    token = instants.text(now() + off)
    before = len(channel.of("t/e"))
    beats.annotate("t", e=token)
    said = str(until(lambda: beats.event("t").get("lastHandledTrigger"), 20, what="an answer"))
    print(said)
    assert token in said
    assert answer in said
    assert len(channel.of("t/e")) == before


@pytest.mark.parametrize("token", ["now", "", "2026-11-21", "9" * 300, "null"])
def test_a_token_that_is_no_moment_is_answered_with_the_cure(beats: Beats, token: str) -> None:
    beats.put({"every": NEVER}, name="t")
    beats.annotate("t", e=token)
    said = str(until(lambda: beats.event("t").get("lastHandledTrigger"), 20, what="an answer"))
    print(said)
    assert "2026-" in said, "it shows no moment"


def test_the_columns_are_true(beats: Beats, channel: Channel) -> None:
    beats.put({"every": "100ms"}, name="often", delivery="BestEffort")
    beats.put({"cron": "30 2 * * *"}, {"at": "2020-01-01T00:00:00Z"}, name="nightly", timeZone="Europe/Berlin")
    beats.put({"every": "1s"}, name="asleep", suspend=True)
    beats.put({"every": "100ms"}, name="lost", channelLayer={"name": "nowhere"})
    channel.flows([beats.key("often")])
    beats.becomes("Ready=True", "often")
    beats.becomes("Ready=True", "nightly")
    beats.becomes("Ready=True/Suspended", "asleep")
    beats.becomes("Ready=False/NoSuchLayer", "lost")
    row = until(lambda: (found := beats.row("often"))["Last"] and found, 20, what="LAST")
    print(row)
    assert (row["Ready"], row["Channel"], row["Events"], row["Next"], row["Suspend"]) == ("True", "c", "1/1", "every 100ms", False)
    assert (row["Zone"], row["Delivery"], row["Layer"]) == ("UTC", "BestEffort", "default")
    row = beats.row("nightly")
    print(row)
    assert row["Zone"] == "Europe/Berlin"
    assert row["Next"].endswith(("T02:30:00+01:00", "T02:30:00+02:00")), row["Next"]
    assert instants.parse(row["Next"]) > now()
    row = beats.row("asleep")
    assert (row["Ready"], row["Suspend"], row["Reason"]) == ("True", True, "Suspended")
    row = beats.row("lost")
    print(row)
    assert (row["Ready"], row["Events"], row["Reason"]) == ("False", "0/1", "NoSuchLayer")
    assert "nowhere" in row["Message"]


def test_a_schedule_turns_invalid_and_valid_again(beats: Beats, channel: Channel, control: str) -> None:
    event = beats.put({"every": "100ms"}, name="t")
    since = channel.flows([event, control])
    beats.put({"every": "100ms"}, name="t", channelLayer={"name": "nowhere"})
    assert "nowhere" in beats.becomes("Accepted=False/NoSuchLayer", "t")["message"]
    assert beats.condition("t", "Stalled")["status"] == "True", "only the user can help"
    assert beats.condition("t", "Ready")["status"] == "False"
    invalid = now()
    channel.reaches(invalid + SECOND, [control])
    assert [a.run for a in channel.of("t/e") if a.due and a.due > invalid] == []
    beats.put({"every": "100ms"}, name="t", channelLayer={"name": "default"})
    beats.becomes("Accepted=True", "t")
    assert beats.condition("t", "Stalled")["status"] == "False"
    channel.flows([event, control])
    assert audit(channel.arrivals(), [control], every=EVERY, since=since, through=channel.reaches(now(), [control])) == CLEAN


def test_one_broken_event_stops_neither_its_schedule_nor_others(beats: Beats, channel: Channel, control: str) -> None:
    beats.put({"every": "100ms"}, {"cron": "0 0 31 2-4/2 *"}, name="t")
    channel.flows([beats.key("t"), control])
    until(lambda: beats.status("t").get("eventCount") == "1/2", 20, what="1/2")
    assert "no month" in beats.event("t", "e1")["fault"]
    assert "fault" not in beats.event("t", "e")
    beats.put({"every": "100ms"}, {"every": "100ms"}, name="t")
    channel.flows([beats.key("t", "e1")])
    until(lambda: beats.status("t").get("eventCount") == "2/2", 20, what="2/2")
    assert "fault" not in beats.event("t", "e1")


def test_it_is_told_by_kubectl(us: Installation, beats: Beats, channel: Channel) -> None:
    beats.put({"every": "100ms"}, name="t")
    us.kube.kubectl("-n", us.namespace, "wait", "--for=condition=Ready", "--timeout=20s", "beat/t")
    until(lambda: "every 100ms" in us.kube.kubectl("-n", us.namespace, "get", "beat", "t"), 20, what="NEXT")
    print(us.kube.kubectl("-n", us.namespace, "get", "beat", "-o", "wide"))
    print(us.kube.kubectl("-n", us.namespace, "describe", "beat", "t"))
