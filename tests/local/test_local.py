"""`channelbeat local` as a whole: real files, a real Redis, a real Django project with its own runworker."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from channelbeat.core import instants
from channelbeat.core.instants import HOUR
from channelbeat.runtime import SystemClock
from support.local import COMMAND, Local
from support.waiting import until

PROJECT = Path(__file__).parent / "project"

Start = Callable[..., Local]


NEVER = "8760h"
"""Each hour would be due at some time: in the middle of a test."""
OURS = json.dumps({"INSTALLED_APPS": ["channelbeat.worker", "channels"]})


def tracked(type: str, event: str = "", spec: str = "", every: str = NEVER) -> str:
    """Due only when it is triggered, unless `every` says otherwise."""
    return beat(every=every, type=type, event=f", {event}" if event else "", extra=f"  delivery: AtLeastOnce\n{spec}")


def beat(name: str = "prints", channel: str = "prints", every: str = "1s", text: str = "hello", type: str = "say", event: str = "", extra: str = "") -> str:
    return f"""
apiVersion: channelbeat.dev/v1alpha1
kind: BeatSchedule
metadata: {{name: {name}}}
spec:
  channel: {channel}
  events:
  - {{name: tick, type: {type}, every: {every}, fields: {{text: {text}}}{event}}}
{extra}
"""


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy, in a folder short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="cb-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "project")
        shutil.copytree(PROJECT, path)
        Path(folder, "run").mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", f"{folder}/run")
        yield path


@pytest.fixture
def start(project: Path) -> Iterator[Start]:
    """Starts one on the project; whatever still runs at the end is killed, and nothing may stay behind."""
    begun: list[Local] = []

    def start(*arguments: str, **environment: str) -> Local:
        begun.append(Local(project, *arguments, environment=environment))
        return begun[-1]

    yield start
    for local in begun:
        local.process.kill()
        local.ends()
        for stream in (local.process.stdout, local.process.stderr):
            assert stream is not None
            stream.close()
    until(lambda: not processes(project), 60, what=f"an end of {processes(project)}")


def processes(project: Path) -> list[str]:
    """Command lines of all that works in the project's folder or on its data."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if command and (str(project) in command or (process / "cwd").readlink() == project):
                found.append(f"{process.name} {command}")
        except OSError:
            continue
    return found


def pid(project: Path, words: str) -> int:
    """Of the one process whose command line has these words."""
    return int(until(lambda: [line for line in processes(project) if words in line], 60)[0].split()[0])


