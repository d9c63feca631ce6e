"""Walks the book for a scrape: when each schedule is due next, and which channels there are. It lets others have their turn."""

import asyncio
from typing import Final, NamedTuple

from channelbeat.core.instants import Ms
from channelbeat.observability.sources import Engine

AT_ONCE: Final = 500
"""Events looked at between two turns of the loop: about a millisecond."""


class Survey(NamedTuple):
    """`due`: by schedule, of layers that we lead. `channels`: by such a layer."""

    due: dict[str, Ms]
    channels: dict[str, list[str]]


async def survey(engine: Engine) -> Survey:
    led = {layer.name for layer in engine.layers() if layer.leading}
    due: dict[str, Ms] = {}
    channels: dict[str, dict[str, None]] = {layer: {} for layer in led}
    looked = 0
    for key, schedule in [*engine.book.schedules.items()] if led else []:
        spec = schedule.spec
        if spec.channel_layer.name not in led:
            continue
        fires = [next_.fires for event in spec.events if (next_ := engine.undecided(key, event.name)) is not None]
        if fires:
            due[key] = min(fires)
        if spec.channel is not None:
            its = spec.worker.channels if spec.worker is not None and spec.worker.channels else (spec.channel,)
            channels[spec.channel_layer.name].update(dict.fromkeys(its))
        looked += len(spec.events)
        if looked >= AT_ONCE:
            looked = 0
            await asyncio.sleep(0)
    return Survey(due, {layer: [*its] for layer, its in channels.items()})
