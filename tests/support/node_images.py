"""The images of a node's pods, made here: no registry is asked. Roots from Debian's packages, the rest with buildah on them.

To be run in a mount namespace of its own, since buildah leaves mounts behind; it prints an archive for each image, as JSON. Roots are kept
by what they are made of, layers by buildah, archives by their image's id: what has not changed is not made again.
"""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from support.cluster_programs import CACHE, Unavailable
from support.tree import ROOT

HERE: Final = CACHE / "images"
STORE: Final = HERE / "store"
LARGEST: Final = 5_000_000_000
RECENT: Final = 3_600.0
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
PIP: Final = Path("/etc/pip.conf")

OPERATOR: Final = "localhost/channelbeat:0.1.0"
THUMBNAILS: Final = "localhost/thumbnails:0.1.0"
REDIS: Final = "localhost/redis:1"
PAUSE: Final = "localhost/pause:1"
ALL: Final = (OPERATOR, THUMBNAILS, REDIS, PAUSE)

PYTHON: Final = ("base-files", "libc6", "libpython3.11-stdlib", "python3-minimal", "netbase", "media-types", "tzdata")
ROOTS: Final = {
    "python": PYTHON,
    "pip": (*PYTHON, "dash", "coreutils", "ca-certificates", "python3-pip"),
    "redis": ("base-files", "libc6", "redis-server"),
}
SUITE: Final = "bookworm"


def build() -> dict[str, Path]:
    """The archive of each image."""
    HERE.mkdir(parents=True, exist_ok=True)
    with (HERE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with ThreadPoolExecutor() as pool, tempfile.TemporaryDirectory() as folder:
            if _size(STORE) > LARGEST:  # layers of all that the sources once were
                shutil.rmtree(STORE)
            roots = dict(zip(ROOTS, pool.map(_root, ROOTS), strict=True))
            builder = Builder(Path(folder))
            bases = dict(zip(ROOTS, pool.map(lambda name: builder.base(name, roots[name]), ROOTS), strict=True))
            made = pool.map(lambda image: builder.archive(image, bases), ALL)
            return dict(zip(ALL, made, strict=True))


class Builder:
    """buildah, with a store of our own. `folder` is for the time of building."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._buildah = ["buildah", "--root", str(STORE), "--runroot", str(folder / "run"), "--storage-driver", "overlay"]
        self._pip = folder / "pip.conf"
        self._pip.write_text(PIP.read_text() if PIP.exists() else "")

    def base(self, name: str, root: Path) -> str:
        """Called by what it is made of."""
        base = f"localhost/{root.stem}"
        if not self._run("images", "--quiet", "--filter", f"reference={base}"):
            self._from_lines(base, ["FROM scratch", "ADD content /", "ENV PATH=/usr/local/bin:/usr/bin:/bin"], root)
        return base

    def archive(self, image: str, bases: dict[str, str]) -> Path:
        if image == PAUSE:
            program = shutil.which("catatonit")
            assert program
            lines = ["FROM scratch", "COPY content /catatonit", 'ENTRYPOINT ["/catatonit", "-P"]']
            return self._packed(image, self._from_lines(image, lines, Path(program)))
        if image == REDIS:
            lines = [f"FROM {bases['redis']}", "USER 65532:65532", "WORKDIR /data", 'ENTRYPOINT ["redis-server"]']
            return self._packed(image, self._from_lines(image, lines))
        file = ROOT / ("Dockerfile" if image == OPERATOR else "examples/thumbnails/Dockerfile")
        return self._packed(image, self._from_dockerfile(image, file, bases["python"], bases["pip"]))

    def _from_lines(self, image: str, lines: Iterable[str], content: Path | None = None) -> str:
        with tempfile.TemporaryDirectory(dir=self._folder) as context:
            if content:
                shutil.copy(content, Path(context, "content"))
            Path(context, "Dockerfile").write_text("\n".join(lines))
            return self._run("build", "--quiet", "--pull-never", "--layers", "--tag", image, context)

    def _from_dockerfile(self, image: str, file: Path, base: str, build_base: str) -> str:
        ignore = next(one for one in (Path(f"{file}.dockerignore"), ROOT / ".dockerignore") if one.exists())
        names = (f"BASE={base}", f"BUILD_BASE={build_base}", "PYTHON=/usr/bin/python3")
        arguments = [f"--build-arg={one}" for one in names]  # the smallest base has no /usr/bin/env
        # For pip: the machine's own index, and whom this machine trusts.
        pip = [f"--secret=id=pip,src={self._pip}", *([f"--volume={CERTIFICATES}:{CERTIFICATES}:ro"] if CERTIFICATES.exists() else [])]
        how = ["--isolation=chroot", "--network=host", "--pull-never", "--layers", "--quiet"]
        return self._run("build", *how, *pip, *arguments, f"--ignorefile={ignore}", "--file", str(file), "--tag", image, str(ROOT))

    def _packed(self, image: str, number: str) -> Path:
        """Written once for each id; those before it are deleted when nobody can be about to read them."""
        name = image.rpartition("/")[2].replace(":", "-")
        archive = HERE / f"{name}-{number[:12]}.tar"
        if not archive.exists():
            part = archive.with_suffix(".part")
            part.unlink(missing_ok=True)
            self._run("push", "--quiet", number, f"docker-archive:{part}:{image}")
            for other in HERE.glob(f"{name}-*.tar"):
                if part.stat().st_mtime - other.stat().st_mtime > RECENT:
                    other.unlink()
            part.rename(archive)
        archive.touch()
        return archive

    def _run(self, *typed: str) -> str:
        """The last line that it prints: of a build the image's id."""
        return _said([*self._buildah, *typed]).rpartition("\n")[2]


def _root(name: str) -> Path:
    """Packages and what they need, unpacked, from where this machine gets its own."""
    recipe = " ".join([SUITE, *ROOTS[name]])
    root = HERE / f"root-{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    if not root.exists():
        part = root.with_suffix(".part.tar")
        include = f"--include={','.join(ROOTS[name])}"
        _said(["mmdebstrap", "--quiet", "--variant=extract", include, SUITE, str(part), *_mirrors()])
        part.rename(root)
    return root


def _mirrors() -> list[str]:
    form = "deb $(REPO_URI) $(CODENAME) $(COMPONENT)"
    said = _said(["apt-get", "indextargets", "--format", form, "Created-By: Packages", "Origin: Debian"])
    return sorted({line for line in said.splitlines() if f" {SUITE}" in line})


def _size(folder: Path) -> int:
    """Bytes."""
    said = subprocess.run(["du", "--summarize", "--bytes", folder], capture_output=True, text=True, check=False).stdout
    return int(said.split()[0]) if said else 0


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last_words = " / ".join(done.stderr.splitlines()[-5:])
        raise Unavailable(f"{command[0]} failed: {' '.join(command[1:])}: {last_words}")
    return done.stdout.strip()


if __name__ == "__main__":
    begun = time.monotonic()
    try:
        print(json.dumps({image: str(archive) for image, archive in build().items()}))
    except Unavailable as why:
        sys.exit(str(why))
    print(f"images: {time.monotonic() - begun:.0f} s", file=sys.stderr)
