"""What it needs and does not find is said in one clear line; and it can be stopped at any time."""

import json
from pathlib import Path

import pytest

from support.arrivals import Channel
from support.beats import Beats
from support.operators import Installation, Operator
from support.waiting import until

NO_FILE = "/nowhere/at-all"


def last_words(operator: Operator, status: int) -> str:
    """Its only line, besides what it logs; no traceback."""
    assert operator.ends() == status, operator
    plain = [line for line in operator.lines if not line.startswith("{")]
    assert len(plain) == 1, operator
    print(plain[0])
    return plain[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [("default: {url: 5}", "default.url"), ("", "layer"), ("default: [", "layers.yaml"), ("default: {url: 'redis://h', typo: 1}", "its 2nd setting")],
)
def test_a_bad_layers_file(us: Installation, text: str, words: str) -> None:
    us.layers_file.write_text(text)
    assert words in last_words(us.start(), 2)


def test_no_layers_file(us: Installation) -> None:
    us.layers_file.unlink()
    assert str(us.layers_file) in last_words(us.start(), 2)


def test_no_such_kubeconfig(us: Installation) -> None:
    us.kubeconfig = Path(NO_FILE)
    assert NO_FILE in last_words(us.start(), 2)


def test_a_context_that_is_not_in_the_kubeconfig(us: Installation) -> None:
    assert "nobody" in last_words(us.start("--context", "nobody"), 2)


def test_a_port_that_somebody_has(us: Installation) -> None:
    one = us.replica()
    assert one.address in last_words(us.start("--listen", one.address), 2)


@pytest.mark.parametrize("selector", ["=", "a in ("])
def test_a_selector_that_is_none(us: Installation, selector: str) -> None:
    assert f"--selector {selector!r}: write it as kubectl get -l takes it" in last_words(us.start("--selector", selector), 2)


@pytest.mark.parametrize("delay", range(4))
def test_it_can_be_stopped_while_it_starts(us: Installation, beats: Beats, delay: int) -> None:
    """After its first lines, each later one."""
    beats.put({"every": "100ms"})
    one = us.start()
    until(lambda: len(one.lines) > delay or one.readyz(), 30, what="its first words", every=0.001)
    assert one.stop() == 0, one
    assert "stopped" in [line["message"] for line in one.log], one
    assert not one.with_words("Traceback"), one
    assert us.holder() == ""


def test_what_it_says_when_all_is_well(us: Installation, beats: Beats, channel: Channel) -> None:
    one = us.replica()
    us.leader()
    channel.flows([beats.put({"every": "100ms"})])
    assert one.stop() == 0
    assert [line for line in one.lines if not line.startswith("{")] == []
    assert [entry for entry in one.log if entry.get("level", "").lower() not in ("info", "debug")] == []
    assert len(one.lines) < 30, one


def test_schedules_with_faults_are_told_at_the_start_and_whenever_that_changes(us: Installation, beats: Beats) -> None:
    beats.put({"every": "1h"}, name="first", channelLayer={"name": "none"})
    one = us.replica()
    [line] = one.hears("schedule " + beats.key("first").removesuffix("/e") + " does not run as it is written: spec.channelLayer.name")
    told = json.loads(line)
    assert (told["level"], told["namespace"], told["schedule"]) == ("warning", beats.namespace, "first")
    beats.put({"every": "1h"}, name="second", channelLayer={"name": "none"})
    one.hears("second does not run as it is written")
    beats.put({"every": "1h"}, name="second", channelLayer={"name": "default"})
    one.hears("second runs as it is written: its faults are mended")