def call(project: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run([*COMMAND, *arguments], cwd=project, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def test_events_are_handled_and_ctrl_c_leaves_nothing_behind(project: Path, start: Start) -> None:
    (project / "beat.yaml").write_text(beat())
    local = start("-o", "json")
    local.hears("[prints] handled hello", 3)
    assert local.stop() == 0, local
    runs = [outcome["run"] for outcome in local.outcomes("enqueued")]
    assert len(set(runs)) == len(runs)
    handled = [line.split()[-1] for line in local.with_words("[prints] handled hello")]
    assert handled == runs[: len(handled)]
    assert re.fullmatch(r"channelbeat: stopped after \d+s: .*\d+ enqueued.* \(at most [\d,]+ ms late\)", local.told[-1])
    assert processes(project) == []


def test_it_ends_by_itself_after_the_time_given(project: Path, start: Start) -> None:
    (project / "beat.yaml").write_text(beat())
    local = start("--for", "5s", "--no-workers")
    assert local.ends() == 0, local
    assert local.with_words("default/prints tick enqueued")


def test_an_edit_is_taken_up_and_one_broken_manifest_stops_no_other(project: Path, start: Start) -> None:
    path = project / "beat.yaml"
    path.write_text(beat(text="before"))
    (project / "other.yaml").write_text(beat("other", "prints-too", extra="  channelLayer: {name: nope}"))
    (project / "broken.yaml").write_text("{")
    local = start()
    local.hears("handled before")
    local.hears("other.yaml:1: spec.channelLayer.name: no layer is called 'nope'")
    local.hears("broken.yaml:1: ")
    path.write_text(beat(text="after"))
    local.hears("handled after")
    (project / "other.yaml").write_text(beat("other", "prints-too", text="second"))
    local.hears("[prints-too] handled second")
    (project / "other.yaml").unlink()
    local.hears("default/other removed")
    until(lambda: not [line for line in processes(project) if line.endswith("runworker prints-too ")], 60)
    assert local.stop() == 0


def test_trigger_and_why(project: Path, start: Start) -> None:
    (project / "beat.yaml").write_text(beat(every=NEVER))
    local = start()
    local.hears("its Redis answers")
    token = "2026-11-21T00:00:00Z"
    code, said = call(project, "trigger", "prints", "tick", "-o", "json")
    assert code == 0, said
    outcome = json.loads(said)
    assert (outcome["outcome"], outcome["reason"]) == ("enqueued", "Triggered")
    local.hears(f"handled hello {outcome['run']}")
    assert call(project, "trigger", "default/prints", "tick", "--token", token)[0] == 1, "long ago"
    assert call(project, "trigger", "prints", "tik")[1].endswith("did you mean tick?")
    code, said = call(project, "trigger", "print", "tick")
    assert (code, "did you mean default/prints?" in said) == (2, True), said
    code, said = call(project, "why", "prints", "tick", "-o", "json")
    assert code == 0, said
    assert json.loads(said)["sentences"]
    assert local.stop() == 0
    assert "has ended" in call(project, "why", "prints", "tick")[1]


def triggered(project: Path, local: Local, event: str = "tick") -> str:
    """The run."""
    local.hears("its Redis answers")
    code, said = call(project, "trigger", "prints", event, "-o", "json")
    assert code == 0, said
    run: str = json.loads(said)["run"]
    return run


def shown(project: Path, run: str) -> dict[str, Any]:
    code, said = call(project, "run", "show", run, "-o", "json")
    assert code == 0, said
    facts: dict[str, Any] = json.loads(said)
    return facts


def test_a_run_that_fails_is_tried_again_and_can_be_looked_at(project: Path, start: Start) -> None:
    """On a busy machine it takes seconds to ask: it waits for longer than that."""
    (project / "beat.yaml").write_text(tracked("stumble", "retry: {backoff: 10s}"))
    local = start(BEATSITE=OURS)
    run = triggered(project, local)
    until(lambda: f"{run}   retrying   1/4" in call(project, "runs", "prints", "--state", "retrying")[1], 60, what=f"a retry in {local}")
    local.hears(f"[prints] handled hello {run} at attempt 2")
    until(lambda: f"{run}   succeeded   2/4" in call(project, "runs")[1], 60)
    first, second = shown(project, run)["history"]
    assert (first["how"], first["error"], second["how"]) == ("failed", "ValueError: boom", "succeeded")
    assert local.stop() == 0
    assert local.told[-1].endswith("; of the runs that ended, 1 succeeded"), local


@pytest.mark.chaos
@pytest.mark.parametrize("victim", ["the worker", "all of us"])
def test_the_run_of_a_worker_that_is_killed_is_handled_by_the_next(project: Path, start: Start, victim: str) -> None:
    (project / "beat.yaml").write_text(tracked("hang"))
    local = start(BEATSITE=OURS)
    run = triggered(project, local)
    killed = int(local.hears("[prints] hanging")[0].split()[-1])
    assert call(project, "runs", "prints")[1].endswith(f":{killed}")
    if victim == "the worker":
        os.kill(killed, signal.SIGKILL)
    else:
        local.stop(signal.SIGKILL)
        local = start(BEATSITE=OURS)
    local.hears(f"[prints] handled hello {run} at attempt 2")
    until(lambda: shown(project, run)["state"] == "succeeded", 60)
    first, second = shown(project, run)["history"]
    assert (first["how"], first["worker"].endswith(f":{killed}"), second["how"]) == ("lost", True, "succeeded")
    assert second["worker"] != first["worker"]


def test_dead_runs_are_told_pause_their_event_and_can_be_tried_again(project: Path, start: Start) -> None:
    path = project / "beat.yaml"
    path.write_text(tracked("fail", "retry: {limit: 0}", "  pauseAfterFailures: 1"))
    local = start("-o", "json", BEATSITE=OURS)
    run = triggered(project, local)
    local.hears(f" default/prints tick dead after 1 attempt: ValueError: boom (channelbeat run show {run})")
    assert [outcome["run"] for outcome in local.outcomes()] == [run]
    assert call(project, "resume", "prints", "tick") == (0, "default/prints tick resumed")
    assert call(project, "resume", "prints", "tick") == (1, "default/prints tick is not paused")
    assert "did you mean tick?" in call(project, "resume", "prints", "tik")[1]
    assert call(project, "run", "retry", run) == (0, f"{run} queued again")
    local.hears(f"(channelbeat run show {run})", 2)
    assert call(project, "run", "retry", "--all-dead", "prints") == (0, "1 dead run queued again")
    assert call(project, "runs", "--layer", "nope")[0] == 2


def test_what_is_under_way_is_finished_before_the_end(project: Path, start: Start) -> None:
    (project / "beat.yaml").write_text(tracked("slowly"))
    local = start(BEATSITE=OURS)
    run = triggered(project, local)
    local.hears("[prints] begun")
    assert local.stop() == 0
    assert local.with_words(f"handled hello {run} at attempt 1"), local
    assert local.with_words("workers finish what they began, for at most 10s")
    assert processes(project) == []


def test_a_tracked_schedule_has_as_many_workers_as_its_floor_each_on_all_its_channels(project: Path, start: Start) -> None:
    worker = "  worker: {templateFrom: {name: x}, channels: [prints-too, prints], scaling: {minReplicas: 2}}"
    (project / "beat.yaml").write_text(tracked("done", every="500ms", spec=worker))
    (project / "plain.yaml").write_text(beat("plain", "prints-too", text="plain"))
    local = start(BEATSITE=OURS)
    local.hears("[prints-too] handled hello")
    local.hears("[prints-too #2] handled hello")
    local.hears("handled plain")
    assert len([line for line in processes(project) if line.endswith("--claim 5s prints-too prints ")]) == 2
    assert local.stop() == 0


def scaled(**scaling: str | int) -> str:
    """A worker block whose workers go a second after the last need."""
    return f"  worker: {{templateFrom: {{name: x}}, scaling: {json.dumps({'scaleDownAfter': '1s', **scaling})}}}"


def started(project: Path) -> int:
    return len([line for line in processes(project) if "runworker" in line and " prints" in line])


def test_a_crew_is_started_from_zero_by_what_waits_and_ended_when_it_is_not_needed_any_more(project: Path, start: Start) -> None:
    (project / "beat.yaml").write_text(tracked("done", spec=scaled(warmUp="Disabled")))
    local = start(BEATSITE=OURS)
    for times in (1, 2):
        run = triggered(project, local)
        local.hears(f"[prints] handled hello {run} at attempt 1")
        local.hears("channelbeat: workers of default/prints 1 -> 0: nothing waits, is in flight or is due soon", times)
        until(lambda: not started(project), 60)
    up, *_ = local.with_words("workers of default/prints 0 -> 1: 1 waiting and 0 in flight (")
    assert up.endswith(" call for 1"), local
    assert local.stop() == 0
    assert len(local.with_words("workers of default/prints ")) == 4, "a change is told once"


def test_a_crew_is_there_before_what_is_due_and_not_long_before(project: Path, start: Start) -> None:
    due = instants.text(SystemClock().now() + HOUR)
    path = project / "beat.yaml"
    path.write_text(tracked("done", spec=scaled(warmUp="2h")).replace(f"every: {NEVER}", f"at: '{due}'"))
    (project / "later.yaml").write_text(beat("later", "prints-too", extra=scaled(warmUp="30m")).replace("every: 1s", f"at: '{due}'"))
    local = start(BEATSITE=OURS)
    local.hears("workers of default/prints 0 -> 1: what is due before a worker could be there calls for 1")
    until(lambda: started(project) == 1, 60)
    path.write_text(path.read_text().replace("2h", "20m"))
    local.hears("workers of default/prints 1 -> 0: nothing waits, is in flight or is due soon")
    until(lambda: not started(project), 60)
    assert not local.with_words("workers of default/later"), local
    assert local.stop() == 0


def test_a_backlog_calls_for_as_many_as_the_ceiling_allows_and_all_is_handled(project: Path, start: Start) -> None:
    """They wait for each other, as long as it takes to trigger six."""
    (project / "beat.yaml").write_text(tracked("wait", spec=scaled(warmUp="Disabled", targetWait="1s", eventsPerReplica=1, maxReplicas=3)))
    local = start(BEATSITE=OURS)
    runs = [triggered(project, local) for _ in range(6)]
    local.hears("-> 3: ")
    local.hears("[prints #3] begun")
    (project / "hello").touch()
    for run in runs:
        local.hears(f"handled hello {run} at attempt 1")
    local.hears("-> 0: nothing waits")
    assert local.stop() == 0
    assert local.told[-1].endswith("; of the runs that ended, 6 succeeded"), local


def at_work(project: Path) -> set[str]:
    """Which processes have said that they have something in hand."""
    with Redis(unix_socket_path=str(project / ".channelbeat/redis.sock"), decode_responses=True) as redis:
        told = [redis.hmget(key, "pod", "busy") for key in redis.scan_iter("*worker:*", _type="hash")]
        return {pod for pod, busy in told if busy not in (None, "0")}


def test_those_that_are_idle_are_ended_first_and_the_others_are_left_at_work(project: Path, start: Start) -> None:
    path = project / "beat.yaml"
    text = tracked("wait", spec=scaled(minReplicas=2, warmUp="Disabled")).replace("hello", "file-of-tick")
    path.write_text(text.replace("  events:", f"  events:\n  - {{name: tock, type: wait, every: {NEVER}, fields: {{text: file-of-tock}}}}"))
    local = start(BEATSITE=OURS)
    local.hears("workers of default/prints 0 -> 2: minReplicas is 2")
    for event in ("tick", "tock"):
        triggered(project, local, event)
        local.hears(f"begun file-of-{event}")
    [of_the_first] = local.with_words("[prints] begun")
    [of_the_second] = local.with_words("[prints #2] begun")
    (project / of_the_first.split()[-1]).touch()
    local.hears("[prints] handled")
    until(lambda: at_work(project) == {"prints #2"}, 60, what="the first one to tell that it is idle")
    path.write_text(path.read_text().replace('"minReplicas": 2', '"minReplicas": 0'))
    local.hears("workers of default/prints 2 -> 1: ")
    local.hears("[prints] SIGTERM")
    (project / of_the_second.split()[-1]).touch()
    local.hears("[prints #2] handled")
    local.hears("[prints #2] SIGTERM: stopping: nothing more is taken, 0 under way")
    assert local.stop() == 0


def test_plain_messages_start_a_crew_too(project: Path, start: Start) -> None:
    (project / "beat.yaml").write_text(beat(every=NEVER, extra=scaled(warmUp="Disabled")))
    local = start()
    run = triggered(project, local)
    local.hears(f"handled hello {run}")
    local.hears("workers of default/prints 0 -> 1: 1 waiting call for 1")
    local.hears("workers of default/prints 1 -> 0: ")
    until(lambda: not started(project), 60)
    assert local.stop() == 0


def test_a_tracked_schedule_with_a_stock_worker_ends_it_with_the_cure(project: Path, start: Start) -> None:
    (project / "beat.yaml").write_text(tracked("done"))
    local = start()
    assert local.ends() == 1
    assert local.with_words('INSTALLED_APPS = ["channelbeat.worker", "channels", ...]'), local


def test_killed_and_started_again_at_once_it_is_the_same_and_repeats_nothing(project: Path, start: Start) -> None:
    (project / "beat.yaml").write_text(beat(every="500ms"))
    runs: list[str] = []
    for _ in range(3):
        local = start("-o", "json")
        local.hears('"outcome": "enqueued"', 3)
        local.hears("[prints] handled")
        local.stop(signal.SIGKILL)
        runs += [outcome["run"] for outcome in local.outcomes("enqueued")]
        until(lambda: not processes(project), 60)
    assert len(runs) == len(set(runs))


def test_what_dies_is_started_again(project: Path, start: Start) -> None:
    (project / "beat.yaml").write_text(beat())
    local = start()
    local.hears("[prints] handled")
    os.kill(pid(project, "runworker prints"), signal.SIGKILL)
    local.hears("worker prints was ended by SIGKILL")
    handled = len(local.with_words("[prints] handled"))
    local.hears("[prints] handled", handled + 1)
    os.kill(pid(project, "redis-server"), signal.SIGKILL)
    local.hears("the embedded Redis answers again")
    handled = len(local.with_words("[prints] handled"))
    local.hears("[prints] handled", handled + 2)
    assert local.stop(signal.SIGTERM) == 0


def test_a_second_one_on_the_same_folder_is_refused(project: Path, start: Start) -> None:
    (project / "beat.yaml").write_text(beat())
    first = start("--no-workers")
    first.hears("its Redis answers")
    second = start("--no-workers")
    assert second.ends() == 1
    assert f"in use by another channelbeat local (pid {first.process.pid})" in second.told[-1]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"CONFIG": {"prefix": "other"}}, ["its prefix is 'other' where 'asgi' is used", 'os.environ.get("CHANNELBEAT_REDIS_URL"']),
        ({"raises": "out of order"}, ["cannot be loaded", "RuntimeError: out of order"]),
    ],
)
def test_a_project_that_cannot_hear_us_ends_it_with_the_cure(project: Path, start: Start, changed: dict[str, Any], said: list[str]) -> None:
    (project / "beat.yaml").write_text(beat())
    local = start(BEATSITE=json.dumps(changed))
    assert local.ends() == 1
    assert [words for words in said if not local.with_words(words)] == [], local


