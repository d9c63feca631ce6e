"""One running channelbeat: its data folder, who it is, and that it is the only one there.

The folder holds the owner (who we are to Redis: kept, so that one that was killed and starts again is the same), a lock, Redis's
data and the control socket. So that `trigger` and `why` find us, a link named like our pid points to it from a folder of this user's.
"""

import fcntl
import os
import secrets
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from channelbeat.errors import LocalError

NAME = ".channelbeat"
LOCK = "lock"
OWNER = "owner"
CONTROL = "ctl.sock"


@dataclass(frozen=True, slots=True)
class Instance:
    """`owner` is 32 hex digits."""

    directory: Path
    owner: str


def beside(path: Path) -> Path:
    """The data folder that belongs to a manifest, or to a folder of them."""
    return (path if path.is_dir() else path.parent).resolve() / NAME


@contextmanager
def taken(directory: Path) -> Iterator[Instance]:
    """The folder, made if need be, ours alone while the context lasts; LocalError when it is another's, or cannot be written."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LocalError(f"{directory} cannot hold our data ({error.strerror}): name another folder with --data") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(f"{directory} is in use by another channelbeat local (pid {_pid(directory)}): stop it, or give this one --data DIR") from None
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        (directory / ".gitignore").write_text("*\n")
        link = _listed(directory)
        try:
            yield Instance(directory, _owner(directory / OWNER))
        finally:
            link.unlink(missing_ok=True)
    finally:
        os.close(lock)  # and unlocks; the file stays: taking it away would let two hold "the" lock


def running(data: Path | None, here: Path) -> Path:
    """The data folder of the instance meant: `data`, else the nearest at or above `here`, else the only one that runs.

    LocalError when it does not run, when none does, and when it could be several.
    """
    folder = data or next((up / NAME for up in (here, *here.parents) if (up / NAME / LOCK).exists()), None)
    if folder is not None:
        if not (folder / LOCK).exists():
            raise LocalError(f"{folder} is no data folder of channelbeat{_others()}")
        if not _alive(folder):
            raise LocalError(f"no channelbeat runs on {folder}: the last one (pid {_pid(folder)}) has ended{_others()}")
        return folder
    match _all_running():
        case []:
            raise LocalError("no channelbeat is running here: start one with `channelbeat local PATH`, or ask in the operator's pod")
        case [one]:
            return one
        case several:
            raise LocalError("several channelbeat are running: name one with --data\n" + "\n".join(f"  --data {one}" for one in several))


def _owner(path: Path) -> str:
    """Kept from the first time on; written whole or not at all."""
    try:
        if len(owner := path.read_text().strip()) == 32:
            return owner
    except FileNotFoundError:
        pass
    owner = secrets.token_hex(16)
    draft = path.with_suffix(".new")
    draft.write_text(owner + "\n")
    draft.replace(path)
    return owner


def _pid(directory: Path) -> str:
    try:
        return (directory / LOCK).read_text().strip() or "unknown"
    except OSError:
        return "unknown"


def _alive(directory: Path) -> bool:
    """It listens on its control socket. (Trying the lock would keep one that is just starting from taking it.)"""
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(str(directory / CONTROL))
        except OSError:
            return False
    return True


def _registry() -> Path:
    """This user's folder of links, which nobody else may write to."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime, "channelbeat") if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir(), f"channelbeat-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o022:
        raise LocalError(f"{folder} belongs to somebody else, or may be written by others: remove it, or set XDG_RUNTIME_DIR to a folder of your own")
    return folder


def _listed(directory: Path) -> Path:
    link = _registry() / str(os.getpid())
    link.unlink(missing_ok=True)
    link.symlink_to(directory)
    return link


def _all_running() -> list[Path]:
    """Those of this user; links of the dead are taken away on the way."""
    found = set()
    for link in _registry().iterdir():
        if link.is_symlink() and _alive(target := link.readlink()):
            found.add(target)
        else:
            link.unlink(missing_ok=True)
    return sorted(found)


def _others() -> str:
    running_now = _all_running()
    return f"; running: {', '.join(f'--data {one}' for one in running_now)}" if running_now else ""
