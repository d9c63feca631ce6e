"""Can the Django project hear us? Asks it in a process of its own (probe.py) and judges what it reports.

A worker that listens to another Redis, or with another prefix, key or serializer, starts well and never handles anything: so this is
found out before workers start, and answered with the lines to write. Judging is pure.
"""

import asyncio
import base64
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from channelbeat.broker.keys import Keys
from channelbeat.broker.layer import channel_layer, check_backend
from channelbeat.core.layer import LayerSettings
from channelbeat.errors import ProjectError
from channelbeat.local import probe, tether
from channelbeat.local.workers import Job

PATIENCE: Final = 60.0  # seconds that a project may take to load
MESSAGE: Final = {"type": "channelbeat.probe", "text": "can you read this?"}
LAST_LINES: Final = 6
BACKEND: Final = "channels_redis.core.RedisChannelLayer"
OURS: Final = "channelbeat.worker"  # the Django app with our own runworker
CHANNELS: Final = ("channels_redis.", "channels.layers.")  # where a class of the project's own comes from

Report: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Sentences: `faults` keep a worker from being of any use, `warnings` do not."""

    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def nearest(path: Path) -> Path | None:
    """The folder at or above `path` that holds a manage.py."""
    path = path.resolve()
    return next((folder for folder in (path, *path.parents) if (folder / "manage.py").is_file()), None)


async def check(app: Path, jobs: Sequence[Job], layer: LayerSettings, *, generation: str) -> Verdict:
    """Of jobs alike but for their channels. `generation` is the one of the layer's store. ProjectError when the project does not load."""
    job = jobs[0]
    split = next((at for at, word in enumerate(job.command) if word.endswith(".py")), None)
    if split is None:
        return Verdict(warnings=(f"`{' '.join(job.command)}` names no manage.py: whether its settings agree with layer {layer.name!r} is not checked",))
    request = {
        "alias": layer.name,
        "channels": [*dict.fromkeys(channel for job in jobs for channel in job.channels)],
        "state": Keys(layer.prefix).state,
        "sample": base64.b64encode(_ours(layer).serialize(MESSAGE)).decode(),
    }
    report = await _ask([*job.command[:split], probe.__file__, job.command[split]], app, job.environment(os.environ), json.dumps(request))
    return judge(report, layer, generation=generation, channels=request["channels"], tracked=job.tracked)


def _ours(layer: LayerSettings) -> Any:
    """The layer that events are sent through; not connected."""
    return channel_layer(layer, timeout=1)


async def _ask(command: Sequence[str], app: Path, environment: Mapping[str, str], request: str) -> Report:
    process = subprocess.Popen(  # noqa: ASYNC220 - returns at once; it must be started in the main thread (tether.py)
        tether.command(command, signal_=signal.SIGKILL),
        cwd=app,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,
    )
    try:
        out, err = await asyncio.to_thread(process.communicate, request, PATIENCE)
    except subprocess.TimeoutExpired:
        raise ProjectError(f"the project in {app} did not load within {PATIENCE:g} s") from None
    finally:
        process.kill()
    for line in reversed(out.splitlines()):
        if line.startswith(probe.MARK):
            report: Report = json.loads(line.removeprefix(probe.MARK))
            return report
    raise ProjectError(f"the project in {app} cannot be loaded:\n{_end(err or out)}")


def _end(text: str) -> str:
    """The last lines of a traceback, indented."""
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-LAST_LINES:]) or "  (it said nothing)"


def judge(report: Report, layer: LayerSettings, *, generation: str, channels: Sequence[str], tracked: bool) -> Verdict:
    """In stages: what a stage finds wrong makes the later ones meaningless. `tracked`: it takes our own runworker."""
    stages: tuple[Callable[[], Iterator[str]], ...] = (
        lambda: _installed(report, tracked),
        lambda: _queue(report, layer),
        lambda: _same_layer(report, layer, generation),
        lambda: _application(report),
    )
    for stage in stages:
        if faults := tuple(stage()):
            return Verdict(faults)
    return Verdict(warnings=tuple(_warnings(report, layer, channels)))


def _installed(report: Report, tracked: bool) -> Iterator[str]:
    install = f"in its Python ({report['python']}): pip install channelbeat"
    if report.get("missing"):
        yield f"{report['settings']}: INSTALLED_APPS has {OURS!r}, but there is no {report['missing']} {install}"
    elif tracked and report["runworker"] != OURS:
        has = f"its `runworker` is that of {report['runworker']!r}" if report["runworker"] else "it has no `runworker`"
        lacks = "" if report["channelbeat"] else f"\nAnd install it {install}"
        yield f'{report["settings"]}: AtLeastOnce takes our own runworker, and {has}. Write:\n  INSTALLED_APPS = ["{OURS}", "channels", ...]{lacks}'
    elif report["runworker"] is None:
        yield f'{report["settings"]}: there is no `runworker` command: add "channels" to INSTALLED_APPS'


