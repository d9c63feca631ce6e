"""Worker processes: kept running, heard, replaced, and never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from channelbeat.local.processes import State, Workers
from channelbeat.local.workers import Job, Place
from support.waiting import eventually, until

PLACE = Place("default", "prints")


class Heard:
    """What workers and their keeper say."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.said: list[str] = []

    def heard(self, place: Place, line: str) -> None:
        self.lines.append(f"{place}: {line}")

    def say(self, text: str) -> None:
        self.said.append(text)


def shell(script: str, place: Place = PLACE) -> Job:
    """`$1` is the channel."""
    return Job(place, ("sh", "-c", script, "worker"), (), "redis://x")


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def workers(tmp_path: Path, heard: Heard) -> AsyncIterator[Workers]:
    keeper = Workers(tmp_path, heard, first_pause=0.05, grace=30)  # none is to be killed because the machine is busy
    yield keeper
    await keeper.stop()


async def pids(heard: Heard, count: int = 1) -> list[int]:
    """The numbers that workers have said."""
    await eventually(lambda: len(heard.lines) >= count, what=f"{count} lines of {heard.lines} {heard.said}")
    return [int(line.split()[-1]) for line in heard.lines]


async def test_every_line_is_heard_with_its_channel(workers: Workers, heard: Heard, tmp_path: Path) -> None:
    workers.run({PLACE: shell("echo $1 in $(pwd); echo to stderr >&2; printf 'half a '; sleep 0.1; printf 'line\\nno end'; exec sleep 600")})
    await eventually(lambda: len(heard.lines) == 3)
    assert heard.lines == [f"prints: prints in {tmp_path}", "prints: to stderr", "prints: half a line"]
    assert workers.states == {PLACE: State.RUNNING}


async def test_one_that_dies_is_told_with_its_last_words_and_started_again_later_each_time(workers: Workers, heard: Heard) -> None:
    workers.run({PLACE: shell("echo going; printf down; exit 3")})
    await eventually(lambda: len(heard.said) == 3)
    assert heard.said == [f"worker prints ended (exit 3); its last line: down; it starts again in {pause} s" for pause in ("0.05", "0.1", "0.2")]


async def test_a_signal_is_told_by_name(workers: Workers, heard: Heard) -> None:
    workers.run({PLACE: shell("kill -9 $$")})
    await eventually(lambda: bool(heard.said))
    assert heard.said[0] == "worker prints was ended by SIGKILL; it starts again in 0.05 s"


async def test_a_command_that_does_not_exist_is_told(workers: Workers, heard: Heard) -> None:
    workers.run({PLACE: Job(PLACE, ("no-such-command",), (), "redis://x")})
    await eventually(lambda: bool(heard.said))
    assert heard.said[0] == "worker prints ended (exit 1); its last line: no-such-command: No such file or directory; it starts again in 0.05 s"


async def test_a_folder_that_has_gone_is_told_and_tried_again(heard: Heard, tmp_path: Path) -> None:
    workers = Workers(tmp_path / "gone", heard, first_pause=0.05)
    workers.run({PLACE: shell("echo back; exec sleep 600")})
    await eventually(lambda: bool(heard.said))
    assert heard.said[0] == "worker prints cannot be started: No such file or directory; it starts again in 0.05 s"
    (tmp_path / "gone").mkdir()
    await eventually(lambda: heard.lines == ["prints: back"])
    await workers.stop()


async def test_what_is_not_wanted_any_more_ends_and_the_others_stay(workers: Workers, heard: Heard) -> None:
    other = Place("default", "other")
    jobs = {PLACE: shell("echo $$; exec sleep 600"), other: shell("echo $$; exec sleep 600", other)}
    workers.run(jobs)
    await pids(heard, 2)
    numbers = {line.partition(":")[0]: int(line.split()[-1]) for line in heard.lines}
    workers.run({other: jobs[other]})
    await eventually(lambda: not alive(numbers["prints"]))
    assert alive(numbers["other"])
    await eventually(lambda: workers.states[PLACE] is State.ENDED)


async def test_a_changed_job_replaces_its_process_and_never_runs_beside_it(workers: Workers, heard: Heard) -> None:
    workers.run({PLACE: shell("exec 2>&-; trap 'sleep 0.3; exit' TERM; echo $$; while :; do sleep 0.05; done")})
    [old] = await pids(heard)
    workers.run({PLACE: shell(f"kill -0 {old} 2>&- && echo beside; echo $$; exec sleep 600")})
    _, new = await pids(heard, 2)
    assert not alive(old)
    assert new != old


async def test_one_that_is_wanted_again_waits_for_all_that_were_there_before(workers: Workers, heard: Heard) -> None:
    """The second never started: it waited for the first, which drains."""
    drains = "exec 2>&-; trap 'while [ ! -e drained ]; do sleep 0.05; done; exit' TERM; echo $$; while :; do sleep 0.05; done"
    workers.run({PLACE: replace(shell(drains), drain=60_000)})
    [old] = await pids(heard)
    workers.run({PLACE: shell("echo never")})
    workers.run({})
    await asyncio.sleep(0)
    assert workers.ending() == {PLACE}
    other = Place("default", "other")
    allows = shell("sleep 0.5; touch drained; exec sleep 600", other)
    workers.run({PLACE: shell(f"kill -0 {old} 2>&- && echo beside 0; echo $$; exec sleep 600"), other: allows})
    _, new = await pids(heard, 2)
    assert (alive(old), alive(new)) == (False, True), heard.lines
    assert workers.ending() == set()


