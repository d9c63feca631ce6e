"""How late does the event loop wake whoever waits? The number to look at first when occurrences are late."""

import asyncio
from typing import Final

from channelbeat.observability.tallies import Histogram

EVERY: Final = 0.1  # seconds


async def measure(histogram: Histogram) -> None:
    """Until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY
        await asyncio.sleep(EVERY)
        histogram.observe(max(loop.time() - due, 0.0))
