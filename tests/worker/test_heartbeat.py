"""Is a worker alive? Without Django, without Redis, and at once."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from channelbeat import heartbeat
from channelbeat.heartbeat import Heartbeat, fault
from support.waiting import until

CHANNELS = ["thumbnails", "mails"]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    first, second = tmp_path / "shm", tmp_path / "tmp"
    first.mkdir()
    second.mkdir()
    monkeypatch.setattr(heartbeat, "FOLDERS", (str(first), str(second)))
    return first


def beating(lasts: int = 60_000, layer: str = "default") -> Heartbeat:
    found = Heartbeat(CHANNELS, layer, lasts)
    found.beat()
    return found


def said() -> str:
    return fault(CHANNELS, "default") or ""


def elsewhere(code: str) -> "subprocess.Popen[Any]":
    """Another process's heartbeat."""
    begin = f"from channelbeat import heartbeat; heartbeat.FOLDERS = {heartbeat.FOLDERS!r}; mine = heartbeat.Heartbeat({CHANNELS!r}, 'default', 60_000)"
    return subprocess.Popen([sys.executable, "-c", f"{begin}; {code}"], stdout=subprocess.PIPE)


def test_without_any_it_says_so() -> None:
    assert said().startswith("no worker for thumbnails mails on layer 'default' is alive: none of this user's was started here")


def test_one_that_beats_is_alive_in_whatever_order_its_channels_are_named() -> None:
    beating()
    assert fault(CHANNELS, "default") is fault(CHANNELS[::-1], "default") is None


@pytest.mark.parametrize(("channels", "layer"), [(["thumbnails"], "default"), ([*CHANNELS, "more"], "default"), (CHANNELS, "other")])
def test_another_worker_s_does_not_count(channels: list[str], layer: str) -> None:
    beating()
    assert fault(channels, layer)


def test_one_that_has_left_is_dead(folders: Path) -> None:
    beating().leave()
    assert said()
    assert list(folders.iterdir()) == []


def test_one_that_is_silent_is_dead() -> None:
    beating(lasts=0)
    until(lambda: "was last heard of" in said())


def test_one_that_was_killed_is_dead_and_swept_up(folders: Path) -> None:
    with elsewhere("mine.beat(); import os; os._exit(9)") as process:
        process.wait()
    assert said().endswith(f"process {process.pid} has died")
    Heartbeat(CHANNELS, "default", 60_000)
    assert list(folders.iterdir()) == []


def test_the_process_that_had_the_same_number_before_is_dead(folders: Path) -> None:
    """In a container that is started again: its memory is the pod's, and each worker is process 1."""
    beating()
    (file,) = folders.iterdir()
    pid, began, *rest = file.read_text().split()
    assert said() == ""
    file.write_text(" ".join([pid, str(int(began) - 1), *rest]))
    assert said().endswith(f"process {pid} has died")


def test_of_two_one_is_enough() -> None:
    with elsewhere("mine.beat(); print(flush=True); import time; time.sleep(60)") as process:
        assert process.stdout is not None
        process.stdout.readline()
        beating().leave()
        assert said() == ""
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert said()


def test_beats_are_written_now_and_then_only(folders: Path) -> None:
    found = beating()
    (file,) = folders.iterdir()
    file.unlink()
    found.beat()
    assert list(folders.iterdir()) == []


@pytest.mark.parametrize("content", ["", "x", "1 2", "1 2 3 4", "\ud7ff"])
def test_what_is_no_heartbeat_does_not_count(folders: Path, content: str) -> None:
    beating()
    (file,) = folders.iterdir()
    file.write_text(content)
    assert said()


def test_where_shared_memory_cannot_be_written_to_there_is_another_folder(monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
    monkeypatch.setattr(heartbeat, "FOLDERS", (str(folders / "gone"), heartbeat.FOLDERS[1]))
    beating()
    assert said() == ""


def test_a_link_that_somebody_laid_is_not_followed(folders: Path, tmp_path: Path) -> None:
    found = Heartbeat(CHANNELS, "default", 60_000)
    os.symlink(tmp_path / "precious", f"{found._path}.new")
    with pytest.raises(OSError, match="symbolic links"):
        found.beat()
    assert not (tmp_path / "precious").exists()


def test_as_a_command_it_loads_neither_django_nor_redis() -> None:
    code = "import sys; before = set(sys.modules); import channelbeat.heartbeat; print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"channelbeat", "argparse", "hashlib"} <= set(loaded)
    assert set(loaded) - sys.stdlib_module_names == {"channelbeat"}


def test_as_a_command_it_answers_by_its_status() -> None:
    done = subprocess.run([sys.executable, "-m", "channelbeat.heartbeat", "no-such-channel", "--layer", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("no worker for no-such-channel on layer 'x' is alive")


def test_one_that_is_still_starting_is_waited_for(folders: Path) -> None:
    late = threading.Timer(0.3, lambda: Heartbeat(CHANNELS, "default", 60_000).beat())
    late.start()
    assert heartbeat.waited(CHANNELS, "default", 30) is None
    late.join()
    assert heartbeat.waited(["another"], "default", 0.2) == fault(["another"], "default"), "but not for ever"
