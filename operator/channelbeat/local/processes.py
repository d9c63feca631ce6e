"""Keeps worker processes running: one for each job, started again with back-off when it dies, ended with us however we end.

Each has a process group of its own, so that Ctrl-C is ours alone and that what it started goes with it.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from channelbeat.core.instants import SECOND
from channelbeat.core.timing import durations
from channelbeat.local import tether
from channelbeat.local.warden import Warden
from channelbeat.local.workers import Job, Place

FIRST_PAUSE: Final = 1.0  # seconds; doubles
LONGEST_PAUSE: Final = 30.0
LONG_ENOUGH: Final = 30.0  # one that ran so long is started again after the first pause
GRACE: Final = 10.0  # between SIGTERM and SIGKILL, beside the time that a worker has to drain
PATIENCE: Final = 1.0  # until we say what we wait for
POLL: Final = 0.05
LONGEST_LINE: Final = 16_384  # bytes; a longer one is cut in pieces


class State(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"  # it died, and will be started again
    ENDED = "ended"


class Voices(Protocol):
    """Where workers are heard."""

    def heard(self, place: Place, line: str) -> None: ...
    def say(self, text: str) -> None: ...


class Workers:
    """`run` brings about what is wanted; `stop` ends them all. For one event loop, in the main thread (tether.py)."""

    def __init__(self, app: Path, voices: Voices, *, first_pause: float = FIRST_PAUSE, grace: float = GRACE) -> None:
        self._app = app
        self._voices = voices
        self._first_pause = first_pause
        self._grace = grace
        self._warden = Warden()
        self._keepers: dict[Place, tuple[Job, asyncio.Task[None]]] = {}
        self._unfinished: dict[asyncio.Task[None], Job] = {}  # those replaced too
        self._hurry = False
        self.states: dict[Place, State] = {}

    def run(self, jobs: Mapping[Place, Job]) -> None:
        """Starts what is missing, ends what is not wanted any more, replaces what changed; returns at once."""
        for place in self._keepers.keys() - jobs.keys():
            _dismiss(self._keepers[place][1])
        for place, job in jobs.items():
            old = self._keepers.get(place)
            if old and old[0] == job and not old[1].cancelling():
                continue
            if old:
                _dismiss(old[1])
            before = [keeper for keeper, theirs in self._unfinished.items() if theirs.place == place]
            keeper = asyncio.create_task(self._keep(job, after=before))
            self._keepers[place] = job, keeper
            self._unfinished[keeper] = job
            keeper.add_done_callback(self._unfinished.pop)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after the grace; returns when all have ended."""
        for keeper in self._unfinished:
            _dismiss(keeper)
        drain = max((job.drain for job in self._unfinished.values()), default=0)
        if drain and (await asyncio.wait(self._unfinished, timeout=PATIENCE))[1]:
            self._voices.say(f"workers finish what they began, for at most {durations.text(drain)}; a second Ctrl-C ends them now")
        ended = await asyncio.gather(*self._unfinished, return_exceptions=True)
        self._warden.close()
        for error in ended:
            if error is not None and not isinstance(error, asyncio.CancelledError):
                raise error

    def hurry(self) -> None:
        """No grace from now on."""
        self._hurry = True

    def crews(self) -> dict[Place, list[State]]:
        """Of each channel, how the processes are that listen on it."""
        found: defaultdict[Place, list[State]] = defaultdict(list)
        for place, (job, keeper) in self._keepers.items():
            if not keeper.cancelling():
                for channel in job.channels:
                    found[Place(place.layer, channel)].append(self.states.get(place, State.WAITING))
        return found

    def ending(self) -> set[Place]:
        """Where a process that is not wanted any more has not ended yet: it may have long to drain."""
        return {job.place for keeper, job in self._unfinished.items() if keeper.cancelling()}

    async def _keep(self, job: Job, *, after: Collection[asyncio.Task[None]]) -> None:
        if after:
            await asyncio.wait(after)
        pause = self._first_pause
        clock = asyncio.get_running_loop().time
        try:
            while True:
                begun = clock()
                try:
                    end = await self._once(job)
                except OSError as error:
                    end = f"cannot be started: {error.strerror}"
                if clock() - begun >= LONG_ENOUGH:
                    pause = self._first_pause
                self.states[job.place] = State.WAITING
                self._voices.say(f"worker {job.place} {end}; it starts again in {pause:g} s")
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self.states[job.place] = State.ENDED

    async def _once(self, job: Job) -> str:
        """From start to end; answers how it ended. Cancelled, it ends the process first."""
        last: deque[str] = deque(maxlen=1)

        def heard(line: str) -> None:
            if line.strip():
                last.append(line.strip())
            self._voices.heard(job.place, line)

        read, write = os.pipe()
        output = _Output(read, heard)
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 - returns at once; asyncio's own would wait for whoever holds the pipe
                tether.command(job.argv(), signal_=signal.SIGKILL),
                cwd=self._app,
                env=job.environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                process_group=0,
            )
        except OSError:
            output.close()
            raise
        finally:
            os.close(write)
        self._warden.watch(process.pid)
        self.states[job.place] = State.RUNNING
        try:
            while process.poll() is None:  # noqa: ASYNC110 - there is no event for it on every platform
                await asyncio.sleep(POLL)
        finally:
            try:
                await self._end(process, self._grace + job.drain / SECOND)
            finally:
                _signal(process.pid, signal.SIGKILL)
                process.wait()
                self._warden.forget(process.pid)
                output.close()
        return _how(process.returncode, last[-1] if last else "")

    async def _end(self, process: "subprocess.Popen[bytes]", grace: float) -> None:
        """Asks it to end, then what it left behind, and waits as long as the grace lasts. What it started may be part of the work that
        it is about to finish, so it is asked alone; a shell round the real worker ends at once, and then that one is asked."""
        deadline = asyncio.get_running_loop().time() + grace
        process.terminate()
        await self._while(lambda: process.poll() is None, deadline)
        if process.returncode is not None:
            _signal(process.pid, signal.SIGTERM)
        await self._while(lambda: _signal(process.pid, 0), deadline)

    async def _while(self, busy: Callable[[], bool], deadline: float) -> None:
        clock = asyncio.get_running_loop().time
        while busy() and not self._hurry and clock() < deadline:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(POLL)


def _dismiss(keeper: "asyncio.Task[None]") -> None:
    """Once: a second time would cut the grace short."""
    if not keeper.cancelling():
        keeper.cancel()


class _Output:
    """Lines from a pipe, as they come."""

    def __init__(self, read: int, heard: Callable[[str], None]) -> None:
        self._read = read
        self._heard = heard
        self._begun = b""
        self._loop = asyncio.get_running_loop()
        os.set_blocking(read, False)
        self._loop.add_reader(read, self._more)

    def close(self) -> None:
        """What is still in the pipe is heard."""
        while self._more():
            pass
        if self._begun:
            self._say(self._begun)
        self._loop.remove_reader(self._read)
        os.close(self._read)

    def _more(self) -> bool:
        try:
            data = os.read(self._read, 65_536)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._read)
            return False
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._say(line)
        while len(self._begun) > LONGEST_LINE:
            self._say(self._begun[:LONGEST_LINE])
            self._begun = self._begun[LONGEST_LINE:]
        return True

    def _say(self, line: bytes) -> None:
        self._heard(line.decode(errors="replace").rstrip("\r"))


def _signal(group: int, number: int) -> bool:
    """Was anybody there?"""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(group, number)
        return True
    return False


def _how(code: int, last: str) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended (exit {code})"
    return f"{how}; its last line: {last}" if last else how
