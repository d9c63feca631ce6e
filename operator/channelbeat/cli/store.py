"""Which Redis holds the runs that are asked about? That of the channelbeat that runs here, or one that is named."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import click

from channelbeat.broker import connect
from channelbeat.broker.layer import check
from channelbeat.broker.runs import Runs
from channelbeat.core.layer import LayerSettings
from channelbeat.errors import UsageError
from channelbeat.running import control, instance

T = TypeVar("T")
Ask: TypeAlias = Callable[[Callable[[Runs], Awaitable[T]]], T]
"""Puts a question to the runs of the layer that is meant. LayerError when its Redis does not answer, or not as it should."""

TIMEOUT: Final = 10.0  # seconds for an answer

OPTIONS = (
    click.option("--redis", metavar="URL", help="The Redis. Default: that of the channelbeat that runs here."),
    click.option("--prefix", help="The layer's prefix, with --redis. Default: asgi."),
    click.option("--layer", "name", default="default", show_default=True, help="The layer, by name."),
    click.option("--layers", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A YAML map of layer names to their settings."),
    click.option(
        "--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder of the running instance. Default: the nearest, or the only one."
    ),
)


def with_runs(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options that say which, and as `ask` what puts a question to it."""

    @functools.wraps(command)
    def asking(*, redis: str | None, prefix: str | None, name: str, file: Path | None, data: Path | None, **given: Any) -> None:
        layer = _settings(redis, prefix, name, file, data)
        command(ask=functools.partial(_ask, layer), **given)

    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(OPTIONS), asking)


def _ask(layer: LayerSettings, question: Callable[[Runs], Awaitable[T]]) -> T:
    async def asked() -> T:
        runs = Runs(connect.client(layer.url, timeout=TIMEOUT), layer.prefix, name=layer.name)
        try:
            return await question(runs)
        finally:
            await runs.close()

    return asyncio.run(asked())


def _settings(redis: str | None, prefix: str | None, name: str, file: Path | None, data: Path | None) -> LayerSettings:
    if prefix is not None and not redis:
        raise UsageError("--prefix belongs to --redis URL; a layer of a file or of a running instance has its own")
    if file:
        return _of_file(file, redis, name)
    if redis:
        layer = LayerSettings(name, redis) if prefix is None else LayerSettings(name, redis, prefix=prefix)
        if fault := check(layer):
            raise UsageError(f"--redis: {fault}")
        return layer
    found = control.ask(instance.running(data, Path.cwd()), {"verb": "layer", "layer": name})
    return LayerSettings(name, found["url"], prefix=found["prefix"])


def _of_file(file: Path, redis: str | None, name: str) -> LayerSettings:
    from channelbeat import layers  # noqa: PLC0415 - needs YAML, which the others do not

    found = layers.read(file, refuse=check, url=redis)
    if name not in found:
        raise UsageError(f"{file} has no layer {name!r} (there is {', '.join(found)}): name one with --layer")
    return found[name]
