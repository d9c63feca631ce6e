"""manage.py for many: Django and the project are loaded once, and each command runs in a child, as `manage.py` would run it.

Run as `python -m support.launcher MODULE...` in the project's folder. Each line it is sent is JSON: {"argv": [...], "settings": {...},
"output": PATH} is answered with a process id, {"ended": PID} with its exit status, null while it runs. Children die with it, and it with the
test run.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
import traceback
from typing import Any

import django
from django.conf import settings
from django.core.management import execute_from_command_line

from channelbeat.local.tether import SET_PARENT_DEATH_SIGNAL


def run(argv: list[str], changed: dict[str, Any], output: str) -> int:
    """The life of a child."""
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name, value in changed.items():
        setattr(settings, name, value)
    try:
        execute_from_command_line(["manage.py", *argv])
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 0


def start(asked: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = run(asked["argv"], asked["settings"], asked["output"])
        except BaseException:  # noqa: BLE001 - a child must not go on as its parent would
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return child


def ended(child: int) -> int | None:
    pid, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def main(modules: list[str]) -> None:
    django.setup()
    for module in modules:
        importlib.import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(start(asked) if "argv" in asked else ended(asked["ended"])), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
