"""Consumers as in Channels' documentation, and what else may stand behind a channel's name, do the same under the stock runworker and under ours.

One real `manage.py runworker` of each kind listens on all channels of the project beside this file; every sentence is about channels of its own.
"""

import json
from typing import Any, NamedTuple

import pytest

from support.runworker import Runworker, Shop, channel_layer
from support.waiting import eventually, until

KINDS = ("sync", "async")
NAMES = ("look", "take", "dotted", "count", "unknown", "private", "answer", "stop", "fail", "note", "reply", "group", "member", "down", "thread")
DOCUMENTED = ("thumbnails-generate", "thumbnails-delete", "prints")
CHANNELS = (
    *DOCUMENTED,
    *(f"{kind}-{name}" for kind in KINDS for name in NAMES),
    *("later", "sized", "on-other", "stamped", "raw", "once", "pairs", "ticking", "answering", "unrouted"),
)
PAYLOAD = {
    "type": "take",
    "text": "Grüße, 世界 \u0000",
    "numbers": [0, -1, 2**63 - 1, 0.1],
    "nested": {"list": [None, True, {"deep": []}]},
    "bytes": b"\x00\xff",
    "large": "x" * 1_000_000,
    "channel": "mine",
    "beat": "mine, too",
}


@pytest.fixture(scope="module")
def worker(shop: Shop) -> Runworker:
    """It listens: to load Django may take longer, on a busy machine, than any answer may."""
    worker = shop.manage(*CHANNELS)
    until(lambda: "Running worker for channels" in worker.output or worker.status is not None, 60, what="a worker that listens")
    return worker


@pytest.fixture(autouse=True)
def alive(shop: Shop, worker: Runworker) -> None:
    assert worker.status is None, f"it has ended: {worker.output}"


def as_recorded(value: Any) -> Any:
    return json.loads(json.dumps(value, default=repr))


def looked(channel: str, *, sync: bool) -> dict[str, Any]:
    return {"scope": {"type": "channel", "channel": channel}, "channel_name": "specific.", "its layer": True, "in the main thread": not sync}


class Case(NamedTuple):
    """`sent` to the `channel`, and what consumers of `by` (the same channel if empty) record of it, in this order."""

    channel: str
    sent: list[dict[str, Any]]
    seen: list[list[Any]]
    by: str = ""


def count(times: int) -> list[dict[str, Any]]:
    return [{"type": "count"}] * times


def numbered(numbers: range) -> list[dict[str, Any]]:
    return [{"type": "take", "n": n} for n in numbers]


