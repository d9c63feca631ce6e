"""One node for all scenarios, with Redis and the operator on it; each scenario in a shop of its own.

They run inside a room only (support/node_room.py), where `make e2e` takes them: anywhere else they are left out, and a line says so.
"""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

from support import node as nodes
from support import node_room, node_tools
from support.node import Node
from support.node_release import Release
from support.node_shop import Shop, Store

HERE: Final = Path(__file__).parent
LEFT_OUT: Final = pytest.StashKey[str]()
PATIENCE: Final = 600
NODE: Final = pytest.StashKey[Node]()
FIGURES: Final = pytest.StashKey[list[tuple[str, str]]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    if node_room.folder():
        for item in ours:
            item.add_marker(pytest.mark.timeout(PATIENCE))
        return
    if config.option.collectonly or not ours:
        return
    why = node_tools.hindrance()
    if "e2e" in os.environ.get("REQUIRE", "").split(",") and not why:
        raise pytest.UsageError("REQUIRE=e2e, but this is no room of its own: `make e2e` makes one")
    config.stash[LEFT_OUT] = f"{len(ours)} tests on a whole node did not run: " + (why or "they are for `make e2e`")
    config.hook.pytest_deselected(items=ours)
    items[:] = [item for item in items if item not in ours]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if LEFT_OUT in config.stash:
        terminalreporter.write_line(config.stash[LEFT_OUT], yellow=True)
    if figures := config.stash.get(FIGURES, []):
        terminalreporter.section("measured")
    for what, figure in figures:
        terminalreporter.write_line(f"{what:<64}  {figure}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure comes with what the node says."""
    report = yield
    if call.excinfo and not call.excinfo.errisinstance(pytest.skip.Exception) and NODE in item.config.stash:
        report.sections.append(("the node", item.config.stash[NODE].report()))
    return report


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    room = node_room.folder()
    assert room, "no room"
    with nodes.running(room) as node:
        request.config.stash[NODE] = node
        yield node


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """What was measured, and how much it was: told at the end of the run."""
    kept = request.config.stash.setdefault(FIGURES, [])
    return lambda what, figure: kept.append((what, figure))


@pytest.fixture(scope="session")
def store(node: Node) -> Store:
    """The Redis of the layer `default`."""
    return Store(node, "redis")


@pytest.fixture(scope="session")
def release(node: Node, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The operator, installed as docs/install.md says."""
    return Release(node, store.url, tmp_path_factory.mktemp("release"))


@pytest.fixture
def shop(release: Release, store: Store) -> Iterator[Shop]:
    """A namespace of the scenario's own, with the Secret `redis` for workers."""
    shop = Shop(release.node, store)
    yield shop
    shop.delete()
