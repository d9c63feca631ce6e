"""Does anybody listen? What is seen at single looks, when it is told, and in which words."""

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from channelbeat.core import listening
from channelbeat.core.crews import Crew, crews, member
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.listening import PATIENCE, Deaf, Silence, silence
from channelbeat.core.measures import ChannelLoad
from channelbeat.core.scaling import Place
from support.rig import schedule
from support.times import NOON

A, B = Place("default", "a"), Place("default", "b")
SECRET = "redis://user:hidden@redis.shop:6379/2?password=hidden"


def load(oldest: Ms | None = None) -> ChannelLoad:
    return ChannelLoad(3, 0, 0, 0, oldest)


def crew(**worker: Any) -> Crew:
    made = worker or {"template": {"spec": {"containers": [{"name": "worker", "image": "shop:1"}]}}}
    (found,), _ = crews([member(schedule({"every": "1m"}, channel="a", worker=made), "u", 0)])
    return found


@pytest.mark.parametrize(
    ("ours", "heard", "loads", "silent"),
    [
        pytest.param(True, [A, B], {A: load(), B: load()}, {}, id="ours listen everywhere"),
        pytest.param(True, [A], {A: load(), B: load()}, {B: None}, id="ours listen in one of two"),
        pytest.param(True, [], {A: load(), B: load(5)}, {A: None, B: None}, id="ours listen nowhere"),
        pytest.param(True, [], {A: load()}, {A: None}, id="nobody can tell of one of them"),
        pytest.param(True, [], {}, {}, id="the layer is away"),
        pytest.param(False, [], {A: load(), B: load()}, {}, id="stock workers have fetched all there was"),
        pytest.param(False, [], {A: load(7), B: load()}, {A: 7}, id="a message waits for stock workers"),
        pytest.param(False, [A], {A: load(7), B: load()}, {}, id="or for one of ours"),
    ],
)
def test_where_nobody_is_seen(ours: bool, heard: Collection[Place], loads: Mapping[Place, ChannelLoad], silent: dict[Place, Ms | None]) -> None:
    found = silence({}, [A, B], heard, loads, ours=ours, now=NOON)
    assert found == {place: Deaf(NOON, oldest) for place, oldest in silent.items()}


@pytest.mark.parametrize(
    ("before", "ours", "oldest", "since"),
    [
        pytest.param(Deaf(5, None), True, None, 5, id="still nobody listens"),
        pytest.param(Deaf(5, None), True, 70, 5, id="still nobody listens, whatever waits"),
        pytest.param(Deaf(5, 70), False, 70, 5, id="the same message waits"),
        pytest.param(Deaf(5, 60), False, 70, NOON, id="it was fetched, or dropped"),
        pytest.param(Deaf(5, None), False, 70, NOON, id="now they are stock workers"),
    ],
)
def test_since_when(before: Deaf, ours: bool, oldest: Ms | None, since: Ms) -> None:
    (found,) = silence({A: before}, [A], [], {A: load(oldest)}, ours=ours, now=NOON).values()
    assert found.since == since


def told(silent: Silence, now: Ms = NOON + PATIENCE, *, of: Crew | None = None, **settings: Any) -> str:
    found = listening.nobody_listens(of or crew(), silent, {"default": LayerSettings("default", SECRET, prefix="shop", **settings)}, now)
    assert found is None or found.reason == "NobodyListens"
    return "" if found is None else found.text


@pytest.mark.parametrize(
    ("deaf", "expiry", "after"),
    [
        pytest.param(Deaf(NOON, None), 60, 30 * SECOND, id="ours"),
        pytest.param(Deaf(NOON, None), 10, 30 * SECOND, id="ours, whatever the expiry"),
        pytest.param(Deaf(NOON, 7), 60, 30 * SECOND, id="stock"),
        pytest.param(Deaf(NOON, 7), 20, 10 * SECOND, id="stock: before the layer drops the message"),
    ],
)
def test_it_is_told_once_it_has_lasted(deaf: Deaf, expiry: int, after: Ms) -> None:
    assert not told({A: deaf}, NOON + after - 1, expiry=expiry)
    assert told({A: deaf}, NOON + after, expiry=expiry)


def test_the_words_for_ours() -> None:
    assert told({A: Deaf(NOON, None)}) == (
        "workers of default/t-worker are ready, but no runworker of channelbeat listens on channel 'a' at Redis redis.shop:6379/2 with prefix 'shop' "
        "(layer 'default'): see that CHANNEL_LAYERS of the workers' settings.py has this very Redis and prefix, under the alias 'default', "
        'and that "channelbeat.worker" stands before "channels" in INSTALLED_APPS, '
        "and that spec.worker.command passes on the channels that are appended to it"
    )


def test_the_words_for_stock_workers() -> None:
    says = told({A: Deaf(NOON, 7)}, of=crew(scaleTargetRef={"name": "web"}))
    assert says.startswith("workers of default/web are ready, but nobody has fetched what waits for over 30s in channel 'a' at Redis redis.shop:6379/2")
    assert says.endswith("and that their command is a runworker, and that the Deployment's own command names this channel")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (SECRET, "redis.shop:6379/2"),
        ("redis://:hid@den/hidden@redis:6379", "redis:6379"),
        ("redis://:hid?den@redis:6379/0", "redis:6379/0"),
        ("rediss://redis", "redis"),
        ("unix:///run/redis.sock?db=1&password=hidden", "/run/redis.sock"),
    ],
)
def test_no_secret_of_the_url_is_told(url: str, shown: str) -> None:
    says = listening.nobody_listens(crew(), {A: Deaf(0, None)}, {"default": LayerSettings("default", url)}, NOON)
    assert says is not None
    assert f"at Redis {shown} with" in says.text
    assert "hid" not in says.text


def test_nothing_is_told_of_a_layer_that_has_gone() -> None:
    assert listening.nobody_listens(crew(), {Place("gone", "a"): Deaf(0, None)}, {}, NOON) is None
