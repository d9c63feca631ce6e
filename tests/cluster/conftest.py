"""One control plane a test run, with our CRD; each test in a namespace of its own."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from support import arrivals, cluster, cluster_programs
from support.arrivals import Channel
from support.beats import Beats
from support.cluster import ControlPlane
from support.cluster_programs import Unavailable
from support.operators import Installation, installed
from support.redis import RedisServer

HERE: Final = Path(__file__).parent
LEAST: Final = ("etcd", "kube-apiserver", "kubectl")
WHY_NOT: Final = pytest.StashKey[str]()


@pytest.hookimpl(trylast=True)  # after -k and -m: nothing is built for tests that were not asked for
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Builds here, not in a fixture: it may take minutes, which no test's time limit allows, and its progress is to be seen."""
    ours = [item for item in items if HERE in item.path.parents]
    if config.option.collectonly or not ours:
        return
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    try:
        cluster_programs.provide(terminal.write_line if terminal else print)
    except Unavailable as why:
        if "cluster" in os.environ.get("REQUIRE", "").split(","):
            raise pytest.UsageError(f"REQUIRE=cluster, but {why}") from None
        if not all(map(cluster_programs.find, LEAST)):
            config.stash[WHY_NOT] = f"{len(ours)} tests with a cluster did not run (REQUIRE=cluster makes that a failure): {why}"
            config.hook.pytest_deselected(items=ours)
            items[:] = [item for item in items if item not in ours]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if WHY_NOT in config.stash:
        terminalreporter.write_line(config.stash[WHY_NOT], yellow=True)


def _needs(name: str) -> str:
    if not cluster_programs.find(name):
        pytest.skip(f"no {name}: it is in no $KUBEBUILDER_ASSETS, and cannot be built")
    return cluster_programs.program(name)


@pytest.fixture(scope="session")
def kube() -> Iterator[ControlPlane]:
    """One control plane a session; a test that stops, freezes or compacts takes `own_kube`."""
    with cluster.running() as plane:
        plane.install_crd()
        yield plane


@pytest.fixture
def namespace(kube: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own, deleted after it, though it may take longer to be gone."""
    name = kube.new_namespace()
    yield name
    kube.api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def own_kube() -> Iterator[ControlPlane]:
    """A control plane of the test's own."""
    with cluster.running() as plane:
        plane.install_crd()
        yield plane


@pytest.fixture
def controllers(kube: ControlPlane) -> ControlPlane:
    """The session's control plane, with its controller manager: owners' objects are collected, Deployments get pods."""
    _needs("kube-controller-manager")
    return kube


@pytest.fixture(scope="session")
def helm() -> str:
    """The program."""
    return _needs("helm")


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Makes installations, see support/operators.py; their replicas are killed after the test."""
    with ExitStack() as stack:

        def made(kube: ControlPlane, layers: Any, namespace: str, **options: Any) -> Installation:
            return stack.enter_context(installed(kube, layers, tmp_path, namespace=namespace, **options))

        yield made


@pytest.fixture
def us(install: Callable[..., Installation], kube: ControlPlane, own_redis: RedisServer, namespace: str) -> Installation:
    """One without replicas as yet, for the schedules of `beats`. Its Lease lasts as long as it does for users: on a busy machine a replica may stand still
    for a second, and is not to lose it over that."""
    return install(kube, own_redis.url, namespace, timing="3s/1s")


@pytest.fixture
def beats(kube: ControlPlane, namespace: str) -> Beats:
    return Beats(kube, namespace)


@pytest.fixture
def channel(own_redis: RedisServer) -> Iterator[Channel]:
    """`c`, of the layer of `us`."""
    with arrivals.channel(own_redis.url) as channel:
        yield channel
