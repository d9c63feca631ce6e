"""Scripts without some of their guards: each is one line, marked `-- guard: NAME`."""

import re
from collections.abc import Callable

from channelbeat.broker import scripts
from support.tree import SCRIPTS

GUARD = re.compile(r"^.* -- guard: (\S+)$\n", re.MULTILINE)


def without(*guards: str) -> Callable[[str], str]:
    """In the place of `scripts.source`: the lines of `guards` are taken out."""
    source = scripts.source
    known = {name for script in SCRIPTS for name in GUARD.findall(script.read_text())}
    assert known.issuperset(guards), f"no such guards: {set(guards) - known}"
    return lambda name: GUARD.sub(lambda line: "" if line[1] in guards else line[0], source(name))