def test_layers_of_a_file_each_with_its_workers(project: Path, start: Start) -> None:
    """The project knows one alias, named by the environment of its worker; the layer that it does not know stops no other."""
    (project / "layers.yml").write_text("default: {}\nsecond: {prefix: second}\n")
    (project / "a.yaml").write_text(beat("one"))
    (project / "b.yaml").write_text(beat("two", "prints", extra="  channelLayer: {name: second}"))
    (project / "c.yaml").write_text(beat("three", "prints", extra="  channelLayer: {name: third}"))
    local = start("--layers", f"{project}/layers.yml")
    local.hears("[prints] handled")
    local.hears("no workers for second:prints: beatsite.settings: CHANNEL_LAYERS['second'] does not exist (there is 'default')")
    local.hears("c.yaml:1: spec.channelLayer.name: no layer is called 'third' (there is default, second)")
    assert local.stop() == 0


def test_without_a_project_no_workers_run_and_that_is_said_once(project: Path, start: Start) -> None:
    (project / "manage.py").unlink()
    (project / "beat.yaml").write_text(beat())
    local = start()
    local.hears("default/prints tick enqueued", 2)
    assert len(local.with_words("no workers run here")) == 1
    assert local.stop() == 0


def test_a_redis_of_somebody_elses(project: Path, start: Start, own_redis: Any) -> None:
    (project / "beat.yaml").write_text(beat())
    local = start("--redis", own_redis.url)
    local.hears("[prints] handled")
    assert not (project / ".channelbeat/redis.sock").exists()
    assert local.stop() == 0


def test_when_nobody_reads_any_more_it_stops(project: Path) -> None:
    (project / "beat.yaml").write_text(beat())
    read, write = os.pipe()
    with subprocess.Popen([*COMMAND, "local", project], stdout=write, stderr=subprocess.DEVNULL) as process:
        os.close(write)
        os.read(read, 10)
        os.close(read)
        assert process.wait(60) == 0
    assert processes(project) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/no/such/path"], "no such file or folder"),
        (["{project}", "--redis", "redis+sentinel://h/0"], "--redis: Redis Sentinel is not supported yet"),
        (["{project}", "--for", "soon"], "'soon' is no duration"),
        (["{project}", "--layers", "{project}/bad.yml"], "default.prefix: must be a text"),
        (["-"], "standard input cannot be followed"),
    ],
)
def test_a_command_line_that_cannot_be_is_refused_before_anything_starts(project: Path, arguments: list[str], said: str) -> None:
    (project / "bad.yml").write_text("default: {prefix: 5}")
    (project / "beat.yaml").write_text(beat())
    code, text = call(project, "local", *(argument.format(project=project) for argument in arguments))
    assert code == 2
    assert said in text
