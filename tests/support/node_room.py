"""A room for a node: namespaces, a folder and cgroups of its own, in which `python -m support.node_room ARGUMENTS` runs pytest tests/e2e.

Outside, what the room needs is provided with the machine's network. Inside, the machine's files can be read and not written, there is
no network but the room's own, and a process that leaves nobody behind is the first of all: however it ends, all others end with it. Then
the janitor, who outlives us, removes the folder and the cgroups.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from channelbeat.local import tether
from support import cluster_programs, node_tools
from support.cluster_programs import WITH_NODE, Unavailable
from support.tree import ROOT
from support.waiting import until

ADDRESS: Final = "10.76.0.1"
"""The node's."""
SERVICES: Final = "10.96.0.0/16"
ROOM: Final = "CHANNELBEAT_ROOM"
"""The folder, for whoever is inside."""
HIDDEN: Final = ("/run", "/var/lib", "/var/log")
"""Where programs of a node write, however they are configured."""
TUNED: Final = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet wants of the kernel, and sets for the whole machine unless it finds it so."""


def folder() -> Path | None:
    """The room's; None outside."""
    found = os.environ.get(ROOM)
    return Path(found) if found else None


def cgroup(room: Path) -> str:
    return f"/{room.name}"


def main(typed: list[str]) -> int:
    """pytest's exit status."""
    if why := node_tools.hindrance():
        sys.exit(f"no node can be here: {why}")
    try:
        node_tools.provide(_tell)
        cluster_programs.provide(_tell, WITH_NODE)
    except Unavailable as lacking:
        sys.exit(f"no node can be here: {lacking}")
    images = subprocess.run(["unshare", "--mount", sys.executable, "-m", "support.node_images"], stdout=subprocess.PIPE, check=False)
    if images.returncode:
        return images.returncode
    room = Path(tempfile.mkdtemp(prefix="channelbeat-e2e-"))
    (room / "images.json").write_bytes(images.stdout)
    with subprocess.Popen([sys.executable, "-m", __spec__.name, "--janitor", room], stdin=subprocess.PIPE, start_new_session=True) as janitor:
        for hierarchy in _hierarchies():
            (hierarchy / room.name).mkdir()
            _let_control(hierarchy)
        within = ["unshare", *node_tools.SPACES, "--fork", "--kill-child", "--mount-proc", "catatonit", "--", sys.executable, "-m", __spec__.name, "--enter"]
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # pytest gets it, too, and ends in its way
        status = subprocess.run(tether.command([*within, str(room), *typed], signal_=signal.SIGKILL), check=False).returncode
        assert janitor.stdin
        janitor.stdin.close()
    return status


def enter(room: Path, typed: list[str]) -> None:
    """Becomes pytest, as a process of the room."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _run("mount", "--bind", str(room), str(room))
    for path in HIDDEN:
        _run("mount", "-t", "tmpfs", "tmpfs", path)
    for name, value in TUNED.items():
        wanted = room / "kernel" / name
        wanted.parent.mkdir(parents=True, exist_ok=True)
        wanted.write_text(f"{value}\n")
        _run("mount", "--bind", str(wanted), f"/proc/sys/{name}")
    _run("mount", "-o", "remount,bind,ro", "/")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    _run("ip", "route", "add", SERVICES, "dev", "lo", "src", ADDRESS)  # what is sent there from here must have a way before the proxy's rules lead it to a pod
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    temporary = room / "tmp"
    temporary.mkdir()
    os.environ.update({ROOM: str(room), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"})
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *typed])


def clean(room: Path) -> None:
    """What is left of a room, once whoever holds our stdin is gone."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdin.buffer.read()
    for hierarchy in _hierarchies():
        until(lambda top=hierarchy / room.name: _removed(top), 60, what=f"{hierarchy}/{room.name} removed", every=0.05)  # type: ignore[misc]
    shutil.rmtree(room)


def _removed(top: Path) -> bool:
    for inner, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):  # somebody is dying in there
            Path(inner).rmdir()
    return not top.exists()


def _hierarchies() -> list[Path]:
    """Where cgroups are made: one folder, or with the first version one for each controller."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return sorted({Path(where).resolve() for _, where, kind, *_ in mounts if kind in ("cgroup", "cgroup2")})


def _let_control(hierarchy: Path) -> None:
    """With the second version a cgroup has those controllers that the one above it hands on; systemd does not hand on all that a kubelet asks for."""
    if not (hierarchy / "cgroup.controllers").exists():
        return  # the first version
    for controller in (hierarchy / "cgroup.controllers").read_text().split():
        with suppress(OSError):  # not everything can be handed on everywhere: the kubelet says what it lacks
            (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--janitor", room]:
            clean(Path(room))
        case ["--enter", room, *typed]:
            enter(Path(room), typed)
        case typed:
            sys.exit(main(typed))