async def test_stopping_asks_first(workers: Workers, heard: Heard) -> None:
    workers.run({PLACE: shell("exec 2>&-; trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.05; done")})
    await eventually(lambda: bool(heard.lines))
    await workers.stop()
    assert heard.lines == ["prints: ready", "prints: bye"]


async def test_what_a_worker_started_is_left_alone_while_it_finishes(workers: Workers, heard: Heard) -> None:
    """It may be part of the work."""
    part = "sh -c 'trap \"echo part ended early\" TERM; sleep 0.5; echo part done' & echo ready"
    workers.run({PLACE: shell(f"exec 2>&-; {part}; trap 'wait; wait; echo bye; exit' TERM; while :; do sleep 0.05; done")})
    await eventually(lambda: bool(heard.lines))
    await workers.stop()
    assert heard.lines == ["prints: ready", "prints: part done", "prints: bye"]


async def test_a_worker_in_a_shell_that_ends_before_it_is_asked_too(workers: Workers, heard: Heard) -> None:
    worker = "trap 'sleep 0.3; echo bye; exit' TERM; echo ready; while :; do sleep 0.05; done"
    workers.run({PLACE: shell(f'exec 2>&-; sh -c "{worker}"; true')})
    await eventually(lambda: bool(heard.lines))
    await workers.stop()
    assert heard.lines == ["prints: ready", "prints: bye"]


async def test_one_that_drains_has_its_time_beside_the_grace_and_that_is_said(tmp_path: Path, heard: Heard) -> None:
    workers = Workers(tmp_path, heard, grace=0)
    slow = replace(shell("exec 2>&-; trap 'sleep 1.5; echo bye; exit' TERM; echo ready; while :; do sleep 0.05; done"), drain=60_000)
    workers.run({PLACE: slow})
    await eventually(lambda: bool(heard.lines))
    await workers.stop()
    assert heard.lines == ["prints: ready", "prints: bye"]
    assert heard.said == ["workers finish what they began, for at most 1m; a second Ctrl-C ends them now"]


async def test_how_the_processes_of_each_channel_are(workers: Workers, heard: Heard) -> None:
    several = Place("default", "several")
    jobs = {place: replace(shell("echo $$; exec sleep 600", place), more=("shared",)) for place in (several, several._replace(number=2))}
    jobs[PLACE] = shell("exit 3")
    workers.run(jobs)
    running = [State.RUNNING, State.RUNNING]
    await eventually(lambda: workers.crews() == {several: running, Place("default", "shared"): running, PLACE: [State.WAITING]})
    await eventually(lambda: {line.partition(":")[0] for line in heard.lines} == {"several", "several #2"})
    workers.run({several: jobs[several]})
    assert workers.crews() == {several: running[:1], Place("default", "shared"): running[:1]}


async def test_stopping_leaves_the_grace_to_those_already_on_their_way(workers: Workers, heard: Heard) -> None:
    workers.run({PLACE: shell("exec 2>&-; trap 'sleep 0.3; echo bye; exit' TERM; echo ready; while :; do sleep 0.05; done")})
    await eventually(lambda: bool(heard.lines))
    workers.run({})
    await asyncio.sleep(0)
    workers.run({})
    await workers.stop()
    assert heard.lines == ["prints: ready", "prints: bye"]


async def test_one_that_does_not_listen_is_killed_after_the_grace_with_all_it_started(tmp_path: Path, heard: Heard) -> None:
    workers = Workers(tmp_path, heard, grace=1)
    workers.run({PLACE: shell("trap '' TERM; sleep 600 & echo $!; echo $$; wait")})
    numbers = await pids(heard, 2)
    await workers.stop()
    assert [pid for pid in numbers if alive(pid)] == []


async def test_in_a_hurry_there_is_no_grace(tmp_path: Path, heard: Heard) -> None:
    workers = Workers(tmp_path, heard, grace=600)
    workers.run({PLACE: shell("trap '' TERM; echo $$; while :; do sleep 0.05; done")})
    [pid] = await pids(heard)
    stopping = asyncio.create_task(workers.stop())
    await asyncio.sleep(0)
    workers.hurry()
    await stopping
    assert not alive(pid)


async def test_what_a_dead_worker_left_running_ends_before_the_next_starts(workers: Workers, heard: Heard) -> None:
    workers.run({PLACE: shell("sleep 600 & echo $!")})
    first, *_ = await pids(heard, 2)
    assert not alive(first)


RUNNER = """
import asyncio, sys
from pathlib import Path
from channelbeat.local.processes import Workers
from channelbeat.local.workers import Job, Place

class Voices:
    def heard(self, place, line):
        print(line, flush=True)
    def say(self, text):
        print("said", text, flush=True)

async def main():
    place = Place("default", "prints")
    Workers(Path(), Voices()).run({place: Job(place, ("sh", "-c", "trap '' TERM; sleep 600 & echo $!; echo $$; wait"), (), "redis://x")})
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_nothing_stays_behind_when_we_are_killed() -> None:
    """Not the worker, and not what it started."""
    with subprocess.Popen([sys.executable, "-c", RUNNER], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        numbers = [int(runner.stdout.readline()), int(runner.stdout.readline())]
        assert all(map(alive, numbers))
        os.kill(runner.pid, signal.SIGKILL)
    until(lambda: not any(map(alive, numbers)))
