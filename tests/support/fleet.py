"""Real workers and leaders, each a process of its own that a test may stop, kill and freeze, and what their consumers did.

    member = fleet.worker("c", concurrency=4, claim=1_000)      # `application`, see consumers.py, handles it
    runs = await leader.put(100, seconds=0.01)                  # `leader`, see leading.py, sweeps within the test
    await fleet.diary.reaches(20, "begin")
    member.kill()
    assert fleet.diary.audit().handled == ...                   # see diary.py

They are forked by a nursery, which has imported Django and all else once for the whole test session.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from channelbeat.core.instants import SECOND, Ms
from channelbeat.local import tether
from support.diary import Diary
from support.waiting import eventually, until

TESTS = Path(__file__).parents[1]
SHORT: Final = 3 * SECOND
"""The shortest claim that a worker keeps on a busy machine, which may let it stand still for a moment: it is renewed every second."""
AMPLE: Final = 10 * SECOND
"""The claim where no worker dies: no attempt is to count as lost because the machine was busy."""


class Nursery:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, what: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(what), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "the nursery is dead"
        return json.loads(answer)


@contextmanager
def nursing(folder: Path, *modules: str, folders: Sequence[Path] = ()) -> Iterator[Nursery]:
    """`modules` with consumers are imported before any fork; others may be in `folders`, besides tests/. `folder`: for the workers' own files."""
    command = tether.command([sys.executable, "-P", "-m", "support.nursery", "support.consumers", *modules], signal_=signal.SIGKILL)
    path = os.pathsep.join(map(str, [TESTS, *folders]))
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield Nursery(process)
        finally:
            process.kill()


class Member:
    """A process of a fleet."""

    def __init__(self, fleet: "Fleet", pid: int, log: Path) -> None:
        self._fleet, self.pid, self._log = fleet, pid, log
        self._status: int | None = None

    @property
    def log(self) -> str:
        """All it said."""
        return self._log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        if self.status is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """With -9; returns when it is dead. The diary knows it then."""
        self.signal(signal.SIGKILL)
        until(lambda: self.status is not None, what=f"{self.pid} to be dead")

    def stop(self) -> None:
        """SIGTERM; returns at once."""
        self.signal(signal.SIGTERM)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    @property
    def status(self) -> int | None:
        """Its exit status, minus the signal that killed it; None while it lives."""
        if self._status is None:
            self._status = self._fleet.nursery.ask({"ended": self.pid})
            if self._status is not None:
                self._fleet.diary.died(self.pid)
        return self._status

    async def ended(self, within: float = 10) -> int:
        """Wait for its status."""
        await eventually(lambda: self.status is not None, within, what=f"{self.pid} to end")
        assert self._status is not None
        return self._status


class Fleet:
    """The processes of one test, on one Redis."""

    def __init__(self, nursery: Nursery, url: str, folder: Path) -> None:
        self.nursery, self.url, self._folder = nursery, url, folder
        self.diary = Diary(folder / "diary")
        self.members: list[Member] = []

    def worker(
        self,
        *channels: str,
        url: str = "",
        application: str = "support.consumers.application",
        expiry: int = 60,
        before: Sequence[str] = (),
        without: Sequence[str] = (),
        layer: dict[str, Any] | None = None,
        concurrency: int = 1,
        claim: Ms = SECOND,
        drain: Ms = 10 * SECOND,
        grace: Ms = SECOND // 2,
    ) -> Member:
        """One more, on channel `c` if none is named. `before`: functions (MODULE.NAME) that it calls before all else; `without` these guards
        of the scripts; `layer`: more options of its RedisChannelLayer; the last four are the Worker's."""
        options = {"concurrency": concurrency, "claim": claim, "drain": drain, "grace": grace}
        config = {"expiry": expiry, "capacity": 1_000_000, **(layer or {})}
        return self._start("worker", before, without, url, application=application, channels=channels or ("c",), config=config, options=options)

    def leader(self, *, claim: Ms = SECOND, without: Sequence[str] = (), **events: list[dict[str, Any]]) -> Member:
        """An engine; `events`, as in a manifest, by channel: schedule default/t-CHANNEL."""
        return self._start("leader", (), without, "", claim=claim, events=events)

    def _start(self, what: str, before: Sequence[str], without: Sequence[str], url: str, **life: Any) -> Member:
        log = self._folder / f"{what}-{len(self.members)}.log"
        log.touch()
        asked = {"what": what, "log": str(log), "diary": str(self.diary.path), "before": before, "guards": without, "url": url or self.url, **life}
        self.members.append(Member(self, self.nursery.ask({"start": asked}), log))
        return self.members[-1]

    def close(self) -> None:
        """Kill what is left; what they said, for whoever looks into a failure."""
        for member in self.members:
            member.kill()
            if said := member.log[-3_000:]:
                print(f"---- {member.pid}, ended with {member.status}:\n{said}")
