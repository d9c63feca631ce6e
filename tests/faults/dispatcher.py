"""Dispatchers for tests to kill: python dispatcher.py URL ORIGIN SPEED SCHEDULES EVENTS.

For each line it is sent, it starts one in a process of its own (a fork, so that it runs at once), says its process id, and
when that has ended how. ORIGIN is the moment (ms) when their clock, SPEED times as fast as the real one, said noon.
"""

import asyncio
import os
import signal
import sys

from channelbeat.core.instants import Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.schedule import BeatSchedule
from channelbeat.runtime import Alone, Engine, SystemClock
from support.rig import Recorder, schedule
from support.times import NOON


class FastClock:
    def __init__(self, origin: Ms, speed: int) -> None:
        self._real, self._origin, self._speed, self._parent = SystemClock(), origin, speed, os.getppid()

    def now(self) -> Ms:
        return NOON + (self._real.now() - self._origin) * self._speed

    async def sleep_until(self, due: Ms | None, wake: asyncio.Event) -> None:
        if os.getppid() != self._parent:
            os._exit(1)  # the test has gone
        await self._real.sleep_until(None if due is None else self._origin + -(-(due - NOON) // self._speed), wake)


async def dispatch(settings: LayerSettings, origin: Ms, speed: int, schedules: list[BeatSchedule]) -> None:
    """Until SIGTERM; then it ends in order."""
    engine = Engine({settings.name: settings}, owner="us", journal=Recorder(), clock=FastClock(origin, speed), leadership=Alone())
    for one in schedules:
        engine.book.put(one)
    running = asyncio.create_task(engine.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    await asyncio.gather(running, return_exceptions=True)


def main(url: str, origin: Ms, speed: int, schedules: int, events: int) -> None:
    settings = LayerSettings("default", url, capacity=10_000_000, expiry=3_600)
    loaded = [schedule(*[{"every": "1s", "missed": {"policy": "All"}}] * events, name=f"s{number}") for number in range(schedules)]
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(dispatch(settings, origin, speed, loaded))
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:]))
