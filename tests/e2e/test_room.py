"""What the node does to the machine that it is on: nothing."""

import errno
from pathlib import Path

import pytest

from support.node import Node
from support.tree import ROOT


@pytest.mark.parametrize("folder", ["/etc", "/usr/bin", "/opt", "/var", str(ROOT)])
def test_the_machines_files_cannot_be_written(folder: str) -> None:
    with pytest.raises(OSError, match="Read-only") as refused:
        Path(folder, "channelbeat-e2e").touch()
    assert refused.value.errno == errno.EROFS


def test_there_is_no_network_but_its_own(node: Node) -> None:
    links = [line.split(":")[1].strip() for line in node.shell("ip -oneline link", Path("/")).splitlines()]
    assert [link for link in links if link != "lo" and not link.startswith("veth")] == []
    assert "default" not in node.shell("ip route", Path("/"))


def test_whoever_is_left_alone_ends_with_the_first_process() -> None:
    assert Path("/proc/1/comm").read_text() == "catatonit\n"