def _queue(report: Report, layer: LayerSettings) -> Iterator[str]:
    """The alias is there, loads, and is of the kind that keeps messages until a worker takes them."""
    found = report.get("layer")
    where = f"{report['settings']}: CHANNEL_LAYERS[{layer.name!r}]"
    if found is None:
        others = f" (there is {', '.join(map(repr, report['aliases']))})" if report["aliases"] else ""
        yield f"{where} does not exist{others}: a worker would have nothing to listen on. Write:\n{lines(layer)}"
    elif "error" in found:
        yield f"{where} cannot be made: {found['error'].rstrip('.')}. Write:\n{lines(layer)}"
    elif fault := check_backend(next((kind for kind in found["kinds"] if kind.startswith(CHANNELS)), found["kinds"][0]), found.get("hosts", 1)):
        yield f"{where}: {fault}. Write:\n{lines(layer)}"


def _same_layer(report: Report, layer: LayerSettings, generation: str) -> Iterator[str]:
    """It reads what we write: same Redis, prefix, serializer and keys."""
    differences = [*_differences(report["layer"], layer, generation)]
    if differences:
        where = f"{report['settings']}: CHANNEL_LAYERS[{layer.name!r}]"
        yield f"{where} is not what is sent to: {'; '.join(differences)}. Write:\n{lines(layer)}\nOr tell channelbeat of your settings with --layers FILE"


def _differences(found: Report, layer: LayerSettings, generation: str) -> Iterator[str]:
    ours = _ours(layer)._serializer
    store = found["store"]
    if "error" in store:
        yield f"its Redis does not answer ({store['error']})"
    elif store["generation"] != generation:
        yield "it leads to another Redis, or another database of it"
    if found["prefix"] != layer.prefix:
        yield f"its prefix is {found['prefix']!r} where {layer.prefix!r} is used"
    if found["message"] != MESSAGE:
        yield next(_unreadable(found, ours), "its symmetric_encryption_keys are others" if layer.encryption_keys else "it cannot read our messages")


def _unreadable(found: Report, ours: Any) -> Iterator[str]:
    if found["random_prefix_length"] != ours.random_prefix_length:
        yield f"its random_prefix_length is {found['random_prefix_length']} where {ours.random_prefix_length} is used"
    if found["encrypted"] and not ours.crypter:
        yield "it has symmetric_encryption_keys where none are used"
    if not found["encrypted"] and ours.crypter:
        yield "it has no symmetric_encryption_keys where they are used"
    if (name := f"{type(ours).__module__}.{type(ours).__qualname__}") != found["serializer"]:
        yield f"its serializer is {found['serializer']} where {name} is used"


def _application(report: Report) -> Iterator[str]:
    routing = report["routing"]
    if "error" in routing:
        yield f"{report['settings']}: ASGI_APPLICATION cannot be loaded: {routing['error']}\n{_end(routing['trace'])}"
    elif routing["asgi"] is None:
        yield f'{report["settings"]} has no ASGI_APPLICATION: name the application that has your consumers, like ASGI_APPLICATION = "mysite.asgi.application"'
    elif routing["protocols"] is not None and "channel" not in routing["protocols"]:
        yield (
            f"{routing['asgi']} has no router for channels, so that no worker finds its consumer. Write:\n"
            '  ProtocolTypeRouter({..., "channel": ChannelNameRouter({"CHANNEL": YourConsumer.as_asgi()})})'
        )


def _warnings(report: Report, layer: LayerSettings, channels: Sequence[str]) -> Iterator[str]:
    known = report["routing"]["channels"]
    for channel in channels:
        if known is not None and channel not in known:
            yield f"{report['routing']['asgi']} has no consumer for channel {channel!r} (it has {', '.join(known) or 'none'}): its events will not be handled"
    if report["runworker"] == OURS:  # it has connections of its own, and a system check that says what else this means
        return
    timeout = report["layer"]["store"]["socket_timeout"]
    if timeout is not None and timeout <= report["layer"]["store"]["brpop_timeout"]:
        yield (
            f"{report['settings']}: CHANNEL_LAYERS[{layer.name!r}] lets a connection wait {timeout:g} s, no longer than the layer itself waits for a message: "
            f"idle workers will die and be started again. Write:\n{lines(layer)}"
        )


def lines(layer: LayerSettings) -> str:
    """What to write into the project's settings."""
    config = ['"hosts": [{"address": os.environ.get("CHANNELBEAT_REDIS_URL", "redis://localhost:6379"), "socket_timeout": None}],']
    plain = LayerSettings(layer.name, "")
    config += [
        f'"{option}": {json.dumps(getattr(layer, option))},'
        for option in ("prefix", "expiry", "random_prefix_length", "serializer_format")
        if getattr(layer, option) != getattr(plain, option)
    ]
    if layer.encryption_keys:
        config.append(f'"symmetric_encryption_keys": [...],  # those of the layer {layer.name!r}')
    inner = "\n".join(f"        {line}" for line in config)
    return f'  CHANNEL_LAYERS = {{"{layer.name}": {{\n      "BACKEND": "{BACKEND}",\n      "CONFIG": {{\n{inner}\n      }},\n  }}}}'
