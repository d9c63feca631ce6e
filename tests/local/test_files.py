"""Following files on a disk: what is on it is what the book gets, soon, without holding anything else up."""

import asyncio
import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from channelbeat.core.layer import LayerSettings
from channelbeat.core.schedule import BeatSchedule
from channelbeat.local.files import Files, look
from channelbeat.local.intake import Intake
from support.waiting import eventually

MANIFEST = """
apiVersion: channelbeat.dev/v1alpha1
kind: BeatSchedule
metadata: {{name: {name}}}
spec:
  channel: prints
  events:
  - {{name: tick, type: say, every: {every}}}
"""


def manifest(*names: str, every: str = "5s") -> str:
    return "---".join(MANIFEST.format(name=name, every=every) for name in names)


class Book:
    """What was done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.completed = False

    def put(self, schedule: BeatSchedule, *, parked: Collection[str] = ()) -> None:
        self.done.append(f"put {schedule.name} every {schedule.spec.events[0].every}")

    def park(self, key: str) -> None:
        self.done.append(f"park {key}")

    def remove(self, key: str) -> None:
        self.done.append(f"remove {key}")

    def complete(self) -> None:
        self.completed = True


class Following:
    def __init__(self, *paths: Path) -> None:
        self.book = Book()
        self.said: list[str] = []
        self.changes = 0
        intake = Intake({"default": LayerSettings("default", "redis://x")})
        self.files = Files(paths, intake, self.book, say=self.said.append, changed=self._changed)

    def _changed(self) -> None:
        self.changes += 1

    async def did(self, *done: str) -> None:
        """Just this, since the last time."""
        await eventually(lambda: len(self.book.done) >= len(done), what=f"{done}, but {self.book.done}")
        assert self.book.done == [*done]
        self.book.done.clear()


@asynccontextmanager
async def following(*paths: Path) -> AsyncIterator[Following]:
    found = Following(*paths)
    task = asyncio.create_task(found.files.run())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_all_there_is_then_what_changes(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(manifest("one", "two"))
    async with following(tmp_path) as now:
        await now.did("put one every 5000", "put two every 5000")
        await eventually(lambda: now.book.completed)
        assert now.said == ["2 schedules with 2 events in 1 file"]
        (tmp_path / "a.yaml").write_text(manifest("one") + "---" + manifest("two", every="9s"))
        await now.did("put two every 9000")
        (tmp_path / "deeper").mkdir()
        (tmp_path / "deeper/b.yaml").write_text(manifest("three"))
        await now.did("put three every 5000")
        (tmp_path / "deeper/b.yaml").unlink()
        await now.did("remove default/three")
        assert now.said[1:] == [
            f"default/two changed ({tmp_path}/a.yaml:2)",
            f"default/three added ({tmp_path}/deeper/b.yaml:1)",
            "default/three removed",
        ]
        await eventually(lambda: now.changes >= 4)  # told last
        assert now.changes == 4


async def test_a_single_file_that_an_editor_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(manifest("one"))
    async with following(path) as now:
        await now.did("put one every 5000")
        (tmp_path / "new").write_text(manifest("one", every="7s"))
        (tmp_path / "new").rename(path)
        await now.did("put one every 7000")


async def test_a_file_written_in_pieces_counts_when_it_has_settled(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(manifest("one"))
    now = Following(path)
    await now.files.load()
    await now.did("put one every 5000")
    for at, text in ((0, ""), (200, "apiVersion: channelbeat.dev/v1alpha1\n"), (400, manifest("one", every="8s")), (600, None), (699, None)):
        if text is not None:
            path.write_text(text)
        await now.files.seen(look([path]), at)
        assert now.book.done == []
    await now.files.seen(look([path]), 700)
    await now.did("put one every 8000")
    assert now.said == ["1 schedule with 1 event in 1 file", f"default/one changed ({path}:1)"]


async def test_unreadable_keeps_what_was_and_completes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(manifest("one"))
    (tmp_path / "broken.yaml").write_text("{")
    async with following(tmp_path) as now:
        await now.did("put one every 5000")
        await eventually(lambda: len(now.said) == 2)
        assert now.said[0].startswith(f"{tmp_path}/broken.yaml:1: ")
        (tmp_path / "a.yaml").write_text("{")
        await eventually(lambda: len(now.said) == 3)
        (tmp_path / "a.yaml").write_text(manifest("one", every="6s"))
        await now.did("put one every 6000")
        assert not now.book.completed
        (tmp_path / "broken.yaml").write_text(manifest("two"))
        await now.did("put two every 5000")
        await eventually(lambda: now.book.completed)


async def test_a_big_file_holds_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(manifest(*(f"s{number}" for number in range(2_000))))
    async with following(tmp_path) as now:
        turns = 0
        while len(now.book.done) < 2_000:
            await asyncio.sleep(0)
            turns += 0 < len(now.book.done) < 2_000
    assert turns > 20, "others had their turns between the first and the last"


def test_a_look_sees_a_change_of_the_same_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a")
    before = look([tmp_path])
    facts = path.stat()
    path.write_text("b")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert look([tmp_path]) != before


@pytest.mark.parametrize("gone", ["a.yaml", "folder"])
def test_a_path_that_has_gone_has_no_files(tmp_path: Path, gone: str) -> None:
    assert look([tmp_path / gone]) == {}
