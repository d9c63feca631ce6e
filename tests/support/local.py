"""`channelbeat local` as a process, read line by line."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

from support.waiting import until

COMMAND = (sys.executable, "-m", "channelbeat")


class Local:
    """Starts at once; `lines` and `told` grow as it writes to stdout and stderr."""

    def __init__(self, *arguments: str | Path, environment: dict[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self.told: list[str] = []
        self.process = subprocess.Popen(
            [*COMMAND, "local", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self._readers = [self._read(self.process.stdout, self.lines), self._read(self.process.stderr, self.told)]

    def _read(self, stream: IO[str] | None, lines: list[str]) -> threading.Thread:
        def read() -> None:
            lines.extend(line.rstrip("\n") for line in stream or ())

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def outcomes(self, kind: str | None = None) -> list[dict[str, Any]]:
        """With `-o json`."""
        found = [json.loads(line) for line in list(self.lines)]
        return [outcome for outcome in found if kind in (None, outcome["outcome"])]

    def hears(self, words: str, times: int = 1, within: float = 90) -> list[str]:
        """Waits for so many lines (of either stream) with these words."""
        until(lambda: len(self.with_words(words)) >= times, within, what=f"{times} x {words!r} in {self}")
        return self.with_words(words)

    def with_words(self, words: str) -> list[str]:
        return [line for line in [*self.lines, *self.told] if words in line]

    def ends(self, within: float = 60) -> int:
        """Its exit code."""
        code = self.process.wait(within)
        for reader in self._readers:
            reader.join(5)
        return code

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(how)
        return self.ends()

    def __repr__(self) -> str:
        return "\n".join(["", *self.lines[-20:], "--", *self.told[-20:], f"-- exit {self.process.poll()}"])
