"""What must be on a Debian machine for a node of its own, and which apt-get line brings it; under $CI it is brought.

`PYTHONPATH=tests python -m support.node_tools` fails, and says why, where there can be none.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from support.cluster_programs import Tell, Unavailable

PLUGINS: Final = Path("/usr/lib/cni")
PACKAGES: Final = {
    "containerd": ("containerd", "ctr"),
    "runc": ("runc",),
    "containernetworking-plugins": tuple(f"{PLUGINS}/{name}" for name in ("host-local", "loopback", "portmap", "ptp")),
    "iptables": ("iptables", "iptables-restore"),
    "iproute2": ("ip",),
    "util-linux": ("unshare", "mount"),
    "buildah": ("buildah",),
    "mmdebstrap": ("mmdebstrap",),
    "catatonit": ("catatonit",),
}
SPACES: Final = ("--mount", "--net", "--pid", "--uts", "--ipc")
TRIAL: Final = "mount -t tmpfs tmpfs /run && mount -o remount,bind,ro /"
"""What is done in there before all else (node_room.py)."""


def hindrance() -> str:
    """Why no node can be here at all, whatever is installed; empty where it can."""
    if os.geteuid() != 0:
        return "it takes root"
    if not Path("/etc/debian_version").exists():
        return "it takes Debian"
    try:
        subprocess.run(["unshare", *SPACES, "--fork", "sh", "-c", TRIAL], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"nobody can make namespaces here, or a room of them ({getattr(error, 'stderr', '').strip() or error})"
    return ""


def missing() -> list[str]:
    """Packages."""
    return [package for package, programs in PACKAGES.items() if not all(map(shutil.which, programs))]


def provide(tell: Tell) -> None:
    """Unavailable, with the line that helps, when something is not here."""
    packages = missing()
    if not packages:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if not os.environ.get("CI"):
        raise Unavailable(f"not installed: {', '.join(packages)}. Type: apt-get update && {' '.join(install)}")
    tell(f"installing {', '.join(packages)}")
    for command in (["apt-get", "update"], install):
        done = subprocess.run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"{' '.join(command)}: {' / '.join(done.stderr.splitlines()[-2:])}")
    if still := missing():
        raise Unavailable(f"installed, and yet not found: {', '.join(still)}")


if __name__ == "__main__":
    sys.exit(hindrance() or 0)
