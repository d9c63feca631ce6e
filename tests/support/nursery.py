"""Where fleets' processes come from: a process that has imported everything, and forks them within milliseconds.

Run with -m. Each line it is sent is JSON, and so is each answer: {"start": {...}} is answered with a process id, {"ended": PID} with how it
ended, null if it has not. A child dies with the nursery, and the nursery with the test run.
"""

import asyncio
import ctypes
import gc
import importlib
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import django
from channels.layers import channel_layers
from django.conf import settings

from channelbeat.broker import scripts
from channelbeat.core.instants import Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.local.tether import SET_PARENT_DEATH_SIGNAL
from channelbeat.runtime import Alone, Engine, SystemClock
from support.guards import without
from support.rig import Recorder, schedule


def worker(url: str, application: str, channels: list[str], config: dict[str, Any], options: dict[str, Any]) -> int:
    """As the runworker command would; `config` is RedisChannelLayer's, `options` are the Worker's."""
    from channelbeat.worker.worker import Worker  # noqa: PLC0415 - a Django app: once there are settings

    settings.CHANNEL_LAYERS["default"] = {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [{"address": url, "socket_timeout": None}], **config},
    }
    return Worker(named(application), channels, channel_layers["default"], "default", **options).run()


def leader(url: str, claim: Ms, events: dict[str, list[dict[str, Any]]]) -> int:
    """An engine that leads at once, whoever led before; `events` by channel, AtLeastOnce."""
    asyncio.run(lead(LayerSettings("default", url, capacity=1_000_000), claim, events))
    return 0


async def lead(layer: LayerSettings, claim: Ms, events: dict[str, list[dict[str, Any]]]) -> None:
    engine = Engine({"default": layer}, owner="us", journal=Recorder(), clock=SystemClock(), leadership=Alone(), claim=claim)
    for channel, those in events.items():
        engine.book.put(schedule(*those, name=f"t-{channel}", channel=channel, delivery="AtLeastOnce"))
    engine.book.complete()
    running = asyncio.create_task(engine.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    await asyncio.gather(running, return_exceptions=True)


def named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


LIVES: dict[str, Callable[..., int]] = {"worker": worker, "leader": leader}


def live(what: str, log: str, diary: str, before: list[str], guards: list[str], **life: Any) -> int:
    """The life of a child. `before`: functions that are called first; `guards` are taken out of the scripts."""
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))
    os.environ["DIARY"] = diary
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if guards:
        setattr(scripts, "source", without(*guards))  # noqa: B010 - what it is there for is not to be replaced
    for path in before:
        named(path)()
    return LIVES[what](**life)


def start(asked: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        status = 70
        try:
            status = live(**asked)
        except BaseException:  # noqa: BLE001 - a child must not go on as its parent would
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return child


def ended(child: int) -> int | None:
    pid, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def main(modules: list[str]) -> None:
    settings.configure(INSTALLED_APPS=["channelbeat.worker", "channels"], CHANNEL_LAYERS={}, LOGGING_CONFIG=None, USE_TZ=True, DATABASES={})
    django.setup()
    for module in ("channelbeat.worker.worker", "channels_redis.core", *modules):
        importlib.import_module(module)
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(start(asked["start"]) if "start" in asked else ended(asked["ended"])), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
