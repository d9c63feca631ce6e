"""What is said of a Django project before its workers start: each fault by a real project in a process of its own."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from channelbeat.core.layer import LayerSettings
from channelbeat.errors import ProjectError
from channelbeat.local import project
from channelbeat.local.project import Verdict
from channelbeat.local.workers import Job, Place
from support.redis import RedisServer

PROJECT = Path(__file__).parent / "project"
GENERATION = "the-one"


def job(channel: str, url: str, changed: Mapping[str, Any], layer: str = "default", tracked: bool = False) -> Job:
    options = ("--concurrency", "1") if tracked else ()
    return Job(Place(layer, channel), (sys.executable, "manage.py", "runworker"), (("BEATSITE", json.dumps(changed)),), url, options=options)


async def verdict(redis: "Redis", url: str, changed: Mapping[str, Any], *channels: str, **settings: Any) -> Verdict:
    tracked = settings.pop("tracked", False)
    layer = LayerSettings(settings.pop("name", "default"), url, **settings)
    await redis.hset(f"channelbeat:{layer.prefix}:state", ":gen", GENERATION)
    jobs = [job(channel, url, changed, layer.name, tracked) for channel in channels or ("prints",)]
    return await project.check(PROJECT, jobs, layer, generation=GENERATION)


async def test_a_project_that_can_hear_us_is_let_through(redis: "Redis", redis_server: RedisServer) -> None:
    assert await verdict(redis, redis_server.url, {}) == Verdict()


ADDRESS = '"hosts": [{"address": os.environ.get("CHANNELBEAT_REDIS_URL", "redis://localhost:6379"), "socket_timeout": None}]'
PUBSUB = {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": ["redis://127.0.0.1:1"]}}}
IN_MEMORY = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
NO_BACKEND = {"default": {"BACKEND": "no.such.Layer"}}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"INSTALLED_APPS": []}, ['beatsite.settings: there is no `runworker` command: add "channels" to INSTALLED_APPS']),
        ({"alias": "other"}, ["CHANNEL_LAYERS['default'] does not exist (there is 'other')", ADDRESS]),
        ({"CHANNEL_LAYERS": {}}, ["CHANNEL_LAYERS['default'] does not exist:", ADDRESS]),
        ({"CHANNEL_LAYERS": PUBSUB}, ["CHANNEL_LAYERS['default']: the pub/sub layer keeps no queue", ADDRESS]),
        ({"CHANNEL_LAYERS": IN_MEMORY}, ["CHANNEL_LAYERS['default']: the in-memory layer lives in one process", ADDRESS]),
        ({"CHANNEL_LAYERS": NO_BACKEND}, ["CHANNEL_LAYERS['default'] cannot be made: ", "no.such.Layer", ADDRESS]),
        ({"CONFIG": {"hosts": ["redis://127.0.0.1:1", "redis://127.0.0.1:2"]}}, ["it has 2 hosts", ADDRESS]),
        ({"CONFIG": {"hosts": ["redis://me:secret@127.0.0.1:1"]}}, ["its Redis does not answer", ADDRESS]),
        ({"CONFIG": {"prefix": "mine"}}, ["its prefix is 'mine' where 'asgi' is used", ADDRESS]),
        ({"CONFIG": {"serializer_format": "json"}}, ["its serializer is channels_redis.serializers.JSONSerializer where", ADDRESS]),
        ({"CONFIG": {"random_prefix_length": 4}}, ["its random_prefix_length is 4 where 12 is used", ADDRESS]),
        ({"ASGI_APPLICATION": None}, ["beatsite.settings has no ASGI_APPLICATION"]),
        ({"ASGI_APPLICATION": "beatsite.asgi.without_channels"}, ["beatsite.asgi.without_channels has no router for channels", "ChannelNameRouter"]),
        ({"ASGI_APPLICATION": "beatsite.nowhere.application"}, ["ASGI_APPLICATION cannot be loaded: ", "beatsite.nowhere"]),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
async def test_what_is_wrong_is_one_fault_with_its_cure(redis: "Redis", redis_server: RedisServer, changed: Mapping[str, Any], said: list[str]) -> None:
    found = await verdict(redis, redis_server.url, changed)
    assert len(found.faults) == 1
    assert [words for words in said if words not in found.faults[0]] == [], found.faults[0]
    assert "secret" not in found.faults[0]


OURS = ["channelbeat.worker", "channels"]
WRITE = 'INSTALLED_APPS = ["channelbeat.worker", "channels", ...]'


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ["beatsite.settings: AtLeastOnce takes our own runworker, and its `runworker` is that of 'channels'. Write:", WRITE]),
        ({"INSTALLED_APPS": [*reversed(OURS)]}, ["its `runworker` is that of 'channels'", WRITE]),
        ({"INSTALLED_APPS": []}, ["it has no `runworker`", WRITE]),
        ({"without": "channelbeat"}, ["is that of 'channels'", WRITE, f"And install it in its Python ({sys.executable}): pip install channelbeat"]),
        (
            {"INSTALLED_APPS": OURS, "without": "channelbeat"},
            ["INSTALLED_APPS has 'channelbeat.worker', but there is no channelbeat", ": pip install channelbeat"],
        ),
        ({"INSTALLED_APPS": OURS, "CONFIG": {"prefix": "mine"}}, ["its prefix is 'mine' where 'asgi' is used"]),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
async def test_a_tracked_schedule_needs_our_own_runworker(redis: "Redis", redis_server: RedisServer, changed: Mapping[str, Any], said: list[str]) -> None:
    found = await verdict(redis, redis_server.url, changed, tracked=True)
    assert len(found.faults) == 1
    assert [words for words in said if words not in found.faults[0]] == [], found.faults[0]


@pytest.mark.parametrize("tracked", [True, False])
async def test_our_own_runworker_is_let_through(redis: "Redis", redis_server: RedisServer, tracked: bool) -> None:
    assert await verdict(redis, redis_server.url, {"INSTALLED_APPS": OURS}, tracked=tracked) == Verdict()


async def test_another_redis_is_told_from_another_name_for_the_same(redis: "Redis", redis_server: RedisServer, own_redis: RedisServer) -> None:
    detour = f"unix://{redis_server.directory}/../{redis_server.directory.name}/redis.sock"
    assert await verdict(redis, redis_server.url, {"CONFIG": {"hosts": [{"address": detour, "socket_timeout": None}]}}) == Verdict()
    other = await verdict(redis, redis_server.url, {"CONFIG": {"hosts": [{"address": own_redis.url, "socket_timeout": None}]}})
    assert "it leads to another Redis, or another database of it" in other.faults[0]


async def test_several_differences_are_told_at_once_and_the_lines_have_the_options(redis: "Redis", redis_server: RedisServer) -> None:
    found = await verdict(redis, redis_server.url, {}, prefix="shop", serializer_format="json")
    assert "its prefix is 'asgi' where 'shop' is used; its serializer is" in found.faults[0]
    assert '"prefix": "shop",' in found.faults[0]
    assert '"serializer_format": "json",' in found.faults[0]


async def test_a_channel_without_a_consumer_is_a_warning(redis: "Redis", redis_server: RedisServer) -> None:
    found = await verdict(redis, redis_server.url, {}, "prints", "nobody")
    assert found.faults == ()
    assert found.warnings == ("beatsite.asgi.application has no consumer for channel 'nobody' (it has prints, prints-too): its events will not be handled",)


async def test_a_connection_that_gives_up_too_soon_is_a_warning(redis: "Redis", redis_server: RedisServer) -> None:
    found = await verdict(redis, redis_server.url, {"CONFIG": {"hosts": [redis_server.url]}})
    assert found.faults == ()
    assert "lets a connection wait 5 s" in found.warnings[0]
    ours = await verdict(redis, redis_server.url, {"CONFIG": {"hosts": [redis_server.url]}, "INSTALLED_APPS": OURS})
    assert ours == Verdict(), "our own runworker listens on connections of its own"


async def test_an_alias_other_than_default_is_asked_for_by_name(redis: "Redis", redis_server: RedisServer) -> None:
    assert await verdict(redis, redis_server.url, {"alias": "second"}, name="second") == Verdict()
    assert "CHANNEL_LAYERS['second'] does not exist" in (await verdict(redis, redis_server.url, {}, name="second")).faults[0]


async def test_a_project_that_does_not_load_is_told_with_its_last_lines(redis: "Redis", redis_server: RedisServer) -> None:
    with pytest.raises(ProjectError, match=r"cannot be loaded:(.|\n)*RuntimeError: out of order"):
        await verdict(redis, redis_server.url, {"raises": "out of order"})


async def test_a_command_without_a_manage_py_is_not_checked(redis_server: RedisServer) -> None:
    plain = Job(Place("default", "prints"), ("django-admin", "runworker"), (), redis_server.url)
    found = await project.check(PROJECT, [plain], LayerSettings("default", redis_server.url), generation=GENERATION)
    assert found.faults == ()
    assert "names no manage.py" in found.warnings[0]


def test_the_project_is_the_nearest_folder_with_a_manage_py() -> None:
    assert project.nearest(PROJECT / "beatsite") == PROJECT
    assert project.nearest(Path(os.sep)) is None
