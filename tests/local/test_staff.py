"""What people are told while it is not known whether a project's workers may start."""

import asyncio
import sys
from pathlib import Path

import pytest

from channelbeat.errors import ProjectError
from channelbeat.local import staff
from channelbeat.local.processes import Workers
from channelbeat.local.staff import Staff
from channelbeat.local.workers import Job, Place
from support.process_site import LAYERS
from support.waiting import eventually

WAITS = """
import os, time
while not os.path.exists("go"):
    time.sleep(0.05)
raise SystemExit("it is broken")
"""


class Mute:
    def heard(self, place: Place, line: str) -> None: ...
    def say(self, text: str) -> None: ...


async def leading(layer: str) -> str:
    return "generation"


async def test_a_project_that_loads_slowly_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what comes of it afterwards."""
    monkeypatch.setattr(staff, "SLOW", 0.1)
    (tmp_path / "manage.py").write_text(WAITS)
    said = list[str]()
    ours = Staff(tmp_path, LAYERS, Workers(tmp_path, Mute()), leading, said.append)
    ours.check([Job(Place("default", name), (sys.executable, "manage.py", "runworker"), (), LAYERS["default"].url) for name in ("a", "b")])
    running = asyncio.create_task(ours.run())
    await eventually(lambda: said == [f"no workers for a, b yet: the project in {tmp_path} is being loaded"])
    (tmp_path / "go").touch()
    with pytest.raises(ProjectError, match="it is broken"):
        await asyncio.wait_for(running, 30)
