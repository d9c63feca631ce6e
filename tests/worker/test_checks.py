"""Django's checks: each mistake, its id, and its cure."""

import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

import pytest
from django.test.utils import override_settings

from channelbeat.worker import checks
from support.shop import PROJECT

BACKEND = "channels_redis.core.RedisChannelLayer"
APPS = ["channelbeat.worker", "channels"]


def layer(backend: str = BACKEND, *, hosts: Any = None, **config: Any) -> dict[str, Any]:
    return {"BACKEND": backend, "CONFIG": {"hosts": hosts or [{"address": "redis://127.0.0.1:1", "socket_timeout": None}], **config}}


def host(**options: Any) -> list[dict[str, Any]]:
    return [{"address": "redis://127.0.0.1:1", **options}]


class Case(NamedTuple):
    layers: dict[str, Any]
    ids: list[str]
    says: str = ""
    hint: str = ""
    application: str | None = "shop.asgi.application"


CASES = {
    "as it should be": Case({"default": layer()}, []),
    "longer time-outs": Case({"default": layer(hosts=host(socket_timeout=15))}, []),
    "another Redis": Case({"default": layer(), "more": layer(hosts=host(socket_timeout=None, db=1))}, []),
    "another prefix": Case({"default": layer(), "more": layer(prefix="more")}, []),
    "no application": Case({"default": layer()}, ["W001"], "ASGI_APPLICATION is not set", "under 'channel'", application=None),
    "no layers": Case({}, ["W002"], "CHANNEL_LAYERS is empty", BACKEND),
    "in memory": Case({"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}, ["W003"], "the in-memory layer", BACKEND),
    "pub/sub": Case({"default": layer("channels_redis.pubsub.RedisPubSubChannelLayer")}, ["W003"], "keeps no queue", BACKEND),
    "several hosts": Case({"default": layer(hosts=[*host(), *host()])}, ["W003"], "2 hosts", "single one"),
    "Sentinel": Case({"default": layer(hosts=[{"sentinels": [["127.0.0.1", 1]], "master_name": "m"}])}, ["W003"], "Sentinel", "redis://HOST"),
    "a class for its connections": Case({"default": layer(hosts=[{"connection_class": object, "path": "/redis"}])}, ["W003"], "connection_class", "unix:///"),
    "its flush would erase our keys": Case({"default": layer(prefix="chan")}, ["W003"], "flush()", "'asgi'"),
    "an empty prefix": Case({"default": layer(prefix="")}, ["W003"], "flush()", "'asgi'"),
    "no backend": Case({"default": {}}, ["W003"], "cannot be made", "entry"),
    "a backend that is not there": Case({"default": {"BACKEND": "no.such.Layer"}}, ["W003"], "cannot be made", "No module named 'no'"),
    "an option that is not there": Case({"default": layer(capasity=1)}, ["W003"], "cannot be made", "capasity"),
    "a string for hosts": Case({"default": layer(hosts="redis://127.0.0.1")}, ["W003"], "cannot be made", "list of Redis hosts"),
    "redis-py's own time-out": Case({"default": layer(hosts=host())}, ["W004"], "die after 5 s", '"socket_timeout": 15'),
    "too short a time-out": Case({"default": layer(hosts=host(socket_timeout=5))}, ["W004"], "die after 5 s", '"socket_timeout": 15'),
    "an option of the address": Case({"default": layer(hosts=["redis://127.0.0.1:1?socket_timeout=2"])}, ["W004"], "die after 2 s"),
    "few connections": Case({"default": layer(hosts=host(socket_timeout=None, max_connections=2))}, ["W005"], "max_connections 2", "allow 100"),
    "one prefix twice": Case({"default": layer(), "more": layer()}, ["W006"], "CHANNEL_LAYERS['default'] and ['more']", "prefix"),
    "one prefix begins the other": Case({"default": layer(), "more": layer(prefix="asgi2")}, ["W006"], "'asgi2'", "prefix"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_mistake_is_found(case: Case) -> None:
    with override_settings(CHANNEL_LAYERS=case.layers, ASGI_APPLICATION=case.application):
        found = checks.check()
    assert [message.id for message in found] == [f"channelbeat.{id_}" for id_ in case.ids]
    for message in found:
        assert case.says in message.msg
        assert case.hint in f"{message.msg} {message.hint}"
        assert message.hint


@pytest.mark.parametrize(
    ("apps", "id_"),
    [(APPS, None), (["channels", "channelbeat.worker"], "E002"), (["channelbeat.worker"], "E001"), (["django.contrib.auth", *APPS], None)],
)
def test_the_order_of_apps(apps: list[str], id_: str | None) -> None:
    assert [message.id for message in checks._apps(apps)] == ([f"channelbeat.{id_}"] if id_ else [])


@pytest.mark.parametrize(("apps", "status"), [(APPS, 0), (APPS[::-1], 1)])
def test_manage_py_says_it(apps: list[str], status: int) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=PROJECT,
        env={**os.environ, "SHOP": json.dumps({"INSTALLED_APPS": apps}), "DJANGO_SETTINGS_MODULE": "shop.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert ("HINT: list 'channelbeat.worker' before 'channels'" in done.stderr) == bool(status)
