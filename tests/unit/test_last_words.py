"""What of a container's log is worth telling."""

import pytest

from channelbeat.core.last_words import LOGGED, LONGEST, cut, last_words

FRAMES = 'Traceback (most recent call last):\n  File "/app/a.py", line 3, in <module>\n    f()\n'


@pytest.mark.parametrize(
    ("message", "words"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("\n \n", "", id="blank lines"),
        pytest.param("one\ntwo\nthree\nfour\n", "two | three | four", id="the last lines"),
        pytest.param(f"{FRAMES}KeyError: 'URL'\n", "KeyError: 'URL'", id="a traceback"),
        pytest.param(f"{FRAMES}SystemExit\n", "SystemExit", id="an exception without a word"),
        pytest.param(f"{FRAMES}a.B: x\nis y\nand z\nno more", "a.B: x | is y | and z", id="an exception of several lines"),
        pytest.param(f"{FRAMES}A: a\n\nDuring handling of the above exception, another exception occurred:\n\n{FRAMES}B: b", "B: b", id="the last of two"),
        pytest.param("    f()\n    ^^^\nValueError: v", "ValueError: v", id="its beginning was cut off"),
        pytest.param(f"{FRAMES}A: a\n" + "line\n" * 11, "line | line | line", id="it went on for long after the traceback"),
        pytest.param("usage: x [-h]\n         y\nx: error: no such option", "x: error: no such option", id="argparse"),
        pytest.param("\x1b[31mred\x1b[0m\x07 words", "red words", id="colours and bells"),
        pytest.param("cannot reach redis://u:p@ss@host/0", "cannot reach redis://***@host/0", id="a password"),
        pytest.param("cut:secret@host/0 rest" + " x" * LOGGED, "", id="a log that begins in the middle of a URL"),
    ],
)
def test_last_words(message: str, words: str) -> None:
    said = last_words(message)
    assert said == words if words or not message.strip() else "secret" not in said


def test_a_log_of_one_line_that_begins_in_the_middle_of_a_url() -> None:
    assert "secret" not in last_words("secret@host:6379/0 refused" + "x" * LOGGED)


def test_a_url_is_masked_before_it_is_cut() -> None:
    shown = cut("x" * (LONGEST - 20) + " redis://user:secret@host/0")
    assert "user" not in shown
    assert len(shown) <= LONGEST
