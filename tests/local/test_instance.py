"""The data folder: who we are, that we are the only one, and how `trigger` and `why` find us."""

import asyncio
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import getpid
from pathlib import Path

import pytest

from channelbeat.errors import LocalError, UsageError
from channelbeat.running import control, instance
from channelbeat.running.control import Reply, Request
from channelbeat.running.instance import CONTROL, NAME


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cb-", dir="/tmp") as directory:
        (Path(directory) / "run").mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", f"{directory}/run")
        yield Path(directory)


@contextmanager
def listening(data: Path) -> Iterator[None]:
    """As a running instance does."""
    with instance.taken(data), socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(data / CONTROL))
        bound.listen()
        try:
            yield
        finally:
            (data / CONTROL).unlink()


def test_the_owner_is_kept(folder: Path) -> None:
    with instance.taken(folder / "data") as first:
        assert len(first.owner) == 32
    with instance.taken(folder / "data") as again:
        assert again == first
    with instance.taken(folder / "other") as other:
        assert other.owner != first.owner


def test_an_owner_half_written_is_made_anew(folder: Path) -> None:
    (folder / "owner").write_text("abc")
    with instance.taken(folder) as ours:
        assert len(ours.owner) == 32


def test_the_folder_is_ours_alone_and_git_leaves_it_out(folder: Path) -> None:
    with instance.taken(folder / "data"):
        assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700
        assert (folder / "data/.gitignore").read_text() == "*\n"


def test_a_second_one_is_refused_with_the_pid_of_the_first(folder: Path) -> None:
    with (
        instance.taken(folder),
        pytest.raises(LocalError, match=rf"in use by another channelbeat local \(pid {getpid()}\): stop it, or give this one --data DIR"),
        instance.taken(folder),
    ):
        pass
    with instance.taken(folder):
        pass


def test_a_folder_that_cannot_be_made(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(LocalError, match=r"cannot hold our data .* --data"), instance.taken(folder / "file/data"):
        pass


def test_it_lies_beside_the_manifest(folder: Path) -> None:
    (folder / "beat.yaml").write_text("")
    assert instance.beside(folder) == instance.beside(folder / "beat.yaml") == folder / NAME


def test_which_one_is_meant(folder: Path) -> None:
    here, below, elsewhere = folder / "a" / NAME, folder / "a/b/c", folder / "z" / NAME
    below.mkdir(parents=True)
    with pytest.raises(LocalError, match=r"no channelbeat is running here: start one with"):
        instance.running(None, below)
    with listening(here):
        assert instance.running(None, below) == here, "the nearest above"
    with listening(elsewhere):
        assert instance.running(elsewhere, below) == elsewhere, "the one named"
        assert instance.running(None, folder) == elsewhere, "the only one"
        with pytest.raises(LocalError, match=rf"no channelbeat runs on {here}: the last one \(pid {getpid()}\) has ended; running: --data {elsewhere}"):
            instance.running(None, below)
    with pytest.raises(LocalError, match="is no data folder of channelbeat"):
        instance.running(folder / "nowhere", below)


def test_several_are_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(folder / "a"):
        monkeypatch.setattr("os.getpid", lambda: 1)  # the links are named by pid, and this is one process
        with listening(folder / "b"), pytest.raises(LocalError, match=f"several.*name one with --data\n  --data {folder}/a\n  --data {folder}/b"):
            instance.running(None, Path("/"))


def test_links_of_the_dead_are_taken_away(folder: Path) -> None:
    link = folder / "run/channelbeat/123"
    link.parent.mkdir(mode=0o700)
    link.symlink_to(folder / "gone")
    with pytest.raises(LocalError, match="no channelbeat is running"):
        instance.running(None, Path("/"))
    assert not link.is_symlink()


def test_a_folder_of_links_that_others_may_write_to_is_refused(folder: Path) -> None:
    (folder / "run/channelbeat").mkdir()
    (folder / "run/channelbeat").chmod(0o777)
    with pytest.raises(LocalError, match="may be written by others"):
        instance.running(None, Path("/"))


async def answer(request: Request) -> Reply:
    if request["verb"] == "wrong":
        raise UsageError("no such thing: did you mean another?")
    if request["verb"] == "forever":
        await asyncio.Event().wait()
    return {"asked": dict(request)}


async def test_a_question_is_answered(folder: Path) -> None:
    async with control.listening(folder, answer):
        assert stat.S_IMODE((folder / CONTROL).stat().st_mode) == 0o600
        assert await asyncio.to_thread(control.ask, folder, {"verb": "why", "due": None}) == {"asked": {"verb": "why", "due": None}}
    assert not (folder / CONTROL).exists()


async def test_an_objection_is_an_error(folder: Path) -> None:
    async with control.listening(folder, answer):
        with pytest.raises(UsageError, match=r"no such thing: did you mean another\?"):
            await asyncio.to_thread(control.ask, folder, {"verb": "wrong"})
        with pytest.raises(UsageError, match="not understood"):
            await asyncio.to_thread(control.ask, folder, {})


async def test_whoever_waits_when_it_stops_is_told(folder: Path) -> None:
    asked = asyncio.Event()

    async def never(request: Request) -> Reply:
        asked.set()
        return await answer(request)

    async with control.listening(folder, never):
        asking = asyncio.create_task(asyncio.to_thread(control.ask, folder, {"verb": "forever"}))
        await asked.wait()
    with pytest.raises(UsageError, match="channelbeat is stopping"):
        await asking


async def test_nobody_there_is_told(folder: Path) -> None:
    with pytest.raises(LocalError, match="does not answer"):
        control.ask(folder, {"verb": "why"})


async def test_a_folder_too_deep_for_the_socket(folder: Path) -> None:
    with pytest.raises(LocalError, match=r"too long for a unix socket .* --data"):
        async with control.listening(folder / ("x" * 100), answer):
            pass
