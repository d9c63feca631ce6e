"""Many schedules with nothing due: how long until all are in the book, how much memory do they take, and who is asked for what then?"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from benchmarks import manifests
from benchmarks.stage import Call, Stage, progress, used, when
from benchmarks.tables import Table, aim, seconds
from support.operators import Installation, Operator

EACH: Final = 3
WRITES_PER_SECOND: Final = 200
"""Of status: ten times what is the default, so that it is written sooner."""
QUIET: Final = 10.0
"""Seconds without another write of status: all are written."""
LIMIT: Final = 600.0
HOURS_AHEAD: Final = 12
LOADED_WITHIN, MEMORY = 4.0, 110.0
STATUS: Final = Call("PATCH", "beatschedules/status")
OURS: Final = ("beatschedules", "leases", "events")


def tables(stage: Stage, us: Installation, schedules: int, rest: float) -> Iterator[Table]:
    progress(f"{schedules:,} schedules are made")
    due = time.gmtime(time.time() + HOURS_AHEAD * 3_600)
    stage.make_schedules(us, [*manifests.schedules(schedules * EACH, {"cron": f"{due.tm_min} {due.tm_hour} * * *"}, EACH)])
    progress(f"nobody is there, for {rest:g} s")
    without = _calls(stage, rest)

    start = time.time()
    one = stage.start(us, "--status-writes", str(WRITES_PER_SECOND))
    moments = {"it serves its pages": when(one, lambda: one.page("/readyz")[0] != 0, LIMIT, "pages")}
    uses = {"it serves its pages": used(one)}
    for name, condition in {"all are in the book (/readyz)": one.readyz, "it leads": lambda: us.holds(one)}.items():
        moments[name] = when(one, condition, LIMIT, name)
        uses[name] = used(one)
    progress("status is written")
    moments["each status is written"] = _all_written(stage, one, schedules, QUIET if rest > QUIET else rest)
    uses["each status is written"] = used(one)
    progress(f"at rest, for {rest:g} s")
    calls = _calls(stage, rest)
    resting = f"at rest, {rest:g} s later"
    moments[resting], uses[resting] = time.time(), used(one)

    rows, before = [], 0.0
    for name, use in uses.items():
        rows.append((name, seconds(moments[name] - start), f"{use.memory:.0f}", f"{use.most:.0f}", seconds(use.cpu - before)))
        before = use.cpu
    loaded = moments["all are in the book (/readyz)"] - start
    after = loaded - (moments["it serves its pages"] - start)
    most = max(use.memory for use in uses.values())
    idle = (uses[resting].cpu - uses["each status is written"].cpu) / rest
    notes = [
        aim(
            f"all in the book within {LOADED_WITHIN:g} s ({loaded:.1f} s after the process began, {after:.1f} s after it served)",
            reached=loaded <= LOADED_WITHIN,
        ),
        aim(f"{MEMORY:.0f} MB ({most:.0f} MB)", reached=most <= MEMORY),
        f"At rest it takes {idle:.1%} of a core. Status was written at {WRITES_PER_SECOND} a second, which by default are 20.",
    ]
    yield Table(f"{schedules:,} schedules of {EACH} events", ("", "s", "MB", "at most", "CPU s since"), rows, notes)
    yield _asked(calls, without, rest)


def _all_written(stage: Stage, one: Operator, schedules: int, quiet: float) -> float:
    """The moment of the last write, roughly."""
    number, since = -1, time.time()
    deadline = since + LIMIT
    while time.time() < deadline:
        found = stage.calls()[STATUS]
        if found != number:
            number, since = found, time.time()
        elif number >= schedules and time.time() > since + quiet:
            return since
        time.sleep(min(1.0, quiet / 4))
    raise SystemExit(f"not within {LIMIT:g} s: {schedules:,} writes of status\n{one}")


def _calls(stage: Stage, rest: float) -> Counter[Call]:
    """Of the next `rest` seconds."""
    before = stage.calls()
    time.sleep(rest)
    return stage.calls() - before


def _asked(calls: Counter[Call], without: Counter[Call], rest: float) -> Table:
    shown = sorted(call for call in calls.keys() | without.keys() if call.writes or call.what.partition("/")[0] in OURS)
    rows = [(f"{call.verb} {call.what}", f"{calls[call]:,}", f"{without[call]:,}") for call in shown]
    ours = sum(max(calls[call] - without[call], 0) for call in shown if call.writes and call.what != "leases")
    notes = [aim(f"no write but the Lease's, in {rest:g} s with nothing due ({ours:,})", reached=not ours)]
    return Table(f"What the API server is asked for in {rest:g} s at rest", ("", "with the operator", "without"), rows, notes)
