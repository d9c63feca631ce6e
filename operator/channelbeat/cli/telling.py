"""How runs are written: as a table, in full, and for programs. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from channelbeat.core import instants
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.core.runs import Attempt, Policy, Run, State
from channelbeat.core.timing import durations
from channelbeat.local.console import clock

HEADERS: Final = ("RUN", "STATE", "ATTEMPTS", "WHEN", "WORKER OR ERROR")
GAP: Final = "   "
CUT: Final = 100  # characters of an error in a table
WAITS: Final = frozenset({State.RETRYING, State.DELAYED, State.BUFFERED})


def table(runs: Sequence[Run], now: Ms) -> Iterator[str]:
    """Its lines; none for no runs."""
    if runs:
        yield from columns([HEADERS, *((run.id, run.state, tries(run), when(run, now), _cut(detail(run))) for run in runs)])


def full(run: Run, now: Ms) -> Iterator[str]:
    """All that is known of a run."""
    told = {
        "Run": run.id,
        "Event": _event(run, " ") or "none: it was sent from code",
        "Channel": run.channel,
        "State": f"{run.state}, {_where(run, now)}" if _where(run, now) else run.state,
        "Due": _moment(run.due, now),
        "Enqueued": _moment(run.enqueued, now),
        "Attempts": tries(run),
        "Policy": policy(run.policy),
        "Result": run.result,
        "Error": run.error,
    }
    yield from (f"{name + ':':<10} {fact}" for name, fact in told.items() if fact)
    if run.history:
        yield ""
        yield from columns([("ATTEMPT", "WORKER", "STARTED", "TOOK", "ENDED", "ERROR"), *(_row(attempt, now) for attempt in run.history)])
    if run.trace:
        yield from ("", *run.trace.rstrip().splitlines())


def facts(run: Run) -> dict[str, Any]:
    """As a program reads it, in a list."""
    schedule, _, event = run.event.rpartition("/")
    return {
        "run": run.id,
        "schedule": schedule or None,
        "event": event or None,
        "channel": run.channel,
        "state": run.state,
        "due": instants.text(run.due),
        "enqueued": instants.text(run.enqueued),
        "queuedSince": _text(run.at if run.state is State.QUEUED else None),
        "claimedUntil": _text(run.at if run.state is State.RUNNING else None),
        "next": _text(run.at if run.state in WAITS else None),
        "finished": _text(run.finished),
        "attempts": run.attempts,
        "maxAttempts": run.policy.limit + 1,
        "worker": worker(run),
        "error": run.error,
    }


def all_facts(run: Run) -> dict[str, Any]:
    """As a program reads it, by itself."""
    history = [
        {
            "attempt": one.number,
            "worker": one.worker,
            "started": instants.text(one.started),
            "ended": _text(one.ended),
            "how": one.how,
            "error": one.error or None,
        }
        for one in run.history
    ]
    return {**facts(run), "result": run.result, "trace": run.trace, "policy": _policy_facts(run.policy), "history": history}


def policy(of: Policy) -> str:
    """`3 retries, after 5s and doubling up to 10m; an attempt may take 10m`."""
    retries = f"{of.limit:,} retr{'y' if of.limit == 1 else 'ies'}"
    words = [f"{retries}, after {durations.text(of.backoff)} and doubling up to {durations.text(of.max_backoff)}" if of.limit else "no retry"]
    words.append(f"an attempt may take {durations.text(of.timeout)}")
    if of.start_deadline:
        words.append(f"to be started within {durations.text(of.start_deadline)} of its due time")
    if of.overlap != "Allow":
        words.append(f"overlap {of.overlap}")
    if of.pause_after:
        words.append(f"{of.pause_after:,} dead in a row pause the event")
    return "; ".join(words)


def _policy_facts(of: Policy) -> dict[str, Any]:
    """In the words of a manifest."""
    return {
        "retry": {"limit": of.limit, "backoff": durations.text(of.backoff), "maxBackoff": durations.text(of.max_backoff)},
        "attemptTimeout": durations.text(of.timeout),
        "startDeadline": durations.text(of.start_deadline) if of.start_deadline else None,
        "overlap": of.overlap,
        "pauseAfterFailures": of.pause_after or None,
    }


def tries(run: Run) -> str:
    """`2/4`."""
    return f"{run.attempts}/{run.policy.limit + 1}"


def when(run: Run, now: Ms) -> str:
    """How long it is so, or until it goes on."""
    if run.finished is not None:
        return f"{length(now - run.finished)} ago"
    if run.state in WAITS:
        return f"in {length((run.at or now) - now)}"
    since = run.history[-1].started if run.state is State.RUNNING and run.history else run.at if run.state is State.QUEUED else None
    return f"for {length(now - since)}" if since is not None else "-"


def worker(run: Run) -> str | None:
    """Of one that is running."""
    return run.history[-1].worker if run.state is State.RUNNING and run.history else None


def detail(run: Run) -> str:
    return worker(run) or run.error or ""


def length(of: Ms) -> str:
    """As precise as people want it: `12s`, `3m4s`, `2h10m`, `3d`."""
    of = max(0, of)
    if of < 72 * HOUR:
        unit = SECOND if of < 10 * MINUTE else MINUTE
        return durations.text(of // unit * unit)
    return f"{of // (24 * HOUR)}d"


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines, each column as wide as its widest."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield GAP.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _where(run: Run, now: Ms) -> str:
    """Where it waits, and until when; or who has it."""
    match run.state:
        case State.QUEUED:
            return f"{when(run, now)}: it waits for a worker of {run.channel}"
        case State.RUNNING:
            until = f", whose claim lasts until {clock(run.at, near=now)} unless renewed" if run.at is not None else ""
            return f"{when(run, now)}: by {worker(run) or 'a worker'}{until}"
        case State.RETRYING | State.DELAYED:
            return f"{when(run, now)}, at {clock(run.at, near=now)}" if run.at is not None else ""
        case State.BUFFERED:
            return "until the other run of its event has ended"
        case _:
            return f"{when(run, now)}, at {clock(run.finished, near=now)}" if run.finished is not None else ""


def _row(attempt: Attempt, now: Ms) -> tuple[str, ...]:
    took = (now if attempt.ended is None else attempt.ended) - attempt.started
    return str(attempt.number), attempt.worker, clock(attempt.started, near=now), _took(took), attempt.how or "runs", attempt.error


def _took(of: Ms) -> str:
    """`14ms`, `1.2s`, or longer."""
    return f"{of}ms" if of < SECOND else f"{of / SECOND:.1f}s" if of < 10 * SECOND else length(of)


def _event(run: Run, between: str) -> str:
    return between.join(run.event.rsplit("/", 1))


def _moment(at: Ms, now: Ms) -> str:
    ago = f"{length(now - at)} ago" if at <= now else f"in {length(at - now)}"
    return f"{clock(at, near=now)} ({ago})"


def _text(at: Ms | None) -> str | None:
    return None if at is None else instants.text(at)


def _cut(text: str) -> str:
    return text if len(text) <= CUT else text[: CUT - 1] + "…"
