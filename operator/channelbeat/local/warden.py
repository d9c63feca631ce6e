"""Ends what workers leave behind when we are killed: a process that holds a list of process groups, and our end of a pipe.

The kernel ends the workers themselves (tether.py), not what they started: a shell around them, a converter at work. When the pipe
closes, because we closed it or because we were killed with -9, the groups still on the list are killed. Works wherever there are pipes.
"""

import os
import signal
import subprocess
import sys


class Warden:
    """Starts with the first group; one that was itself killed is replaced at the next change."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def watch(self, group: int) -> None:
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """The group has ended: its number may soon be somebody else's."""
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def _tell(self, line: str) -> None:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen([sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, start_new_session=True, bufsize=0)
            line = "".join(f"+{group}\n" for group in self._groups)
        if self._process.stdin is not None:
            self._process.stdin.write(line.encode())


def main() -> None:
    for survived in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(survived, signal.SIG_IGN)
    groups = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