CASES = {
    "the documentation's sync consumer handles its events in their order": Case(
        "thumbnails-generate", [{"type": "generate", "id": n} for n in range(5)], [["generated", n] for n in range(5)]
    ),
    "what it sends on reaches the async consumer of another channel": Case(
        "thumbnails-generate", [{"type": "generate", "id": 123456789}], [["deleted", n] for n in (*range(5), 123456789)], by="thumbnails-delete"
    ),
    "a dot in a type is an underscore in the handler's name": Case("prints", [{"type": "test.print", "text": "hello"}], [["printed", "hello"]]),
    **{
        f"{kind}: the handler {sentence}": Case(f"{kind}-{channel}", sent, seen)
        for kind in KINDS
        for sentence, channel, sent, seen in (
            ("finds scope, channel name and layer", "look", [{"type": "look"}], [["looked", looked(f"{kind}-look", sync=kind == "sync")]]),
            ("is given the very message, whatever is in it", "take", [PAYLOAD], [["took", as_recorded(PAYLOAD)]]),
            ("is found for several dots", "dotted", [{"type": "long.dotted.type"}], [["dotted", {"type": "long.dotted.type"}]]),
            ("keeps its state on the consumer, which lives on", "count", count(20), [["count", n] for n in range(1, 21)]),
            ("may use the database", "note", [{"type": "note", "text": kind}] * 3, [["notes", 1], ["notes", 2], ["notes", 3]]),
            ("may send to its own channel", "down", [{"type": "down", "n": 3}], [["down", n] for n in (3, 2, 1, 0)]),
        )
    },
    "work that an async consumer leaves behind goes on beside the next message": Case("later", [{"type": "later", "n": 1}], [["now", 1], ["later", 1]]),
    "as_asgi() may have arguments": Case("sized", [{"type": "measure"}], [["size", 3]]),
    "a consumer may use another layer than its worker": Case("on-other", [{"type": "look"}], [["looked", looked("on-other", sync=True)]]),
    "middleware may change the scope and each message": Case(
        "stamped",
        [{"type": "look"}, {"type": "take"}],
        [
            ["looked", looked("stamped", sync=True) | {"scope": {"type": "channel", "channel": "stamped", "stamp": "entered"}}],
            ["took", {"type": "take", "stamp": "received"}],
        ],
    ),
    "an application need not be a consumer": Case("raw", numbered(range(3)), [["took", message] for message in numbered(range(3))]),
    "it may take two messages before it works": Case("pairs", numbered(range(6)), [["took", [0, 1]], ["took", [2, 3]], ["took", [4, 5]]]),
    "it may give up waiting for a message, and wait again": Case("ticking", numbered(range(6)), [["took", n] for n in range(6)]),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_consumer_sees(shop: Shop, case: Case) -> None:
    await shop.send(case.channel, *case.sent)
    assert await shop.recorded(case.by or case.channel, len(case.seen)) == case.seen


async def test_what_a_consumer_prints_is_printed(shop: Shop, worker: Runworker) -> None:
    await shop.send("prints", {"type": "test.print", "text": "out loud"})
    await eventually(lambda: "Test: out loud\n" in worker.output)


@pytest.mark.parametrize("kind", KINDS)
async def test_rows_are_there_when_a_handler_is_done(shop: Shop, kind: str) -> None:
    await shop.send(f"{kind}-note", {"type": "note", "text": f"{kind} row"})
    await eventually(lambda: f"{kind} row" in shop.notes())


async def test_sync_code_of_one_worker_has_one_thread(shop: Shop) -> None:
    """Database connections belong to threads."""
    for kind in KINDS:
        await shop.send(f"{kind}-thread", {"type": "thread"}, {"type": "thread"})
    threads = {thread for kind in KINDS for _, thread in await shop.recorded(f"{kind}-thread", 2)}
    assert len(threads) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_consumer_answers_on_a_channel_it_is_told(shop: Shop, kind: str) -> None:
    async with channel_layer(shop.url) as layer:
        mine = await layer.new_channel()
        await layer.send(f"{kind}-reply", {"type": "reply", "to": mine, "text": "here"})
        assert await layer.receive(mine) == {"type": "reply", "text": "here"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_consumer_hears_groups_on_its_own_channel_name(shop: Shop, kind: str) -> None:
    channel, group = f"{kind}-group", f"{kind}-news"
    await shop.send(channel, {"type": "join", "group": group})
    await shop.recorded(channel, 1)
    await shop.group_send(group, {"type": "news", "text": "from outside"})
    await shop.recorded(channel, 2)
    await shop.send(f"{kind}-member", {"type": "tell", "group": group, "text": "from another consumer"})
    await shop.recorded(channel, 3)
    await shop.send(channel, {"type": "leave_group", "group": group})
    await shop.recorded(channel, 4)
    await shop.group_send(group, {"type": "news", "text": "to nobody"})
    await shop.send(channel, {"type": "look"})
    heard = [["news", {"type": "news", "text": text}] for text in ("from outside", "from another consumer")]
    assert [what for what, *_ in await shop.recorded(channel, 5)] == ["joined", "news", "news", "left", "looked"]
    assert shop.records(channel)[1:3] == heard


async def test_a_channel_of_workers_may_be_in_a_group(shop: Shop) -> None:
    """What group_send writes for the layer's own use is not in the message."""
    async with channel_layer(shop.url) as layer:
        await layer.group_add("workers", "sync-member")
    await shop.group_send("workers", {"type": "news", "text": "to workers"})
    assert await shop.recorded("sync-member", 1) == [["news", {"type": "news", "text": "to workers"}]]


FAILURES = {
    "a type without a handler": ("{kind}-unknown", {"type": "no.such"}, "No handler for message type no.such"),
    "a type of the consumer's own": ("{kind}-private", {"type": "_dispatch"}, "Malformed type in message (leading underscore)"),
    "a handler that raises": ("{kind}-fail", {"type": "fail", "text": "of {kind}"}, "of {kind}"),
    "an answer, which goes nowhere": ("{kind}-answer", {"type": "answer"}, "You must implement application_send()"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_is_logged_with_its_error_and_the_channel_gets_a_new_consumer(shop: Shop, worker: Runworker, failure: tuple[Any, ...], kind: str) -> None:
    channel, message, error = failure
    channel, error = channel.format(kind=kind), error.format(kind=kind)
    before = worker.output.count(f"Exception inside application: {error}\n")
    await shop.send(channel, *count(2))
    await shop.recorded(channel, 2)
    await shop.send(channel, {name: value.format(kind=kind) for name, value in message.items()})
    await eventually(lambda: worker.output.count(f"Exception inside application: {error}\n") > before, what=f"a log of {error}: {worker.output[-2000:]}")
    await shop.send(channel, *count(2))
    assert await shop.recorded(channel, 4) == [["count", n] for n in (1, 2, 1, 2)]


async def test_a_channel_that_no_route_leads_to_is_logged(shop: Shop, worker: Runworker) -> None:
    await shop.send("unrouted", {"type": "look"})
    await eventually(lambda: "Exception inside application: No application configured for channel name 'unrouted'\n" in worker.output)


async def test_an_application_without_a_consumer_has_nowhere_to_answer_to_either(shop: Shop, worker: Runworker) -> None:
    before = worker.output.count("You must implement application_send()")
    await shop.send("answering", {"type": "look"})
    await eventually(lambda: worker.output.count("You must implement application_send()") > before)


@pytest.mark.parametrize(("channel", "message"), [("sync-stop", {"type": "stop"}), ("async-stop", {"type": "stop"}), ("once", {"type": "take"})])
async def test_an_application_may_end_and_is_begun_anew(shop: Shop, worker: Runworker, channel: str, message: dict[str, str]) -> None:
    """Stock drops what comes in the tenth of a second until it has noticed, so the question is repeated."""
    logged = worker.output.count("Exception")
    if channel != "once":
        await shop.send(channel, *count(2))
        await shop.recorded(channel, 2)
    await shop.send(channel, message)
    before = 2 if channel != "once" else 1
    await eventually(lambda: not shop.waiting(channel))

    async def answered() -> bool:
        if not shop.waiting(channel):
            await shop.send(channel, {"type": "count"})
        return len(shop.records(channel)) > before

    await eventually(answered)
    assert shop.records(channel)[before] == (["took", {"type": "count"}] if channel == "once" else ["count", 1])
    assert worker.output.count("Exception") == logged


def test_it_says_on_the_console_what_it_listens_on(worker: Runworker) -> None:
    until(lambda: f"Running worker for channels {list(CHANNELS)}\n" in worker.output)
