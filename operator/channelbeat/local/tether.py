"""Run as a script, `tether.py PARENT SIGNAL COMMAND...`: becomes COMMAND, which the kernel ends with SIGNAL when PARENT ends.

So that neither a worker nor the embedded Redis outlives us, not even when we are killed with -9. A script of its own, not a
`preexec_fn`: code between fork and exec may deadlock in a process that has threads. The kernel means the *thread* that started
us: `command` is for the main thread. Linux only; elsewhere it just becomes COMMAND.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

SET_PARENT_DEATH_SIGNAL = 1


def command(argv: Sequence[str], *, signal_: signal.Signals) -> list[str]:
    """What to give to subprocess instead of `argv`."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(signal_)), *argv]


def main() -> None:
    parent, signal_, *argv = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, int(signal_))
        if os.getppid() != int(parent):
            sys.exit("tether: the parent is gone")  # it ended before we asked: no signal will come
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so across exec
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
